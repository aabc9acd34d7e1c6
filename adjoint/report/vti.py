"""Cell data on a regular grid as VTK XML ImageData (.vti), for ParaView."""

import base64
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np

from .._files import whole
from ..typing import Array

TYPES = {"f4": "Float32", "f8": "Float64", "i4": "Int32", "i8": "Int64", "u1": "UInt8"}


def write_vti(
    path: Path | str, fields: Mapping[str, Array], spacing: Sequence[float], origin: Sequence[float]
) -> None:
    """Write fields of cells on a regular grid as VTK ImageData (.vti), for ParaView.

    Seen along −z, a field looks like the picture of `design_png`. Cell (i, j, k), with y
    upwards, has the value field[k, rows − 1 − j, i].

    Parameters
    ----------
    path : path
        Path of the file.
    fields : mapping of str to (rows, columns) or (layers, rows, columns) array
        Name ↦ values of the cells. Columns run along +x, rows from top to bottom (along
        −y), layers along +z. All fields have the same shape. A field without layers is
        one layer at z = 0.
    spacing : (2,) or (3,) floats
        Size of a cell in x, y (and z).
    origin : (2,) or (3,) floats
        Coordinates of the corner of the grid with the least x, y (and z).

    Raises
    ------
    ValueError
        If there are no fields, if their shapes differ, if values are not real numbers, if
        a spacing is not positive, or if `spacing` or `origin` has the wrong length.

    References
    ----------
    VTK file formats, "XML file formats", ImageData: inline base64, each block with its
    length as UInt64.
    """
    shapes = {np.shape(field) for field in fields.values()}
    if len(shapes) != 1:
        raise ValueError(
            f"got fields of shapes {sorted(shapes)}, expected at least one field and one shape"
        )
    (shape,) = shapes
    if len(shape) not in (2, 3) or 0 in shape:
        raise ValueError(
            f"got fields of shape {shape}, expected (rows, columns) or (layers, rows, columns)"
        )
    steps, corner = (np.asarray(values, dtype=float) for values in (spacing, origin))
    if steps.shape != (len(shape),) or not (np.all(np.isfinite(steps)) and np.all(steps > 0)):
        raise ValueError(f"got spacing {spacing}, expected {len(shape)} positive cell sizes")
    if corner.shape != (len(shape),) or not np.all(np.isfinite(corner)):
        raise ValueError(f"got origin {origin}, expected {len(shape)} coordinates")
    cells = (*reversed(shape), 1)[:3]
    extent = (
        " ".join(f"0 {count}" for count in cells)
        if len(shape) == 3
        else f"0 {cells[0]} 0 {cells[1]} 0 0"
    )
    places = [*corner, 0.0][:3], [*steps, 1.0][:3]
    start, size = (" ".join(repr(float(value)) for value in row) for row in places)
    arrays = "\n".join(_data_array(name, np.asarray(field)) for name, field in fields.items())
    text = (
        '<?xml version="1.0"?>\n'
        '<VTKFile type="ImageData" version="1.0" byte_order="LittleEndian" header_type="UInt64">\n'
        f'<ImageData WholeExtent="{extent}" Origin="{start}" Spacing="{size}">\n'
        f'<Piece Extent="{extent}">\n<CellData Scalars={quoteattr(next(iter(fields)))}>\n{arrays}\n'
        "</CellData>\n</Piece>\n</ImageData>\n</VTKFile>\n"
    )
    with whole(Path(path)) as aside:
        aside.write_text(text, encoding="utf-8")


def _data_array(name: str, field: Array) -> str:
    """Return a field as one <DataArray>; booleans are written as UInt8.

    Raises ValueError if VTK has no name for the type of the field.
    """
    stored = field.astype(np.uint8) if field.dtype == bool else field
    kind = TYPES.get(stored.dtype.str[1:])
    if kind is None:
        raise ValueError(
            f"field {name!r} is of type {field.dtype}, expected real numbers of type "
            f"{', '.join(TYPES)}"
        )
    upward = np.flip(stored, axis=-2)  # VTK's y runs upward, rows run downward
    data = np.ascontiguousarray(upward, dtype=stored.dtype.newbyteorder("<")).tobytes()
    block = base64.b64encode(struct.pack("<Q", len(data)) + data).decode("ascii")
    return f'<DataArray type="{kind}" Name={quoteattr(name)} format="binary">{block}</DataArray>'
