"""The benchmarks, at a tiny size: both sides do the same work, and the table says what was measured."""

import pytest

from benchmarks import bert_step
from benchmarks.timing import Comparison, side_by_side, table
from lessons_lib.models.bert import BERTConfig

SMALL = BERTConfig(300, context_length=32, d_model=16, n_layers=2, n_heads=2, dropout=0.0)


def test_both_sides_of_the_bert_step_learn_alike():
    batch = bert_step.make_batch(4, 32, 300)
    assert batch.rows.ids.shape == (4, 32) and (batch.rows.ids != 0).all()
    ours, theirs = bert_step.both_steps(SMALL, batch)
    pairs = [(ours(), theirs()) for _ in range(6)]
    for one, other in pairs:
        assert one == pytest.approx(other, rel=1e-5)
    assert pairs[-1][0] < pairs[0][0]


def test_the_comparison_runs():
    found = bert_step.compare(SMALL, batch=2, seq=16, repeats=3, steps=1)
    assert len(found.ours) == len(found.theirs) == 3 and all(seconds > 0 for seconds in found.ours + found.theirs)


def test_work_that_differs_is_not_compared(monkeypatch):
    monkeypatch.setattr(bert_step, "both_steps", lambda config, batch: (lambda: 1.0, lambda: 1.001))
    with pytest.raises(AssertionError, match=r"Our loss is 1.0 and theirs 1.001"):
        bert_step.compare(SMALL, batch=2, seq=16, repeats=1)


def test_turns_alternate():
    calls = []
    side_by_side("x", lambda: calls.append("o"), lambda: calls.append("t"), target=1.0, repeats=2, steps=2)
    assert "".join(calls) == "ot" + "oott" + "ttoo"


def test_the_table():
    comparison = Comparison("a step", (0.1, 0.2, 0.3), (0.8, 1.0, 0.9), 4.0)
    assert comparison.ratio == pytest.approx(4.5) and comparison.ratios == pytest.approx((8.0, 5.0, 3.0))
    header, line = table([comparison]).splitlines()
    assert line.split("  ")[0] == "a step" and line.endswith("4.0")
    assert "200 (100 to 300)" in line and "900 (800 to 1000)" in line and "4.5 (3.0 to 8.0)" in line
    assert len(header) == len(line)
