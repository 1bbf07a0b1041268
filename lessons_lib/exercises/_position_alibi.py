"""Exercise of lesson 06: a bias that grows with distance."""

import torch

from lessons_lib.exercises.engine import Exercise


def alibi(n_heads, n):
    """What ALiBi adds to the scores: minus the distance, times the slope of the head.

    The slopes are a geometric series: 2 ** (−8 / n_heads) for the first head, its square for the second, its cube
    for the third, and so on.

    n_heads: a power of two
    n: how many places
    returns: a tensor of shape (n_heads, n, n); entry (h, i, j) belongs to head h, query i and key j
    """
    places = torch.arange(n)
    distance = (places[:, None] - places).abs()
    slopes = 2.0 ** (-8 / n_heads * torch.arange(1, n_heads + 1))
    return -slopes[:, None, None] * distance


def _bias(n_heads, n, first=1, ratio=-8.0, sign=-1.0):
    slopes = 2.0 ** (ratio / n_heads * torch.arange(first, n_heads + first))
    places = torch.arange(n)
    return sign * slopes[:, None, None] * (places[:, None] - places).abs()


def _rewards(n_heads, n):
    return _bias(n_heads, n, sign=1.0)


def _slope_one_first(n_heads, n):
    return _bias(n_heads, n, first=0)


def _signed(n_heads, n):
    places = torch.arange(n)
    slopes = 2.0 ** (-8 / n_heads * torch.arange(1, n_heads + 1))
    return -slopes[:, None, None] * (places[:, None] - places)


def _same_slope(n_heads, n):
    places = torch.arange(n)
    return -torch.ones(n_heads, 1, 1) * 2.0 ** (-8 / n_heads) * (places[:, None] - places).abs()


def _straight(n_heads, n):
    places = torch.arange(n)
    slopes = torch.arange(1, n_heads + 1) / n_heads
    return -slopes[:, None, None] * (places[:, None] - places).abs()


def _halved_each(n_heads, n):
    places = torch.arange(n)
    slopes = 2.0 ** -torch.arange(1.0, n_heads + 1)
    return -slopes[:, None, None] * (places[:, None] - places).abs()


def _squared(n_heads, n):
    return _bias(n_heads, n) * _bias(1, n, ratio=0.0).abs()


def _reversed(n_heads, n):
    return _bias(n_heads, n).flip(0)


def _heads_last(n_heads, n):
    return _bias(n_heads, n).permute(1, 2, 0)


def _causal(n_heads, n):
    future = torch.ones(n, n, dtype=torch.bool).triu(1)
    return _bias(n_heads, n).masked_fill(future, -torch.inf)


def _alibi_inputs(rng):
    yield from ((1, 2), (2, 2), (2, 3), (4, 4), (8, 3), (16, 2), (4, 1))


ALIBI = Exercise(
    id="position.alibi",
    title="ALiBi",
    minutes=8,
    difficulty=2,
    reference=alibi,
    inputs=_alibi_inputs,
    mistakes={
        "Your bias rewards distance. It is a penalty: put a minus before it.": _rewards,
        "Your first slope is 1. The series starts at 2 ** (−8 / n_heads): count heads from 1.": _slope_one_first,
        "Your distance has a sign. Take its absolute value: far to the right is as far as far to the left.": _signed,
        "All heads have the same slope. The slopes of the others are its powers.": _same_slope,
        "Your slopes rise in equal steps. Each is the one before times 2 ** (−8 / n_heads).": _straight,
        "Your slopes halve from head to head. Right for 8 heads; in general the ratio is 2 ** (−8 / n_heads).": (
            _halved_each
        ),
        "The penalty grows with the square of the distance. It should be a straight line.": _squared,
        "The slopes are in reverse order: the first head has the steepest.": _reversed,
        "The heads come first: the shape is (n_heads, n, n).": _heads_last,
        "You closed the future as well. That is the mask's work; the bias is the same on both sides.": _causal,
    },
    hints=(
        "Two parts: a table of distances, (n, n), and one slope per head.",
        "`places[:, None] - places` has the signed distances; the slopes are 2 ** (−8h / n_heads) for h = 1, 2, …",
        "`-slopes[:, None, None] * distance` has the shape (n_heads, n, n).",
    ),
)
