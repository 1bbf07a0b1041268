"""The helper for functions that draw at random."""

import numpy as np
import pytest

from lessons_lib.exercises.chance import chi_square_bound, follows, same_seed_same_result

P = {"a": 0.5, "b": 0.3, "c": 0.2, "never": 0.0}


def draw(rng, p=(0.5, 0.3, 0.2)):
    return str(rng.choice(["a", "b", "c"], p=p))


@pytest.mark.parametrize("seed", range(20))
def test_right_draws_pass_whatever_the_seed(seed):
    assert follows(draw, P, seed=seed)


def test_wrong_draws_fail():
    assert not follows(lambda rng: draw(rng, (0.4, 0.4, 0.2)), P)
    assert not follows(lambda rng: "a", P)
    assert not follows(lambda rng: "never", P)
    assert not follows(lambda rng: "elsewhere", P)


def test_rare_outcomes_are_pooled():
    many = dict.fromkeys(range(1000), 1 / 1000)
    assert follows(lambda rng: int(rng.integers(1000)), many, draws=2000)


def test_the_bound_is_near_the_exact_quantile():
    # P(chi-square with 10 degrees > 43.2) is about 4.6e-6 by the exact tail, P(normal > 4) is 3.2e-5: within reason
    assert 38 < chi_square_bound(10) < 44
    assert chi_square_bound(0) == np.inf


def test_equal_seeds_must_give_equal_draws():
    assert same_seed_same_result(draw)
    assert not same_seed_same_result(lambda rng: draw(np.random.default_rng()) + str(np.random.default_rng().random()))
