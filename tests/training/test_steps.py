import pytest

from sorby.config import resolve
from sorby.training.steps import largest_tensor


@pytest.mark.parametrize(("precision", "bytes_each"), [("bfloat16", 2), ("float32", 4)])
def test_the_largest_features_are_those_of_the_last_transposed_convolution(precision, bytes_each):
    config = resolve("auto", {"precision": precision}, size=128)  # 128 feature maps, 129 px before the filter
    assert largest_tensor(config, 8) == 8 * 128 * 129 * 129 * bytes_each
