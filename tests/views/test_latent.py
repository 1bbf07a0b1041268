"""The explorer of lesson 04."""

import pytest
import torch

from lessons_lib.models.variational import SentenceVAE, VAEConfig
from lessons_lib.text.vocab import WordVocabulary
from lessons_lib.views import style
from lessons_lib.views.latent import LatentWalkExplorer

SENTENCES = [["Mei", "lost", "a", "key", "."], ["Bao", "had", "two", "pots", "."], ["Mei", "had", "a", "cat", "."]]


@pytest.fixture
def explorer():
    torch.manual_seed(0)
    vocab = WordVocabulary.from_sequences(SENTENCES)
    return LatentWalkExplorer(SentenceVAE(VAEConfig(len(vocab), 8, 16, 3)), vocab, SENTENCES)


def test_the_ends_of_the_walk_are_the_two_codes(explorer):
    first, second = list(explorer.codes)[:2]
    assert first == "Mei lost a key."
    for along, text in ((0.0, first), (1.0, second)):
        assert torch.allclose(explorer.point(first, second, along, 0.0), explorer.codes[text])
    halfway = (explorer.codes[first] + explorer.codes[second]) / 2
    assert torch.allclose(explorer.point(first, second, 0.5, 0.0), halfway, atol=1e-6)


def test_aside_is_at_a_right_angle_and_as_far_as_it_says(explorer):
    first, second = list(explorer.codes)[:2]
    step = explorer.point(first, second, 0.5, 2.0) - explorer.point(first, second, 0.5, 0.0)
    assert step.norm().item() == pytest.approx(2.0, abs=1e-5)
    assert (step @ (explorer.codes[second] - explorer.codes[first])).item() == pytest.approx(0, abs=1e-5)
    assert explorer.point(first, first, 0.3, 1.0).isfinite().all()


def test_the_sentence_is_the_models_and_stands_in_the_picture_and_in_words(explorer):
    explorer.set(along=0.25, aside=-1.0)
    written = explorer.sentence(**explorer.settings)
    ids = explorer.model.generate(explorer.point(**explorer.settings)[None])[0]
    assert len(written.split()) >= len(explorer.vocab.decode(ids, skip_special=True)) - 1
    assert written in explorer.image.tooltip
    with style.context():
        texts = [t.get_text().replace("\n", " ") for t in explorer.draw(**explorer.settings).axes[1].texts]
    assert any(text[:20] == written[:20] for text in texts)


def test_the_walker_stands_where_the_settings_say(explorer):
    first, second = list(explorer.codes)[:2]
    explorer.set(along=1.0)
    with style.context():
        plane = explorer.draw(**explorer.settings).axes[0]
    end = next(line for line in plane.lines if line.get_marker() == "o")
    assert [end.get_xdata()[0], end.get_ydata()[0]] == pytest.approx(list(plane.texts[1].xy), abs=1e-5)
    assert explorer.settings["start"] == first and explorer.settings["end"] == second


def test_one_sentence_is_no_walk():
    vocab = WordVocabulary.from_sequences(SENTENCES)
    with pytest.raises(ValueError, match="two different"):
        LatentWalkExplorer(SentenceVAE(VAEConfig(len(vocab), 8, 16, 3)), vocab, [SENTENCES[0], SENTENCES[0]])
