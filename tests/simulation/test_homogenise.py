import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorby.errors import ConfigError, DataError
from sorby.simulation.bounds import conductivity_bounds, hashin_shtrikman, voigt_reuss
from sorby.simulation.homogenise import Elastic, effective_conductivity, effective_stiffness, moduli, properties
from sorby.simulation.random_field import two_phase

SOFT, STIFF = Elastic(70, 0.33), Elastic(400, 0.2)
TURN = np.array([[0, 1], [-1, 0]])
"""By 90 degrees, a vector."""
TURN_MANDEL = np.array([[0, 1, 0], [1, 0, 0], [0, 0, -1]])
"""By 90 degrees, stress and strain in Mandel's notation."""
EXACT = 1e-12


def random_map(*, seed, shape=(15, 21), phases=2):
    return np.random.default_rng(seed).integers(0, phases, shape)


def stiffness_of(material):
    K, G = material.bulk, material.shear
    return np.array([[K + G, K - G, 0], [K - G, K + G, 0], [0, 0, 2 * G]])


def laminate_stiffness(fractions, materials):
    """Layers across y: strain along them and stress across them are uniform (Backus 1962, in plane strain)."""
    f = np.array(fractions)
    G = np.array([m.shear for m in materials])
    lame = np.array([m.bulk for m in materials]) - G
    M = lame + 2 * G
    across = 1 / (f @ (1 / M))
    coupling = f @ (lame / M)
    along = f @ (M - lame**2 / M) + coupling**2 * across
    xy = coupling * across
    return np.array([[along, xy, 0], [xy, across, 0], [0, 0, 2 / (f @ (1 / G))]])


def turned(stiffness, degrees):
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    r = math.sqrt(2)
    Q = np.array([[c * c, s * s, -r * c * s], [s * s, c * c, r * c * s], [r * c * s, -r * c * s, c * c - s * s]])
    return Q @ stiffness @ Q.T


def disc(side, fraction):
    x = (np.arange(side) + 0.5) / side - 0.5
    return x[:, None] ** 2 + x[None, :] ** 2 < fraction / np.pi


def perrins(fraction, ratio):
    """Perrins, McKenzie & McPhedran, Proc. R. Soc. Lond. A 369 (1979) 207-225, to four multipoles."""
    T, f = (1 + ratio) / (1 - ratio), fraction
    return 1 - 2 * f / (T + f - 0.305827 * f**4 * T / (T**2 - 1.402958 * f**8) - 0.013362 * f**8 / T)


def finite_elements(phases, materials):
    """The same discretisation as a displacement method: square elements, strain and stress at their centre alone."""
    h, w = phases.shape
    num = h * w
    B = np.zeros((num, 3, 2 * num))
    for row, column in itertools.product(range(h), range(w)):
        element = row * w + column
        for down, right in itertools.product((0, 1), repeat=2):
            node = (row + down) % h * w + (column + right) % w
            by_x, by_y = (right - 0.5), (0.5 - down)  # y upwards
            B[element, 0, 2 * node] += by_x
            B[element, 1, 2 * node + 1] += by_y
            B[element, 2, 2 * node : 2 * node + 2] += np.array([by_y, by_x]) / math.sqrt(2)
    C = np.array([stiffness_of(materials[p]) for p in phases.ravel()])
    system = np.einsum("eia,eij,ejb->ab", B, C, B)
    loads = -np.einsum("eia,eij->aj", B, C)
    displacements = np.linalg.lstsq(system, loads, rcond=1e-10)[0]
    strains = np.eye(3) + B @ displacements
    return np.einsum("eil,eij,ejm->lm", strains, C, strains) / num


@pytest.mark.parametrize("shape", [(4, 6), (5, 4), (3, 5), (1, 4)])
def test_the_stiffness_is_that_of_finite_elements_with_one_gauss_point(shape):
    phases, materials = random_map(seed=1, shape=shape, phases=3), [SOFT, STIFF, Elastic(5, -0.3)]
    expected = finite_elements(phases, materials)
    np.testing.assert_allclose(effective_stiffness(phases, materials, tolerance=EXACT), expected, rtol=0, atol=1e-8)


def test_one_material_has_its_own_stiffness_and_conductivity_wherever_its_phases_lie():
    phases = random_map(seed=0)
    np.testing.assert_allclose(effective_stiffness(phases, [STIFF, STIFF]), stiffness_of(STIFF), atol=1e-10)
    np.testing.assert_allclose(effective_conductivity(phases, [3, 3]), 3 * np.eye(2), atol=1e-12)


def test_moduli_of_a_material_are_its_own():
    found = moduli(stiffness_of(SOFT))
    assert (found.E, found.nu) == pytest.approx((70, 0.33))
    assert found.anisotropy == pytest.approx(0, abs=1e-12)
    assert (SOFT.bulk, SOFT.shear) == pytest.approx((70 / (2 * 1.33 * 0.34), 70 / 2.66))  # K = E / 2(1 + nu)(1 - 2 nu)


@pytest.mark.parametrize("stiff", [STIFF, Elastic(70_000, 0.1)], ids=["contrast 6", "contrast 1000"])
@pytest.mark.parametrize("shape", [(10, 6), (15, 5)])
def test_a_laminate_has_the_stiffness_of_backus(stiff, shape):
    phases = np.zeros(shape, int)
    phases[: shape[0] // 5 * 2] = 1
    expected = laminate_stiffness([0.6, 0.4], [SOFT, stiff])
    found = effective_stiffness(phases, [SOFT, stiff], tolerance=EXACT)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    across = effective_stiffness(np.rot90(phases), [SOFT, stiff], tolerance=EXACT)
    np.testing.assert_allclose(across, turned(expected, 90), rtol=1e-9, atol=1e-9)


def test_a_laminate_along_45_degrees_has_the_turned_stiffness_and_conductivity():
    row, column = np.indices((15, 15))
    phases = ((row + column) % 5 < 2).astype(int)  # one up, one to the right: the same phase
    expected = turned(laminate_stiffness([0.6, 0.4], [SOFT, STIFF]), 45)
    assert expected[0, 2] > 1
    np.testing.assert_allclose(effective_stiffness(phases, [SOFT, STIFF], tolerance=EXACT), expected, atol=1e-8)
    along, across = 0.6 * 1 + 0.4 * 1000, 1 / (0.6 / 1 + 0.4 / 1000)
    expected_k = np.array([[along + across, along - across], [along - across, along + across]]) / 2
    np.testing.assert_allclose(effective_conductivity(phases, [1, 1000], tolerance=EXACT), expected_k, rtol=1e-9)


def test_a_laminate_conducts_in_parallel_along_its_layers_and_in_series_across():
    phases = np.repeat([0, 1, 1, 1, 2], 2)[:, None] * np.ones((1, 4), int)
    k = np.array([1, 10, 1000])
    f = np.array([0.2, 0.6, 0.2])
    found = effective_conductivity(phases, k.tolist(), tolerance=EXACT)
    np.testing.assert_allclose(found, np.diag([f @ k, 1 / (f @ (1 / k))]), rtol=1e-9, atol=1e-9)


def test_turning_the_picture_turns_the_tensors():
    phases = two_phase((24, 31), volume_fraction=0.4, correlation_length_px=2, rng=np.random.default_rng(3))
    stiffness, k = effective_stiffness(phases, [SOFT, STIFF]), effective_conductivity(phases, [1, 9])
    assert abs(stiffness[0, 2]) > 0.1
    assert abs(k[0, 1]) > 0.01
    turned_map = np.rot90(phases)
    np.testing.assert_allclose(
        effective_stiffness(turned_map, [SOFT, STIFF]), TURN_MANDEL @ stiffness @ TURN_MANDEL.T, atol=1e-8
    )
    np.testing.assert_allclose(effective_conductivity(turned_map, [1, 9]), TURN @ k @ TURN.T, atol=1e-9)


def test_repeating_shifting_and_rescaling_the_map_change_nothing():
    phases = random_map(seed=4, shape=(9, 7), phases=3)
    materials = [SOFT, STIFF, Elastic(1, 0.4)]
    expected = effective_stiffness(phases, materials, tolerance=EXACT)
    for same in (np.tile(phases, (3, 1)), np.roll(phases, (2, 3), (0, 1))):
        np.testing.assert_allclose(
            effective_stiffness(same, materials, tolerance=EXACT), expected, rtol=1e-8, atol=1e-8
        )
    thousandfold = [Elastic(1000 * m.E, m.nu) for m in materials]
    np.testing.assert_allclose(
        effective_stiffness(phases, thousandfold, tolerance=EXACT), 1000 * expected, rtol=1e-8, atol=1e-5
    )


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 999), bulk=st.floats(1.2, 50))
def test_hill_with_one_shear_modulus_the_bulk_modulus_follows_from_the_fractions_alone(seed, bulk):
    """Hill 1964: 1 / (K + G) is the mean of its values in the phases, and the map is isotropic, whatever it is."""
    phases = random_map(seed=seed)
    G, K = 30.0, np.array([20.0, 20.0 * bulk])
    materials = [Elastic(2 * G * (1 + nu), nu) for nu in (1 - G / K) / 2]
    found = moduli(effective_stiffness(phases, materials, tolerance=EXACT))
    expected = 1 / np.mean(1 / (K + G)[phases]) - G
    assert (found.bulk, found.shear) == pytest.approx((expected, G), rel=1e-9)
    assert found.anisotropy < 1e-8


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 999), ratio=st.floats(1, 1000))
def test_keller_swapping_the_phases_inverts_the_conductivity_and_turns_it(seed, ratio):
    """Keller, J. Math. Phys. 5 (1964) 548, as Mendelson's tensors; the scheme keeps it exactly where a side is odd."""
    phases = random_map(seed=seed, shape=(8, 9))
    k, swapped = (effective_conductivity(one, [1, ratio], tolerance=EXACT) for one in (phases, 1 - phases))
    np.testing.assert_allclose(swapped, ratio * TURN @ np.linalg.inv(k) @ TURN.T, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("ratio", [4, 10])
def test_dykhne_a_chequerboard_conducts_with_the_geometric_mean(ratio):
    errors = []
    for side in (4, 16, 64):
        row, column = np.indices((2 * side, 2 * side)) // side
        k = effective_conductivity((row + column) % 2, [1, ratio])
        np.testing.assert_allclose(k, k[0, 0] * np.eye(2), atol=1e-5)
        errors.append(k[0, 0] / math.sqrt(ratio) - 1)
    assert errors[0] > 3 * errors[1] > 9 * errors[2] > 0
    assert errors[2] < 1e-3


def test_the_formula_of_perrins_has_their_value_for_perfectly_conducting_discs():
    assert perrins(0.5, 1e9) == pytest.approx(3.080, abs=5e-4)


@pytest.mark.parametrize(("fraction", "ratio"), [(0.3, 10), (0.5, 10), (0.5, 50), (0.5, 0.02)])
def test_a_square_array_of_discs_nears_the_conductivity_of_perrins(fraction, ratio):
    errors = []
    for side in (33, 99, 297):
        phases = disc(side, fraction)
        k = effective_conductivity(phases, [1, ratio])
        np.testing.assert_allclose(k, k[0, 0] * np.eye(2), atol=1e-6 * k[0, 0])
        errors.append(abs(k[0, 0] / perrins(phases.mean(), ratio) - 1))
    assert errors[2] < 0.004
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize("inclusion", [STIFF, Elastic(0.07, 0.3)], ids=["stiff", "pore"])
def test_a_few_discs_change_the_moduli_as_eshelby_has_it(inclusion):
    """Strain in a disc, in plane strain: 1 / (1 + a (K2/K1 - 1)) and 1 / (1 + b (G2/G1 - 1)) of that far from it."""
    phases = disc(255, 0.01)
    fraction, (K1, G1), (K2, G2) = phases.mean(), *((m.bulk, m.shear) for m in (SOFT, inclusion))
    a, b = K1 / (K1 + G1), (K1 + 2 * G1) / (2 * (K1 + G1))
    found = moduli(effective_stiffness(phases, [SOFT, inclusion]))
    assert (found.bulk - K1) / fraction == pytest.approx((K2 - K1) / (1 + a * (K2 / K1 - 1)), rel=0.05)
    assert (found.shear - G1) / fraction == pytest.approx((G2 - G1) / (1 + b * (G2 / G1 - 1)), rel=0.05)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 999),
    phases=st.integers(2, 3),
    E=st.lists(st.floats(0.1, 300), min_size=3, max_size=3),
    nu=st.lists(st.floats(-0.4, 0.45), min_size=3, max_size=3),
)
def test_random_maps_lie_within_the_bounds(seed, phases, E, nu):
    """Bulk, mean shear and mean conductivity obey those of Hashin and Shtrikman in any map, isotropic or not."""
    drawn = random_map(seed=seed, shape=(9, 9), phases=phases)
    materials = [Elastic(*pair) for pair in zip(E[:phases], nu[:phases], strict=True)]
    f = (np.bincount(drawn.ravel(), minlength=phases) / drawn.size).tolist()
    found = moduli(effective_stiffness(drawn, materials, tolerance=1e-9))
    for bounds in (hashin_shtrikman(f, materials), voigt_reuss(f, materials)):
        for value, (least, most) in ((found.bulk, bounds.bulk), (found.shear, bounds.shear)):
            assert least * (1 - 1e-7) <= value <= most * (1 + 1e-7)
    least, most = conductivity_bounds(f, E[:phases])
    mean = np.trace(effective_conductivity(drawn, E[:phases], tolerance=1e-9)) / 2
    assert least * (1 - 1e-7) <= mean <= most * (1 + 1e-7)


def test_the_bounds_have_their_textbook_forms():
    """Two phases, as Hill (1964) and Hashin (1965) write them: phase 1 and what the other adds."""
    (K1, G1), (K2, G2), f = (SOFT.bulk, SOFT.shear), (STIFF.bulk, STIFF.shear), 0.3
    bounds = hashin_shtrikman([1 - f, f], [SOFT, STIFF])
    assert bounds.bulk[0] == pytest.approx(K1 + f / (1 / (K2 - K1) + (1 - f) / (K1 + G1)))
    assert bounds.bulk[1] == pytest.approx(K2 + (1 - f) / (1 / (K1 - K2) + f / (K2 + G2)))
    assert bounds.shear[0] == pytest.approx(G1 + f / (1 / (G2 - G1) + (1 - f) * (K1 + 2 * G1) / (2 * G1 * (K1 + G1))))
    assert conductivity_bounds([0.7, 0.3], [1, 10])[0] == pytest.approx(1 + 0.3 / (1 / 9 + 0.7 / 2))
    assert voigt_reuss([0.7, 0.3], [SOFT, STIFF]).shear == pytest.approx(
        (1 / (0.7 / G1 + 0.3 / G2), 0.7 * G1 + 0.3 * G2)
    )


@pytest.mark.parametrize("contrast", [10, 1000])
def test_the_error_is_one_sided_and_within_the_tolerance(contrast):
    phases = two_phase((40, 36), volume_fraction=0.4, correlation_length_px=3, rng=np.random.default_rng(5))
    materials = [Elastic(1, 0.3), Elastic(contrast, 0.3)]
    exact = np.diag(effective_stiffness(phases, materials, tolerance=EXACT))
    for tolerance in (0.1, 1e-3, 1e-6):
        excess = np.diag(effective_stiffness(phases, materials, tolerance=tolerance)) / exact - 1
        assert np.all(excess > 0)
        assert np.all(excess <= tolerance)


def test_properties_are_named_numbers_with_units():
    lamellae = np.tile(np.repeat([0, 1], 3), (4, 2))
    found = properties(lamellae, [SOFT, STIFF], [1, 3], tolerance=1e-9)
    expected = moduli(laminate_stiffness([0.5, 0.5], [SOFT, STIFF]))
    assert found == pytest.approx(
        {
            "youngs_modulus_GPa": expected.E,
            "poissons_ratio": expected.nu,
            "shear_modulus_GPa": expected.shear,
            "plane_strain_bulk_modulus_GPa": expected.bulk,
            "elastic_anisotropy": expected.anisotropy,
            "conductivity": 1.75,  # mean of 2 and 1.5
            "conductivity_anisotropy": 0.25 / 1.75,
        }
    )
    assert "conductivity" not in properties(lamellae, [SOFT, STIFF])


@pytest.mark.parametrize(
    ("attempt", "error", "words"),
    [
        (lambda: Elastic(0, 0.3), ConfigError, "E is 0"),
        (lambda: Elastic(70, 0.5), ConfigError, "nu is 0.5"),
        (lambda: effective_stiffness(np.array([[0, 2]]), [SOFT, STIFF]), DataError, "phases 0 to 2: expected 0 to 1"),
        (lambda: effective_conductivity(np.array([[-1, 0]]), [1]), DataError, "phases -1 to 0"),
        (lambda: effective_conductivity(np.array([[0, 1]]), [1, 0]), ConfigError, "conductivity is 0"),
        (lambda: effective_conductivity(np.zeros((0, 3), int), [1]), DataError, "no pixels"),
        (lambda: effective_conductivity(np.array([[0]]), [1], tolerance=0), ConfigError, "tolerance is 0"),
        (lambda: voigt_reuss([0.5, 0.4], [SOFT, STIFF]), ConfigError, "sum to 1"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_line(attempt, error, words):
    with pytest.raises(error, match=words) as raised:
        attempt()
    assert "\n" not in str(raised.value)
