"""Exercises of lesson 14: the loss of direct preference optimisation, and what it is before the first step."""

import math

import torch
import torch.nn.functional as F

from lessons_lib.exercises._attention_scores import drawn
from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ tune.first_loss

FIRST_LOSS = Exercise(
    id="tune.first_loss",
    title="Predict: the first loss of DPO",
    minutes=2,
    difficulty=1,
    kind="value",
    reference="0.69",
    choices=("0", "0.5", "0.69", "1"),
    mistakes={
        "0 would be a model that is sure of every pair. It has learned nothing yet: both ratios q / q before are 1.": (
            "0"
        ),
        "That is the probability, σ(0). The loss is minus its natural logarithm.": "0.5",
        "1 is the logarithm of 2 to the base 2: the loss in bits. Ours is in nats.": "1",
    },
    explanation="Before the first step the model is the reference, every margin is 0, and −ln σ(0) = ln 2: even odds.",
    hints=(
        "Before the first step the model is the reference. What is ln(q / q before) then?",
        "The margin is β · (0 − 0). What is σ of that?",
        "Minus the natural logarithm of a half.",
    ),
)

# ------------------------------------------------------------------ tune.dpo_loss


def dpo(chosen, rejected, chosen_before, rejected_before, beta):
    """The mean loss of direct preference optimisation, in nats per pair: −ln σ(margin).

    The margin of a pair is beta times the difference between what the chosen answer's log-probability has gained
    since the reference and what the rejected one's has.

    chosen, rejected: tensors of shape (pairs,), log-probabilities of the answers under the model
    chosen_before, rejected_before: the same under the reference
    beta: a number above 0
    returns: one number, as a tensor
    """
    margin = beta * ((chosen - chosen_before) - (rejected - rejected_before))
    return -F.logsigmoid(margin).mean()


def _margin(c, r, cb, rb):
    return (c - cb) - (r - rb)


def _no_reference(c, r, cb, rb, beta):
    return -F.logsigmoid(beta * (c - r)).mean()


def _no_beta(c, r, cb, rb, beta):
    return -F.logsigmoid(_margin(c, r, cb, rb)).mean()


def _swapped(c, r, cb, rb, beta):
    return -F.logsigmoid(-beta * _margin(c, r, cb, rb)).mean()


def _plus(c, r, cb, rb, beta):
    return -F.logsigmoid(beta * ((c - cb) + (r - rb))).mean()


def _no_log(c, r, cb, rb, beta):
    return -torch.sigmoid(beta * _margin(c, r, cb, rb)).mean()


def _no_minus(c, r, cb, rb, beta):
    return F.logsigmoid(beta * _margin(c, r, cb, rb)).mean()


def _dpo_sum(c, r, cb, rb, beta):
    return -F.logsigmoid(beta * _margin(c, r, cb, rb)).sum()


def _no_mean(c, r, cb, rb, beta):
    return -F.logsigmoid(beta * _margin(c, r, cb, rb))


def _mean_inside(c, r, cb, rb, beta):
    return -F.logsigmoid(beta * _margin(c, r, cb, rb).mean())


def _naive_log(c, r, cb, rb, beta):
    return -torch.log(1 / (1 + torch.exp(-beta * _margin(c, r, cb, rb)))).mean()


def _over_beta(c, r, cb, rb, beta):
    return -F.logsigmoid(_margin(c, r, cb, rb) / beta).mean()


def _only_margin(c, r, cb, rb, beta):
    return -(beta * _margin(c, r, cb, rb)).mean()


def _outside(c, r, cb, rb, beta):
    return -beta * F.logsigmoid(_margin(c, r, cb, rb)).mean()


def _probabilities(c, r, cb, rb, beta):
    return -F.logsigmoid(beta * _margin(*(t.exp() for t in (c, r, cb, rb)))).mean()


def _chosen_only(c, r, cb, rb, beta):
    return -F.logsigmoid(beta * (c - cb)).mean()


def _dpo_inputs(rng):
    yield (torch.tensor([-10.0]), torch.tensor([-12.0]), torch.tensor([-11.0]), torch.tensor([-11.5]), 0.5)
    for pairs, beta, scale in ((2, 0.1, 5), (5, 0.3, 4), (8, 2.0, 2), (3, 1.0, 400)):
        yield (*(-10 + scale * drawn(rng, pairs) for _ in range(4)), beta)


def _knows_no_better(f):
    before = torch.tensor([-9.0, -4.0]), torch.tensor([-7.0, -8.0])
    return math.isclose(float(f(*before, *before, 0.2)), math.log(2), rel_tol=1e-5)


def _common_gain_counts_nothing(f):
    c, r, cb, rb = (torch.tensor(x) for x in ([-9.0, -4.0], [-7.0, -8.0], [-8.0, -4.5], [-7.5, -7.0]))
    return math.isclose(float(f(c, r, cb, rb, 0.3)), float(f(c + 2.0, r + 2.0, cb, rb, 0.3)), rel_tol=1e-5)


DPO_LOSS = Exercise(
    id="tune.dpo_loss",
    title="Direct preference optimisation",
    minutes=8,
    difficulty=2,
    reference=dpo,
    inputs=_dpo_inputs,
    rtol=1e-4,
    atol=1e-6,
    mistakes={
        "The reference is missing. What counts is how much an answer has gained since it, not how probable it is.": (
            _no_reference
        ),
        "beta is missing: it multiplies the margin.": _no_beta,
        "The margin is the wrong way round: the chosen answer is to gain more than the rejected one.": _swapped,
        "The two gains are added. The margin is their difference.": _plus,
        "That is minus σ of the margin. The loss is minus its logarithm.": _no_log,
        "The sign is wrong: a log-probability is at most 0, and the loss is minus its mean.": _no_minus,
        "That is the sum over the pairs. The loss is their mean.": _dpo_sum,
        "There is a loss for each pair. Return their mean.": _no_mean,
        "You averaged the margins. It is the losses that are averaged.": _mean_inside,
        "The logarithm of a sigmoid: right for small margins, and infinite for a large one below 0. F.logsigmoid does "
        "both in one.": _naive_log,
        "You divided by beta. It multiplies the margin.": _over_beta,
        "That is minus the mean margin: −ln σ is missing.": _only_margin,
        "beta stands inside σ: it multiplies the margin, not the loss.": _outside,
        "You took exp of the log-probabilities. The margin is made of the logarithms themselves.": _probabilities,
        "The rejected answer is missing: its gain is subtracted.": _chosen_only,
    },
    properties=[
        ("is ln 2 where nothing has changed since the reference", _knows_no_better),
        ("does not change when both answers gain alike", _common_gain_counts_nothing),
    ],
    hints=(
        "For each answer: its log-probability now, minus that under the reference.",
        "The margin is beta times the chosen answer's gain minus the rejected one's: one number a pair.",
        "`-F.logsigmoid(margin).mean()`.",
    ),
)
