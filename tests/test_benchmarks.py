"""The benchmarks, at a tiny size: both sides do the same work, and the table says what was measured."""

import nbformat
import pytest

from benchmarks import bert_step, gpt_runs, gpt_step, gpt_writing, lesson_records, utilisation
from benchmarks.timing import Comparison, side_by_side, table
from lessons_lib.models.bert import BERTConfig
from lessons_lib.models.gpt import GPTConfig
from lessons_lib.paths import data_folder
from lessons_lib.toml import load_toml

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


def test_tables_are_renewed_one_by_one(tmp_path):
    path = data_folder() / "reference_runs" / "12.toml"
    text = path.read_text(encoding="utf-8")
    assert gpt_runs.renewed(text, {}) == text
    written = tmp_path / "12.toml"
    written.write_text(gpt_runs.renewed(text, {"town": ["[town]", "steps = [1]"], "new": ["[new]", "a = 2"]}))
    before, after = load_toml(path), load_toml(written)
    assert after == before | {"town": {"steps": [1]}, "new": {"a": 2}}


def test_a_shortened_run_is_no_reference(capsys):
    with pytest.raises(SystemExit):
        gpt_runs.main(["--steps", "2"])
    assert "name another file with --out" in capsys.readouterr().err


def notebook(*sources: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])


def test_a_lesson_is_run_and_what_it_measured_written_down(tmp_path):
    record = lesson_records.Record("speed", 'of a "thing"', {"widths": "widths", "speed": "[w / 3 for w in widths]"})
    columns = lesson_records.measured(notebook("widths = (1, 20)"), tmp_path, record, "99")
    assert columns == {"widths": [1, 20], "speed": pytest.approx([1 / 3, 20 / 3])}
    (tmp_path / "99.toml").write_text(lesson_records.toml("99", record, columns), encoding="utf-8")
    found = load_toml(tmp_path / "99.toml")["speed"]
    assert found.pop("machine")
    assert found == {"what": 'of a "thing"', "widths": [1, 20], "speed": [0.333, 6.667]}


def test_a_lesson_that_fails_leaves_no_record(tmp_path):
    with pytest.raises(RuntimeError, match=r"Lesson 99 failed, and nothing was written[\s\S]*ZeroDivisionError"):
        lesson_records.measured(notebook("1 / 0"), tmp_path, lesson_records.Record("x", "y", {"a": "[1]"}), "99")


@pytest.mark.parametrize("number", sorted(lesson_records.RECORDS))
def test_recorded_columns_are_those_that_the_script_writes(number):
    record = lesson_records.RECORDS[number]
    found = load_toml(data_folder() / "reference_runs" / f"{number}.toml")[record.name]
    assert found["what"] == record.what and list(found)[2:] == list(record.columns)
