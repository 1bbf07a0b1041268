"""The benchmarks, at a tiny size: both sides do the same work, and the table says what was measured."""

import pytest

from benchmarks import bert_step, gpt_step, gpt_writing, utilisation
from benchmarks.timing import Comparison, side_by_side, table
from lessons_lib.models.bert import BERTConfig
from lessons_lib.models.gpt import GPT, GPTConfig

SMALL = BERTConfig(300, context_length=32, d_model=16, n_layers=2, n_heads=2, dropout=0.0)

GPT_SMALL = GPTConfig(60, context_length=32, d_model=16, n_layers=2, n_heads=2, dropout=0.0)


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


def test_both_sides_of_the_gpt_step_learn_alike():
    ours, theirs = gpt_step.both_steps(GPT_SMALL, gpt_step.make_ids(4, 32, 60))
    pairs = [(ours(), theirs()) for _ in range(6)]
    for one, other in pairs:
        assert one == pytest.approx(other, rel=1e-5)
    assert pairs[-1][0] < pairs[0][0]
    assert gpt_step.compare(GPT_SMALL, batch=2, seq=8, repeats=2, steps=1).target == 1.4


def test_gpt_steps_that_differ_are_not_compared(monkeypatch):
    monkeypatch.setattr(gpt_step, "both_steps", lambda config, ids: (lambda: 1.0, lambda: 1.001))
    with pytest.raises(AssertionError, match=r"Our loss is 1.0 and theirs 1.001"):
        gpt_step.compare(GPT_SMALL, batch=2, seq=16, repeats=1)


def test_both_writers_write_the_same(monkeypatch):
    ours, theirs = gpt_writing.both_writers(GPT_SMALL, 12)
    assert ours() == theirs() and len(set(ours())) > 1
    assert len(gpt_writing.compare(GPT_SMALL, n_tokens=5, repeats=2).ours) == 2
    monkeypatch.setattr(gpt_writing, "both_writers", lambda config, n_tokens: (lambda: [1], lambda: [2]))
    with pytest.raises(AssertionError, match=r"We write \[1\] and they \[2\]"):
        gpt_writing.compare(GPT_SMALL, n_tokens=1, repeats=1)


@pytest.mark.parametrize("changes", [{}, {"gated": True, "activation": "silu"}, {"tied": False, "d_ff": 20}], ids=str)
def test_operations_are_counted(changes):
    config = GPTConfig(60, context_length=32, d_model=16, n_layers=2, n_heads=2, **changes)
    matrices = [p for name, p in GPT(config).named_parameters() if p.ndim == 2 and not name.startswith("places")]
    n_weights = sum(p.numel() for p in matrices) - (0 if config.tied else 60 * 16)  # looking up is no product
    per_token = 6 * n_weights
    looks = 6 * 2 * 2 * 16  # two layers, scores and averages, sixteen products each, with each key that is seen
    seen = sum(range(1, 9))
    assert utilisation.training_flops(config, batch=3, seq=8) == 3 * (8 * per_token + looks * seen)


def test_utilisation_is_a_share(monkeypatch):
    monkeypatch.setattr(utilisation, "PRODUCT", 64)
    found = utilisation.measure(GPT_SMALL, batch=2, seq=16, repeats=3)
    assert len(found.step) == len(found.best) == 3 and found.share > 0
    told = str(utilisation.Utilisation("a step", (6e9, 7e9, 8e9), (10e9, 10e9, 10e9)))
    assert told == "a step: 7.0 of 10.0 GFLOP/s, utilisation 70% (60% to 80%), target 60%"


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
