import numpy as np
import pytest

from sorby.errors import ConfigError
from sorby.latent.mix import layers_of, mix, told, write_mixture
from sorby.micrograph import read_micrograph
from tests.latent.tiny import tiny


def test_no_layer_gives_the_rows_and_all_layers_the_styles_of_the_columns():
    G = tiny()
    rows, columns = [0, 1], [2, 3, 4]
    nothing = mix(G, rows, columns, range(0))
    assert nothing.shape == (2, 3, 1, 32, 32)
    for k in range(3):
        np.testing.assert_array_equal(nothing[:, k], G.images(rows))
    everything = mix(G, rows, rows, layers_of(G, None))
    np.testing.assert_array_equal(everything[[0, 1], [0, 1]], G.images(rows))
    assert abs(everything[0, 1].astype(int) - everything[1, 1]).max() > 0  # style of seed 1, noise of seed 0


def test_coarse_of_one_and_fine_of_another_is_the_same_from_both_sides_but_for_noise():
    G = tiny()
    for conv in G.network.synthesis.convs:
        conv.noise_strength.data.zero_()
    last = G.network.num_styles - 1
    coarse, fine = layers_of(G, "0-3"), layers_of(G, f"4-{last}")
    np.testing.assert_array_equal(mix(G, [0], [1], coarse), mix(G, [1], [0], fine))


@pytest.mark.parametrize("text", ["5-2", "0-8", "a", "-1", "1-2-3"])
def test_what_is_no_range_of_layers_is_refused(text):
    G = tiny()
    if text == "0-":
        assert layers_of(G, text) == range(1)
        return
    with pytest.raises(ConfigError, match="are not a range within 0-7"):
        layers_of(tiny(), text)


def test_layers_are_told_with_their_resolutions():
    assert told(tiny(), range(3)) == "layers 0 to 2 (4 to 8 px)"
    assert told(tiny(), range(3, 8)) == "layers 3 to 7 (16 to 32 px)"


def test_one_style_cannot_be_mixed():
    with pytest.raises(ConfigError, match="one style for the whole picture"):
        mix(tiny(model="contragan"), [0], [1], range(1))


def test_the_sheet_says_that_it_is_synthetic_and_what_was_mixed(tmp_path):
    G = tiny()
    write_mixture(G, tmp_path / "mix.png", [0, 1], [2], range(4))
    sheet = read_micrograph(tmp_path / "mix.png")
    assert sheet.notes["synthetic"] == "true"
    assert sheet.notes["mixed"] == "layers 0 to 3 (4 to 16 px) from the columns"
    np.testing.assert_array_equal(sheet.grey[34:66, 34:66], mix(G, [0], [2], range(4))[0, 0, 0])
    np.testing.assert_array_equal(sheet.grey[:32, 34:66], G.images([2])[0, 0])
