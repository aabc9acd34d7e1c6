"""Generalized conjugate residuals: steps minimize the residual along all kept directions."""

import numpy as np
import pytest

from adjoint._numerics import column_dots
from adjoint.factor.gcr import ConjugateResiduals

N, K = 20, 3


def steps(C, r, gcr, number, rng):
    """Residuals after each step, and the directions, which are random."""
    residuals, directions = [r], []
    for _ in range(number):
        d = rng.standard_normal(r.shape) + (1j * rng.standard_normal(r.shape)) * (
            r.dtype == complex
        )
        directions.append(d.copy())
        alpha, d, q = gcr.step(d, C @ d, residuals[-1])
        np.testing.assert_allclose(q, C @ d, atol=1e-12 * np.abs(C).max())
        residuals.append(residuals[-1] - alpha * q)
    return residuals, directions


@pytest.mark.parametrize("kind", [float, complex])
@pytest.mark.parametrize("normalize", [True, False])
def test_residual_is_the_smallest_over_the_span_of_all_directions(normalize, kind):
    rng = np.random.default_rng(0)
    C = rng.standard_normal((N, N)) + (1j * rng.standard_normal((N, N))) * (kind is complex)
    r = rng.standard_normal((N, K)).astype(kind)
    gcr = ConjugateResiduals(column_dots, kept=6, normalize=normalize)
    residuals, directions = steps(C, r, gcr, 6, rng)
    for j in range(K):
        images = C @ np.stack([d[:, j] for d in directions], axis=1)
        best = r[:, j] - images @ np.linalg.lstsq(images, r[:, j], rcond=None)[0]
        np.testing.assert_allclose(residuals[-1][:, j], best, atol=1e-10)


@pytest.mark.parametrize("kept", [1, 2])
def test_steps_are_orthogonal_to_the_images_that_are_kept(kept):
    rng = np.random.default_rng(1)
    C, r = rng.standard_normal((N, N)), rng.standard_normal((N, 1))
    gcr, images = ConjugateResiduals(column_dots, kept=kept, normalize=True), []
    for _ in range(5):
        d = rng.standard_normal((N, 1))
        images.append(gcr.step(d, C @ d, r)[2])
    overlaps = np.abs([column_dots(image, images[-1])[0] for image in images[:-1]])
    assert overlaps[-kept:].max() <= 1e-13
    assert overlaps[:-kept].min() >= 1e-3


@pytest.mark.parametrize("normalize", [True, False])
def test_zero_is_a_direction_without_a_step(normalize):
    gcr = ConjugateResiduals(column_dots, kept=1, normalize=normalize)
    alpha, d, q = gcr.step(np.zeros((N, 1)), np.zeros((N, 1)), np.ones((N, 1)))
    assert not np.concatenate([alpha[None], d, q]).any()
