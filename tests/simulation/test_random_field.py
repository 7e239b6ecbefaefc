import numpy as np
import pytest
from scipy import fft, special, stats

from sorby.errors import ConfigError
from sorby.simulation.random_field import covariance, gaussian_field, two_phase, two_point_probability


def autocorrelation(values):
    """Mean product of a periodic picture with itself, shifted by every (row, column)."""
    return fft.ifft2(np.abs(fft.fft2(values)) ** 2).real / values.size


def mean_autocorrelation(make, *, num=40):
    return np.mean([autocorrelation(make(np.random.default_rng(seed))) for seed in range(num)], axis=0)


@pytest.mark.parametrize("fraction", [0, 0.123, 0.5, 1])
def test_the_volume_fraction_is_met_to_within_one_pixel(fraction):
    phases = two_phase((33, 47), volume_fraction=fraction, correlation_length_px=4, rng=np.random.default_rng(0))
    assert abs(phases.sum() - fraction * phases.size) <= 0.5


def test_the_two_point_probability_starts_at_the_fraction_and_ends_at_its_square():
    s2 = mean_autocorrelation(lambda rng: two_phase((128, 128), volume_fraction=0.3, correlation_length_px=3, rng=rng))
    assert s2[0, 0] == pytest.approx(0.3, abs=1e-4)
    assert s2[48:80, 48:80].mean() == pytest.approx(0.09, abs=2e-3)


def test_at_one_half_the_two_point_probability_is_the_arcsine_law_of_a_gaussian_covariance():
    s2 = mean_autocorrelation(lambda rng: two_phase((256, 256), volume_fraction=0.5, correlation_length_px=6, rng=rng))
    r = np.arange(25)
    expected = 0.25 + np.arcsin(np.exp(-(r**2) / (2 * 6**2))) / (2 * np.pi)
    np.testing.assert_allclose(s2[0, :25], expected, atol=4e-3)
    np.testing.assert_allclose(s2[:25, 0], expected, atol=4e-3)


def test_a_field_with_finite_nu_has_the_matern_covariance():
    nu, length = 1.5, 8
    rho = mean_autocorrelation(
        lambda rng: gaussian_field((256, 256), correlation_length_px=length, nu=nu, rng=rng), num=80
    )
    r = np.arange(1, 30)
    scaled = np.sqrt(2 * nu) * r / length
    expected = 2 ** (1 - nu) / special.gamma(nu) * scaled**nu * special.kv(nu, scaled)
    np.testing.assert_allclose(rho[0, 1:30], expected, atol=0.03)
    assert rho[0, 0] == pytest.approx(1, abs=0.02)


def test_the_correlation_is_longer_along_the_given_direction_by_the_aspect_ratio():
    rho = mean_autocorrelation(
        lambda rng: gaussian_field((256, 256), correlation_length_px=8, aspect_ratio=4, angle_deg=45, rng=rng)
    )
    # Up and to the right is row -d, column +d; 16 px along and 4 px across are one correlation length each.
    step = round(16 / np.sqrt(2))
    along, across_as_far = rho[-step, step], rho[step, step]
    assert along == pytest.approx(np.exp(-0.5 * (2 * step**2) / 16**2), abs=0.05)
    assert across_as_far == pytest.approx(0, abs=0.05)
    assert rho[3, 3] == pytest.approx(np.exp(-0.5 * 18 / 4**2), abs=0.05)


def test_the_field_goes_on_across_the_border():
    field = gaussian_field((64, 96), correlation_length_px=10, rng=np.random.default_rng(0))
    step_inside = np.abs(np.diff(field, axis=0)).max()
    assert np.abs(field[0] - field[-1]).max() <= step_inside * 1.5
    assert np.abs(field[:, 0] - field[:, -1]).max() <= np.abs(np.diff(field, axis=1)).max() * 1.5


def test_the_same_seed_gives_the_same_microstructure_and_another_seed_another():
    def draw(seed):
        return two_phase((32, 32), volume_fraction=0.4, correlation_length_px=3, rng=np.random.default_rng(seed))

    np.testing.assert_array_equal(draw(1), draw(1))
    assert (draw(1) != draw(2)).any()


@pytest.mark.parametrize(
    "setting", [{"volume_fraction": 1.2}, {"correlation_length_px": 0}, {"nu": -1}, {"aspect_ratio": 0}]
)
def test_a_setting_out_of_range_is_named(setting):
    settings = {"volume_fraction": 0.5, "correlation_length_px": 3} | setting
    with pytest.raises(ConfigError, match=next(iter(setting))):
        two_phase((8, 8), **settings, rng=np.random.default_rng(0))


@pytest.mark.parametrize("fraction", [0.05, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("rho", [-0.9, -0.3, 0, 0.2, 0.7, 0.99])
def test_the_two_point_probability_is_that_of_the_bivariate_normal_distribution(fraction, rho):
    level = stats.norm.isf(fraction)
    both_below = stats.multivariate_normal([0, 0], [[1, rho], [rho, 1]]).cdf([-level, -level])
    found = two_point_probability(np.array([float(rho)]), volume_fraction=fraction)
    assert found == pytest.approx(both_below, abs=1e-7)


@pytest.mark.parametrize("fraction", [0, 0.2, 0.5, 0.8, 1])
def test_the_two_point_probability_of_one_point_of_far_points_and_of_opposite_ones(fraction):
    same, far, opposite = two_point_probability(np.array([1.0, 0.0, -1.0]), volume_fraction=fraction)
    assert (same, far, opposite) == pytest.approx((fraction, fraction**2, max(0, 2 * fraction - 1)))


@pytest.mark.parametrize(("fraction", "nu"), [(0.15, np.inf), (0.4, 0.5), (0.7, 1.5)])
def test_microstructures_have_the_analytic_two_point_probability_along_and_across(fraction, nu):
    settings = {"correlation_length_px": 5, "nu": nu, "aspect_ratio": 2, "angle_deg": 90}
    s2 = mean_autocorrelation(lambda rng: two_phase((192, 192), volume_fraction=fraction, rng=rng, **settings), num=60)
    lags, none = np.arange(20.0), np.zeros(20)
    for found, right, up in ((s2[0, :20], lags, none), (s2[:20, 0], none, lags)):
        expected = two_point_probability(covariance(right, up, **settings), volume_fraction=fraction)
        np.testing.assert_allclose(found, expected, atol=4e-3)


def test_a_rough_field_is_as_rough_as_its_covariance_down_to_neighbouring_pixels():
    rho = mean_autocorrelation(lambda rng: gaussian_field((256, 256), correlation_length_px=4, nu=0.5, rng=rng), num=60)
    np.testing.assert_allclose(rho[0, :6], np.exp(-np.arange(6) / 4), atol=0.01)


def test_tiles_repeat_the_microstructure_and_keep_its_fraction():
    phases = two_phase((60, 90), volume_fraction=0.3, correlation_length_px=3, tiles=3, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(phases, np.roll(phases, (20, 30), (0, 1)))
    assert (phases != np.roll(phases, 10, 0)).any()
    assert phases.mean() == pytest.approx(0.3)


def test_tiles_that_do_not_divide_the_sides_are_refused():
    with pytest.raises(ConfigError, match="tiles is 3"):
        two_phase((64, 64), volume_fraction=0.3, correlation_length_px=3, tiles=3, rng=np.random.default_rng(0))
