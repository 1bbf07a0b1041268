"""Exercise of lesson 11: one table in two places, and the gradient it gets from both."""

import torch

from lessons_lib.exercises._attention_scores import drawn
from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ gpt.tie


def tied_gradient(ids, d_x, hidden, d_logits):
    """The gradient of a table of tokens that is used twice: at the bottom as embedding, at the top as output layer.

    At the bottom, x[t] = table[ids[t]]. At the top, logits = hidden @ table.T. A token may occur more than once.

    ids: a tensor of whole numbers, shape (seq,)
    d_x: the gradient of the loss with respect to x, shape (seq, d_model)
    hidden: a tensor of shape (seq, d_model)
    d_logits: the gradient of the loss with respect to the logits, shape (seq, vocab_size)
    returns: the gradient with respect to the table, shape (vocab_size, d_model)
    """
    gradient = d_logits.T @ hidden
    return gradient.index_add(0, ids, d_x)


def _top_only(ids, d_x, hidden, d_logits):
    return d_logits.T @ hidden


def _bottom_only(ids, d_x, hidden, d_logits):
    return torch.zeros(d_logits.shape[1], d_x.shape[1]).index_add(0, ids, d_x)


def _last_of_each(ids, d_x, hidden, d_logits):
    gradient = d_logits.T @ hidden
    for i, row in zip(ids.tolist(), d_x, strict=True):
        gradient[i] = (d_logits.T @ hidden)[i] + row
    return gradient


def _overwritten(ids, d_x, hidden, d_logits):
    gradient = d_logits.T @ hidden
    for i in set(ids.tolist()):
        gradient[i] = d_x[ids == i].sum(0)
    return gradient


def _mean(ids, d_x, hidden, d_logits):
    return tied_gradient(ids, d_x, hidden, d_logits) / 2


def _difference(ids, d_x, hidden, d_logits):
    return (d_logits.T @ hidden).index_add(0, ids, -d_x)


def _swapped(ids, d_x, hidden, d_logits):
    return (d_logits.T @ d_x).index_add(0, ids, hidden)


def _no_hidden(ids, d_x, hidden, d_logits):
    return (d_logits.T @ d_x).index_add(0, ids, d_x)


def _per_place(ids, d_x, hidden, d_logits):
    return (d_logits.T @ hidden / len(ids)).index_add(0, ids, d_x / len(ids))


def _mean_of_each(ids, d_x, hidden, d_logits):
    gradient = d_logits.T @ hidden
    for i in set(ids.tolist()):
        gradient[i] += d_x[ids == i].mean(0)
    return gradient


def _one_place_on(ids, d_x, hidden, d_logits):
    return (d_logits.T @ hidden).index_add(0, ids[1:], d_x[:-1])


def _turned(ids, d_x, hidden, d_logits):
    return tied_gradient(ids, d_x, hidden, d_logits).T


def _tie_inputs(rng):
    yield (
        torch.tensor([1, 0, 1]),
        torch.tensor([[1.0, 2.0], [0.0, -1.0], [3.0, 1.0]]),
        torch.tensor([[1.0, 0.0], [2.0, 1.0], [-1.0, 1.0]]),
        torch.tensor([[0.5, -0.5, 0.0], [0.0, 1.0, -1.0], [-1.0, 0.0, 1.0]]),
    )
    for seq, vocab, d_model in ((3, 5, 2), (7, 4, 3), (6, 9, 5)):
        ids = torch.tensor(rng.integers(0, vocab, seq))
        ids[-1] = ids[0]  # one comes back
        yield (ids, drawn(rng, seq, d_model), drawn(rng, seq, d_model), drawn(rng, seq, vocab))


def _as_autograd(f):
    generator = torch.Generator().manual_seed(11)
    table = torch.randn(6, 3, generator=generator, requires_grad=True)
    weight, ids = torch.randn(4, 6, generator=generator), torch.tensor([2, 5, 2, 0])
    x = table[ids]
    x.retain_grad()
    hidden = torch.tanh(x)
    hidden.retain_grad()
    logits = hidden @ table.T
    logits.retain_grad()
    (logits * weight).sum().backward()
    found = f(ids, x.grad, hidden.detach(), logits.grad)
    return torch.allclose(torch.as_tensor(found, dtype=torch.float32), table.grad, atol=1e-5)


TIE = Exercise(
    id="gpt.tie",
    title="A table used twice",
    minutes=8,
    difficulty=3,
    reference=tied_gradient,
    inputs=_tie_inputs,
    rtol=1e-4,
    atol=1e-5,
    mistakes={
        "That is what comes from the top. The table is used at the bottom too: each token's row also gets the gradient "
        "of its vectors there.": _top_only,
        "That is what comes from the bottom, and it leaves the rows of all tokens that were not read at 0. The output "
        "layer uses every row.": _bottom_only,
        "A token that occurs twice gets the gradient of both its places. You kept the last one: an assignment to "
        "gradient[ids] does not add up.": _last_of_each,
        "The rows of the tokens that were read hold the gradient from the bottom alone. Add it to that from the top.": (
            _overwritten
        ),
        "You took the mean of the two. A number that is used twice gets the sum.": _mean,
        "You subtracted the two. A number that is used twice gets the sum of both gradients.": _difference,
        "You exchanged x's gradient and the hidden vectors. At the top, the table meets the hidden vectors.": _swapped,
        "At the top you multiplied by the gradient at the bottom. There, the table meets the hidden vectors.": (
            _no_hidden
        ),
        "You divided by the number of places. The mean, if there is one, is already in the gradients given.": (
            _per_place
        ),
        "For a token that occurs more than once you took the mean of its gradients. They add up.": _mean_of_each,
        "At the bottom, place t holds the token ids[t] itself, not the one before: nothing is shifted.": _one_place_on,
        "That is transposed: one row for each token of the vocabulary, one column for each number of its vector.": (
            _turned
        ),
    },
    properties=[("is what autograd finds", _as_autograd)],
    hints=(
        "Find the two gradients one by one: first as if only the output layer used the table, then only the embedding.",
        "At the top it is that of any linear map: d_logits.T @ hidden. At the bottom, row ids[t] gets d_x[t], for each "
        "place t. A number used twice gets the sum.",
        "`gradient.index_add(0, ids, d_x)` adds row t of d_x to row ids[t], also where ids repeat; a loop over the "
        "places with += does the same.",
    ),
)
