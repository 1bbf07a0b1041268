"""Packing for GPT: whole documents share rows, and the loss is that of each alone."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lessons_lib.models.gpt import GPT, GPTConfig
from lessons_lib.text.vocab import IGNORE
from lessons_lib.training import causal_lm_loss, next_tokens
from lessons_lib.training.packing import first_fit, padded
from lessons_lib.training.streams import packed_documents

END = 1
documents_strategy = st.lists(st.lists(st.integers(2, 29), max_size=9), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(documents_strategy, st.integers(10, 25))
def test_every_document_is_asked_for_once_and_whole(documents, length):
    batch = packed_documents(documents, END, length)
    assert all(part.shape[:2] == (len(batch.ids), length) for part in batch)
    found = []
    for ids, targets, mask, places in zip(*(part.tolist() for part in batch), strict=True):
        asked = [i for i, target in enumerate(targets) if target != IGNORE]
        assert asked == list(range(len(asked)))  # the padding stands behind
        for start in [i for i in asked if places[i] == 0]:
            end = targets.index(END, start) + 1
            found.append(ids[start + 1 : end])
            assert ids[start] == END and targets[start:end] == [*ids[start + 1 : end], END]
            assert places[start:end] == list(range(end - start))
            assert all(mask[i] == [start <= j < end for j in range(length)] for i in range(start, end))
    assert sorted(found) == sorted(documents)
    assert (batch.targets != IGNORE).sum() == sum(len(document) + 1 for document in documents)


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_packed_documents_have_the_loss_and_gradient_of_the_documents_alone(positions):
    torch.manual_seed(0)
    documents = [[5, 6, 7], [8, 9], [4] * 9, [3, 2, 7, 11], []]
    model = GPT(GPTConfig(12, 16, d_model=16, n_layers=2, n_heads=2, dropout=0.0, positions=positions)).double()
    batch = packed_documents(documents, END, 16)
    assert len(batch.ids) == 2
    found, n_tokens = causal_lm_loss(model, batch)
    found.backward()
    packed = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    rows = padded([[END, *document, END, *[0] * (9 - len(document))] for document in documents])
    alone, n_alone = causal_lm_loss(model, next_tokens(rows))
    alone.backward()
    assert n_tokens == n_alone == sum(map(len, documents)) + len(documents)
    torch.testing.assert_close(found, alone, rtol=1e-9, atol=1e-9)
    for one, two in zip(packed, model.parameters(), strict=True):
        torch.testing.assert_close(one, two.grad, rtol=1e-7, atol=1e-10)


def test_first_fit_by_hand():
    packed = first_fit([[7], [8, 9, 10], [11, 12], [13]], 4)
    assert packed.ids.tolist() == [[8, 9, 10, 7], [11, 12, 13, 0]]
    assert packed.places.tolist() == [[0, 1, 2, 0], [0, 1, 0, 0]]
    assert packed.owner.tolist() == [[1, 1, 1, 2], [1, 1, 2, 0]]


@pytest.mark.parametrize(
    ("documents", "length", "word"),
    [
        ([[2] * 8], 8, "A text of 9 ids, with the end token before it, does not fit into 8. Cut it"),
        ([], 8, "There is no text"),
        ([[2]], 0, "length must be a whole number"),
    ],
)
def test_what_cannot_be_packed(documents, length, word):
    with pytest.raises(ValueError, match=word):
        packed_documents(documents, END, length)
