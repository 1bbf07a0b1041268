"""Schedules at their corner points."""

import pytest

from lessons_lib.training.schedules import constant, warmup_cosine, warmup_stable_decay


def test_constant():
    assert [constant()(step) for step in (0, 5, 10**6)] == [1, 1, 1]
    assert [constant(warmup=3)(step) for step in range(5)] == [0.25, 0.5, 0.75, 1, 1]


def test_warmup_cosine_at_its_corners():
    factor = warmup_cosine(steps=101, warmup=20, final=0.1)
    assert factor(0) == pytest.approx(1 / 21)
    assert factor(19) == pytest.approx(20 / 21)
    assert factor(20) == 1
    assert factor(60) == pytest.approx(0.55)  # half-way down
    assert factor(100) == pytest.approx(0.1)
    assert factor(1000) == pytest.approx(0.1)
    values = [factor(step) for step in range(101)]
    assert values[:21] == sorted(values[:21]) and values[20:] == sorted(values[20:], reverse=True)


def test_warmup_stable_decay_at_its_corners():
    factor = warmup_stable_decay(steps=100, warmup=9, decay=20)
    assert factor(0) == pytest.approx(0.1)
    assert [factor(step) for step in (9, 50, 79)] == [1, 1, 1]
    assert factor(80) == pytest.approx(0.95)
    assert factor(89) == pytest.approx(0.5)
    assert factor(99) == pytest.approx(0, abs=1e-12)
    assert warmup_stable_decay(steps=10, decay=0)(9) == 1
    assert warmup_stable_decay(steps=10, decay=10, final=0.5)(9) == pytest.approx(0.5)


@pytest.mark.parametrize("make", [warmup_cosine, lambda **k: warmup_stable_decay(decay=0, **k)])
def test_a_run_of_one_step_runs_at_full_rate(make):
    assert make(steps=1)(0) == 1


def test_settings_that_make_no_sense():
    for make, word in [
        (lambda: warmup_cosine(steps=0), "at least one step"),
        (lambda: warmup_cosine(steps=10, warmup=10), "between 0 and 9"),
        (lambda: warmup_cosine(steps=10, final=2.0), "between 0 and 1"),
        (lambda: warmup_stable_decay(steps=10, warmup=5, decay=6), "5 steps after the warm-up"),
        (lambda: constant(warmup=-1), "0 or more"),
    ]:
        with pytest.raises(ValueError, match=word):
            make()
