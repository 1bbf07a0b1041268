"""Counting words, and what it cannot know."""

import pytest
import torch

from lessons_lib.using.baselines import BagOfWords

TEXTS = ["A good cake.", "good good bread", "Bad rice!", "the bread was bad"]
LABELS = ["positive", "positive", "negative", "negative"]


def test_it_learns_which_words_go_with_which_label():
    bag = BagOfWords.fit(TEXTS, LABELS)
    assert bag.labels == ("negative", "positive")
    assert bag.predict(["GOOD rice", "bad cake"]) == ["positive", "negative"]
    assert bag.n_features == len({"a", "good", "cake", ".", "bread", "bad", "rice", "!", "the", "was"})


def test_probabilities():
    bag = BagOfWords.fit(TEXTS, LABELS)
    found = bag.probabilities([*TEXTS, "unknown words only"])
    assert found.shape == (5, 2)
    assert torch.allclose(found.sum(dim=1), torch.ones(5, dtype=found.dtype))
    assert found[:2].argmax(dim=1).tolist() == [1, 1]
    assert torch.equal(found, BagOfWords.fit(TEXTS, LABELS).probabilities([*TEXTS, "unknown words only"]))


def test_three_labels_and_a_strength():
    labels = ["mixed", "positive", "negative", "negative"]
    weak, strong = (BagOfWords.fit(TEXTS, labels, strength=s) for s in (1e-6, 1e3))
    assert strong.predict(TEXTS) == labels
    spread = weak.probabilities(TEXTS).std(dim=0)
    assert spread.max() < 0.01, "with weights held at 0 all texts look alike"


def test_order_is_lost_on_words_and_kept_by_pairs():
    texts, labels = ["not good but bad", "not bad but good"] * 3, ["no", "yes"] * 3
    words, pairs = BagOfWords.fit(texts, labels), BagOfWords.fit(texts, labels, ngrams=(2, 2), strength=10.0)
    assert torch.allclose(words.probabilities(texts), torch.full((6, 2), 0.5, dtype=torch.float64))
    assert pairs.predict(texts) == labels
    assert (words.n_features, pairs.n_features) == (4, 6)


def test_what_cannot_be_fitted(unchecked):
    with pytest.raises(ValueError, match="1 labels"):
        BagOfWords.fit(TEXTS, ["a"])
    with pytest.raises(ValueError, match="1 of them different"):
        BagOfWords.fit(TEXTS, ["a"] * 4)
    with pytest.raises(ValueError, match="no text"):
        BagOfWords.fit([], [])
    with pytest.raises(TypeError, match="not one text"):
        BagOfWords.fit("a text", ["a"])
    with pytest.raises(ValueError, match="ngrams"):
        BagOfWords.fit(TEXTS, LABELS, ngrams=(2, 1))
    with pytest.raises(ValueError, match="strength"):
        BagOfWords.fit(TEXTS, LABELS, strength=0.0)
    with pytest.raises(ValueError, match="vocabulary"):
        BagOfWords.fit([" ", ""], ["a", "b"])
    with pytest.raises(ValueError, match="no text"):
        BagOfWords.fit(TEXTS, LABELS).predict([])
