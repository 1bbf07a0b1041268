"""Characters and bytes: round trips and clear errors, and the errors that all tokenizers share."""

import numpy as np
import pytest
from hypothesis import given

from lessons_lib.text.tokenizers import BPETokenizer, ByteTokenizer, CharTokenizer, WordPieceTokenizer
from tests.text.tokenizer_samples import any_text

TOKENIZERS = (CharTokenizer.train("ab"), ByteTokenizer(), BPETokenizer(), WordPieceTokenizer(["[UNK]", "a"]))


@given(any_text)
def test_any_text_comes_back_from_bytes(text):
    tokenizer = ByteTokenizer()
    ids = tokenizer.encode(text)
    assert bytes(ids) == text.encode("utf-8")
    assert tokenizer.decode(ids) == text
    assert tokenizer.tokens(text) == [f"0x{i:02X}" for i in ids]


@given(any_text.filter(bool))
def test_any_text_comes_back_from_its_own_characters(text):
    tokenizer = CharTokenizer.train(text)
    assert tokenizer.vocabulary == tuple(sorted(set(text)))
    assert tokenizer.vocab_size == len(set(text))
    assert tokenizer.tokens(text) == list(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_char_ids_follow_the_alphabet():
    tokenizer = CharTokenizer.train(["cab", "", "zebra"])
    assert tokenizer.vocabulary == ("a", "b", "c", "e", "r", "z")
    assert tokenizer.encode("zac") == [5, 0, 2]
    assert CharTokenizer(tokenizer.vocabulary).encode("zac") == [5, 0, 2]


def test_a_character_outside_the_alphabet_is_named():
    with pytest.raises(ValueError, match=r"'x' \(U\+0078\) at place 2 .* alphabet of 2 characters"):
        CharTokenizer.train("ab").encode("abx")


@pytest.mark.parametrize("vocabulary", [[], ["a", "bc"], ["a", ""], ["a", "a"]])
def test_an_alphabet_is_distinct_characters(vocabulary):
    with pytest.raises(ValueError, match="vocabulary"):
        CharTokenizer(vocabulary)


def test_bytes_that_are_not_utf8_are_replaced():
    assert ByteTokenizer().decode([0x41, 0xFF, 0x42]) == "A\ufffdB"
    assert ByteTokenizer().decode("é".encode()[:1]) == "\ufffd"


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=lambda t: type(t).__name__)
def test_every_tokenizer_refuses_what_is_no_text(tokenizer):
    with pytest.raises(ValueError, match=r"Character 1 of the text is U\+D800, half of a surrogate pair"):
        tokenizer.encode("a\ud800")
    for wrong in (b"a", None, 3, ["a"]):
        with pytest.raises(TypeError, match="needs a text"):
            tokenizer.encode(wrong)
    assert tokenizer.encode("") == []
    assert tokenizer.tokens("") == []
    assert tokenizer.decode([]) == ""


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=lambda t: type(t).__name__)
def test_every_tokenizer_refuses_ids_that_are_not_its_own(tokenizer):
    for wrong in (tokenizer.vocab_size, -1):
        with pytest.raises(ValueError, match=rf"Id {wrong} at place 1 .* from 0 to {tokenizer.vocab_size - 1}"):
            tokenizer.decode([0, wrong])
    for wrong in (1.0, "0", True, None):
        with pytest.raises(TypeError, match="whole numbers"):
            tokenizer.decode([wrong])
    assert tokenizer.decode(np.array([0, 0])) == tokenizer.decode([0, 0])
    assert len(tokenizer.vocabulary) == tokenizer.vocab_size


@pytest.mark.parametrize("train", [CharTokenizer.train, lambda text: BPETokenizer.train(text, 3)])
def test_there_is_nothing_to_learn_from_an_empty_text(train):
    for empty in ("", [], ["", ""]):
        with pytest.raises(ValueError, match="training text is empty"):
            train(empty)
    with pytest.raises(TypeError, match="needs a text"):
        train([b"bytes"])
