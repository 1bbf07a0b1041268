"""Exercise of lesson 09: the loss of a masked language model, at the chosen places only."""

import math

import torch
import torch.nn.functional as F

from lessons_lib.exercises._attention_scores import drawn
from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ mlm.loss


def masked_loss(logits, targets):
    """The mean cross-entropy of the true tokens, in nats, over the places where one is asked for.

    logits: a tensor of shape (batch, seq, vocab_size)
    targets: a tensor of whole numbers, shape (batch, seq): the true token, or 0 where nothing is asked
    returns: one number, as a tensor
    """
    asked = targets != 0
    return F.cross_entropy(logits[asked], targets[asked])


def _each(logits, targets):
    """Minus the log-probability of the target at every place: batch seq."""
    return -logits.log_softmax(dim=-1).gather(2, targets[:, :, None])[:, :, 0]


def _over_all(logits, targets):
    return (_each(logits, targets) * (targets != 0)).mean()


def _summed(logits, targets):
    return (_each(logits, targets) * (targets != 0)).sum()


def _over_batch(logits, targets):
    return _summed(logits, targets) / len(targets)


def _row_means(logits, targets):
    asked = targets != 0
    return ((_each(logits, targets) * asked).sum(dim=1) / asked.sum(dim=1)).mean()


def _zeros_in(logits, targets):
    return _each(logits, targets).mean()


def _zeros_only(logits, targets):
    return _each(logits, targets)[targets == 0].mean()


def _bits(logits, targets):
    return masked_loss(logits, targets) / math.log(2)


def _perplexity(logits, targets):
    return masked_loss(logits, targets).exp()


def _no_minus(logits, targets):
    return -masked_loss(logits, targets)


def _raw_logits(logits, targets):
    return -logits.gather(2, targets[:, :, None])[:, :, 0][targets != 0].mean()


def _probability(logits, targets):
    return _each(logits, targets).neg().exp()[targets != 0].mean()


def _log_of_mean(logits, targets):
    return -_probability(logits, targets).log()


def _accuracy(logits, targets):
    return (logits.argmax(dim=-1) == targets)[targets != 0].float().mean()


def _softmax_twice(logits, targets):
    return masked_loss(logits.softmax(dim=-1), targets)


def _over_places(logits, targets):
    return -logits.log_softmax(dim=1).gather(2, targets[:, :, None])[:, :, 0][targets != 0].mean()


def _cut_wrongly(logits, targets):
    return masked_loss(logits.transpose(1, 2).reshape(logits.shape), targets)


def _shifted(logits, targets):
    return masked_loss(logits[:, :-1], targets[:, 1:])


def _log_of_softmax(logits, targets):
    probabilities = logits.softmax(dim=-1)
    return -probabilities.log().gather(2, targets[:, :, None])[:, :, 0][targets != 0].mean()


def _loss_inputs(rng):
    yield (
        torch.tensor([[[0.0, 2.0, 1.0, 0.0], [3.0, 0.0, 0.0, 1.0], [1.0, -1.0, 1.0, 2.0]]]),
        torch.tensor([[0, 1, 3]]),
    )
    for batch, seq, vocab, scale in ((2, 4, 5, 1), (3, 6, 4, 2), (4, 5, 12, 1), (2, 5, 6, 100)):
        targets = torch.tensor(rng.integers(1, vocab, (batch, seq)))
        asked = torch.tensor(rng.uniform(size=(batch, seq)) < 0.4)
        asked[:, 2], asked[0, 1:4], asked[:, 0] = True, True, False  # some in every row, and not equally many
        yield (drawn(rng, batch, seq, vocab) * scale, targets.where(asked, 0))


def _drawn_case(seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, 4, 5, generator=generator), torch.tensor([[0, 3, 0, 0], [1, 0, 4, 0]])


def _deaf_elsewhere(f):
    logits, targets = _drawn_case(5)
    changed = torch.where((targets == 0)[:, :, None], 3 * logits.flip(2), logits)
    return math.isclose(float(f(logits, targets)), float(f(changed, targets)), rel_tol=1e-5)


def _knows_nothing(f):
    _, targets = _drawn_case(6)
    return math.isclose(float(f(torch.zeros(2, 4, 5), targets)), math.log(5), rel_tol=1e-5)


LOSS = Exercise(
    id="mlm.loss",
    title="The loss at the masks",
    minutes=7,
    difficulty=2,
    reference=masked_loss,
    inputs=_loss_inputs,
    rtol=1e-4,
    atol=1e-6,
    mistakes={
        "You divided by the number of all places, those where nothing is asked among them: the loss comes out several "
        "times too small. Divide by the number of places asked.": _over_all,
        "That is the sum. The loss is the mean over the places asked.": _summed,
        "You divided the sum by the number of texts. Divide by the number of places asked.": _over_batch,
        "You took a mean for each text, and then the mean of those: a token of a text with few masks counts more. "
        "Every place asked counts the same.": _row_means,
        "The places where nothing is asked are in the mean, with padding as the right answer. Leave them out.": (
            _zeros_in
        ),
        "You took the places where nothing is asked. A target other than 0 is a question.": _zeros_only,
        "That is in bits. With the natural logarithm it is in nats.": _bits,
        "That is the perplexity. The loss is its logarithm.": _perplexity,
        "The sign is wrong: a log-probability is at most 0, and the loss is minus its mean.": _no_minus,
        "Those are logits, not log-probabilities yet: a softmax is missing.": _raw_logits,
        "That is the mean probability of the true tokens. The loss is the mean of minus its logarithm.": _probability,
        "You took the logarithm of the mean probability. It is the mean of the logarithms.": _log_of_mean,
        "That is how often the likeliest token is right. The loss asks how probable the true one was.": _accuracy,
        "The softmax was taken twice: cross_entropy wants logits, and does its own.": _softmax_twice,
        "The softmax runs over the places. Each place shares out over the vocabulary: the last axis.": _over_places,
        "The logits are mixed up: a reshape does not exchange axes. cross_entropy wants the tokens of the vocabulary "
        "on axis 1: pick the places first, or transpose.": _cut_wrongly,
        "You shifted the targets by one, as for predicting the next word. Here the answer stands at its own place.": (
            _shifted
        ),
        "The logarithm of a softmax: right while the logits are small, and infinite once a probability is rounded to "
        "0. log_softmax does both in one, and so does cross_entropy.": _log_of_softmax,
    },
    properties=[
        ("does not depend on the logits where nothing is asked", _deaf_elsewhere),
        ("is the logarithm of the vocabulary's size when all tokens are equally probable", _knows_nothing),
    ],
    hints=(
        "Where is something asked? Comparing targets with 0 gives truth values, and indexing with them picks places.",
        "`logits[targets != 0]` has shape (places asked, vocab_size): one row of logits for each question.",
        "`F.cross_entropy` takes such rows and their true tokens, and returns the mean. By hand: log_softmax over the "
        "last axis, pick the true token of each row, minus the mean.",
    ),
)
