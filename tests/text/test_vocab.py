"""The word vocabulary: fixed symbols, exact round trips, clear refusals."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lessons_lib.text.vocab import BEGIN, END, PAD, UNKNOWN, WordVocabulary
from lessons_lib.text.words import END as END_WORD

VOCAB = WordVocabulary(["the", "red", "kite", "."])


def test_the_symbols_come_first():
    assert (PAD, BEGIN, END, UNKNOWN) == (0, 1, 2, 3)
    assert VOCAB.words == ("<pad>", "<begin>", "<end>", "<unknown>", "the", "red", "kite", ".")
    assert len(VOCAB) == 8 and "red" in VOCAB and "blue" not in VOCAB
    assert len(WordVocabulary([])) == 4
    assert WordVocabulary(["a", END_WORD]).words == WordVocabulary(["a"]).words
    assert repr(VOCAB) == "WordVocabulary(8 words, 4 of them symbols)"


def test_encode_and_decode():
    assert VOCAB.encode(("the", "blue", "kite")) == [4, UNKNOWN, 6]
    assert VOCAB.encode(["kite"], begin=True, end=True) == [BEGIN, 6, END]
    assert VOCAB.encode(["kite", END_WORD]) == [6, END]
    assert VOCAB.decode([BEGIN, 4, 6, END, PAD]) == ("<begin>", "the", "kite", "<end>", "<pad>")
    assert VOCAB.decode(torch.tensor([BEGIN, 4, PAD, UNKNOWN, END, 6]), skip_special=True) == ("the", "<unknown>")
    assert VOCAB.encode([]) == [] and VOCAB.decode([]) == ()


@given(st.lists(st.sampled_from(VOCAB.words)))
def test_decode_inverts_encode(words):
    assert VOCAB.decode(VOCAB.encode(words)) == tuple(words)


def test_pad():
    ids = VOCAB.pad([[4, 5, 6], [], [7]])
    assert ids.dtype == torch.int64
    assert ids.tolist() == [[4, 5, 6], [0, 0, 0], [7, 0, 0]]
    assert VOCAB.pad(iter([(4,)])).tolist() == [[4]]


def test_from_sequences_puts_the_frequent_first():
    sequences = [["b", "a", "c"], ("b", "c"), ["b", END_WORD]]
    assert WordVocabulary.from_sequences(sequences).words[4:] == ("b", "c", "a")
    assert WordVocabulary.from_sequences(iter(sequences), min_count=2).words[4:] == ("b", "c")


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ValueError, "names 'a' twice", lambda: WordVocabulary(["b", "a", "a"])),
        (TypeError, "not on a text.*split_words", lambda: WordVocabulary("the kite")),
        (TypeError, "not on a text", lambda: VOCAB.encode("the kite")),
        (TypeError, "not on a text", lambda: WordVocabulary.from_sequences(["the kite"])),
        (ValueError, "Id 8 is outside.*from 0 to 7", lambda: VOCAB.decode([4, 8])),
        (ValueError, "Id -1 is outside", lambda: VOCAB.decode([-1])),
        (TypeError, "one sequence.*A batch", lambda: VOCAB.decode(torch.tensor([[4, 5]]))),
        (TypeError, "found 4.0", lambda: VOCAB.decode([4.0])),
        (ValueError, "nothing to pad", lambda: VOCAB.pad([])),
        (ValueError, "nothing to pad", lambda: VOCAB.pad([[]])),
    ],
)
def test_bad_input_is_named(error, message, call):
    with pytest.raises(error, match=message):
        call()
