"""The word vocabulary: fixed symbols, exact round trips, the same in transformers, clear refusals."""

import sys
import unicodedata

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from lessons_lib.text.town import Town
from lessons_lib.text.vocab import BEGIN, END, PAD, UNKNOWN, WordVocabulary
from lessons_lib.text.words import END as END_WORD
from lessons_lib.text.words import split_words
from tests.text.tokenizer_samples import any_text

VOCAB = WordVocabulary(["the", "red", "kite", "."])
HF = VOCAB.to_hf()


def test_the_symbols_come_first():
    assert (PAD, BEGIN, END, UNKNOWN) == (0, 1, 2, 3)
    assert VOCAB.words == ("<pad>", "<begin>", "<end>", "<unknown>", "the", "red", "kite", ".")
    assert len(VOCAB) == 8 and "red" in VOCAB and "blue" not in VOCAB
    assert len(WordVocabulary([])) == 4
    assert WordVocabulary(["a", END_WORD]).words == WordVocabulary(["a"]).words
    assert VOCAB.vocab_size == 8
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


# --- As transformers' tokenizer


@pytest.mark.parametrize("town", [Town.notes, Town], ids=["notes", "stories"])
def test_to_hf_gives_the_same_ids_and_saves_and_loads(tmp_path, town):
    stories, words = town().stories(300, seed=5), town().vocabulary()
    for vocab in (WordVocabulary(words), WordVocabulary(words[::2])):  # the second does not know half of the words
        vocab.to_hf().save_pretrained(tmp_path)
        for hf in (vocab.to_hf(), PreTrainedTokenizerFast.from_pretrained(tmp_path)):
            assert len(hf) == hf.vocab_size == len(vocab)
            for story in stories:
                ids = vocab.encode(story.words, begin=True, end=True)
                assert hf.encode(story.text) == ids[:-1]
                assert hf.encode(story.text, add_special_tokens=False) == ids[1:-1]
                assert tuple(hf.decode(ids).split()) == vocab.decode(ids)
                known = [word for word in vocab.decode(ids, skip_special=True) if word != "<unknown>"]
                assert hf.decode(ids, skip_special_tokens=True).split() == known


def test_the_symbols_of_to_hf():
    hf = WordVocabulary(["red", "kite", "<user>", "[MASK]"]).to_hf()
    symbols = (hf.pad_token_id, hf.bos_token_id, hf.eos_token_id, hf.unk_token_id, hf.mask_token_id)
    assert symbols == (PAD, BEGIN, END, UNKNOWN, 7)
    assert hf.encode("<user> red[MASK] <kite>", add_special_tokens=False) == [6, 4, 7, UNKNOWN, 5, UNKNOWN]
    assert hf.decode([BEGIN, 6, 4, 5, END, PAD], skip_special_tokens=True) == " red kite"
    assert hf(["red", "red kite"], padding=True)["input_ids"] == [[BEGIN, 4, PAD], [BEGIN, 4, 5]]
    assert hf("red", "kite")["input_ids"] == [BEGIN, 4, 5]
    assert HF.mask_token_id is None and HF.decode([]) == ""
    assert WordVocabulary(["<mask>"]).to_hf().mask_token_id == 4


def test_to_hf_cuts_a_text_at_every_character_as_split_words_does():
    """What is a letter or a space differs between regular expressions. Characters that Python does not know are out."""
    cut = HF.backend_tokenizer.pre_tokenizer.pre_tokenize_str
    for first in range(0, sys.maxunicode + 1, 256):
        known = (chr(i) for i in range(first, first + 256) if unicodedata.category(chr(i)) not in ("Cn", "Cs", "Co"))
        text = "".join(f"a{character}b " for character in known)
        assert tuple(piece for piece, _ in cut(text)) == split_words(text), hex(first)


@given(any_text)
def test_to_hf_cuts_any_text_as_split_words_does(text):
    cut = HF.backend_tokenizer.pre_tokenizer.pre_tokenize_str
    text = "".join(character for character in text if unicodedata.category(character) != "Cn")
    assert tuple(piece for piece, _ in cut(text)) == split_words(text)


# --- Bad input


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
        (ValueError, 'No text holds "l\'" as a word.*makes .* of it', lambda: WordVocabulary(["a", "l'"]).to_hf()),
        (ValueError, "No text holds 'New York'", lambda: WordVocabulary(["New York"]).to_hf()),
        (ValueError, r"No text holds ''.*makes \(\) of it", lambda: WordVocabulary([""]).to_hf()),
    ],
)
def test_bad_input_is_named(error, message, call):
    with pytest.raises(error, match=message):
        call()
