"""Exercises of lesson 05 on masks, and attention as a whole."""

import torch

from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ attention.causal_mask


def causal_mask(n):
    """Who may look at whom when nobody may look ahead: True = may look.

    Row i belongs to the i-th word as a query, column j to the j-th word as a key. Each word may look at itself.

    n: the number of words
    returns: a tensor of truth values, shape (n, n)
    """
    return torch.ones(n, n, dtype=torch.bool).tril()


def _hidden(n):
    return torch.ones(n, n, dtype=torch.bool).triu(1)


def _ahead(n):
    return torch.ones(n, n, dtype=torch.bool).triu()


def _not_itself(n):
    return torch.ones(n, n, dtype=torch.bool).tril(-1)


def _one_ahead(n):
    return torch.ones(n, n, dtype=torch.bool).tril(1)


def _ones_and_zeros(n):
    return torch.ones(n, n).tril()


def _for_adding(n):
    return torch.full((n, n), -torch.inf).triu(1)


CAUSAL_MASK = Exercise(
    id="attention.causal_mask",
    title="The causal mask",
    minutes=5,
    difficulty=1,
    reference=causal_mask,
    inputs=lambda rng: ((n,) for n in (3, 1, 2, 5, 8)),
    mistakes={
        "It is the wrong way round: True stands where looking is forbidden. Here True = may look.": _hidden,
        "It lets words look ahead, and hides the past: the upper half is True where the lower should be.": _ahead,
        "A word may look at itself: the diagonal is True. Without it, the first word has nowhere to look.": _not_itself,
        "It lets each word see one word ahead: the word that a language model has to predict.": _one_ahead,
        "The pattern is right, but it holds numbers. A mask is made of truth values: use dtype=torch.bool.": (
            _ones_and_zeros
        ),
        "That is a mask for adding to scores (0 and −∞). Here it is made of truth values: True = may look.": (
            _for_adding
        ),
    },
    properties=[("lets word i see i words", lambda f: f(6).sum(dim=1).tolist() == [1, 2, 3, 4, 5, 6])],
    hints=(
        "Draw it for n = 3. Row 1 is the first word: which columns may it see?",
        "It is the lower half of a square full of True, with the diagonal. PyTorch has `tril` for the lower half.",
        "Begin with `torch.ones(n, n, dtype=torch.bool)`; or compare `torch.arange(n)` as a column and as a row.",
    ),
)


# ------------------------------------------------------------------ attention.padding_mask


def padding_mask(ids):
    """Who may look at whom in a padded batch: everybody at every word that is not padding. True = may look.

    The middle axis has size 1, so that one line serves all the queries of a text.

    ids: a tensor of whole numbers, shape (batch, seq); padding has the id 0
    returns: a tensor of truth values, shape (batch, 1, seq)
    """
    return (ids != 0)[:, None, :]


def _padding(ids):
    return (ids == 0)[:, None, :]


def _flat(ids):
    return ids != 0


def _queries(ids):
    return (ids != 0)[:, :, None]


def _both_ways(ids):
    real = ids != 0
    return real[:, :, None] & real[:, None, :]


def _first_axis(ids):
    return (ids != 0)[None]


def _numbers(ids):
    return (ids != 0).float()[:, None, :]


def _above_one(ids):
    return (ids > 1)[:, None, :]


def _repeated(ids):
    return (ids != 0)[:, None, :].expand(-1, ids.shape[1], -1)


def _ids(rng, batch, seq):
    ids = torch.tensor(rng.integers(1, 30, (batch, seq)))
    lengths = torch.tensor(rng.integers(1, seq + 1, batch))
    return ids.masked_fill(torch.arange(seq) >= lengths[:, None], 0)


def _padding_inputs(rng):
    yield (torch.tensor([[5, 7, 0], [6, 0, 0]]),)
    yield (torch.tensor([[1, 2, 3]]),)
    yield (torch.tensor([[1, 0], [0, 9], [0, 0]]),)
    for batch, seq in ((1, 4), (4, 4), (3, 7), (6, 2)):
        yield (_ids(rng, batch, seq),)


PADDING_MASK = Exercise(
    id="attention.padding_mask",
    title="The padding mask",
    minutes=5,
    difficulty=2,
    reference=padding_mask,
    inputs=_padding_inputs,
    mistakes={
        "It is the wrong way round: True stands at the padding. Here True = may look.": _padding,
        "The values are right, but the axis of the queries is missing: (batch, 1, seq) is wanted. With two axes, "
        "the rows of the batch would be taken for queries.": _flat,
        "You hid the padding as a query: the axis of size 1 must stand in the middle, so that the ids lie along "
        "the keys.": _queries,
        "You hid the padding as a query too. Then such a row may look nowhere. Hide the keys only; what a padded "
        "place gathers is not used.": _both_ways,
        "The axis of size 1 stands in front. The batch comes first: (batch, 1, seq).": _first_axis,
        "The pattern is right, but it holds numbers. A mask is made of truth values: leave out the conversion.": (
            _numbers
        ),
        "The id 1 is hidden too. Only 0 is padding.": _above_one,
        "You repeated the line for every query. It is not wrong, but (batch, 1, seq) says the same and costs "
        "nothing.": _repeated,
    },
    hints=(
        "Comparing a tensor with a number gives a tensor of truth values.",
        "`ids != 0` is True at real words, shape (batch, seq). Where does the axis of size 1 belong?",
        "Indexing with None adds an axis: `[:, None, :]` puts it in the middle.",
    ),
)
