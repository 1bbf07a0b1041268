"""Exercises of lesson 03 on what stands at the end of a network: softmax, cross-entropy, and their gradient."""

import math

import torch

from lessons_lib.exercises.engine import Exercise


def _logits(rng, *shape, scale=2.0):
    return torch.tensor(rng.normal(0, scale, shape), dtype=torch.float32)


# ------------------------------------------------------------------ neural.softmax


def softmax(logits):
    """Probabilities from logits, for each row of the last axis on its own; large logits do no harm.

    logits: a float tensor of shape (vocab,), (batch, vocab) or (batch, seq, vocab)
    returns a tensor of the same shape; its last axis sums to 1
    """
    shifted = logits - logits.max(dim=-1, keepdim=True).values
    weights = shifted.exp()
    return weights / weights.sum(dim=-1, keepdim=True)


def _over_the_batch(logits):
    return logits.softmax(dim=0)


def _over_everything(logits):
    return logits.flatten().softmax(0).reshape(logits.shape)


def _overflowing(logits):
    return logits.exp() / logits.exp().sum(dim=-1, keepdim=True)


def _one_maximum(logits):
    weights = (logits - logits.max()).exp()
    return weights / weights.sum(dim=-1, keepdim=True)


def _not_divided(logits):
    return (logits - logits.max(dim=-1, keepdim=True).values).exp()


def _logarithm(logits):
    return logits.log_softmax(dim=-1)


def _no_exponential(logits):
    return logits / logits.sum(dim=-1, keepdim=True)


def _hard(logits):
    return (logits == logits.max(dim=-1, keepdim=True).values).float()


def _sigmoid(logits):
    return logits.sigmoid()


def _softmax_inputs(rng):
    yield (torch.tensor([1.0, 2.0, 0.0]),)
    yield (torch.tensor([[0.0, 0.0], [1.0, -1.0]]),)
    yield (torch.tensor([[0.5, 0.5, 1.0], [1000.0, 999.0, 0.0], [-1000.0, -1001.0, -1002.0]]),)
    for shape in ((7,), (2, 6), (3, 3), (2, 3, 5), (4, 4, 4)):
        yield (_logits(rng, *shape),)


SOFTMAX = Exercise(
    id="neural.softmax",
    title="Softmax",
    minutes=8,
    difficulty=2,
    reference=softmax,
    inputs=_softmax_inputs,
    rtol=3e-4,  # exp(z − logsumexp(z)) at z = 1000 has lost some digits, and is right
    mistakes={
        "Your softmax runs over the first axis. The scores that compete are those of one place: the last axis, "
        "dim=-1.": _over_the_batch,
        "The whole tensor sums to 1. Each row of the last axis is a distribution of its own.": _over_everything,
        "Right for small logits, and NaN for large ones: exp(1000) is infinite. Subtract the row's maximum first; the "
        "result is the same.": _overflowing,
        "You subtract one maximum from all rows. A row that lies far below it becomes all zeros, and 0/0 is NaN: each "
        "row needs its own.": _one_maximum,
        "The exponentials are there, but they do not sum to 1 yet: divide by their sum.": _not_divided,
        "That is the logarithm of the softmax.": _logarithm,
        "There is no exponential in it. Divided by their sum, negative logits make negative probabilities.": (
            _no_exponential
        ),
        "The largest gets 1 and the rest 0: that is the argmax. Softmax is softer.": _hard,
        "That is the sigmoid of each logit. It does not make them compete, so they do not sum to 1.": _sigmoid,
    },
    properties=[
        ("does not change when the same number is added to all logits", lambda f: _shift_changes_nothing(f)),
    ],
    hints=(
        "Make every score positive, then make each row sum to 1. Which function is always positive?",
        "exp of the logits, divided by the sum of a row. Subtract the maximum of each row before exp, so that the "
        "largest number is exp(0).",
        "`logits.max(dim=-1, keepdim=True).values` is the maximum of each row; sum with `dim=-1, keepdim=True` too.",
    ),
)


def _shift_changes_nothing(f):
    logits = torch.tensor([[1.0, 3.0], [2.0, 0.0]])
    return torch.allclose(f(logits), f(logits + 100), atol=1e-5)


# ------------------------------------------------------------------ neural.cross_entropy


def cross_entropy(logits, targets):
    """The loss of a batch: the mean, over the tokens that are not padding, of −ln q(the right token). In nats.

    logits: a float tensor of shape (tokens, vocab)
    targets: the ids of the right tokens, of shape (tokens,); 0 is padding, and does not count
    returns a tensor with one number
    """
    log_q = torch.log_softmax(logits, dim=1)  # tokens vocab
    right = log_q[torch.arange(len(targets)), targets]  # tokens
    return -right[targets != 0].mean()


def _surprises(logits, targets):
    return -logits.log_softmax(1)[torch.arange(len(targets)), targets]


def _sum_of_tokens(logits, targets):
    return _surprises(logits, targets)[targets != 0].sum()


def _over_tokens_and_classes(logits, targets):
    return _surprises(logits, targets)[targets != 0].mean() / logits.shape[1]


def _padding_counts(logits, targets):
    return _surprises(logits, targets).mean()


def _divided_by_all(logits, targets):
    return _surprises(logits, targets)[targets != 0].sum() / len(targets)


def _no_minus(logits, targets):
    return -_surprises(logits, targets)[targets != 0].mean()


def _mean_probability(logits, targets):
    return (-_surprises(logits, targets)[targets != 0]).exp().mean()


def _log_of_the_mean(logits, targets):
    return -_mean_probability(logits, targets).log()


def _bits(logits, targets):
    return _surprises(logits, targets)[targets != 0].mean() / math.log(2)


def _logits_as_they_are(logits, targets):
    return -logits[torch.arange(len(targets)), targets][targets != 0].mean()


def _all_classes(logits, targets):
    return -logits.log_softmax(1)[targets != 0].sum(dim=1).mean()


def _softmax_over_tokens(logits, targets):
    return -logits.log_softmax(0)[torch.arange(len(targets)), targets][targets != 0].mean()


def _log_of_softmax(logits, targets):
    q = logits.softmax(1)[torch.arange(len(targets)), targets]
    return -q.log()[targets != 0].mean()


def _softmax_twice(logits, targets):
    return _surprises(logits.softmax(1), targets)[targets != 0].mean()


def _cross_entropy_inputs(rng):
    yield (torch.tensor([[0.0, 1.0, 2.0], [0.0, 0.0, 3.0]]), torch.tensor([2, 1]))
    yield (torch.tensor([[0.0, 1.0, 2.0], [5.0, 0.0, 3.0]]), torch.tensor([1, 0]))
    yield (torch.tensor([[0.0, 300.0, 0.0], [2.0, 0.0, 1.0]]), torch.tensor([2, 1]))
    for tokens, vocab in ((4, 4), (5, 9), (12, 6)):
        targets = torch.tensor(rng.integers(1, vocab, tokens))
        targets[-2:] = 0
        yield (_logits(rng, tokens, vocab), targets)


CROSS_ENTROPY = Exercise(
    id="neural.cross_entropy",
    title="Cross-entropy",
    minutes=8,
    difficulty=2,
    reference=cross_entropy,
    inputs=_cross_entropy_inputs,
    mistakes={
        "You add up the tokens' losses. The mean is asked for, or a longer batch has a larger loss.": _sum_of_tokens,
        "You divide by the number of classes too. The sum over the classes is inside −ln q; the mean is over tokens.": (
            _over_tokens_and_classes
        ),
        "Padding takes part: places whose target is 0 must be left out.": _padding_counts,
        "You leave padding out of the sum, but divide by all places. Divide by the number of tokens that count.": (
            _divided_by_all
        ),
        "Your loss is negative: the logarithm of a probability is below 0, so a minus is missing.": _no_minus,
        "That is the mean probability of the right token. Take −ln of each before the mean.": _mean_probability,
        "You take the logarithm of a mean. The loss is the mean of the logarithms.": _log_of_the_mean,
        "That is in bits. With the natural logarithm it is in nats.": _bits,
        "You take the logits themselves for ln q. They must go through a softmax first.": _logits_as_they_are,
        "You add −ln q of all classes. Only the right one has y = 1; the others are multiplied by 0.": _all_classes,
        "Your softmax runs over the tokens. The scores of one token compete: dim=1.": _softmax_over_tokens,
        "Softmax first and log after: a probability that rounds to 0 costs an infinite loss. log_softmax does both at "
        "once, safely.": _log_of_softmax,
        "There are two softmaxes in it, one of the other's result.": _softmax_twice,
    },
    hints=(
        "For each token, look up one number in its row: ln q of the right token.",
        "`torch.log_softmax(logits, dim=1)` has all ln q. Take the one at `targets` in each row, drop the places where "
        "`targets` is 0, and average.",
        "`log_q[torch.arange(len(targets)), targets]` takes one number per row; `targets != 0` says which ones count.",
    ),
)
