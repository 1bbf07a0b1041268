"""Exercise of lesson 12: a big batch that is computed in pieces."""

import torch

from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ pretrain.accumulate


def accumulate(weights, loss, batches):
    """The gradient of the mean loss over all tokens of a big batch that comes in pieces, one backward pass each.

    weights: a float tensor; it is not changed
    loss: a function of weights and a piece: returns the mean loss over the piece's tokens, and how many they are
    batches: the pieces
    returns: the gradient with respect to the weights, a tensor of their shape
    """
    weights = weights.clone().requires_grad_()
    total = 0
    for batch in batches:
        mean, n_tokens = loss(weights, batch)
        (mean * n_tokens).backward()
        total += n_tokens
    return weights.grad / total


class _Given:  # a room of its own for the second function of this name
    def accumulate(weights, loss, batches):
        """The gradient of the mean loss over all tokens of a big batch that comes in pieces, one backward pass each.

        weights: a float tensor; it is not changed
        loss: a function of weights and a piece: returns the mean loss over the piece's tokens, and how many they are
        batches: the pieces
        returns: the gradient with respect to the weights, a tensor of their shape
        """
        weights = weights.clone().requires_grad_()
        for batch in batches:
            mean, _ = loss(weights, batch)
            (mean / len(batches)).backward()
        return weights.grad


def _pieces(weights, loss, batches):
    """For each piece its gradient and its number of tokens."""
    found = []
    for batch in batches:
        point = weights.clone().requires_grad_()
        mean, n_tokens = loss(point, batch)
        found.append((torch.autograd.grad(mean, point)[0], n_tokens))
    return found


def _means_summed(weights, loss, batches):
    return sum(gradient for gradient, _ in _pieces(weights, loss, batches))


def _tokens_summed(weights, loss, batches):
    return sum(gradient * n for gradient, n in _pieces(weights, loss, batches))


def _tokens_over_pieces(weights, loss, batches):
    return _tokens_summed(weights, loss, batches) / len(batches)


def _last_only(weights, loss, batches):
    return _pieces(weights, loss, batches)[-1][0]


def _first_only(weights, loss, batches):
    return _pieces(weights, loss, batches)[0][0]


def _last_count(weights, loss, batches):
    found = _pieces(weights, loss, batches)
    return sum(gradient * n for gradient, n in found) / found[-1][1]


def _divided_twice(weights, loss, batches):
    found = _pieces(weights, loss, batches)
    return sum(gradient * n for gradient, n in found) / sum(n for _, n in found) / len(batches)


def _over_tokens(weights, loss, batches):
    found = _pieces(weights, loss, batches)
    return sum(gradient for gradient, _ in found) / sum(n for _, n in found)


def _inverse(weights, loss, batches):
    found = _pieces(weights, loss, batches)
    shares = [1 / n for _, n in found]
    return sum(gradient * share for (gradient, _), share in zip(found, shares, strict=True)) / sum(shares)


def _steps_between(weights, loss, batches):
    point, before = weights.clone(), weights
    for batch in batches:
        point = point - _pieces(point, loss, [batch])[0][0] / len(batches)
    return before - point


def mean_square(weights, batch):
    """A loss: the mean square of weights · x − y over the tokens of a batch (x "n d", y "n"), and n."""
    x, y = batch
    return ((x @ weights - y) ** 2).mean(), len(y)


def mean_surprise(weights, batch):
    """A loss: the mean of −ln softmax(weights) at the tokens of a batch, and how many they are."""
    return -weights.log_softmax(dim=0)[batch].mean(), len(batch)


def _accumulate_inputs(rng):
    def pieces(*sizes, d=3):
        return [
            (torch.tensor(rng.normal(size=(n, d)).round(1)), torch.tensor(rng.normal(size=n).round(1))) for n in sizes
        ]

    yield (torch.zeros(3, dtype=torch.float64), mean_surprise, [torch.tensor([0, 0, 0]), torch.tensor([2])])
    yield (torch.tensor([0.5, -1.0, 0.0, 1.0]), mean_surprise, [torch.tensor(t) for t in ([3], [1, 1, 0], [2, 3])])
    for sizes in ((4, 1), (2, 7, 3), (1, 5, 2, 9)):
        yield (torch.tensor(rng.normal(size=3)), mean_square, pieces(*sizes))


def _cut_elsewhere(f):
    tokens = torch.tensor([0, 1, 1, 2, 2, 2, 0])
    cuts = ([2, 7], [1, 5, 7], [7])
    start = torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64)
    found = [f(start, mean_surprise, [p for p in tokens.tensor_split(cut) if len(p)]) for cut in cuts]
    return all(torch.allclose(torch.as_tensor(g), torch.as_tensor(found[0])) for g in found)


ACCUMULATE = Exercise(
    id="pretrain.accumulate",
    title="Find the bug: a big batch in pieces",
    minutes=7,
    difficulty=2,
    reference=accumulate,
    given=_Given.accumulate,
    inputs=_accumulate_inputs,
    mistakes={
        "You added the gradients of the means. Two pieces then make a gradient about twice as long as the batch's.": (
            _means_summed
        ),
        "That is the gradient of the sum over all tokens. The mean divides it by the number of all tokens.": (
            _tokens_summed
        ),
        "The sum over all tokens is divided by the number of pieces. Divide by the number of tokens.": (
            _tokens_over_pieces
        ),
        "Only the last piece is left. Is the gradient cleared, or replaced, between the pieces?": _last_only,
        "Only the first piece counts.": _first_only,
        "You divided by the tokens of the last piece. Divide by those of all pieces.": _last_count,
        "Divided twice: by all tokens, which makes the mean, and by the number of pieces once more.": _divided_twice,
        "The mean of each piece is divided by the number of all tokens: each was a mean already. Multiply it by its "
        "own tokens first.": _over_tokens,
        "A piece with few tokens now counts more. Its weight is its number of tokens, not one over it.": _inverse,
        "The weights move between the pieces. All pieces must see the same weights; the step comes after the last.": (
            _steps_between
        ),
    },
    properties=[("does not depend on where the batch was cut", _cut_elsewhere)],
    explanation="Equal weights for unequal pieces are a real bug: it stood in widely used training code until 2024.",
    seconds=60.0,  # the first backward pass loads a good part of PyTorch
    hints=(
        "Take a piece of three tokens and a piece of one. What share of the big batch's mean has the single token?",
        "A quarter; the given code gives it a half. Each piece's mean should count as often as it has tokens.",
        "`(mean * n_tokens).backward()` adds up the gradient of the sum; in the end divide by the number of all "
        "tokens.",
    ),
)
