"""Exercises of lesson 06 on what attention cannot see, and on the waves that show it."""

import math

import torch

from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ position.predict_blind

PREDICT_BLIND = Exercise(
    id="position.predict_blind",
    title="Predict: how good is a model that is blind to order?",
    minutes=2,
    difficulty=1,
    kind="value",
    reference="1 in 8",
    choices=("1 in 128", "1 in 8", "1 in 2", "always"),
    mistakes={
        "It still sees which words are there: the answer is one of them, and the rest of the vocabulary is not.": (
            "1 in 128"
        ),
        "Two neighbours would be left if it knew which words stand next to which. It does not.": "1 in 2",
        "It would have to tell the word before from the other words, and to attention without positions they are a "
        "set.": "always",
    },
    explanation="The word is never its own predecessor, so 8 of the 9 are left, and nothing tells them apart.",
    hints=(
        "What does such a model know about the other words? And what does it not know?",
        "It sees all 9 words as a set. Which of them can be the word before this one?",
        "A word does not stand before itself. How many are left, all equally likely?",
    ),
)

# ------------------------------------------------------------------ position.sinusoidal


def sinusoids(n, d):
    """The sinusoidal vectors of places 0 to n − 1.

    In dimension 2i stands sin(t · ω) and in dimension 2i + 1 stands cos(t · ω), with ω = 10000 ** (−2i / d).

    n: how many places
    d: the width of a vector, an even number
    returns: a tensor of shape (n, d)
    """
    twice_i = torch.arange(0, d, 2)
    angles = torch.arange(n)[:, None] * 10000.0 ** (-twice_i / d)
    waves = torch.empty(n, d)
    waves[:, ::2] = angles.sin()
    waves[:, 1::2] = angles.cos()
    return waves


def _waves(n, d, even=torch.sin, odd=torch.cos, start=0, power=-2.0, base=10000.0):
    angles = torch.arange(start, n + start)[:, None] * base ** (power * torch.arange(d // 2) / d)
    return torch.stack([even(angles), odd(angles)], dim=-1).flatten(1)


def _each_its_own(n, d, exponent):
    return torch.arange(n)[:, None] * 10000.0 ** (-exponent * torch.arange(d) / d)


def _printed(n, d):
    return _each_its_own(n, d, 2.0).sin()


def _sine_only(n, d):
    return _waves(n, d, odd=torch.sin)


def _swapped(n, d):
    return _waves(n, d, even=torch.cos, odd=torch.sin)


def _own_frequency(n, d, exponent=1.0):
    angles = _each_its_own(n, d, exponent)
    return torch.where(torch.arange(d) % 2 == 0, angles.sin(), angles.cos())


def _double_exponent(n, d):
    return _own_frequency(n, d, 2.0)


def _from_one(n, d):
    return _waves(n, d, start=1)


def _halves(n, d):
    waves = _waves(n, d)
    return torch.cat([waves[:, 0::2], waves[:, 1::2]], dim=1)


def _growing(n, d):
    return _waves(n, d, power=2.0)


def _half_exponent(n, d):
    return _waves(n, d, power=-1.0)


def _turned(n, d):
    return _waves(n, d).T


def _sinusoidal_inputs(rng):
    yield from ((2, 2), (3, 4), (5, 6), (12, 8), (1, 4), (40, 16))


SINUSOIDAL = Exercise(
    id="position.sinusoidal",
    title="Sines and cosines",
    minutes=8,
    difficulty=2,
    reference=sinusoids,
    inputs=_sinusoidal_inputs,
    atol=1e-4,
    mistakes={
        "That is the formula with a sine everywhere and the exponent 2j/d: half of each pair is missing. Odd "
        "dimensions hold the cosine of the angle of the dimension before.": _printed,
        "There are only sines. The odd dimensions hold cosines.": _sine_only,
        "Sine and cosine have changed places: even dimensions hold sines.": _swapped,
        "Your odd dimensions have a frequency of their own. Dimensions 2i and 2i + 1 share one: they are a pair.": (
            _own_frequency
        ),
        "The exponent is 2i/d where i counts pairs, not dimensions: yours grows twice as fast.": _double_exponent,
        "The first place is 0: its sines are 0 and its cosines 1.": _from_one,
        "All sines stand first, then all cosines. Here they alternate: sine, cosine, sine, cosine.": _halves,
        "Your hands turn faster from pair to pair. They should slow down: the exponent is negative.": _growing,
        "The exponent is −2i/d, and yours is −i/d. The 2 is missing.": _half_exponent,
        "One row per place: rows and columns have changed places.": _turned,
    },
    hints=(
        "First the angles, one row per place and one column per pair. How many pairs are there?",
        "`torch.arange(n)[:, None] * frequencies` has shape (n, d // 2). Its sines go to the even columns.",
        "With `waves = torch.empty(n, d)`, write `waves[:, ::2] = angles.sin()`, and the cosines to `1::2`.",
    ),
)

# ------------------------------------------------------------------ position.shift_is_rotation


def shift_is_rotation(shift, d):
    """The matrix R that moves a sinusoidal vector by `shift` places: R @ vector(t) = vector(t + shift), for every t.

    The vectors are those of the exercise before: in dimensions 2i and 2i + 1 the sine and the cosine of t · ω, with
    ω = 10000 ** (−2i / d). R is zero outside blocks of 2 × 2 on its diagonal.

    shift: a whole number, perhaps negative
    d: the width of a vector, an even number
    returns: a tensor of shape (d, d)
    """
    rotation = torch.zeros(d, d)
    for i in range(0, d, 2):
        angle = shift * 10000.0 ** (-i / d)
        cos, sin = math.cos(angle), math.sin(angle)
        rotation[i : i + 2, i : i + 2] = torch.tensor([[cos, sin], [-sin, cos]])
    return rotation


def _blocks(shift, d, block, frequency=lambda i, d: 10000.0 ** (-i / d)):
    return torch.block_diag(
        *(
            torch.tensor(block(math.cos(shift * frequency(i, d)), math.sin(shift * frequency(i, d))))
            for i in range(0, d, 2)
        )
    )


def _backwards(shift, d):
    return _blocks(shift, d, lambda c, s: [[c, -s], [s, c]])


def _mirror(shift, d):
    return _blocks(shift, d, lambda c, s: [[c, s], [s, c]])


def _cos_first(shift, d):
    return _blocks(shift, d, lambda c, s: [[s, c], [c, -s]])


def _one_angle(shift, d):
    return _blocks(shift, d, lambda c, s: [[c, s], [-s, c]], lambda i, d: 1.0)


def _pair_twice(shift, d):
    return _blocks(shift, d, lambda c, s: [[c, s], [-s, c]], lambda i, d: 10000.0 ** (-2 * i / d))


def _pair_number(shift, d):
    return _blocks(shift, d, lambda c, s: [[c, s], [-s, c]], lambda i, d: 10000.0 ** (-i / 2 / d))


def _only_cosines(shift, d):
    return _blocks(shift, d, lambda c, s: [[c, 0.0], [0.0, c]])


def _adds(shift, d):
    return torch.eye(d) + sinusoids(abs(shift) + 1, d)[-1]


def _shift_inputs(rng):
    yield from ((1, 2), (0, 4), (1, 4), (-1, 4), (3, 6), (-7, 8), (20, 16))


def _moves_every_place(f):
    waves = sinusoids(30, 8)
    return torch.allclose(waves[:-5] @ f(5, 8).to(waves).T, waves[5:], atol=1e-4)


SHIFT_IS_ROTATION = Exercise(
    id="position.shift_is_rotation",
    title="A shift is a rotation",
    minutes=10,
    difficulty=3,
    reference=shift_is_rotation,
    inputs=_shift_inputs,
    atol=1e-4,
    mistakes={
        "That turns the other way: it moves the vector back by `shift` places. The sine comes first in each pair.": (
            _backwards
        ),
        "Both sines are positive. cos(a + b) = cos a cos b − sin a sin b: one of them has a minus.": _mirror,
        "The block is in the order cosine, sine; the vectors hold the sine first.": _cos_first,
        "All pairs turn by the same angle. Pair i turns by shift · 10000 ** (−2i / d).": _one_angle,
        "If your i runs over 0, 2, 4, … it is already twice the number of the pair: the exponent is −i/d.": (
            _pair_twice
        ),
        "The pairs turn too fast: the exponent is −2i/d when i counts pairs.": _pair_number,
        "The sines are missing: the new sine is made of the old sine and the old cosine.": _only_cosines,
        "Adding a vector moves one place to the right spot, but not every place. R must multiply.": _adds,
    },
    properties=[("moves every one of 25 places by 5", _moves_every_place)],
    hints=(
        "Take one pair. Write sin(a + b) and cos(a + b) with the sines and cosines of a and of b; a = t · ω is the "
        "old angle.",
        "sin(a + b) = cos b · sin a + sin b · cos a, and cos(a + b) = − sin b · sin a + cos b · cos a. Read off the "
        "2 × 2 block.",
        "`rotation[i:i+2, i:i+2] = torch.tensor([[cos, sin], [-sin, cos]])` for i = 0, 2, 4, …, with the angle "
        "shift · 10000 ** (−i / d).",
    ),
)
