"""Rows for BERT: true and false pairs, what transformers' tokenizer makes of them, and texts packed into rows."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertTokenizer

from lessons_lib.assets import fetch
from lessons_lib.training.pairs import (
    FOLLOWS,
    IGNORE,
    RANDOM,
    Pair,
    joined_rows,
    next_sentence_pair,
    packed_rows,
    pair_rows,
    same_text,
    single_rows,
)

CLS, SEP = 101, 102


def documents(n=5, sentences=6, seed=0):
    """Sentences of one to four ids; id // 1000 is the document's number, and inside one the ids count up."""
    rng = np.random.default_rng(seed)
    found = []
    for document in range(1, n + 1):
        lengths = rng.integers(1, 5, size=sentences)
        ends = np.cumsum(lengths)
        found.append([[1000 * document + i for i in range(e - k, e)] for k, e in zip(lengths, ends, strict=True)])
    return found


def ids_of(document):
    return [i for sentence in document for i in sentence]


# --- Pairs


def test_even_odds():
    rng, texts = np.random.default_rng(0), documents()
    labels = [next_sentence_pair(texts, i % 5, rng).label for i in range(10_000)]
    assert set(labels) == {FOLLOWS, RANDOM} == {0, 1}
    assert abs(sum(labels) - 5000) < 4 * 50  # four standard deviations


def test_true_pairs_are_adjacent_and_false_ones_from_another_document():
    rng, texts = np.random.default_rng(1), documents()
    begins = {(i, ids_of(d[:k])[-1]) for i, d in enumerate(texts) for k in range(1, 6)}
    others, cuts = Counter(), Counter()
    for n in range(4000):
        index = n % 5
        first, second, label = next_sentence_pair(texts, index, rng)
        assert first == ids_of(texts[index])[: len(first)] and (index, first[-1]) in begins
        other = second[0] // 1000 - 1
        assert second == ids_of(texts[other])[-len(second) :]
        assert (other, second[0] - 1) in begins  # it starts where a sentence starts, and not at the beginning
        if label == FOLLOWS:
            assert first + second == ids_of(texts[index])
            cuts[index, len(first)] += 1
        else:
            assert other != index
            others[index, other] += 1
    assert len(others) == 20 and min(others.values()) > 50  # 100 is what chance gives each
    assert len(cuts) == 25 and min(cuts.values()) > 45  # 80


def test_two_documents_are_enough():
    rng, texts = np.random.default_rng(2), documents(2, 2)
    for index in (0, 1):
        for _ in range(50):
            pair = next_sentence_pair(texts, index, rng)
            assert (pair.second[0] // 1000 - 1 == index) == (pair.label == FOLLOWS)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 30))
def test_truncation_keeps_the_middle(seed, max_tokens):
    texts = documents(3, 5, seed)
    whole = next_sentence_pair(texts, 1, np.random.default_rng(seed))
    cut = next_sentence_pair(texts, 1, np.random.default_rng(seed), max_tokens=max_tokens)
    first, second = list(whole.first), list(whole.second)
    while len(first) + len(second) > max_tokens:  # one id at a time, as the paper says
        if len(first) > len(second):
            first.pop(0)
        else:
            second.pop()
    assert cut == Pair(first, second, whole.label)
    assert first and second


def test_a_seed_repeats():
    texts = documents()
    one, two = ([next_sentence_pair(texts, i, rng) for i in range(5)] for rng in map(np.random.default_rng, (3, 3)))
    assert one == two


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("at least two documents", lambda rng: next_sentence_pair(documents(1), 0, rng)),
        ("at least two documents", lambda rng: next_sentence_pair([], 0, rng)),
        (r"Document 0 has 1 sentence\(s\)", lambda rng: next_sentence_pair([[[1]], [[2], [3]]], 0, rng)),
        (r"Document 1 has 0 sentence", lambda rng: [next_sentence_pair([[[2], [3]], []], 0, rng) for _ in range(20)]),
        ("index is 5; the documents are 0 to 4", lambda rng: next_sentence_pair(documents(), 5, rng)),
        ("index is -1", lambda rng: next_sentence_pair(documents(), -1, rng)),
        ("max_tokens is 1", lambda rng: next_sentence_pair(documents(), 0, rng, max_tokens=1)),
    ],
)
def test_bad_documents_are_named(message, call):
    with pytest.raises(ValueError, match=message):
        call(np.random.default_rng(0))


# --- Rows


def test_pairs_look_as_transformers_makes_them():
    tokenizer = BertTokenizer(vocab=str(fetch("minilm", progress=False) / "vocab.txt"))
    firsts = ["The town hall is open.", "Why?", "A cat sat on the mat, and another on the roof."]
    seconds = ["It closes at nine.", "Nobody knows the unaffable answer.", "No."]
    wanted = tokenizer(firsts, seconds, padding=True, return_tensors="pt")
    encode = [tokenizer(texts, add_special_tokens=False)["input_ids"] for texts in (firsts, seconds)]
    labels = [FOLLOWS, RANDOM, RANDOM]
    rows = pair_rows([Pair(*pair) for pair in zip(*encode, labels, strict=True)], CLS, SEP)
    assert torch.equal(rows.ids, wanted["input_ids"]) and torch.equal(rows.segments, wanted["token_type_ids"])
    assert torch.equal(rows.ids != 0, wanted["attention_mask"].bool())
    assert rows.labels.tolist() == labels and rows.labels.dtype == torch.int64
    assert rows.mask is None and rows.places is None
    alone, single = tokenizer(firsts, padding=True, return_tensors="pt"), single_rows(encode[0], CLS, SEP)
    assert torch.equal(single.ids, alone["input_ids"]) and torch.equal(single.segments, alone["token_type_ids"])
    assert single.labels is single.mask is single.places is None


texts_strategy = st.lists(st.lists(st.integers(200, 299), max_size=8), min_size=1, max_size=12)


@settings(max_examples=100, deadline=None)
@given(texts_strategy, st.integers(10, 25))
def test_packing_loses_nothing_and_mixes_nothing(texts, length):
    rows = packed_rows(texts, CLS, SEP, length)
    assert rows.ids.shape == rows.segments.shape == rows.places.shape == (len(rows.ids), length)
    assert (rows.segments == 0).all() and rows.labels is None
    found = []
    for ids, places, mask in zip(rows.ids.tolist(), rows.places.tolist(), rows.mask, strict=True):
        expected, start = torch.zeros(length, length, dtype=torch.bool), 0
        while start < length and ids[start] == CLS:
            end = ids.index(SEP, start) + 1
            found.append(ids[start + 1 : end - 1])
            assert places[start:end] == list(range(end - start))
            expected[start:end, start:end] = True
            start = end
        assert set(ids[start:]) <= {0} and set(places[start:]) <= {0}  # the rest is padding
        assert torch.equal(mask, expected)
        assert start > 0
    assert sorted(found) == sorted(texts)
    # Two rows that are half empty would have been one.
    room = [row.count(0) for row in rows.ids.tolist()]
    assert sum(free >= length / 2 for free in room) <= 1


def test_packing_by_hand():
    rows = packed_rows([[7], [8, 9, 10], [11, 12]], CLS, SEP, 8)
    assert rows.ids.tolist() == [[CLS, 8, 9, 10, SEP, CLS, 7, SEP], [CLS, 11, 12, SEP, 0, 0, 0, 0]]
    assert rows.places.tolist() == [[0, 1, 2, 3, 4, 0, 1, 2], [0, 1, 2, 3, 0, 0, 0, 0]]
    assert rows.mask[0].sum() == 25 + 9 and rows.mask[1].sum() == 16


def test_who_may_look_at_whom():
    mask = same_text(torch.tensor([[1, 1, 2, 0]]))
    assert mask.int().tolist() == [[[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]]


@pytest.mark.parametrize(
    ("message", "call"),
    [
        (
            r"A text of 9 ids, with \[CLS\] and \[SEP\], does not fit into 8",
            lambda: packed_rows([[5] * 7], CLS, SEP, 8),
        ),
        ("length must be", lambda: packed_rows([[5]], CLS, SEP, 0)),
        ("There is no text", lambda: packed_rows([], CLS, SEP, 8)),
        ("There is no text", lambda: pair_rows([], CLS, SEP)),
        ("There is no text", lambda: single_rows([], CLS, SEP)),
    ],
)
def test_rows_that_cannot_be_made_are_named(message, call):
    with pytest.raises(ValueError, match=message):
        call()


def test_joined_rows_keep_every_row_and_mark_those_without_a_label():
    pairs = pair_rows([Pair([10, 11], [12], FOLLOWS), Pair([13], [14, 15, 16, 17], RANDOM)], 2, 3)
    single = single_rows([[20, 21, 22], [23]], 2, 3)
    joined = joined_rows([pairs, single])
    assert joined.ids.shape == joined.segments.shape == (4, 8)
    assert joined.labels.tolist() == [FOLLOWS, RANDOM, IGNORE, IGNORE]
    assert joined.ids[2].tolist() == [2, 20, 21, 22, 3, 0, 0, 0]
    assert torch.equal(joined.ids[:2, : pairs.ids.shape[1]], pairs.ids)
    assert joined_rows([single, single]).labels is None


@pytest.mark.parametrize("parts", [[], [packed_rows([[5, 6]], 2, 3, 8)]])
def test_rows_that_cannot_be_joined(parts):
    with pytest.raises(ValueError, match="none of them packed"):
        joined_rows(parts)
