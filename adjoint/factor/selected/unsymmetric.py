"""Selected inverse of a general matrix, from its factors M = L U on a closed pattern.

The recurrence goes from the roots of the assembly tree down to its leaves. For a supernode
with the panels (L₁₁, L₂₁), (U₁₁, U₁₂) and the block Z₂₂ of the inverse of M, which a parent
passes down,

    X = −L₂₁ L₁₁⁻¹,   Y = −U₁₁⁻¹ U₁₂,
    Z₂₁ = Z₂₂ X,   Z₁₂ = Y Z₂₂,   Z₁₁ = U₁₁⁻¹ L₁₁⁻¹ + Z₁₂ X

(docs/math/determinants.md, eqs. 271–273). The pattern must be closed: symmetric, and equal to
the result of elimination on itself.

Erisman & Tinney (1975), On computing certain elements of the inverse of a sparse matrix,
Commun. ACM 18, 177.
"""

import numpy as np
from scipy.linalg.lapack import dtrtri, ztrtri

from ...typing import Array
from .cholesky import inverted_triangles
from .supernodes import Batch, Supernodes


def entries_of_inverse(known: Supernodes, lower: Array, upper: Array) -> tuple[Array, Array]:
    """Return entries of Z = (L U)⁻¹: Z_ij and Z_ji for the entries (i, j), i ≥ j, of `known`.

    known: the supernodes of the closed pattern. lower, upper: the entries of L and Uᵀ on this
    pattern, column by column, with zeros where L or U has no entry. L has a unit diagonal.
    """
    trtri = ztrtri if lower.dtype.kind == "c" else dtrtri
    below = np.empty(known.positions.size, lower.dtype)
    above = np.empty_like(below)
    fronts: dict[int, Array] = {}
    buffers: dict[int, Array] = {}
    left = list(known.remaining)
    starts, heights, parents = known.starts, known.heights, known.parent
    for number in range(len(known.chunks) - 1, -1, -1):
        chunk = known.chunks[number]
        panels = np.zeros((2, chunk.mask.size), lower.dtype)
        panels[0, chunk.mask] = lower[chunk.entries]
        panels[1, chunk.mask] = upper[chunk.entries]
        for s in range(chunk.last - 1, chunk.first - 1, -1):
            if known.batched[s]:
                continue
            m, w, parent = heights[s], starts[s + 1] - starts[s], parents[s]
            begin = known.panels[s]
            L = panels[0, begin : begin + m * w].reshape(w, m)  # Lᵀ, row by row.
            U = panels[1, begin : begin + m * w].reshape(w, m)
            L_inverse, _ = trtri(L[:, :w].T, lower=1, unitdiag=1)
            U_inverse = trtri(U[:, :w].T, lower=1)[0].T
            corner = U_inverse @ L_inverse
            column = np.empty((m, w), lower.dtype)
            row = np.empty((w, m), lower.dtype)
            if parent >= 0:
                front, relative = fronts[parent], known.relative[s]
                if isinstance(relative, slice):
                    Z22 = front[relative, relative]
                else:
                    Z22 = front.take(relative, axis=0).take(relative, axis=1)
                X = L[:, w:].T @ -L_inverse
                np.matmul(Z22, X, out=column[w:])
                row[:, w:] = (-U_inverse @ U[:, w:]) @ Z22
                corner += row[:, w:] @ X
                left[parent] -= 1
                if left[parent] == 0:
                    del fronts[parent]
            column[:w] = corner
            row[:, :w] = corner
            low, high = known.slots[s], known.slots[s + 1]
            below[low:high] = column.ravel()[known.positions[low:high]]
            above[low:high] = row.T.ravel()[known.positions[low:high]]
            if left[s] or s in known.deliveries:
                front = np.empty((m, m), lower.dtype)
                front[:, :w] = column
                if parent >= 0:
                    front[:w, w:] = row[:, w:]
                    front[w:, w:] = Z22
                for delivery in known.deliveries.get(s, ()):
                    if delivery.chunk not in buffers:
                        buffers[delivery.chunk] = np.empty(
                            known.chunks[delivery.chunk].buffer, lower.dtype
                        )
                    buffers[delivery.chunk][delivery.start : delivery.stop] = front.ravel()[
                        delivery.sources
                    ]
                if left[s]:
                    fronts[s] = front
        if chunk.batches:
            buffer = buffers.pop(number)
            for batch in chunk.batches:
                _leaves(batch, panels, buffer, below, above)
    return below, above


def _leaves(batch: Batch, panels: Array, buffer: Array, below: Array, above: Array) -> None:
    """Treat the leaves of a batch; panels: (2, e), those of L and of Uᵀ."""
    m, w = batch.height, batch.width
    k, b = m - w, batch.panels.size
    column = np.empty((b, m, w), panels.dtype)
    row = np.empty((b, m, w), panels.dtype)  # Z₁₁ᵀ and Z₁₂ᵀ
    step = max(1, (1 << 18) // (m * m))
    for first in range(0, b, step):
        part = slice(first, first + step)
        place = batch.panels[part, None] + np.arange(m * w)
        L = panels[0, place].reshape(-1, w, m)
        U = panels[1, place].reshape(-1, w, m)
        Z22 = buffer[batch.blocks[part, None] + np.arange(k * k)].reshape(-1, k, k)
        L_inverse = inverted_triangles(np.swapaxes(L[:, :, :w], 1, 2))
        U_inverse = np.swapaxes(inverted_triangles(np.swapaxes(U[:, :, :w], 1, 2)), 1, 2)
        X = np.swapaxes(L[:, :, w:], 1, 2) @ -L_inverse
        Z12 = (-U_inverse @ U[:, :, w:]) @ Z22
        corner = U_inverse @ L_inverse + Z12 @ X
        np.matmul(Z22, X, out=column[part, w:])
        column[part, :w] = corner
        row[part, :w] = np.swapaxes(corner, 1, 2)
        row[part, w:] = np.swapaxes(Z12, 1, 2)
    below[batch.targets] = column.ravel()[batch.sources]
    above[batch.targets] = row.ravel()[batch.sources]
