"""Exercises of lesson 13 on filters: which tokens may be drawn, by their number and by their probability."""

import math

import torch

from lessons_lib.exercises._attention_scores import drawn
from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ decode.top_k


def top_k(logits, k):
    """The logits with -inf for every token but the k likeliest of its row.

    Tokens that tie with the k-th stay too.

    logits: a tensor of shape (batch, vocab_size)
    k: a whole number from 1 to vocab_size
    returns: a tensor of the same shape
    """
    kth = logits.topk(k).values[:, -1:]
    return logits.masked_fill(logits < kth, -math.inf)


def _below(logits, least):
    return logits.masked_fill(logits < least, -math.inf)


def _one_more(logits, k):
    return _below(logits, logits.topk(min(k + 1, logits.shape[1])).values[:, -1:])


def _one_less(logits, k):
    return logits.masked_fill(logits <= logits.topk(k).values[:, -1:], -math.inf)


def _zeroed(logits, k):
    return logits.masked_fill(logits < logits.topk(k).values[:, -1:], 0.0)


def _unlikeliest(logits, k):
    return logits.masked_fill(logits > logits.topk(k, largest=False).values[:, -1:], -math.inf)


def _dropped(logits, k):
    return logits.masked_fill(logits >= logits.topk(k).values[:, -1:], -math.inf)


def _whole_batch(logits, k):
    return _below(logits, logits.flatten().topk(k).values[-1])


def _along_batch(logits, k):
    return _below(logits, logits.topk(min(k, len(logits)), dim=0).values[-1:])


def _ties_out(logits, k):
    values, places = logits.topk(k)
    return torch.full_like(logits, -math.inf).scatter(1, places, values)


def _values(logits, k):
    return logits.topk(k).values


def _shares(logits, k):
    return top_k(logits, k).softmax(dim=1)


def _by_value(logits, k):
    return _below(logits, float(k))


def _in_place(logits, k):
    logits[logits < logits.topk(k).values[:, -1:]] = -math.inf
    return logits


def _top_k_inputs(rng):
    yield (torch.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    yield (torch.tensor([[2.0, 1.0, 1.0, 0.0, 1.0], [0.0, -1.0, -1.0, -3.0, -2.0]]), 2)  # ties at the edge
    for batch, vocab, k in ((2, 5, 1), (3, 7, 3), (4, 9, 6), (2, 4, 4)):
        yield (drawn(rng, batch, vocab) * 3, k)


TOP_K = Exercise(
    id="decode.top_k",
    title="Only the k likeliest",
    minutes=6,
    difficulty=1,
    reference=top_k,
    inputs=_top_k_inputs,
    mistakes={
        "One token too many is allowed.": _one_more,
        "The k-th itself is cut: only those below it should be.": _one_less,
        "The forbidden tokens have a logit of 0, and a softmax gives that a probability like any other. They need "
        "-inf.": _zeroed,
        "You kept the k unlikeliest: topk takes the largest unless largest=False.": _unlikeliest,
        "You cut the k likeliest, and kept the others.": _dropped,
        "One line was drawn through the whole batch. Each row has its own k-th.": _whole_batch,
        "You compared the rows with one another: topk must run over the vocabulary, the last axis.": _along_batch,
        "Of tokens that tie with the k-th some are cut. Compare values instead of taking places.": _ties_out,
        "Those are the k logits alone. A tensor of the old shape is wanted, so that a place still means its token.": (
            _values
        ),
        "Those are probabilities. Logits are wanted: the softmax comes after all filters.": _shares,
        "You compared the logits with k itself. It counts tokens: the k-th logit is what to compare with.": _by_value,
        "You changed the logits that you were given. `masked_fill` makes a new tensor.": _in_place,
    },
    hints=(
        "Which logit is the smallest one that may stay, in each row?",
        "`logits.topk(k).values` has shape (batch, k), the largest first; its last column is the k-th of each row.",
        "With `[:, -1:]` the column keeps its axis, so that it can be compared with the rows; then `masked_fill`.",
    ),
)


# ------------------------------------------------------------------ decode.top_p


def top_p(q, p):
    """The nucleus: the fewest likeliest tokens of each row whose probabilities sum to p or more, renormalised.

    q: a tensor of shape (batch, vocab_size): each row holds probabilities that sum to 1
    p: a number above 0, at most 1
    returns: a tensor of the same shape, 0 at the tokens that are cut; each row sums to 1
    """
    ordered, order = q.sort(descending=True)
    before = ordered.cumsum(dim=1) - ordered
    kept = q.scatter(1, order, ordered * (before < p))
    return kept / kept.sum(dim=1, keepdim=True)


def _kept(q, p, stays, scale=True):
    ordered, order = q.sort(descending=True)
    kept = q.scatter(1, order, ordered * stays(ordered.cumsum(dim=1), ordered, p))
    return kept / kept.sum(dim=1, keepdim=True) if scale else kept


def _without_the_last(q, p):
    return _kept(q, p, lambda total, own, p: total <= p)


def _one_too_many(q, p):
    return _kept(q, p, lambda total, own, p: total - own <= p)


def _far_too_many(q, p):
    return _kept(q, p, lambda total, own, p: total - own - torch.roll(own, 1, 1) < p)


def _not_scaled(q, p):
    return _kept(q, p, lambda total, own, p: total - own < p, scale=False)


def _softmaxed(q, p):
    kept = _not_scaled(q, p)
    return kept.masked_fill(kept == 0, -math.inf).softmax(dim=1)


def _softmax_with_zeros(q, p):
    return _not_scaled(q, p).softmax(dim=1)


def _as_they_come(q, p):
    kept = q * (q.cumsum(dim=1) - q < p)
    return kept / kept.sum(dim=1, keepdim=True)


def _from_below(q, p):
    ordered, order = q.sort()
    kept = q.scatter(1, order, ordered * (ordered.cumsum(dim=1) - ordered < p))
    return kept / kept.sum(dim=1, keepdim=True)


def _sorted_still(q, p):
    ordered = q.sort(descending=True).values
    kept = ordered * (ordered.cumsum(dim=1) - ordered < p)
    return kept / kept.sum(dim=1, keepdim=True)


def _mask_sorted(q, p):
    ordered = q.sort(descending=True).values
    kept = q * (ordered.cumsum(dim=1) - ordered < p)
    return kept / kept.sum(dim=1, keepdim=True)


def _share_of_the_best(q, p):
    kept = q * (q >= p * q.amax(dim=1, keepdim=True))
    return kept / kept.sum(dim=1, keepdim=True)


def _together(q, p):
    kept = _not_scaled(q, p)
    return kept / kept.sum()


def _share_of_tokens(q, p):
    k = max(1, round(p * q.shape[1]))
    kept = q * (q >= q.topk(k).values[:, -1:])
    return kept / kept.sum(dim=1, keepdim=True)


def _top_p_inputs(rng):
    yield (torch.tensor([[0.125, 0.5, 0.125, 0.25]]), 0.7)
    exact = torch.tensor([[0.25, 0.5, 0.1875, 0.0625], [0.0625, 0.125, 0.0625, 0.75]])
    yield from ((exact, p) for p in (0.5, 0.75, 0.3, 1.0))
    for batch, vocab, p in ((2, 5, 0.4), (3, 8, 0.8), (4, 11, 0.95)):
        yield (torch.tensor(rng.dirichlet([0.5] * vocab, batch), dtype=torch.float64), p)


TOP_P = Exercise(
    id="decode.top_p",
    title="The nucleus",
    minutes=8,
    difficulty=2,
    reference=top_p,
    inputs=_top_p_inputs,
    mistakes={
        "The token that reaches p is cut, so that what stays sums to less. It belongs in.": _without_the_last,
        "Where the sum hits p exactly, one token more is allowed: p *or more* was reached already.": _one_too_many,
        "Too many are allowed: a token stays if those likelier than it sum to less than p.": _far_too_many,
        "What is left does not sum to 1 in each row: renormalise it.": _not_scaled,
        "That is a softmax of probabilities. They only need to be divided by their sum.": _softmaxed,
        "A softmax gives the tokens that were cut a probability again, for e⁰ is 1. Divide by the sum instead.": (
            _softmax_with_zeros
        ),
        "You summed in the order of the vocabulary. The likeliest come first: sort.": _as_they_come,
        "You sorted upwards, and kept the unlikely end.": _from_below,
        "The probabilities are right, and in sorted order: they have to go back to their tokens' places.": (
            _sorted_still
        ),
        "What may stay was found in sorted order, and then laid over the unsorted row.": _mask_sorted,
        "That is min-p: it compares each token with the likeliest. Here the sum decides.": _share_of_the_best,
        "You divided by the sum of the whole batch. Each row sums to 1.": _together,
        "You kept a share p of the tokens. It is a share of the probability.": _share_of_tokens,
    },
    hints=(
        "Sort a row by falling probability. For which tokens is the sum of those before them still below p?",
        "`ordered, order = q.sort(descending=True)`; `ordered.cumsum(dim=1) - ordered` is the sum before each.",
        "`q.scatter(1, order, values)` puts sorted values back at their tokens' places. Then divide by each row's sum.",
    ),
)
