"""Selected inverse of a Hermitian positive definite matrix, from its Cholesky factor.

The recurrence goes from the roots of the assembly tree down to its leaves. For a
supernode with the panel (L₁₁, L₂₁) and the block Z₂₂ of the inverse, which a parent
passes down,

    Y = L₂₁ L₁₁⁻¹,   Z₂₁ = −Z₂₂ Y,   Z₁₁ = L₁₁⁻ᴴ L₁₁⁻¹ − Yᴴ Z₂₁

(docs/math/determinants.md, eqs. 254–256). Only the entries on the pattern of A are
kept: a dense block is dropped as soon as all children have taken their part of it.

Takahashi, Fagan & Chin (1973), Formation of a sparse bus impedance matrix and its
application to short circuit study, Proc. 8th PICA Conf., 63. Erisman & Tinney (1975),
On computing certain elements of the inverse of a sparse matrix, Commun. ACM 18, 177.
Lin, Yang, Meza, Lu, Ying & E (2011), SelInv, ACM Trans. Math. Softw. 37, 40
(supernodes).
"""

import numpy as np
from scipy.linalg.lapack import dlauum, dtrtri, zlauum, ztrtri

from ...typing import Array
from .supernodes import Batch, Chunk, Supernodes

TRIANGULAR = 128
"""Number of columns above which a product of triangles uses that they are triangular."""


def lower_entries(known: Supernodes, data: Array) -> Array:
    """Return the entries of (P A Pᵀ)⁻¹ on the lower triangle of the pattern of P A Pᵀ.

    known: the supernodes of L. data: the entries of L, column by column.
    """
    trtri = ztrtri if data.dtype.kind == "c" else dtrtri
    result = np.empty(known.positions.size, data.dtype)
    fronts: dict[int, Array] = {}
    buffers: dict[int, Array] = {}
    left = list(known.remaining)
    starts, heights, parents = known.starts, known.heights, known.parent
    for number in range(len(known.chunks) - 1, -1, -1):
        chunk = known.chunks[number]
        panels = np.zeros(chunk.mask.size, data.dtype)
        panels[chunk.mask] = data[chunk.entries]
        for s in range(chunk.last - 1, chunk.first - 1, -1):
            if known.batched[s]:
                continue
            m, w, parent = heights[s], starts[s + 1] - starts[s], parents[s]
            begin = known.panels[s]
            panel = panels[begin : begin + m * w].reshape(w, m)
            inverse, _ = trtri(panel[:, :w].T, lower=1)
            corner = _gram(inverse)
            column = np.empty((m, w), data.dtype)
            if parent >= 0:
                Z22 = _taken(fronts[parent], known.relative[s])
                Y = panel[:, w:].T @ -inverse
                np.matmul(Z22, Y, out=column[w:])
                corner += Y.conj().T @ column[w:]
                left[parent] -= 1
                if left[parent] == 0:
                    del fronts[parent]
            column[:w] = corner
            low, high = known.slots[s], known.slots[s + 1]
            result[low:high] = column.ravel()[known.positions[low:high]]
            if left[s] or s in known.deliveries:
                front = np.empty((m, m), data.dtype)
                front[:, :w] = column
                if parent >= 0:
                    front[:w, w:] = column[w:].conj().T
                    front[w:, w:] = Z22
                for delivery in known.deliveries.get(s, ()):
                    if delivery.chunk not in buffers:
                        buffers[delivery.chunk] = np.empty(
                            known.chunks[delivery.chunk].buffer, data.dtype
                        )
                    buffers[delivery.chunk][delivery.start : delivery.stop] = front.ravel()[
                        delivery.sources
                    ]
                if left[s]:
                    fronts[s] = front
        if chunk.batches:
            _leaves(chunk, panels, buffers.pop(number), result)
    return result


def _gram(T: Array) -> Array:
    """Return Tᴴ T for a lower triangular T, (w, w), with zeros above the diagonal."""
    if T.shape[0] < TRIANGULAR:
        return np.asarray(T.conj().T @ T)
    lauum = zlauum if T.dtype.kind == "c" else dlauum
    lower, _ = lauum(T, lower=1)  # 1/3 of the operations; zeros stay above the diagonal.
    gram = lower + lower.conj().T
    np.fill_diagonal(gram, lower.diagonal())
    return np.asarray(gram)


def _taken(front: Array, relative: Array | slice) -> Array:
    """Return the block of a front with the given rows and columns."""
    if isinstance(relative, slice):
        return front[relative, relative]
    return front.take(relative, axis=0).take(relative, axis=1)


def _leaves(chunk: Chunk, panels: Array, buffer: Array, result: Array) -> None:
    """Treat the leaves of a chunk, batch by batch."""
    for batch in chunk.batches:
        m, w = batch.height, batch.width
        step = max(1, (1 << 18) // (m * m))
        if batch.panels.size <= step:
            column = _batch_columns(batch, slice(None), panels, buffer)
            result[batch.targets] = column.ravel()[batch.sources]
            continue
        column = np.empty((batch.panels.size, m, w), panels.dtype)
        for low in range(0, batch.panels.size, step):
            part = slice(low, low + step)
            column[part] = _batch_columns(batch, part, panels, buffer)
        result[batch.targets] = column.ravel()[batch.sources]


def _batch_columns(batch: Batch, part: slice, panels: Array, buffer: Array) -> Array:
    """Return the columns of the inverse for a part of the leaves of a batch, (b, m, w)."""
    m, w = batch.height, batch.width
    k = m - w
    panel = panels[batch.panels[part, None] + np.arange(m * w)].reshape(-1, w, m)
    Z22 = buffer[batch.blocks[part, None] + np.arange(k * k)].reshape(-1, k, k)
    inverse = inverted_triangles(np.swapaxes(panel[:, :, :w], 1, 2))
    Y = np.swapaxes(panel[:, :, w:], 1, 2) @ -inverse
    column = np.empty((panel.shape[0], m, w), panels.dtype)
    np.matmul(Z22, Y, out=column[:, w:])
    column[:, :w] = np.swapaxes(inverse, 1, 2).conj() @ inverse
    column[:, :w] += np.swapaxes(Y, 1, 2).conj() @ column[:, w:]
    return column


def inverted_triangles(L: Array) -> Array:
    """Return the inverses of lower triangular matrices, (b, w, w)."""
    w = L.shape[1]
    inverse = np.zeros_like(L)
    for j in range(w):
        inverse[:, j, j] = 1.0 / L[:, j, j]
        if j:
            inverse[:, j, :j] = -(
                (L[:, j, None, :j] @ inverse[:, :j, :j])[:, 0] * inverse[:, j, j, None]
            )
    return inverse
