"""Exercise of lesson 03: the gradient of the loss at the logits."""

import torch

from lessons_lib.exercises._neural_losses import _logits
from lessons_lib.exercises.engine import Exercise


def logit_gradient(logits, targets):
    """How the mean cross-entropy changes with each logit: its gradient, without autograd.

    logits: a float tensor of shape (tokens, vocab)
    targets: the ids of the right tokens, of shape (tokens,)
    returns a tensor of the shape of logits
    """
    q = torch.softmax(logits, dim=1)  # tokens vocab
    y = torch.nn.functional.one_hot(targets, logits.shape[1])  # tokens vocab: 1 at the right token, else 0
    return (q - y) / len(targets)


def _q_and_y(logits, targets):
    return logits.softmax(1), torch.nn.functional.one_hot(targets, logits.shape[1])


def _uphill(logits, targets):
    q, y = _q_and_y(logits, targets)
    return (y - q) / len(targets)


def _of_the_sum(logits, targets):
    q, y = _q_and_y(logits, targets)
    return q - y


def _only_q(logits, targets):
    return _q_and_y(logits, targets)[0] / len(targets)


def _only_the_right_one(logits, targets):
    q, y = _q_and_y(logits, targets)
    return (q - y) * y / len(targets)


def _of_the_probability(logits, targets):
    q, y = _q_and_y(logits, targets)
    return -y / q / len(targets)


def _sigmoid_slope(logits, targets):
    q, _ = _q_and_y(logits, targets)
    return q * (1 - q) / len(targets)


def _no_softmax(logits, targets):
    return (logits - _q_and_y(logits, targets)[1]) / len(targets)


def _by_classes(logits, targets):
    q, y = _q_and_y(logits, targets)
    return (q - y) / logits.shape[1]


def _by_both(logits, targets):
    q, y = _q_and_y(logits, targets)
    return (q - y) / logits.numel()


def _one_everywhere(logits, targets):
    return (logits.softmax(1) - 1) / len(targets)


def _gradient_inputs(rng):
    yield (torch.tensor([[0.0, 0.0]]), torch.tensor([1]))
    yield (torch.tensor([[0.0, 1.0, 2.0], [3.0, 0.0, 0.0]]), torch.tensor([2, 1]))
    for tokens, vocab in ((3, 3), (5, 4), (2, 9)):
        yield (_logits(rng, tokens, vocab), torch.tensor(rng.integers(0, vocab, tokens)))


LOGIT_GRADIENT = Exercise(
    id="neural.logit_gradient",
    title="The gradient at the logits",
    minutes=6,
    difficulty=2,
    reference=logit_gradient,
    inputs=_gradient_inputs,
    mistakes={
        "The sign is turned round. A gradient points uphill: the loss falls as the right logit grows, so there q − y "
        "is negative.": _uphill,
        "That is the gradient of the sum over tokens. The loss is their mean: divide by their number.": _of_the_sum,
        "The y is missing: the right token's logit has q − 1.": _only_q,
        "You change the right token's logit only. The others have q − 0: they are pushed down.": _only_the_right_one,
        "That is the gradient with respect to the probabilities, −y/q. Behind them is the softmax.": (
            _of_the_probability
        ),
        "q(1 − q) is the slope of one probability in its own logit. The loss has a logarithm in front of it.": (
            _sigmoid_slope
        ),
        "The logits are not probabilities yet: softmax first.": _no_softmax,
        "You divide by the number of classes. The mean is over the tokens.": _by_classes,
        "You divide by tokens times classes. The mean is over the tokens; the classes are summed.": _by_both,
        "You subtract 1 in every column. y is 1 at the right token and 0 elsewhere.": _one_everywhere,
    },
    properties=[
        (
            "has rows that sum to 0",
            lambda f: f(torch.arange(6.0).reshape(2, 3), torch.tensor([0, 2])).sum(1).abs().max() < 1e-5,
        ),
    ],
    hints=(
        "What the model says, minus what was right. The derivation above is the solution for one token.",
        "Softmax along dim=1, minus a tensor that is 1 at each row's target and 0 elsewhere; the loss is a mean, so "
        "divide by its number of tokens.",
        "`torch.nn.functional.one_hot(targets, vocab)` makes y, and `logits.shape[1]` is vocab.",
    ),
)
