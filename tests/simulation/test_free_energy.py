import numpy as np
import pytest
from scipy import optimize

from sorby.simulation.free_energy import (
    CRITICAL_TEMPERATURE_K,
    GAS_CONSTANT,
    INTERACTION,
    binodal,
    chemical_potential,
    curvature,
    free_energy,
)

INSIDE = np.linspace(0.02, 0.98, 49)


def test_pure_compounds_have_no_energy_of_mixing():
    assert free_energy(0.0, 700) == 0
    assert free_energy(1.0, 700) == 0


def test_half_and_half_has_a_quarter_of_the_interaction_less_the_entropy_of_a_coin():
    assert free_energy(0.5, 700) == pytest.approx(INTERACTION / 4 - GAS_CONSTANT * 700 * np.log(2))


def test_potential_and_curvature_are_the_derivatives_of_the_energy():
    h = 1e-4
    slope = (free_energy(INSIDE + h, 700) - free_energy(INSIDE - h, 700)) / (2 * h)
    np.testing.assert_allclose(chemical_potential(INSIDE, 700), slope, rtol=1e-4, atol=0.1)
    bend = (chemical_potential(INSIDE + h, 700) - chemical_potential(INSIDE - h, 700)) / (2 * h)
    np.testing.assert_allclose([curvature(x, 700) for x in INSIDE], bend, rtol=1e-4, atol=1)


def test_potential_and_energy_of_pure_compounds_are_finite():
    pure = np.array([0.0, 1.0])
    assert np.isfinite(chemical_potential(pure, 700)).all()
    assert np.isfinite(free_energy(pure, 700)).all()


@pytest.mark.parametrize("x", [0.02, 0.1, 0.3, 0.45])
def test_the_binodal_is_that_of_a_regular_solution_in_closed_form(x):
    temperature_k = INTERACTION * (1 - 2 * x) / (GAS_CONSTANT * np.log((1 - x) / x))
    assert binodal(temperature_k) == pytest.approx(x, rel=1e-9)


@pytest.mark.parametrize("temperature_k", [500, 650, 900])
def test_one_line_is_tangent_to_the_energy_at_both_phases(temperature_k):
    def off_the_tangent(pair):
        slope = (free_energy(pair[1], temperature_k) - free_energy(pair[0], temperature_k)) / (pair[1] - pair[0])
        return [chemical_potential(x, temperature_k) - slope for x in pair]

    x = binodal(temperature_k)
    tangent = optimize.fsolve(off_the_tangent, [x - 0.01, 1 - x + 0.005])
    np.testing.assert_allclose([x, 1 - x], tangent, atol=1e-8)


def test_at_the_critical_temperature_the_curvature_vanishes_and_the_phases_are_one():
    assert curvature(0.5, CRITICAL_TEMPERATURE_K) == pytest.approx(0, abs=1e-8)
    assert binodal(CRITICAL_TEMPERATURE_K) == binodal(CRITICAL_TEMPERATURE_K + 300) == 0.5
    assert binodal(CRITICAL_TEMPERATURE_K - 0.1) == pytest.approx(0.5, abs=0.02)
