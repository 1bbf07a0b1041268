"""Exercise of lesson 05: a causal attention that knows the future, though its mask is right."""

import math

import torch

from lessons_lib.exercises._attention_scores import drawn
from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ attention.find_the_leak


def causal_layer(x, w_q, w_k, w_v):
    """One layer of causal self-attention.

    Each word's vector is first centred: its own mean, over its d_model numbers, is subtracted.

    x: a tensor of shape (seq, d_model), one row per word
    w_q, w_k, w_v: tensors of shape (d_model, d_head)
    returns: a tensor of shape (seq, d_head)
    """
    n = x.shape[0]
    x = x - x.mean(dim=1, keepdim=True)
    q, k, v = x @ w_q, x @ w_k, x @ w_v
    scores = q @ k.T / math.sqrt(q.shape[1])
    may_look = torch.ones(n, n, dtype=torch.bool).tril()
    weights = scores.masked_fill(~may_look, -torch.inf).softmax(dim=1)
    return weights @ v


class _Given:  # a room of its own for the second function of this name
    def causal_layer(x, w_q, w_k, w_v):
        """One layer of causal self-attention.

        Each word's vector is first centred: its own mean, over its d_model numbers, is subtracted.

        x: a tensor of shape (seq, d_model), one row per word
        w_q, w_k, w_v: tensors of shape (d_model, d_head)
        returns: a tensor of shape (seq, d_head)
        """
        n = x.shape[0]
        x = x - x.mean(dim=0, keepdim=True)
        q, k, v = x @ w_q, x @ w_k, x @ w_v
        scores = q @ k.T / math.sqrt(q.shape[1])
        may_look = torch.ones(n, n, dtype=torch.bool).tril()
        weights = scores.masked_fill(~may_look, -torch.inf).softmax(dim=1)
        return weights @ v


def _layer(x, w_q, w_k, w_v, diagonal=0, dim=1):
    n = x.shape[0]
    q, k, v = x @ w_q, x @ w_k, x @ w_v
    scores = q @ k.T / math.sqrt(q.shape[1])
    may_look = torch.ones(n, n, dtype=torch.bool).tril(diagonal)
    return torch.nan_to_num(scores.masked_fill(~may_look, -torch.inf).softmax(dim=dim)) @ v


def _centred(x):
    return x - x.mean(dim=1, keepdim=True)


def _not_centred(x, w_q, w_k, w_v):
    return _layer(x, w_q, w_k, w_v)


def _one_mean(x, w_q, w_k, w_v):
    return _layer(x - x.mean(), w_q, w_k, w_v)


def _running_mean(x, w_q, w_k, w_v):
    return _layer(x - x.cumsum(dim=0) / torch.arange(1, len(x) + 1)[:, None], w_q, w_k, w_v)


def _narrow_mask(x, w_q, w_k, w_v):
    return _layer(x - x.mean(dim=0, keepdim=True), w_q, w_k, w_v, diagonal=-1)


def _narrow_too(x, w_q, w_k, w_v):
    return _layer(_centred(x), w_q, w_k, w_v, diagonal=-1)


def _other_softmax(x, w_q, w_k, w_v):
    return _layer(x - x.mean(dim=0, keepdim=True), w_q, w_k, w_v, dim=0)


def _first_word(x, w_q, w_k, w_v):
    return _layer(x - x[:1], w_q, w_k, w_v)


def _leak_inputs(rng):
    for n, d_model, d_head in ((2, 3, 2), (3, 3, 3), (4, 6, 2), (5, 4, 4), (7, 5, 3)):
        yield (drawn(rng, n, d_model), *(drawn(rng, d_model, d_head) for _ in range(3)))


def _past_stays(f):
    generator = torch.Generator().manual_seed(2)
    x, *maps = (torch.randn(6, 6, generator=generator) for _ in range(4))
    changed = x.clone()
    changed[4:] = 5 * torch.randn(2, 6, generator=generator)
    return torch.allclose(f(x, *maps)[:4], f(changed, *maps)[:4], atol=1e-5)


FIND_THE_LEAK = Exercise(
    id="attention.find_the_leak",
    title="Find the leak",
    minutes=8,
    difficulty=2,
    reference=causal_layer,
    given=_Given.causal_layer,
    inputs=_leak_inputs,
    mistakes={
        "The leak is gone, and the centring with it. The vectors should still be centred, each by its own mean.": (
            _not_centred
        ),
        "Now one mean of all the numbers is subtracted: it still knows the words to come.": _one_mean,
        "A mean over the words so far does not leak, but it is not what the docstring asks: each word has a mean of "
        "its own.": _running_mean,
        "The mask was right: a word may look at itself. The leak is where words are mixed without a mask.": (
            _narrow_mask
        ),
        "The leak is closed, but now no word may look at itself. The mask was right as it was.": _narrow_too,
        "The softmax was right: each row shares out over the keys. The leak is where words are mixed before the "
        "mask comes.": _other_softmax,
        "That subtracts the first word from all: no leak, but not each word's own mean.": _first_word,
    },
    properties=[("gives the past the same result whatever the future holds", _past_stays)],
    hints=(
        "Change the last row of x and print what each line computes for the first row. Where does it first differ?",
        "Every line works on one word at a time, or is masked, except one.",
        "Over which axis is the mean taken? Axis 0 runs over the words, axis 1 over the numbers of one word.",
    ),
)
