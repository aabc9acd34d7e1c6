"""Designs as pictures: a 2-D array of densities to a grayscale PNG, black = solid."""

import struct
import zlib
from pathlib import Path

import numpy as np

from .._files import whole
from .._validation import as_array, as_path, require_integer
from ..typing import Array

SMALLEST_PICTURE = 800  # px, longer side of a written picture: a coarse design stays visible in a viewer

SIGNATURE = b"\x89PNG\r\n\x1a\n"
"""What every PNG begins with."""

LARGEST_PICTURE = 100_000_000
"""Pixels of a picture that is written or read, at most: more are a slip, or no picture of a design."""


def design_png(design: Array, pixels: int = 1) -> bytes:
    """A PNG file, 8-bit gray, 0 → white and 1 → black, `pixels`×`pixels` for each element.

    design: (rows, columns), rows from top to bottom, values in [0, 1]. Raises ValueError otherwise.
    PNG specification, third edition (W3C 2025), sections 5 and 11.2.
    """
    require_integer("design_png", "pixels", pixels, 1)
    if checked(design).size * pixels**2 > LARGEST_PICTURE:
        raise ValueError(
            f"design_png: got a design of shape {np.shape(design)} and pixels={pixels}, a picture of more than "
            f"{LARGEST_PICTURE} pixels"
        )
    gray = np.round(255 * (1 - checked(design))).astype(np.uint8).repeat(pixels, axis=0).repeat(pixels, axis=1)
    rows, columns = gray.shape
    unfiltered = np.hstack([np.zeros((rows, 1), np.uint8), gray])  # each row begins with its filter type, 0
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(unfiltered.tobytes(), level=9)),
        (b"IEND", b""),
    ]
    return SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def write_design(path: Path | str, design: Array) -> None:
    """Write a design as PNG, each element a square of pixels, the longer side at least 800 px."""
    pixels = -(-SMALLEST_PICTURE // max(checked(design).shape))
    data = design_png(design, pixels)
    with whole(as_path("write_design", "path", path)) as aside:
        aside.write_bytes(data)


def checked(design: Array) -> Array:
    """The design as float64, rounding errors beyond [0, 1] clipped. Raises ValueError if it is no design."""
    densities = as_array("design_png", "design", design)
    if densities.dtype.kind not in "fiub":
        raise TypeError(f"got a design of dtype {densities.dtype}, expected real densities")
    densities = densities.astype(float)
    if densities.ndim != 2 or densities.size == 0:
        raise ValueError(f"got a design of shape {densities.shape}, expected (rows, columns), at least (1, 1)")
    if not (densities.min() >= -1e-6 and densities.max() <= 1 + 1e-6):
        raise ValueError(
            f"got a design with values from {densities.min():.6g} to {densities.max():.6g}, expected [0, 1]; "
            "usual cause: the parameters (stiffnesses) passed in place of the densities"
        )
    clipped: Array = np.clip(densities, 0.0, 1.0)
    return clipped
