"""Exercises of lesson 05 on scores: how large a dot product gets, and what divides it."""

import math

import torch

from lessons_lib.exercises.engine import Exercise


def drawn(rng, *shape):
    """A float32 tensor of standard normal numbers, rounded so that a learner can check them by hand."""
    return torch.tensor(rng.normal(size=shape).round(2), dtype=torch.float32)


# ------------------------------------------------------------------ attention.predict_spread

PREDICT_SPREAD = Exercise(
    id="attention.predict_spread",
    title="Predict: how large is a dot product?",
    minutes=2,
    difficulty=1,
    kind="value",
    reference="16",
    choices=("1", "16", "256"),
    mistakes={
        "That holds for a single product of two numbers. Here 256 such products are added.": "1",
        "That is the variance: 256 terms, each of variance 1. The standard deviation is its square root.": "256",
    },
    explanation="Variances of independent terms add: 256 of variance 1 make 256, and its square root is 16.",
    hints=(
        "A dot product is a sum of 256 products. What is the variance of one of them, and of their sum?",
        "For independent terms of mean 0, variances add. So the variance of the sum is 256.",
        "The standard deviation is the square root of the variance.",
    ),
)


# ------------------------------------------------------------------ attention.scores


def scores(q, k):
    """The scaled scores: how well each query fits each key, divided by the square root of the width.

    q: a tensor of shape (queries, d_head)
    k: a tensor of shape (keys, d_head)
    returns: a tensor of shape (queries, keys)
    """
    return q @ k.T / math.sqrt(q.shape[1])


def _unscaled(q, k):
    return q @ k.T


def _by_d(q, k):
    return q @ k.T / q.shape[1]


def _by_keys(q, k):
    return q @ k.T / math.sqrt(k.shape[0])


def _by_queries(q, k):
    return q @ k.T / math.sqrt(q.shape[0])


def _times(q, k):
    return q @ k.T * math.sqrt(q.shape[1])


def _turned(q, k):
    return k @ q.T / math.sqrt(q.shape[1])


def _softened(q, k):
    return scores(q, k).softmax(dim=-1)


def _lengths_divided(q, k):
    return (q / q.norm(dim=1, keepdim=True)) @ (k / k.norm(dim=1, keepdim=True)).T


def _scores_inputs(rng):
    yield (torch.tensor([[1.0, 2.0], [0.0, 1.0]]), torch.tensor([[3.0, 0.0], [1.0, 1.0], [0.0, 4.0]]))
    for queries, keys, d_head in ((1, 1, 4), (3, 3, 2), (2, 5, 3), (4, 4, 9), (5, 2, 16)):
        yield (drawn(rng, queries, d_head), drawn(rng, keys, d_head))


def _keeps_the_spread(f):
    generator = torch.Generator().manual_seed(0)
    q, k = (torch.randn(200, 400, generator=generator) for _ in range(2))
    return 0.9 < float(torch.as_tensor(f(q, k)).var()) < 1.1


SCORES = Exercise(
    id="attention.scores",
    title="Scaled scores",
    minutes=5,
    difficulty=1,
    reference=scores,
    inputs=_scores_inputs,
    mistakes={
        "The scores are not divided yet: divide by the square root of d_head.": _unscaled,
        "You divided by d_head (or by its root twice). It is the square root, once, that brings the spread back "
        "to 1.": _by_d,
        "You divided by the square root of the number of keys. The sum runs over d_head terms: the last axis.": (
            _by_keys
        ),
        "You divided by the square root of the number of queries. The sum runs over d_head terms: the last axis.": (
            _by_queries
        ),
        "You multiplied by the square root. It makes the scores larger; divide by it.": _times,
        "Queries and keys have changed places: row i must belong to query i, column j to key j.": _turned,
        "That is one step too many: return the scores, before the softmax.": _softened,
        "You divided by the lengths of the vectors: those are cosines. Divide by the square root of d_head, "
        "and leave the lengths in.": _lengths_divided,
    },
    properties=[("keeps the variance of random scores at 1", _keeps_the_spread)],
    hints=(
        "Every query meets every key: which matrix product makes all the dot products at once?",
        "`q @ k.T` has one row per query and one column per key. Then divide by √d_head, the width of one vector.",
        "The width is `q.shape[1]`, and `math.sqrt` or `** 0.5` gives the root.",
    ),
)
