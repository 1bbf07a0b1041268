"""Exercise of lesson 11: several new tokens at once behind a cache, with a mask that forgets the past."""

import torch

from lessons_lib.exercises._attention_scores import drawn
from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ gpt.find_the_bug


def attend_with_past(q, k, v):
    """Causal attention of new tokens behind a cache: each sees all the past, itself, and the new ones before it.

    Keys and values are those of the past, then those of the new tokens. Without a past, k has as many rows as q.

    q: a tensor of shape (new, d_head)
    k, v: tensors of shape (past + new, d_head)
    returns: a tensor of shape (new, d_head)
    """
    past = len(k) - len(q)
    scores = q @ k.T / q.shape[1] ** 0.5
    may_look = torch.ones(len(q), len(k), dtype=torch.bool).tril(past)
    weights = scores.masked_fill(~may_look, -torch.inf).softmax(dim=1)
    return weights @ v


class _Given:  # a room of its own for the second function of this name
    def attend_with_past(q, k, v):
        """Causal attention of new tokens behind a cache: each sees all the past, itself, and the new ones before it.

        Keys and values are those of the past, then those of the new tokens. Without a past, k has as many rows as q.

        q: a tensor of shape (new, d_head)
        k, v: tensors of shape (past + new, d_head)
        returns: a tensor of shape (new, d_head)
        """
        scores = q @ k.T / q.shape[1] ** 0.5
        may_look = torch.ones(len(q), len(k), dtype=torch.bool).tril()
        weights = scores.masked_fill(~may_look, -torch.inf).softmax(dim=1)
        return weights @ v


def _masked(q, k, v, may_look):
    scores = (q @ k.T / q.shape[1] ** 0.5).masked_fill(~may_look, -torch.inf)
    return torch.nan_to_num(scores.softmax(dim=1)) @ v


def _shifted(by):
    def attend_with_past(q, k, v):
        return _masked(q, k, v, torch.ones(len(q), len(k), dtype=torch.bool).tril(len(k) - len(q) + by))

    return attend_with_past


def _no_mask(q, k, v):
    return _masked(q, k, v, torch.ones(len(q), len(k), dtype=torch.bool))


def _past_only(q, k, v):
    return _masked(q, k, v, (torch.arange(len(k)) < len(k) - len(q)).expand(len(q), -1))


def _new_only(q, k, v):
    past = len(k) - len(q)
    return _masked(q, k[past:], v[past:], torch.ones(len(q), len(q), dtype=torch.bool).tril())


def _from_the_end(q, k, v):
    return _masked(q, k, v, torch.ones(len(q), len(k), dtype=torch.bool).tril(len(q) - len(k)))


def _upper(q, k, v):
    return _masked(q, k, v, torch.ones(len(q), len(k), dtype=torch.bool).triu(len(k) - len(q)))


def _by_new(q, k, v):
    return _masked(q, k, v, torch.ones(len(q), len(k), dtype=torch.bool).tril(len(q)))


def _window(q, k, v):
    past = len(k) - len(q)
    return _masked(q, k, v, torch.ones(len(q), len(k), dtype=torch.bool).tril(past).triu())


def _other_softmax(q, k, v):
    may_look = torch.ones(len(q), len(k), dtype=torch.bool).tril(len(k) - len(q))
    scores = (q @ k.T / q.shape[1] ** 0.5).masked_fill(~may_look, -torch.inf)
    return torch.nan_to_num(scores.softmax(dim=0)) @ v


def _no_scale(q, k, v):
    return attend_with_past(q * q.shape[1] ** 0.5, k, v)


def _bug_inputs(rng):
    yield (torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0], [2.0, 1.0]]), torch.tensor([[4.0, 0.0], [0.0, 2.0]]))
    for new, past, d_head in ((3, 0, 2), (2, 3, 4), (1, 5, 3), (4, 2, 3), (3, 7, 2)):
        yield (drawn(rng, new, d_head), drawn(rng, past + new, d_head), drawn(rng, past + new, d_head))


def _in_pieces(f):
    q, k, v = torch.randn(3, 7, 4, generator=torch.Generator().manual_seed(1))
    whole = torch.nn.functional.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True)[0]
    pieces = [f(q[a:b], k[:b], v[:b]) for a, b in ((0, 2), (2, 3), (3, 7))]
    return torch.allclose(torch.cat(pieces), whole, atol=1e-4)


FIND_THE_BUG = Exercise(
    id="gpt.find_the_bug",
    title="Find the bug: who forgot the past?",
    minutes=8,
    difficulty=2,
    reference=attend_with_past,
    given=_Given.attend_with_past,
    inputs=_bug_inputs,
    rtol=1e-4,
    atol=1e-5,
    mistakes={
        "Now nothing is hidden. With several new tokens at once, the first must not see the second.": _no_mask,
        "One place too far: a new token sees the one after it.": _shifted(1),
        "One place short: a new token does not see itself.": _shifted(-1),
        "The new tokens see the past alone, and neither themselves nor each other.": _past_only,
        "The new tokens see each other alone. The past was what the cache kept.": _new_only,
        "The diagonal was moved the other way: now even less of the past is seen.": _from_the_end,
        "The mask is upside down: the new tokens see what comes after them.": _upper,
        "The diagonal moves by the number of tokens that came before, not by that of the new ones.": _by_new,
        "The past is seen, but not all of it: its first tokens are hidden from the later new ones.": _window,
        "The softmax was right: each query shares out over the keys, the last axis. Look at the mask.": _other_softmax,
        "The scale was right: scores are divided by √d_head. Look at the mask.": _no_scale,
    },
    properties=[("gives, whatever the pieces, what a pass over the whole text gives", _in_pieces)],
    explanation="Row 0 of the mask is not token 0 of the text: it is the first new one, and stands behind the past.",
    hints=(
        "Print may_look for two new tokens behind a past of three. Which of the five keys should the first one see?",
        "`tril()` keeps row i up to column i. But the query of row i stands at place past + i of the text.",
        "`tril(n)` keeps row i up to column i + n. How many tokens came before the new ones?",
    ),
)
