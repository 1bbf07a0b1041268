"""Exercise of lesson 05: attention as a whole."""

import math

import torch

from lessons_lib.exercises._attention_scores import drawn
from lessons_lib.exercises.engine import Exercise


def attend(q, k, v, mask):
    """Scaled dot-product attention: each query's weighted average of the values.

    A query that may look nowhere gets zeros.

    q: a tensor of shape (batch, queries, d_head)
    k: a tensor of shape (batch, keys, d_head)
    v: a tensor of shape (batch, keys, d_value)
    mask: truth values, shape (batch, queries, keys) or (batch, 1, keys); True = may look
    returns: a tensor of shape (batch, queries, d_value)
    """
    scores = q @ k.mT / math.sqrt(q.shape[2])
    weights = scores.masked_fill(~mask, -torch.inf).softmax(dim=2)
    return weights.masked_fill(~mask, 0.0) @ v


def _scaled(q, k):
    return q @ k.transpose(1, 2) / math.sqrt(q.shape[2])


def _safe(weights):
    return torch.nan_to_num(weights)


def _over_queries(q, k, v, mask):
    return _safe(_scaled(q, k).masked_fill(~mask, -torch.inf).softmax(dim=1)) @ v


def _over_batch(q, k, v, mask):
    return _safe(_scaled(q, k).masked_fill(~mask, -torch.inf).softmax(dim=0)) @ v


def _after(q, k, v, mask):
    return _scaled(q, k).softmax(dim=2).masked_fill(~mask, 0.0) @ v


def _zero_scores(q, k, v, mask):
    return _scaled(q, k).masked_fill(~mask, 0.0).softmax(dim=2) @ v


def _no_mask(q, k, v, mask):
    return _scaled(q, k).softmax(dim=2) @ v


def _other_way(q, k, v, mask):
    return _safe(_scaled(q, k).masked_fill(mask, -torch.inf).softmax(dim=2)) @ v


def _no_root(q, k, v, mask):
    return _safe((q @ k.transpose(1, 2)).masked_fill(~mask, -torch.inf).softmax(dim=2)) @ v


def _d_not_root(q, k, v, mask):
    return _safe((q @ k.transpose(1, 2) / q.shape[2]).masked_fill(~mask, -torch.inf).softmax(dim=2)) @ v


def _root_of(axis_of):
    def wrong(q, k, v, mask):
        scores = q @ k.transpose(1, 2) / math.sqrt(axis_of(q, k, v))
        return _safe(scores.masked_fill(~mask, -torch.inf).softmax(dim=2)) @ v

    return wrong


def _no_softmax(q, k, v, mask):
    return _scaled(q, k).masked_fill(~mask, 0.0) @ v


def _nan_row(q, k, v, mask):
    return _scaled(q, k).masked_fill(~mask, -torch.inf).softmax(dim=2) @ v


def _large_number(q, k, v, mask):
    return _scaled(q, k).masked_fill(~mask, -1e9).softmax(dim=2) @ v


def _raw_exp(q, k, v, mask):
    weights = _scaled(q, k).exp() * mask
    return _safe(weights / weights.sum(dim=2, keepdim=True)) @ v


def _weights(q, k, v, mask):
    return _safe(_scaled(q, k).masked_fill(~mask, -torch.inf).softmax(dim=2))


def _causal(batch, n):
    return torch.ones(n, n, dtype=torch.bool).tril().expand(batch, n, n)


def _attend_inputs(rng):
    two = torch.tensor([[[2.0, 0.0], [0.0, 2.0]]])
    yield (two, two, torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]), _causal(1, 2))
    for batch, n, d_head, d_value in ((1, 3, 4, 2), (2, 4, 9, 3), (3, 3, 3, 3)):
        q, k, v = drawn(rng, batch, n, d_head), drawn(rng, batch, n, d_head), drawn(rng, batch, n, d_value)
        yield (2 * q, 2 * k, v, _causal(batch, n))
    for batch, queries, keys, d_head, d_value in ((2, 2, 5, 4, 3), (3, 5, 4, 6, 2)):
        real = torch.arange(keys) < torch.tensor(rng.integers(1, keys + 1, (batch, 1)))
        q, k, v = drawn(rng, batch, queries, d_head), drawn(rng, batch, keys, d_head), drawn(rng, batch, keys, d_value)
        yield (2 * q, 2 * k, v, real[:, None, :])
    nowhere = torch.tensor([[[True, False, True], [False, False, False]]])
    yield (drawn(rng, 1, 2, 4), drawn(rng, 1, 3, 4), drawn(rng, 1, 3, 2), nowhere)
    yield (40 * drawn(rng, 1, 3, 4), 40 * drawn(rng, 1, 3, 4), drawn(rng, 1, 3, 2), _causal(1, 3))


def _past_stays(f):
    generator = torch.Generator().manual_seed(1)
    q, k, v = (torch.randn(2, 6, 8, generator=generator) for _ in range(3))
    before = f(q, k, v, _causal(2, 6))
    k[:, 4:], v[:, 4:] = 9.0, -9.0
    return torch.allclose(before[:, :4], f(q, k, v, _causal(2, 6))[:, :4], atol=1e-6)


ATTEND = Exercise(
    id="attention.attend",
    title="Attention",
    minutes=12,
    difficulty=3,
    reference=attend,
    inputs=_attend_inputs,
    mistakes={
        "Your softmax runs over the queries, so the columns sum to 1. A query shares out its attention over the "
        "keys: the last axis.": _over_queries,
        "Your softmax runs over the batch. Texts must not mix: the keys are the last axis.": _over_batch,
        "You masked after the softmax. The weights left do not sum to 1, and what was hidden still counts in the "
        "sum below the line.": _after,
        "You gave hidden words the score 0, or multiplied by the mask, which does the same. exp(0) is 1, so they "
        "still get weight. They need −∞.": _zero_scores,
        "The mask does nothing yet.": _no_mask,
        "Your mask is the wrong way round: True = may look. Fill where it is False, `~mask`.": _other_way,
        "The scores are not divided by √d_head.": _no_root,
        "You divided by d_head. It is its square root.": _d_not_root,
        "You divided by the square root of the number of keys. It is d_head, the last axis of q.": _root_of(
            lambda q, k, v: k.shape[1]
        ),
        "You divided by the square root of the width of v. It is d_head, the last axis of q: the sum runs there.": (
            _root_of(lambda q, k, v: v.shape[2])
        ),
        "There is no softmax: the weights must be positive and sum to 1.": _no_softmax,
        "A query that may look nowhere gets NaN: its softmax is 0 divided by 0. Put zeros there.": _nan_row,
        "A large negative number in place of −∞ lets a query that may look nowhere look everywhere. Put zeros "
        "there.": _large_number,
        "exp of a large score is infinite. Subtract the largest score of the row first, or use softmax.": _raw_exp,
        "Those are the weights. Multiply them by v, to get the average of the values.": _weights,
    },
    properties=[("gives the past the same result whatever the future holds", _past_stays)],
    hints=(
        "Five steps, in this order: dot products (`k.mT` swaps the last two axes of k), ÷ √d_head, mask, softmax, "
        "times v.",
        "Hidden scores become −∞ *before* the softmax, with `masked_fill`, and the softmax runs over the keys.",
        "A row of nothing but −∞ gives NaN in the softmax; `weights.masked_fill(~mask, 0.0)` cures it.",
    ),
)
