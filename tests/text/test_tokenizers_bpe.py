"""Byte-level BPE: the same merges and ids as Hugging Face's, any text comes back, and bad input is refused."""

import json
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Tokenizer, PreTrainedTokenizerFast

from lessons_lib.assets import fetch
from lessons_lib.text.tokenizers import BPETokenizer, pre_tokenize
from lessons_lib.text.tokenizers.bpe import END_OF_TEXT, GPT2_PATTERN, apply_merges, from_printable, printable_bytes
from tests.text.tokenizer_samples import any_text, interface_messages, king_james, python_docs, sentences, settled_text


def hugging_face(texts: list[str], vocab_size: int) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def merges_of(tokenizer: Tokenizer) -> list[tuple[str, str]]:
    return [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]


TEXTS = {
    "python": lambda: [python_docs()],
    "king james": lambda: [king_james()[:1_000_000]],
    "french": lambda: list(interface_messages("fr")),
    "chinese": lambda: list(interface_messages("zh")),
    "one letter": lambda: ["a" * 1000],
    "all ties": lambda: ["abcdefghijklmnopqrstuvwxyz zyxwvutsrqponmlkjihgfedcba"],
}


@pytest.mark.parametrize("n_merges", [0, 1, 50, 1000, 3000])
@pytest.mark.parametrize("name", TEXTS)
def test_merges_and_ids_are_those_of_hugging_face(name, n_merges):
    texts = TEXTS[name]()
    theirs = hugging_face(texts, 256 + n_merges)
    ours = BPETokenizer.train(texts, n_merges)
    assert list(ours.merges) == merges_of(theirs)
    assert dict(zip(ours.vocabulary, range(ours.vocab_size), strict=True)) == theirs.get_vocab()
    sample = "".join(texts)[:50_000] + " Something else: naïve 中文 🙂 1234567 x²\n\n\t end  "
    assert ours.encode(sample) == theirs.encode(sample).ids
    assert ours.decode(ours.encode(sample)) == sample


def test_ties_are_broken_as_hugging_face_breaks_them():
    """Small alphabets make nearly every count a tie, and runs of one letter make overlapping pairs."""
    rng = random.Random(0)
    for _ in range(400):
        alphabet = rng.choice(["ab", "abc", "ab ", "abcd  ", "aAé中 ", "a"])
        text = "".join(rng.choices(alphabet, k=rng.randint(1, rng.choice([10, 60, 400]))))
        n_merges = rng.randint(0, 60)
        ours, theirs = BPETokenizer.train(text, n_merges), hugging_face([text], 256 + n_merges)
        assert list(ours.merges) == merges_of(theirs), text
        sample = "".join(rng.choices(alphabet + "xy", k=50))
        assert ours.encode(sample) == theirs.encode(sample).ids, (text, sample)


def test_among_equals_the_smaller_ids_come_first():
    assert BPETokenizer.train("ba\nca", 1).merges == (("b", "a"),)
    assert BPETokenizer.train("ca\nba", 1).merges == (("b", "a"),)
    assert BPETokenizer.train("ac\nab", 1).merges == (("a", "b"),)


def test_a_megabyte_takes_seconds():
    text = king_james()[:1_000_000]
    begin = time.perf_counter()
    assert len(BPETokenizer.train(text, 1000).merges) == 1000
    assert time.perf_counter() - begin < 20


@pytest.mark.parametrize("word", ["a" * 100_000, "ab" * 50_000, "中文" * 20_000, " " * 100_000, "a " * 50_000])
def test_a_text_of_one_word_is_no_trap(word):
    begin = time.perf_counter()
    tokenizer = BPETokenizer.train([word[:3000], python_docs()[:20_000]], 100)
    assert tokenizer.decode(tokenizer.encode(word)) == word
    assert time.perf_counter() - begin < 20


def test_training_stops_when_there_is_no_pair_left():
    tokenizer = BPETokenizer.train("aaab", 100)
    assert tokenizer.merges == (("a", "a"), ("a", "b"), ("aa", "ab"))
    assert tokenizer.vocabulary[256:] == ("aa", "ab", "aaab")
    assert BPETokenizer.train("x", 5).merges == ()


def test_no_merge_crosses_a_word_or_a_document():
    words = {token.lstrip("Ġ") for token in BPETokenizer.train("the cat. the cat.", 99).vocabulary[256:]}
    assert words <= {"", "t", "th", "he", "the", "c", "ca", "at", "cat", "hecat"}
    assert BPETokenizer.train(["a", "b"] * 5, 9).merges == ()


@pytest.mark.parametrize("wrong", [-1, 1.5, "3", None, True])
def test_the_number_of_merges_is_a_whole_number(wrong):
    with pytest.raises(ValueError, match="n_merges must be a whole number, 0 or more"):
        BPETokenizer.train("text", wrong)


LEARNED = BPETokenizer.train(python_docs()[:100_000], 300, special_tokens=[END_OF_TEXT, "<|end|>", "<|end|>+"])


@given(any_text)
def test_any_text_comes_back(text):
    assert LEARNED.decode(LEARNED.encode(text)) == text
    assert b"".join(LEARNED.pieces(text)) == text.encode("utf-8")
    assert "".join(pre_tokenize(text)) == text


@given(settled_text)
def test_any_text_is_encoded_as_hugging_face_does(text):
    assert LEARNED.encode(text) == HF.encode(text, add_special_tokens=False)


HF = LEARNED.to_hf()


@settings(max_examples=50)
@given(st.lists(st.one_of(st.sampled_from(["<|end|>", END_OF_TEXT, "<|end|>+", "<|", " "]), settled_text), max_size=6))
def test_special_tokens_are_found_as_hugging_face_finds_them(parts):
    text = "".join(parts)
    assert LEARNED.encode(text) == HF.encode(text, add_special_tokens=False)
    assert LEARNED.decode(LEARNED.encode(text)) == text == HF.decode(HF.encode(text))


@given(st.lists(st.integers(0, LEARNED.vocab_size - 4), max_size=30))
def test_any_ids_are_decoded_as_hugging_face_does(ids):
    assert LEARNED.decode(ids) == HF.decode(ids)


def test_special_tokens_come_last_and_are_never_split():
    assert LEARNED.vocabulary[-3:] == (END_OF_TEXT, "<|end|>", "<|end|>+")
    end = LEARNED.vocab_size - 3
    assert LEARNED.encode(f"a{END_OF_TEXT}b") == [*LEARNED.encode("a"), end, *LEARNED.encode("b")]
    assert BPETokenizer().encode(END_OF_TEXT) == BPETokenizer().encode("<|") + BPETokenizer().encode("endoftext|>")


def test_the_hugging_face_form_saves_and_loads(tmp_path):
    HF.save_pretrained(tmp_path)
    again = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    text = f"def f(x): return x{END_OF_TEXT}  中文 naïve<|end|>"
    assert again.encode(text) == LEARNED.encode(text)
    assert again.eos_token == again.pad_token == END_OF_TEXT
    assert len(again) == LEARNED.vocab_size


def test_save_and_load(tmp_path):
    LEARNED.save(tmp_path / "bpe.json")
    again = BPETokenizer.load(tmp_path / "bpe.json")
    assert (again.merges, again.vocabulary) == (LEARNED.merges, LEARNED.vocabulary)
    (tmp_path / "other.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ValueError, match=r"other\.json is not a tokenizer saved by"):
        BPETokenizer.load(tmp_path / "other.json")
    (tmp_path / "cut.json").write_text((tmp_path / "bpe.json").read_text(encoding="utf-8")[:50], encoding="utf-8")
    with pytest.raises(ValueError, match=r"cut\.json is not JSON"):
        BPETokenizer.load(tmp_path / "cut.json")


def test_truncated_is_a_shorter_training():
    text = python_docs()[:50_000]
    long = BPETokenizer.train(text, 200)
    for n in (0, 1, 77, 200):
        assert long.truncated(n).merges == BPETokenizer.train(text, n).merges
    for wrong in (-1, 201):
        with pytest.raises(ValueError, match="from 0 to 200"):
            long.truncated(wrong)


def test_bad_merges_and_special_tokens_are_refused():
    with pytest.raises(ValueError, match="Merge 0 joins 'ab' and 'c'"):
        BPETokenizer([("ab", "c")])
    with pytest.raises(ValueError, match="ordinary token"):
        BPETokenizer([("a", "b")], special_tokens=["ab"])
    for wrong in (["x", "x"], [""], [3]):
        with pytest.raises(ValueError, match="Special tokens must be different"):
            BPETokenizer(special_tokens=wrong)
    with pytest.raises(ValueError, match="byte alphabet"):
        from_printable("a b")


def test_the_byte_alphabet_is_hugging_faces():
    assert set(printable_bytes().values()) == set(pre_tokenizers.ByteLevel.alphabet())
    assert from_printable("Ġthe") == b" the"


def test_gpt2s_own_tokenizer():
    folder = fetch("gpt2-bpe", progress=False)
    ours = BPETokenizer.from_gpt2(folder)
    assert ours.vocab_size == 50_257
    assert ours.encode("Hello world") == [15496, 995]
    vocabulary = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
    theirs = GPT2Tokenizer(vocab=vocabulary, merges=list(ours.merges))
    for text in (*sentences(2000), "".join(interface_messages("zh"))):
        assert ours.encode(text) == theirs.encode(text), text
        assert ours.decode(ours.encode(text)) == text


def test_damaged_gpt2_files_are_reported(tmp_path):
    (tmp_path / "vocab.bpe").write_text("#version: 0.2\na b\n", encoding="utf-8")
    (tmp_path / "encoder.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match="do not belong together"):
        BPETokenizer.from_gpt2(tmp_path)


def test_apply_merges_takes_the_lowest_rank_then_the_leftmost():
    a, b, ab, ba, aa = range(5)
    assert apply_merges([a, b, a], {(b, a): (0, ba), (a, b): (1, ab)}) == [a, ba]
    assert apply_merges([a, a, a], {(a, a): (0, aa)}) == [aa, a]
    assert apply_merges([], {}) == []
    assert apply_merges([a], {(a, a): (0, aa)}) == [a]


def test_the_pattern_cuts_as_gpt2_does():
    assert pre_tokenize("It's 3 o'clock,  isn't it?\n") == [
        *("It", "'s", " 3", " o", "'", "clock", ",", " ", " isn", "'t", " it", "?", "\n")
    ]
    assert GPT2_PATTERN.pattern.startswith("'s|'t|")
