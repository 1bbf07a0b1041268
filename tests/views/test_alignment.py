"""The alignment explorer of lesson 07."""

import numpy as np
import pytest

from lessons_lib.views.alignment import MEAN, AlignmentExplorer

SENTENCES = [
    ("one", ("the", "red", "cup"), ("la", "tasse", "rouge"), frozenset({(0, 0), (2, 1), (1, 2)})),
    ("two", ("he", "sleeps"), ("tā", "shuìjiào"), frozenset({(0, 0), (1, 1)})),
]


def explorer():
    rng = np.random.default_rng(0)
    shapes = [(2, 3, len(target), len(source)) for _, source, target, _ in SENTENCES]
    return AlignmentExplorer(SENTENCES, [rng.dirichlet(np.ones(s[-1]), size=s[:-1]) for s in shapes])


def test_every_sentence_layer_and_head_draws_another_picture():
    e = explorer()
    pictures = {
        e.set(sentence=s, layer=layer, head=head).png
        for s in ("one", "two")
        for layer in (1, 2)
        for head in (MEAN, "2")
    }
    assert len(pictures) == 8


def test_the_mean_is_the_mean_and_words_say_how_many_are_right():
    e = explorer()
    _, mean = e.chosen("one", 2, MEAN)
    np.testing.assert_allclose(mean, e.weights[0][1].mean(axis=0))
    e.weights[1][:] = np.eye(2)
    assert e.describe("two", 1, "1").startswith("two: 2 of 2 target words")


def test_weights_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="3 target words, 3 source words"):
        AlignmentExplorer(SENTENCES[:1], [np.ones((2, 3, 2, 3))])
