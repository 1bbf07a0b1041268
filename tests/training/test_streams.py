"""Streams: what windows they give, that every token is asked for once, and that a kept file is the same text."""

import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lessons_lib.text.tokenizers import BPETokenizer
from lessons_lib.text.vocab import IGNORE
from lessons_lib.training.streams import TokenStream, kept_stream, make_stream

unchecked = pytest.mark.usefixtures("unchecked")


def test_a_stream_has_an_end_before_between_and_behind():
    stream = make_stream([[5, 6], [], [7]], 1, vocab_size=9)
    assert stream.tolist() == [1, 5, 6, 1, 1, 7, 1] and stream.dtype == np.uint16


@pytest.mark.parametrize(("vocab_size", "kind"), [(2**16, np.uint16), (2**16 + 1, np.uint32)])
def test_it_is_as_small_as_its_ids_allow(vocab_size, kind):
    stream = make_stream([[vocab_size - 1]], 0, vocab_size=vocab_size)
    assert stream.dtype == kind and stream.tolist() == [0, vocab_size - 1, 0]


@pytest.mark.parametrize(
    ("documents", "word"), [([], "no text"), ([[], []], "no text"), ([[9]], "0 to 8"), ([[3], [-1]], "0 to 8")]
)
def test_what_is_no_stream(documents, word):
    with pytest.raises(ValueError, match=word):
        make_stream(documents, 1, vocab_size=9)


def test_a_batch_depends_on_seed_and_step_alone_and_is_made_of_windows():
    ids = np.arange(200, dtype=np.uint16)
    batch, again = (TokenStream(ids, 8, seed=3).batch(5, 4) for _ in range(2))
    assert batch.ids.shape == (4, 8) and batch.ids.dtype == torch.int64
    assert torch.equal(batch.ids, again.ids) and torch.equal(batch.targets, batch.ids + 1)
    assert torch.equal(batch.ids - batch.ids[:, :1], torch.arange(8).expand(4, 8))
    assert batch.mask is None and batch.places is None
    assert not torch.equal(batch.ids, TokenStream(ids, 8, seed=3).batch(6, 4).ids)
    assert not torch.equal(batch.ids, TokenStream(ids, 8, seed=4).batch(5, 4).ids)


def test_windows_begin_anywhere_also_at_the_very_ends():
    stream = TokenStream(range(12), 8)
    assert set(stream.batch(0, 400).ids[:, 0].tolist()) == {0, 1, 2, 3}


@settings(max_examples=60, deadline=None)
@given(st.integers(9, 60), st.integers(1, 8), st.integers(1, 5))
def test_an_evaluation_asks_for_every_token_but_the_first_once(length, context_length, size):
    stream = TokenStream(range(length), context_length)
    asked = []
    for batch in stream.evaluation(size):
        assert batch.ids.shape[1] == context_length and len(batch.ids) <= size
        counts = batch.targets != IGNORE
        assert torch.equal(batch.targets[counts], batch.ids[counts] + 1)
        asked += batch.targets[counts].tolist()
    assert asked == list(range(1, length))


def test_an_evaluation_of_some_windows_spreads_them():
    batches = list(TokenStream(range(1000), 10).evaluation(2, limit=5))
    assert [batch.ids[:, 0].tolist() for batch in batches] == [[0, 250], [500, 740], [989]]
    assert len(list(TokenStream(range(21), 10).evaluation(1, limit=99))) == 2


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: TokenStream(range(8), 8), "has 8 ids, and a row takes 9"),
        (lambda: TokenStream([], 8), "has 0 ids"),
        (lambda: TokenStream(np.zeros((3, 9), dtype=int), 2), r"shape \(3, 9\)"),
        (lambda: TokenStream(np.zeros(9), 2), "float64"),
        (lambda: TokenStream(range(9), 0), "context_length must be"),
        (lambda: TokenStream(range(9), 2).batch(0, 0), "size must be"),
        (lambda: next(TokenStream(range(9), 2).evaluation(0)), "size must be"),
    ],
)
@unchecked
def test_bad_input_is_named(make, word):
    with pytest.raises(ValueError, match=word):
        make()


# --- kept in a file

DOCUMENTS = ("a kite in the park", "the old bear", "ein Bär")


class Counting:
    """A tokenizer that counts the documents it has encoded."""

    def __init__(self, merges=5):
        self.real, self.encoded = BPETokenizer.train("a kite in the park", merges, special_tokens=["<end>"]), 0
        self.vocabulary, self.vocab_size = self.real.vocabulary, self.real.vocab_size

    def encode(self, text):
        self.encoded += 1
        return self.real.encode(text)


def test_a_kept_stream_is_made_once_and_read_from_its_file(tmp_path):
    tokenizer = Counting()
    end_id = tokenizer.vocab_size - 1
    first, again = (kept_stream(DOCUMENTS, tokenizer, end_id, tmp_path / "new") for _ in range(2))
    assert tokenizer.encoded == len(DOCUMENTS)
    assert isinstance(again, np.memmap) and again.dtype == np.uint16
    assert np.array_equal(first, make_stream(map(tokenizer.encode, DOCUMENTS), end_id, vocab_size=end_id + 1))
    whole = TokenStream(again, 8).batch(0, 3)
    assert torch.equal(whole.ids, TokenStream(np.array(first), 8).batch(0, 3).ids)


@pytest.mark.parametrize(
    ("documents", "merges", "end_id"), [(DOCUMENTS[:2], 5, 0), (DOCUMENTS, 4, 0), (DOCUMENTS, 5, 1), (("a", "b"), 5, 0)]
)
def test_another_text_or_tokenizer_has_another_file(tmp_path, documents, merges, end_id):
    kept_stream(DOCUMENTS, Counting(), 0, tmp_path)
    kept_stream(documents, Counting(merges), end_id, tmp_path)
    assert len(list(tmp_path.glob("stream-*.npy"))) == 2


def test_documents_are_told_apart_from_their_sum(tmp_path):
    for documents in (("ab", "c"), ("a", "bc")):
        kept_stream(documents, Counting(), 0, tmp_path)
    assert len(list(tmp_path.glob("stream-*.npy"))) == 2


def test_a_run_that_died_while_writing_leaves_no_stream(tmp_path, monkeypatch):
    def dies(out, stream):
        out.write(b"half")
        raise OSError("No space left on device")

    tokenizer = Counting()
    with monkeypatch.context() as patch:
        patch.setattr(np, "save", dies)
        with pytest.raises(OSError, match="No space left"):
            kept_stream(DOCUMENTS, tokenizer, 0, tmp_path)
    assert not list(tmp_path.glob("*.npy"))
    assert len(kept_stream(DOCUMENTS, tokenizer, 0, tmp_path)) > 10


def test_two_at_once_make_it_once(tmp_path):
    tokenizer, found = Counting(), []
    threads = [
        threading.Thread(target=lambda: found.append(kept_stream(DOCUMENTS, tokenizer, 0, tmp_path))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tokenizer.encoded == len(DOCUMENTS) and np.array_equal(*found)
