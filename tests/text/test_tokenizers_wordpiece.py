"""WordPiece: the same ids as transformers' BertTokenizer with BERT's real vocabulary, on real text and on any text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertTokenizer, PreTrainedTokenizerFast

from lessons_lib.assets import fetch
from lessons_lib.text.tokenizers import WordPieceTokenizer, longest_match
from lessons_lib.text.tokenizers.wordpiece import SPECIAL_TOKENS, is_ideograph, normalize
from tests.text.tokenizer_samples import SETTLED, sentences, settled_text

VOCABULARY = fetch("minilm", progress=False) / "vocab.txt"
OURS, THEIRS = WordPieceTokenizer.from_file(VOCABULARY), BertTokenizer(vocab=str(VOCABULARY))
HF = OURS.to_hf()
CASED = WordPieceTokenizer.from_file(VOCABULARY, lowercase=False)
CASED_THEIRS = BertTokenizer(vocab=str(VOCABULARY), do_lower_case=False)


def test_ten_thousand_sentences_are_encoded_as_bert_does():
    texts = sentences(10_000)
    assert len(texts) == 10_000
    expected = THEIRS(list(texts), add_special_tokens=True)["input_ids"]
    different = [
        text for text, ids in zip(texts, expected, strict=True) if OURS.encode(text, add_special_tokens=True) != ids
    ]
    assert different == []


@settings(max_examples=300)
@given(settled_text)
def test_any_text_is_encoded_as_bert_does(text):
    assert OURS.encode(text) == THEIRS.encode(text, add_special_tokens=False)
    assert CASED.encode(text) == CASED_THEIRS.encode(text, add_special_tokens=False)


def test_every_settled_character_is_treated_as_bert_does():
    texts = [f"a{character}B{character}" for character in SETTLED if ord(character) < 0x20000]
    expected = THEIRS(texts, add_special_tokens=False)["input_ids"]
    assert [text for text, ids in zip(texts, expected, strict=True) if OURS.encode(text) != ids] == []


@given(st.lists(st.one_of(st.sampled_from([*SPECIAL_TOKENS, "[mask]", "[", "un", " "]), settled_text), max_size=6))
def test_special_tokens_are_found_as_bert_finds_them(parts):
    text = "".join(parts)
    assert OURS.encode(text, add_special_tokens=True) == THEIRS.encode(text)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Tokenization!", ["token", "##ization", "!"]),
        ("Café NAÏVE", ["cafe", "naive"]),
        ("我爱language", ["我", "[UNK]", "language"]),
        ("a\x00b\u200bc\ufffd", ["abc"]),
        ("x\u00a0y\u3000z\n", ["x", "y", "z"]),
        ("ΣΑΣ", ["σ", "##α", "##σ"]),
        ("$5.00", ["$", "5", ".", "00"]),
        ("[MASK]ed", ["[MASK]", "ed"]),
        ("x" * 100, None),
        ("x" * 101, ["[UNK]"]),
        ("a" * 60 + "." + "a" * 60, None),
        ("🙂", ["[UNK]"]),
        ("", []),
        (" \t", []),
    ],
)
def test_examples(text, tokens):
    assert OURS.tokens(text) == THEIRS.tokenize(text)
    assert tokens is None or OURS.tokens(text) == tokens


def test_longest_match_is_greedy():
    vocabulary = {"[UNK]", "un", "una", "##aff", "##ff", "##able", "##a", "##ble"}
    assert longest_match("unaffable", vocabulary) == ["una", "##ff", "##able"]
    assert longest_match("unaffx", vocabulary) == ["[UNK]"]
    assert longest_match("ff", vocabulary) == ["[UNK]"]
    assert longest_match("", vocabulary) == []


def test_decode_joins_the_pieces_and_cannot_bring_back_what_was_dropped():
    assert OURS.decode(OURS.encode("Tokenization, naïve!")) == "tokenization , naive !"
    for text in sentences(200):
        assert OURS.decode(OURS.encode(text)) == HF.decode(OURS.encode(text))


def test_to_hf_gives_the_same_ids_and_saves_and_loads(tmp_path):
    HF.save_pretrained(tmp_path)
    again = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    for tokenizer in (HF, again):
        for text in (*sentences(400), "[CLS] 中文[MASK] naïve"):
            assert tokenizer.encode(text) == OURS.encode(text, add_special_tokens=True), text
            assert tokenizer.encode(text, add_special_tokens=False) == OURS.encode(text)
        assert tokenizer.mask_token_id == OURS.vocabulary.index("[MASK]")
        assert tokenizer.decode(OURS.encode("A test, again.")) == OURS.decode(OURS.encode("A test, again."))
    pair = again("first", "second text")
    assert pair["token_type_ids"] == THEIRS("first", "second text")["token_type_ids"]
    assert pair["input_ids"] == THEIRS("first", "second text")["input_ids"]


def test_to_hf_of_a_small_cased_vocabulary():
    ours = WordPieceTokenizer(["[UNK]", "A", "a", "##b"], lowercase=False)
    assert ours.tokens("Ab aB ab") == ["A", "##b", "[UNK]", "a", "##b"]
    assert ours.to_hf().encode("Ab aB ab") == ours.encode("Ab aB ab")


def test_bad_vocabularies_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no \"\[UNK\]\""):
        WordPieceTokenizer(["a", "b"])
    for wrong in (["[UNK]", "a", "a"], ["[UNK]", ""], ["[UNK]", 3]):
        with pytest.raises(ValueError, match="different, non-empty strings"):
            WordPieceTokenizer(wrong)
    with pytest.raises(TypeError, match="from_file"):
        WordPieceTokenizer("vocab.txt")
    with pytest.raises(ValueError, match=r"no \[CLS\]"):
        WordPieceTokenizer(["[UNK]", "a"]).encode("a", add_special_tokens=True)


def test_ideographs_and_normalisation():
    assert [is_ideograph(c) for c in "中a㐀あ한\U00020000"] == [True, False, True, False, False, True]
    assert normalize("Å中\r\n", lowercase=True) == "a 中   "
    assert normalize("Å", lowercase=False) == "Å"
