"""Exercises of lesson 06 on positions that act inside attention: rotary embeddings, a bug with them, and ALiBi."""

import torch

from lessons_lib.exercises._attention_scores import drawn
from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ position.rotary


def rotary(x, positions):
    """Turn every pair of dimensions of every row by an angle in proportion to the row's position.

    The pair (a, b) of dimensions (2i, 2i + 1) becomes (a cos − b sin, a sin + b cos) of the angle position · ω,
    with ω = 10000 ** (−2i / d).

    x: a tensor of shape (seq, d), queries or keys; d is even
    positions: a tensor of shape (seq,), the place of each row
    returns: a tensor of shape (seq, d)
    """
    d = x.shape[1]
    angles = positions[:, None] * 10000.0 ** (-torch.arange(0, d, 2) / d)
    a, b = x[:, ::2], x[:, 1::2]
    turned = torch.empty(x.shape)
    turned[:, ::2] = a * angles.cos() - b * angles.sin()
    turned[:, 1::2] = a * angles.sin() + b * angles.cos()
    return turned


def _angles(x, positions, power=-1.0):
    return positions[:, None] * 10000.0 ** (power * torch.arange(0, x.shape[1], 2) / x.shape[1])


def _turn(x, angles):
    a, b = x[:, 0::2], x[:, 1::2]
    pairs = [a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()]
    return torch.stack(pairs, dim=-1).flatten(1)


def _turn_back(x, positions):
    return _turn(x, -_angles(x, positions))


def _row_numbers(x, positions):
    return _turn(x, _angles(x, torch.arange(len(x))))


def _in_halves(x, positions):
    a, b = x.chunk(2, dim=1)
    angles = _angles(x, positions)
    return torch.cat([a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()], dim=1)


def _added(x, positions):
    angles = _angles(x, positions)
    return x + torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


def _multiplied(x, positions):
    angles = _angles(x, positions)
    return x * torch.stack([angles.cos(), angles.sin()], dim=-1).flatten(1)


def _in_place(x, positions):
    angles = _angles(x, positions)
    turned = x.clone()
    turned[:, 0::2] = turned[:, 0::2] * angles.cos() - turned[:, 1::2] * angles.sin()
    turned[:, 1::2] = turned[:, 0::2] * angles.sin() + turned[:, 1::2] * angles.cos()
    return turned


def _one_speed(x, positions):
    return _turn(x, _angles(x, positions, power=0.0))


def _two_in_the_exponent(x, positions):
    return _turn(x, _angles(x, positions, power=-2.0))


def _both_plus(x, positions):
    a, b, angles = x[:, 0::2], x[:, 1::2], _angles(x, positions)
    pairs = [a * angles.cos() + b * angles.sin(), a * angles.sin() + b * angles.cos()]
    return torch.stack(pairs, dim=-1).flatten(1)


def _apart(x, positions):
    turned = _turn(x, _angles(x, positions))
    return torch.cat([turned[:, 0::2], turned[:, 1::2]], dim=1)


def _rotary_inputs(rng):
    yield (torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 1]))
    for seq, d in ((1, 4), (3, 2), (4, 4), (5, 8), (9, 6)):
        yield (drawn(rng, seq, d), torch.tensor(rng.choice(30, seq, replace=False)))


def _relative(f):
    generator = torch.Generator().manual_seed(0)
    q, k = (torch.randn(1, 8, generator=generator) for _ in range(2))
    scores = [float((f(q, torch.tensor([t])) * f(k, torch.tensor([t - 3]))).sum()) for t in (3, 10, 25)]
    return max(scores) - min(scores) < 1e-3


ROTARY = Exercise(
    id="position.rotary",
    title="Rotary embeddings",
    minutes=10,
    difficulty=2,
    reference=rotary,
    inputs=_rotary_inputs,
    atol=1e-4,
    mistakes={
        "You turn the other way: look at the signs of the sines. A model would not mind; the docstring does.": (
            _turn_back
        ),
        "You use the row's number where its position is given: positions need not count up from 0.": _row_numbers,
        "You pair dimension i with dimension i + d/2. Many libraries do; here neighbours are a pair.": _in_halves,
        "That adds the waves to x. Rotary embeddings turn x and add nothing.": _added,
        "You multiply by cosines and sines without mixing the two numbers of a pair. A turn mixes them.": _multiplied,
        "The second half of the pair is computed from the first half's new value. Keep the old one.": _in_place,
        "All pairs turn at the same speed. Pair i turns by ω = 10000 ** (−2i / d) per place.": _one_speed,
        "The exponent is −2i/d where i counts pairs. If your i runs over 0, 2, 4, …, it is −i/d.": (
            _two_in_the_exponent
        ),
        "There is a minus in the first number of each pair: a cos − b sin.": _both_plus,
        "The turns are right, but the pairs end up apart: the results belong where a and b were.": _apart,
    },
    properties=[("gives the same dot product at the same distance, wherever the two stand", _relative)],
    hints=(
        "Angles first: one row per row of x, one column per pair. Then the two numbers of each pair, a and b.",
        "`a, b = x[:, ::2], x[:, 1::2]`, and `positions[:, None] * frequencies` are the angles.",
        "Write a cos − b sin to columns `::2` of a new tensor, and a sin + b cos to columns `1::2`.",
    ),
)

# ------------------------------------------------------------------ position.find_the_bug


def step_by_step(q, k):
    """Rotary scores as a model that writes computes them: one new word at a time, keys kept in a cache.

    Row t holds the dot products of query t with keys 0 to t, all turned by their own places; zeros for later keys.

    q, k: tensors of shape (seq, d), before they are turned; d is even
    returns: a tensor of shape (seq, seq)
    """
    speeds = 10000.0 ** (-torch.arange(0, q.shape[1], 2) / q.shape[1])

    def turn(row, place):
        hands = torch.view_as_complex(row.reshape(-1, 2)) * torch.polar(torch.ones(len(speeds)), place * speeds)
        return torch.view_as_real(hands).flatten()

    scores = torch.zeros(len(q), len(q))
    cache = []
    for t in range(len(q)):
        cache.append(turn(k[t], t))
        query = turn(q[t], t)
        for s, key in enumerate(cache):
            scores[t, s] = query @ key
    return scores


class _Given:
    def step_by_step(q, k):
        """Rotary scores as a model that writes computes them: one new word at a time, keys kept in a cache.

        Row t holds the dot products of query t with keys 0 to t, all turned by their own places; zeros for later keys.

        q, k: tensors of shape (seq, d), before they are turned; d is even
        returns: a tensor of shape (seq, seq)
        """
        speeds = 10000.0 ** (-torch.arange(0, q.shape[1], 2) / q.shape[1])

        def turn(row, place):
            hands = torch.view_as_complex(row.reshape(-1, 2)) * torch.polar(torch.ones(len(speeds)), place * speeds)
            return torch.view_as_real(hands).flatten()

        scores = torch.zeros(len(q), len(q))
        cache = []
        for t in range(len(q)):
            cache.append(turn(k[t], len(cache)))
            query = turn(q[t], len(cache))
            for s, key in enumerate(cache):
                scores[t, s] = query @ key
        return scores


def _scores(q, k, query_place, key_place, later=False):
    places = torch.arange(len(q))
    scores = _turn(q, _angles(q, query_place(places))) @ _turn(k, _angles(k, key_place(places))).T
    return scores if later else scores.tril()


def _one_early(q, k):
    return _scores(q, k, lambda t: t, lambda t: t + 1)


def _query_at_zero(q, k):
    return _scores(q, k, lambda t: 0 * t, lambda t: t)


def _nothing_turned(q, k):
    return (q @ k.T).tril()


def _keys_unturned(q, k):
    return _scores(q, k, lambda t: t, lambda t: 0 * t)


def _everything_seen(q, k):
    return _scores(q, k, lambda t: t, lambda t: t, later=True)


def _without_itself(q, k):
    return _scores(q, k, lambda t: t, lambda t: t).tril(-1)


def _bug_inputs(rng):
    for seq, d in ((1, 2), (2, 2), (3, 4), (5, 6), (8, 4)):
        yield (drawn(rng, seq, d), drawn(rng, seq, d))


def _own_score(f):
    generator = torch.Generator().manual_seed(1)
    q, k = (torch.randn(5, 6, generator=generator) for _ in range(2))
    return torch.allclose(f(q, k).diagonal(), (q * k).sum(1), atol=1e-4)


FIND_THE_BUG = Exercise(
    id="position.find_the_bug",
    title="Find the bug: a cache that is one place off",
    minutes=8,
    difficulty=2,
    reference=step_by_step,
    given=_Given.step_by_step,
    inputs=_bug_inputs,
    atol=1e-4,
    mistakes={
        "Now every key stands one place too late. A word's query and key stand at the same place.": _one_early,
        "Every query stands at place 0 now. It belongs at the place of its word, as its key does.": _query_at_zero,
        "Nothing is turned any more: order is lost. The turning was right, the place was not.": _nothing_turned,
        "The keys are not turned any more. Both sides are turned, each by its own place.": _keys_unturned,
        "Later keys were zero, and should stay so: a word that writes has no future.": _everything_seen,
        "A word may look at itself: its own key belongs in the cache before the scores are computed.": _without_itself,
    },
    properties=[("leaves q·k alone at distance 0", _own_score)],
    hints=(
        "What should the score of a word with itself be, when query and key are turned by the same angle?",
        "Print the place by which each key and each query is turned, for t = 0 and t = 1.",
        "`len(cache)` is t before the append, and t + 1 after it.",
    ),
)
