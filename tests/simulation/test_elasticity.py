import itertools

import numpy as np
import pytest

from sorby.simulation.elasticity import C11, C12, C44, coherency_modulus

MISFIT = 0.01


def along(*degrees):
    angle = np.radians(degrees)
    return coherency_modulus(np.cos(angle), np.sin(angle), misfit=MISFIT)


def cahn_1962(h, k, l):  # noqa: E741
    """Y of Cahn, "On spinodal decomposition in cubic crystals", Acta Metallurgica 10 (1962) 179-183."""
    h, k, l = np.array([h, k, l]) / np.linalg.norm([h, k, l])  # noqa: E741
    anisotropy = 2 * C44 - C11 + C12
    bracket = 3 - (C11 + 2 * C12) / (C11 + 2 * anisotropy * (h**2 * k**2 + k**2 * l**2 + l**2 * h**2))
    return 0.5 * (C11 + 2 * C12) * bracket


def tensor_modulus(n):
    """The same from the full tensors, without the symmetry of the plane."""
    delta = np.eye(3)
    stiffness = np.zeros((3, 3, 3, 3))
    for i, j, k, l in itertools.product(range(3), repeat=4):  # noqa: E741
        stiffness[i, j, k, l] = C12 * delta[i, j] * delta[k, l] + C44 * (
            delta[i, k] * delta[j, l] + delta[i, l] * delta[j, k]
        )
        stiffness[i, j, k, l] += (C11 - C12 - 2 * C44) * (i == j == k == l)
    strain = MISFIT * delta
    stress = np.einsum("ijkl,kl->ij", stiffness, strain)
    green = np.linalg.inv(np.einsum("ijkl,j,l->ik", stiffness, n, n))
    return np.einsum("ij,ij->", stress, strain) - np.einsum("i,ij,jk,kl,l->", n, stress, green, stress, n)


def test_a_wave_along_100_and_110_costs_what_cahn_found():
    expected = [2 * MISFIT**2 * cahn_1962(*direction) for direction in [(1, 0, 0), (1, 1, 0), (0, 1, 0)]]
    np.testing.assert_allclose(along(0, 45, 90), expected, rtol=1e-12)


def test_a_wave_along_100_leaves_stress_only_in_its_plane():
    biaxial = (C11 - C12) * (C11 + 2 * C12) / C11
    np.testing.assert_allclose(along(0), 2 * MISFIT**2 * biaxial, rtol=1e-12)


def test_a_wave_along_any_direction_costs_what_the_full_tensors_say():
    degrees = np.linspace(0, 180, 25)
    directions = np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees)), 0 * degrees], axis=1)
    np.testing.assert_allclose(along(*degrees), [tensor_modulus(n) for n in directions], rtol=1e-10)


def test_waves_cost_more_the_further_they_turn_from_100_to_110():
    assert np.all(np.diff(along(*np.linspace(0, 45, 46))) > 0)
    np.testing.assert_allclose(along(10, 80, 100, 190), along(10)[0])


@pytest.mark.parametrize("factor", [0, -1, 3])
def test_the_cost_grows_with_the_square_of_the_misfit(factor):
    kx, ky = np.array([0.3, 1.0]), np.array([0.4, -2.0])
    scaled = coherency_modulus(kx, ky, misfit=factor * MISFIT)
    np.testing.assert_allclose(scaled, factor**2 * coherency_modulus(kx, ky, misfit=MISFIT))


def test_a_uniform_composition_is_not_strained():
    assert coherency_modulus(np.zeros(1), np.zeros(1), misfit=MISFIT) == 0
