import numpy as np
import pytest

from sorby.errors import DataError
from sorby.metrics.compare import Side, compare
from sorby.metrics.features import FeatureNetwork


def side(name, dim=4, value=0.0):
    features = np.random.default_rng(len(name)).random((30, dim)).astype(np.float32) + np.float32(value)
    return Side(name, features, np.arange(30))


@pytest.mark.parametrize(
    ("generated", "said"),
    [(side("drawn", dim=5), "drawn has 5 features an image and real 4"), (side("drawn", value=np.nan), "not finite")],
)
def test_features_of_another_network_or_not_finite_are_refused_in_one_line(generated, said):
    real, network = side("real"), object.__new__(FeatureNetwork)  # what it is does not matter here
    with pytest.raises(DataError, match=said) as error:
        compare(generated, real, against="held-out", floor=(real, side("other")), network=network, seed=0)
    assert "\n" not in str(error.value)
