"""From a text to what a model trains on."""

import numpy as np
import pytest
import torch

from lessons_lib.text.corpora import Corpus
from lessons_lib.text.files import TextError
from lessons_lib.text.tokenizers import BPETokenizer
from lessons_lib.training import preparing
from lessons_lib.training.preparing import load_tokenizer, prepare, save_tokenizer, train_tokenizer, vocabulary_size

DOCUMENTS = tuple(
    f"The {a} bear saw a {b} kite in the park. It was {c} o'clock, naïve & 日本." * 3
    for a in ("old", "young", "red", "green") for b in ("blue", "small") for c in ("one", "two", "three")
)  # fmt: skip


@pytest.fixture(scope="module", params=["gpt", "bert"])
def material(request, tmp_path_factory):
    return prepare(request.param, Corpus("bears", DOCUMENTS, "made up"), tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize(
    ("characters", "size"), [(0, 512), (10**5, 512), (10**6, 2048), (10**7, 8192), (10**8, 16_384), (10**10, 16_384)]
)
def test_a_longer_text_has_more_tokens(characters, size):
    assert vocabulary_size(characters) == size


def test_tokenizers_have_the_tokens_that_training_needs_and_come_back_from_their_files(tmp_path):
    gpt, bert = (train_tokenizer(kind, DOCUMENTS) for kind in ("gpt", "bert"))
    assert gpt.vocabulary[-1] == "<|endoftext|>" and gpt.decode(gpt.encode(DOCUMENTS[0])) == DOCUMENTS[0]
    assert bert.vocabulary[:5] == ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]") and not bert.lowercase
    assert "[UNK]" not in bert.tokens(DOCUMENTS[0]) and "bear" in bert.vocabulary
    assert gpt.vocab_size <= 512 and bert.vocab_size <= 512
    for kind, tokenizer in (("gpt", gpt), ("bert", bert)):
        save_tokenizer(tokenizer, tmp_path)
        assert load_tokenizer(kind, tmp_path).vocabulary == tokenizer.vocabulary
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tokenizer.json", "vocab.txt"]


def test_a_long_text_is_sampled_evenly(monkeypatch):
    seen, real = [], BPETokenizer.train
    monkeypatch.setattr(preparing, "SAMPLE", sum(map(len, DOCUMENTS)) // 3 + 1)
    monkeypatch.setattr(BPETokenizer, "train", lambda text, *rest, **more: seen.extend(text) or real(text, 1, **more))
    train_tokenizer("gpt", DOCUMENTS)
    assert tuple(seen) == DOCUMENTS[::3]


def test_the_streams_are_the_documents_and_the_held_out_ones_are_others(material):
    end = material.end_id
    text = material.tokenizer.decode
    pieces = [np.split(ids, np.flatnonzero(ids == end)) for ids in (material.ids, material.held_out_ids)]
    training, held_out = ([text(piece[1:].tolist()) for piece in part if len(piece) > 1] for part in pieces)
    assert len(held_out) == len(material.held_out) == 1 and len(training) == len(DOCUMENTS) - 1
    assert not set(training) & set(held_out)
    if material.kind == "gpt":
        assert sorted(training + held_out) == sorted(DOCUMENTS) and held_out == list(material.held_out)
    assert material.ids.dtype == np.uint16 and isinstance(material.ids, np.memmap)


def test_batches_have_the_models_context_and_depend_on_the_step_alone(material):
    one, two = (material.batches(20, 3, seed=1) for _ in range(2))
    batch, again, other = one(4), two(4), one(5)
    if material.kind == "gpt":
        assert (
            batch.ids.shape == (3, 20) and torch.equal(batch.ids, again.ids) and not torch.equal(batch.ids, other.ids)
        )
        return
    assert batch.rows.ids.shape == batch.targets.shape == (3, 20)
    assert torch.equal(batch.rows.ids, again.rows.ids) and torch.equal(batch.targets, again.targets)
    whole = torch.where(batch.targets != 0, batch.targets, batch.rows.ids)
    assert (whole[:, 0] == material.id_of("[CLS]")).all() and (whole[:, -1] == material.end_id).all()
    special = [material.id_of(name) for name in material.tokenizer.special_tokens]
    assert not torch.isin(batch.targets[batch.targets != 0], torch.tensor(special)).any()


def test_evaluations_are_the_same_each_time_and_limited(material, monkeypatch):
    monkeypatch.setattr(preparing, "EVALUATED", 60)
    batches = material.batches(20, 3, seed=1)
    first, again = ([*batches.evaluation()] for _ in range(2))
    for one, two in zip(first, again, strict=True):
        assert torch.equal(one.targets, two.targets)
    assert sum(len(batch.targets) for batch in first) == 3


def test_bytes_of_tokens(material):
    if material.kind == "bert":
        return
    ids = material.tokenizer.encode(DOCUMENTS[0])
    assert int(material.token_bytes[ids].sum()) == len(DOCUMENTS[0].encode())
    assert material.token_bytes[material.end_id] == 0


def test_what_is_too_small(material, tmp_path):
    with pytest.raises(TextError, match="too short for rows of 5000 tokens.*give a longer text"):
        material.batches(5000, 3, seed=0)
    with pytest.raises(TextError, match="single document"):
        prepare("gpt", Corpus("one", ("a bear",), "made up"), tmp_path)
    assert list(tmp_path.iterdir()) == []
