"""Predicted products against solvers run on dense matrices of a known spectrum."""

import numpy as np
import pytest
import scipy.sparse.linalg as krylov

from slds_core.gradients import prediction

RATES = [0.1, 0.8, 0.95, 0.99]
TOLERANCE = 1e-8
SIZE = 1000


def spectrum(rate):
    # Chebyshev points, the hardest spectrum for conjugate gradients
    return 0.5 * rate * (1 + np.cos(np.pi * (np.arange(SIZE) + 0.5) / SIZE))


@pytest.mark.parametrize("rate", RATES)
def test_conjugate_gradients_need_no_more_than_predicted_and_not_far_fewer(rate):
    diagonal, source = 1 - spectrum(rate), np.ones(SIZE)
    exact = source / diagonal
    residual, products = source.copy(), 0
    energy = np.sqrt(exact @ (diagonal * exact))
    direction, found = residual.copy(), np.zeros(SIZE)
    while np.sqrt((exact - found) @ (diagonal * (exact - found))) > TOLERANCE * energy:
        step = residual @ residual / (direction @ (diagonal * direction))
        found = found + step * direction
        shorter = residual - step * diagonal * direction
        direction = shorter + (shorter @ shorter) / (residual @ residual) * direction
        residual, products = shorter, products + 1
    predicted = prediction.conjugate_gradients(rate, TOLERANCE)
    assert products <= predicted + 1
    assert products >= 0.6 * predicted
    assert prediction.bicgstab(rate, TOLERANCE) == 2 * predicted


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("damping", [1.0, 0.5])
def test_richardson_is_exact_on_the_slowest_direction(rate, damping):
    residual, products = 1.0, 0
    while residual > TOLERANCE:
        residual, products = residual * (1 - damping * (1 - rate)), products + 1
    assert products == np.ceil(prediction.richardson(rate, TOLERANCE, damping) - 1e-9)


@pytest.mark.parametrize("rate", RATES)
def test_gmres_needs_no_more_cycles_than_predicted(rate):
    diagonal, source, restart = 1 - spectrum(rate), np.ones(SIZE), 10
    predicted = prediction.gmres(rate, TOLERANCE, restart)
    assert predicted is not None
    cycles = predicted // (restart + 1)
    matrix = krylov.LinearOperator((SIZE, SIZE), matvec=lambda x: diagonal * x.ravel())
    found, _ = krylov.gmres(matrix, source, rtol=0, atol=0, restart=restart, maxiter=int(cycles))
    assert np.linalg.norm(source - diagonal * found) <= TOLERANCE * np.linalg.norm(source)


def test_gmres_has_no_prediction_where_a_cycle_is_not_bound_to_help():
    # ρ = 0.98, and twice its tenth power is 1.63
    assert prediction.gmres(0.9999, TOLERANCE, 10) is None


@pytest.mark.parametrize("rate", [1e-320, 1e-200, 1e-34])
def test_a_rate_that_underflows_takes_one_step(rate):
    assert prediction.conjugate_gradients(rate, TOLERANCE) == 1
    assert prediction.bicgstab(rate, TOLERANCE) == 2
    assert prediction.gmres(rate, TOLERANCE, 300) == 301
    assert prediction.richardson(rate, TOLERANCE, 1.0) == 1
    assert prediction.gmres(0.1, TOLERANCE, 1000) == 1001
