"""What is noted of the two sides of an evaluation."""

from sorby.card import GREYS
from sorby.evaluation.sides import note_given
from sorby.generator import Generator
from tests.latent.tiny import tiny


def test_greys_that_were_given_to_a_generator_are_noted_and_learnt_ones_are_not(tmp_path):
    learnt = tiny()
    given = Generator(learnt.network, learnt.card.model_copy(update={"training": {GREYS: "matched to the data"}}))
    noted = []
    for name, generator in {"learnt": learnt, "given": given}.items():
        generator.save(tmp_path / name)
        notes = []
        note_given(tmp_path / name, notes)
        noted.append(notes)
    assert [len(notes) for notes in noted] == [0, 1]
    assert "were given" in noted[1][0]


def test_nothing_is_noted_of_a_folder_of_pictures(tmp_path):
    notes = []
    note_given(tmp_path, notes)
    assert notes == []
