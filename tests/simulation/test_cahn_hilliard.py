"""The equation against laws, and against another solver."""

import numpy as np
import pytest
from scipy import fft, integrate

from sorby.simulation import cahn_hilliard
from sorby.simulation.cahn_hilliard import GRADIENT_ENERGY, MOLAR_VOLUME, energy, evolution, mobility
from sorby.simulation.elasticity import C11, C12, C44
from sorby.simulation.free_energy import GAS_CONSTANT, INTERACTION, binodal, curvature, free_energy

T = 713.15  # 440 °C
MISFIT = 0.012
BULK = C11 + 2 * C12
B100 = 2 * MISFIT**2 * MOLAR_VOLUME * (C11 - C12) * BULK / C11  # Cahn 1962, J/mol
B110 = MISFIT**2 * MOLAR_VOLUME * BULK * (3 - BULK / (0.5 * (C11 + C12) + C44))


def alloy(shape, *, composition=0.5, noise=0.02, seed=0):
    white = np.random.default_rng(seed).standard_normal(shape)
    return composition + noise * (white - white.mean())


def after(x, *, time_s, temperature_k=T, misfit=0.0):
    *_, (_, end) = evolution(x, temperature_k=temperature_k, misfit=misfit, time_s=time_s)
    return end


def growth_time(temperature_k=T, composition=0.5):
    """Time in which the fastest wave of linear theory grows by e, without strain."""
    return 4 * GRADIENT_ENERGY / (mobility(temperature_k) * curvature(composition, temperature_k) ** 2)


def wave(shape, rows, columns, *, amplitude=0.1):
    y, x = np.indices(shape)
    return 0.4 + amplitude * np.cos(2 * np.pi * (rows * y / shape[0] + columns * x / shape[1]))


# Energy


def test_a_uniform_alloy_has_the_energy_of_mixing_alone():
    assert energy(np.full((9, 12), 0.4), temperature_k=T, misfit=0.05) == pytest.approx(free_energy(0.4, T), rel=1e-12)


@pytest.mark.parametrize(("rows", "columns", "modulus"), [(0, 3, B100), (2, 0, B100), (4, 4, B110), (4, -4, B110)])
def test_a_wave_has_the_coherency_energy_of_its_direction(rows, columns, modulus):
    x = wave((32, 32), rows, columns)
    strained = energy(x, temperature_k=T, misfit=MISFIT) - energy(x, temperature_k=T, misfit=0)
    assert strained == pytest.approx(modulus * 0.1**2 / 4, rel=1e-9)


def test_a_wave_has_the_gradient_energy_of_its_length():
    x = wave((24, 40), 0, 5)
    gradient = energy(x, temperature_k=T, misfit=0) - np.mean(free_energy(x, T))
    assert gradient == pytest.approx(GRADIENT_ENERGY / 4 * (2 * np.pi * 5 / 40 * 0.1) ** 2, rel=1e-9)


@pytest.mark.parametrize("allowed", ["as it is", "steps of any length"])
@pytest.mark.parametrize(("composition", "celsius", "misfit"), [(0.5, 380, 0), (0.35, 440, 0.012), (0.6, 250, 0.006)])
def test_mass_is_kept_and_energy_never_rises(monkeypatch, composition, celsius, misfit, allowed):
    if allowed == "steps of any length":
        monkeypatch.setattr(cahn_hilliard, "_OF_THE_CHANGE", 1e9)
        monkeypatch.setattr(cahn_hilliard, "_OF_THE_CONTRAST", 1e9)
    x = alloy((32, 40), composition=composition)
    temperature_k = celsius + 273.15
    energies = [energy(x, temperature_k=temperature_k, misfit=misfit)]
    time_s = 40 * growth_time(temperature_k, composition)
    for _, later in evolution(x, temperature_k=temperature_k, misfit=misfit, time_s=time_s):
        assert abs(later.mean() - composition) < 1e-12
        energies.append(energy(later, temperature_k=temperature_k, misfit=misfit))
    assert energies[-1] < energies[0] - 10
    assert np.diff(energies).max() < 1e-8  # rounding of some thousand J/mol


# Linear theory: Cahn 1961, with strain 1962


def test_small_waves_grow_at_the_rates_of_linear_theory():
    cells, time_s = 64, 2 * growth_time()
    y, x = np.indices((cells, cells))
    k = 2 * np.pi * np.arange(1, 8) / cells
    phases = [wave * along for wave in k for along in (x, y, x + y)]
    start = 0.5 + 1e-7 * sum(np.cos(phase) for phase in phases)
    gain = np.abs(fft.rfft2(after(start, time_s=time_s, misfit=MISFIT)) / (1e-7 * cells**2 / 2))

    def rate(k, modulus):
        return -mobility(T) * k**2 * (curvature(0.5, T) + GRADIENT_ENERGY * k**2 + modulus)

    tolerance = 0.01 / growth_time()
    np.testing.assert_allclose(np.log(gain[0, 1:8]) / time_s, rate(k, B100), atol=tolerance)
    np.testing.assert_allclose(np.log(gain[1:8, 0]) / time_s, rate(k, B100), atol=tolerance)
    diagonal = np.diag(gain)[1:6]  # shorter ones decay
    np.testing.assert_allclose(np.log(diagonal) / time_s, rate(np.sqrt(2) * k[:5], B110), atol=tolerance)


@pytest.mark.parametrize("composition", [0.35, 0.5])
def test_the_wavelength_that_grows_fastest_is_that_of_linear_theory(composition):
    # Strips, as long as they need to be to hold many wavelengths.
    start = alloy((8, 1024), composition=composition, noise=1e-6)
    end = after(start, time_s=4 * growth_time(composition=composition))
    gain = np.abs(fft.rfft2(end)[0, 1:] / fft.rfft2(start)[0, 1:])
    fastest = 1024 / (1 + np.argmax(gain))
    assert fastest == pytest.approx(2 * np.pi * np.sqrt(-2 * GRADIENT_ENERGY / curvature(composition, T)), rel=0.02)


def test_nothing_grows_outside_the_spinodal():
    start = alloy((32, 32), composition=0.15, noise=0.001)
    assert curvature(0.15, T) > 0
    assert after(start, time_s=50 * growth_time()).std() < start.std() / 10


# Equilibrium


def lamella(shape=(8, 96)):
    return np.where(np.arange(shape[1]) < shape[1] // 2, 0.9, 0.1)[None, :] + np.zeros(shape)


@pytest.mark.parametrize(("celsius", "misfit"), [(380, 0), (440, 0), (500, 0), (380, 0.012), (440, 0.012)])
def test_lamellae_settle_at_the_common_tangent_of_mixing_and_strain(celsius, misfit):
    temperature_k = celsius + 273.15
    x = after(lamella(), time_s=100 * growth_time(temperature_k), temperature_k=temperature_k, misfit=misfit)
    # Strain along <100> adds B (x - 1/2)**2 / 2 to f: a regular solution of another interaction.
    modulus = B100 * (misfit / MISFIT) ** 2
    inside = float(x.min())
    interaction = INTERACTION - modulus / 2
    closed_form = interaction * (1 - 2 * inside) / (GAS_CONSTANT * np.log((1 - inside) / inside))
    assert closed_form == pytest.approx(temperature_k, abs=0.2)
    if not misfit:
        assert inside == pytest.approx(binodal(temperature_k), abs=2e-4)


@pytest.mark.parametrize("celsius", [380, 440])
def test_an_interface_has_the_energy_of_cahn_and_hilliard_and_is_resolved(celsius):
    temperature_k = celsius + 273.15
    x = after(lamella(), time_s=100 * growth_time(temperature_k), temperature_k=temperature_k)
    low = binodal(temperature_k)
    level = float(free_energy(low, temperature_k))
    excess = (energy(x, temperature_k=temperature_k, misfit=0) - level) * x.shape[1] / 2

    def integrand(c):
        return np.sqrt(2 * GRADIENT_ENERGY * max(0.0, float(free_energy(c, temperature_k)) - level))

    assert excess == pytest.approx(integrate.quad(integrand, low, 1 - low)[0], rel=2e-3)
    row = (x[0, 24:72] - low) / (1 - 2 * low)  # from the phase rich in Sn to the one rich in Si
    width = np.interp(-0.1, -row, np.arange(48)) - np.interp(-0.9, -row, np.arange(48))
    assert 3 < width < 4


def test_above_the_critical_temperature_a_decomposed_alloy_mixes():
    assert after(lamella((8, 32)), time_s=3e4, temperature_k=1000).std() < 1e-3


def test_the_whole_misfit_of_the_compounds_suppresses_the_miscibility_gap():
    # As Yi et al. found in coherent nanostructures, J. Mater. Chem. A 6 (2018) 17559.
    whole = (0.676 - 0.635) / 0.655
    assert after(alloy((32, 32)), time_s=100 * growth_time(), misfit=whole).std() < 1e-4


# Coarsening


def test_domains_coarsen_with_the_cube_root_of_time():
    # Boundaries have an energy in proportion to their length, so that 1 over the energy in excess is a length.
    times, level = np.geomspace(500, 3000, 6), float(free_energy(binodal(T), T))
    lengths = np.zeros((2, len(times)))
    for seed, found in enumerate(lengths):
        x, last = alloy((128, 128), seed=seed), 0.0
        for i, time in enumerate(times):
            x, last = after(x, time_s=time - last), time
            found[i] = 1 / (energy(x, temperature_k=T, misfit=0) - level)
    exponent = np.polyfit(np.log(times), np.log(lengths).mean(axis=0), 1)[0]
    assert exponent == pytest.approx(1 / 3, abs=0.05)


# Symmetry


def test_a_turned_or_shifted_start_gives_a_turned_or_shifted_end():
    start = alloy((19, 26))
    kwargs = {"time_s": 12 * growth_time(), "misfit": MISFIT}
    end = after(start, **kwargs)
    assert end.std() > 0.1
    np.testing.assert_allclose(after(start.T.copy(), **kwargs), end.T, atol=1e-6)
    np.testing.assert_allclose(after(start[::-1].copy(), **kwargs), end[::-1], atol=1e-6)
    np.testing.assert_allclose(after(np.roll(start, (5, 7), (0, 1)), **kwargs), np.roll(end, (5, 7), (0, 1)), atol=1e-6)


def test_the_compounds_are_each_others_mirror_image():
    start, time_s = alloy((24, 24), composition=0.4), 20 * growth_time(composition=0.4)
    np.testing.assert_allclose(after(1 - start, time_s=time_s), 1 - after(start, time_s=time_s), atol=1e-6)


# Another solver


@pytest.mark.filterwarnings("ignore")
def test_py_pde_finds_the_same_lamellae():
    """By finite differences of second order on a line, with an integrator of its own; three cells to each of ours."""
    pde = pytest.importorskip("pde", reason="py-pde is not installed: no independent solver to compare with")
    cells, finer, time_s = 48, 3, 8 * growth_time()

    def start(finer):
        angle = 2 * np.pi * (np.arange(cells * finer) + 0.5) / finer / cells
        return 0.45 + 0.03 * np.cos(2 * angle) + 0.03 * np.cos(3 * angle + 0.4) + 0.02 * np.cos(5 * angle)

    ours = after(np.tile(start(1), (8, 1)), time_s=time_s, misfit=MISFIT)
    thermal = GAS_CONSTANT * T
    potential = (
        f"{INTERACTION} * (1 - 2*c) + {thermal} * log(c / (1 - c)) + {B100} * c - {GRADIENT_ENERGY} * laplace(c)"
    )
    equation = pde.PDE({"c": f"laplace({potential})"})
    field = pde.ScalarField(pde.CartesianGrid([[0, cells]], cells * finer, periodic=True), start(finer))
    settings = {"solver": "scipy", "backend": "numpy", "method": "BDF", "rtol": 1e-7, "atol": 1e-9, "tracker": None}
    theirs = equation.solve(field, t_range=time_s * mobility(T), **settings).data[finer // 2 :: finer]
    assert np.ptp(theirs) > 0.7
    np.testing.assert_allclose(ours, np.tile(theirs, (8, 1)), atol=0.005)
