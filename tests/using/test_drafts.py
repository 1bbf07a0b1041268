"""An n-gram model as a draft: its probabilities under the vocabulary's ids, its cache, and what it refuses."""

import numpy as np
import pytest
import torch

from lessons_lib.text.ngrams import AddK, NGramModel
from lessons_lib.text.vocab import BEGIN, END, PAD, UNKNOWN, WordVocabulary
from lessons_lib.using.drafts import NGramDraft
from lessons_lib.using.generating import generate, next_logits
from lessons_lib.using.sampling import Sampling
from lessons_lib.using.speculative import speculate

TEXTS = [line.split() for line in ("a red kite .", "a blue kite .", "the red ball .", "a red ball falls .")]
WORDS = sorted({word for text in TEXTS for word in text})
VOCABULARY = WordVocabulary(WORDS)


def draft(order=3, **more):
    return NGramDraft(NGramModel.fit(TEXTS, order=order, vocabulary=WORDS, **more), VOCABULARY)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("words", [[], ["a"], ["a", "red"], ["the", "red", "kite"]])
def test_its_logits_are_the_n_grams_log_probabilities(order, words):
    made = draft(order)
    logits = next_logits(made, VOCABULARY.encode(words, begin=True))
    truth = dict(zip(made.ngrams.vocabulary, made.ngrams.distribution(words), strict=True))
    for word in WORDS:
        assert logits[VOCABULARY.encode([word])[0]].exp().item() == pytest.approx(truth[word], rel=1e-5)
    assert logits[END].exp().item() == pytest.approx(truth["<end>"], rel=1e-5)
    assert logits[[PAD, BEGIN, UNKNOWN]].exp().sum() == 0


def test_it_reads_on_from_its_cache_and_forgets():
    made, cache = draft(), draft().new_cache()
    whole = made(torch.tensor([VOCABULARY.encode(["a", "red", "kite"], begin=True)]), cache=made.new_cache())
    first = made(torch.tensor([[BEGIN, VOCABULARY.encode(["the"])[0]]]), cache=cache)
    cache.cut(1)
    rest = made(torch.tensor([VOCABULARY.encode(["a", "red", "kite"])]), cache=cache)
    assert torch.equal(torch.cat([first[:, :1], rest], dim=1), whole) and len(cache) == 4


def test_it_writes_and_drafts():
    made, greedy = draft(), Sampling(temperature=0)
    (new,) = generate(made, [[BEGIN]], sampling=greedy, stop_ids=[END])
    assert VOCABULARY.decode(new)[:2] == ("a", "red")
    sure = speculate(made, draft(2), [BEGIN], sampling=greedy, stop_ids=[END])
    assert list(sure.ids) == new
    past_the_end = made(torch.tensor([[BEGIN, END, END]]), cache=made.new_cache())
    assert torch.isfinite(past_the_end.exp()).all()


def test_probabilities_of_zero():
    made = draft(2, smoothing=AddK(0.01))
    assert np.isclose(next_logits(made, [BEGIN]).exp().sum().item(), 1.0, atol=1e-5)


def test_other_words_are_refused():
    with pytest.raises(ValueError, match="'falls' is a word of the vocabulary only"):
        NGramDraft(NGramModel.fit(TEXTS[:3]), VOCABULARY)
    with pytest.raises(ValueError, match="'falls' is a word of the n-gram model only"):
        NGramDraft(NGramModel.fit(TEXTS), WordVocabulary(sorted(set(WORDS) - {"falls"})))
