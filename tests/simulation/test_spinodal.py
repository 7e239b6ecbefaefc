import numpy as np
import pytest
from scipy import fft

from sorby.errors import ConfigError
from sorby.simulation.free_energy import binodal
from sorby.simulation.spinodal import CONDITIONS, DEFAULT_RANGES, PIXEL_SIZE_UM, spinodal

USUAL = {"composition": 0.5, "temperature_c": 420, "time_s": 1800, "misfit": 0.0}


def simulate(shape=(64, 64), *, seed=0, **changes):
    return spinodal(shape, **(USUAL | changes), rng=np.random.default_rng(seed))


def on_the_axes(x):
    """Power of the waves nearer to the axes than to the diagonals, over that of the others."""
    power = np.abs(fft.fft2(x - x.mean())) ** 2
    ky, kx = np.meshgrid(fft.fftfreq(x.shape[0]), fft.fftfreq(x.shape[1]), indexing="ij")
    near = np.abs(np.cos(4 * np.arctan2(ky, kx))) > 0  # the origin has no power
    upright = np.cos(4 * np.arctan2(ky, kx)) > 0
    return power[near & upright].sum() / power[near & ~upright].sum()


def test_the_same_seed_gives_the_same_microstructure_and_another_seed_another():
    np.testing.assert_array_equal(simulate(time_s=100), simulate(time_s=100))
    assert not np.allclose(simulate(time_s=100), simulate(time_s=100, seed=1))


@pytest.mark.parametrize("shape", [(8, 8), (9, 32), (33, 16)])
@pytest.mark.parametrize("composition", [0, 0.001, 0.4, 1])
def test_the_mean_is_the_composition_asked_for(shape, composition):
    x = simulate(shape, composition=composition)
    assert x.shape == shape
    assert x.dtype == np.float64
    assert x.mean() == pytest.approx(composition, abs=1e-12)
    assert -1e-12 < x.min() <= x.max() < 1 + 1e-12


def test_no_time_leaves_the_nearly_uniform_alloy():
    assert 0.015 < simulate(time_s=0).std() < 0.025


@pytest.mark.parametrize("composition", DEFAULT_RANGES["composition"][:1])  # the compounds mirror each other
@pytest.mark.parametrize("temperature", DEFAULT_RANGES["temperature"])
@pytest.mark.parametrize("time", DEFAULT_RANGES["time"])
@pytest.mark.parametrize("misfit", DEFAULT_RANGES["misfit"])
def test_the_alloy_is_decomposed_in_every_corner_of_the_default_ranges(composition, temperature, time, misfit):
    x = simulate((64, 64), composition=composition, temperature_c=temperature, time_s=time, misfit=misfit)
    low = binodal(temperature + 273.15)
    sharp = np.sqrt((composition - low) * (1 - low - composition))  # of two phases without interfaces
    assert x.std() > 0.6 * sharp
    assert 0.22 < (x > 0.5).mean() < 0.33


def test_domains_are_larger_after_more_time_and_at_higher_temperature():
    def boundary(**changes):
        phase = simulate((64, 64), **({"time_s": 900, "temperature_c": 400} | changes)) > 0.5
        return (phase != np.roll(phase, 1, 0)).mean() + (phase != np.roll(phase, 1, 1)).mean()

    short, long = DEFAULT_RANGES["time"]
    cold, hot = DEFAULT_RANGES["temperature"]
    assert boundary(time_s=short) > 1.3 * boundary(time_s=long)
    assert boundary(temperature_c=cold) > 1.3 * boundary(temperature_c=hot)


def test_misfit_aligns_the_domains_with_the_axes():
    free, strained = (simulate((96, 96), misfit=misfit) for misfit in DEFAULT_RANGES["misfit"])
    assert 0.6 < on_the_axes(free) < 1.6
    assert on_the_axes(strained) > 2.5


def test_progress_rises_to_one():
    shares = []
    spinodal((16, 16), **USUAL, rng=np.random.default_rng(0), progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_conditions_and_ranges_are_of_the_same_variables():
    assert list(CONDITIONS) == list(DEFAULT_RANGES) == ["composition", "temperature", "time", "misfit"]
    assert PIXEL_SIZE_UM == 0.001


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"composition": 1.2}, "composition is 1.2; expected a mole fraction of Mg2Sn, from 0 to 1."),
        ({"composition": -0.1}, "composition is -0.1; expected a mole fraction of Mg2Sn, from 0 to 1."),
        ({"composition": float("nan")}, "composition is nan; expected a mole fraction of Mg2Sn, from 0 to 1."),
        ({"temperature_c": -300}, "temperature is -300; expected degrees Celsius, 200 or more."),
        ({"temperature_c": float("inf")}, "temperature is inf; expected degrees Celsius, 200 or more."),
        ({"time_s": -1}, "time is -1; expected seconds, 0 or more."),
        ({"time_s": float("inf")}, "time is inf; expected seconds, 0 or more."),
        ({"misfit": 2}, "misfit is 2; expected a relative change of the lattice parameter, from 0 to 0.1."),
        ({"shape": (7, 64)}, "shape is 7 x 64; expected at least 8 cells a side."),
    ],
)
def test_nonsense_is_refused_in_one_line(changes, message):
    with pytest.raises(ConfigError) as caught:
        simulate(**changes)
    assert str(caught.value) == message
