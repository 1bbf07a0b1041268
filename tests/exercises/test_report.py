"""What the learner sees and what is kept: cards, hints, solutions, progress."""

import json
import os
import subprocess
import sys
from html.parser import HTMLParser

import nbformat
import pytest

from lessons_lib import check, hint, solution
from lessons_lib.exercises import find, judge, progress, report
from lessons_lib.exercises.progress import progress_file, read_events, record
from lessons_lib.notebooks.execute import execute


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LESSONS_STATE", str(tmp_path / "state"))
    report._hints_shown.clear()


def right(numbers):
    return sum(numbers) / len(numbers)


def test_check_prints_outside_jupyter_and_returns_nothing(capsys):
    assert check("start.average", right) is None
    assert capsys.readouterr().out == "✓ Your first function · passed\n"


def test_an_untouched_check_writes_nothing_and_says_the_same_each_time(capsys):
    check("start.average", lambda numbers: ...)
    first = capsys.readouterr().out
    check("start.average", ...)
    assert capsys.readouterr().out == first
    assert "not attempted yet" in first and not progress_file().exists()


def test_hints_come_one_by_one_and_by_number(capsys):
    texts = [capsys.readouterr().out for _ in range(4) if hint("start.average") is None]
    assert ["hint 1 of 3" in texts[0], "hint 2 of 3" in texts[1], "hint 3 of 3" in texts[2]] == [True] * 3
    assert texts[3] == texts[2] and "solution(" in texts[2]
    hint("start.average", 1)
    assert capsys.readouterr().out == texts[0]
    with pytest.raises(ValueError, match="three hints"):
        hint("start.average", 4)


def test_the_solution_is_highlighted_source():
    shown = solution("start.average")
    assert "return sum(numbers) / len(numbers)" in repr(shown)
    assert "<span" in shown._repr_mimebundle_()["text/html"]


@pytest.mark.parametrize("call", [lambda id: check(id, 1), hint, solution])
def test_a_mistyped_id_is_met_with_the_nearest(call):
    with pytest.raises(ValueError, match=r"There is no exercise 'start.averge'. Did you mean 'start.average'\?"):
        call("start.averge")
    with pytest.raises(ValueError, match=r"Did you mean 'start.average'\?"):
        call("strat.average")
    with pytest.raises(ValueError, match="The exercises are"):
        call("zzz")
    with pytest.raises(ValueError, match="in quotes"):
        call(right)


class Balance(HTMLParser):
    """Sees to it that every tag is closed, and notes the tags."""

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], set()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_a_card_is_sound_html_and_escapes_what_the_learner_wrote():
    def nasty(numbers):
        print("<script>alert(1)</script>")
        raise ValueError("<img src=x onerror=alert(2)> & `<b>`")

    exercise = find("start.average")
    bundle = report.verdict_card(exercise, judge(exercise, nasty))._repr_mimebundle_()
    page = Balance()
    page.feed(bundle["text/html"])
    assert not page.open and page.seen <= {"div", "code", "br"}
    assert "&lt;script&gt;" in bundle["text/html"] and "<script>" in bundle["text/plain"]


@pytest.mark.parametrize("status", ["passed", "wrong", "not attempted"])
def test_no_status_is_told_by_colour_alone(status):
    sign, words, _ = report.STYLES[status]
    assert sign and words
    assert len({style[0] for style in report.STYLES.values()}) == len(report.STYLES)


def test_progress_counts_checks_and_hints():
    assert "start.average" in repr(progress()) and progress().passed == 0
    check("start.average", lambda numbers: sum(numbers))
    row = next(row for row in progress().rows if row[1] == "start.average")
    assert row[3:6] == ("✗ tried", 1, 0)
    hint("start.average")
    check("start.average", right)
    check("start.average", lambda numbers: 0)
    solution("start.average")
    row = next(row for row in progress().rows if row[1] == "start.average")
    assert row[3:] == ("✓ passed", 3, 1, "yes")
    assert progress().passed == 1 and "1 of " in repr(progress())
    assert progress().rows[0][0] == "00" and progress().where.endswith("progress.jsonl")
    page = Balance()
    page.feed(progress()._repr_html_())
    assert not page.open


def test_damaged_lines_are_left_out():
    record("check", "start.average", "passed")
    with progress_file().open("ab") as file:
        file.write(b'\xff\xfe broken\n[1]\n{"id": 3}\n{"half": ')
    assert len(read_events()) == 1
    assert progress().passed == 1


def test_a_folder_that_cannot_be_written_is_a_note_in_the_card(tmp_path, monkeypatch, capsys):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("LESSONS_STATE", str(blocked / "below"))
    check("start.average", right)
    out = capsys.readouterr().out
    assert "passed" in out and "could not be saved" in out and "LESSONS_STATE" in out
    hint("start.average")
    solution("start.average")
    assert progress().passed == 0


def test_two_writers_at_once_do_not_mix_their_lines(tmp_path):
    code = "from lessons_lib.exercises.progress import record\nfor _ in range(200): record('check', 'a.b', 'x' * 300)"
    jobs = [subprocess.Popen([sys.executable, "-c", code], env=dict(os.environ)) for _ in range(3)]
    assert [job.wait(60) for job in jobs] == [0, 0, 0]
    lines = progress_file().read_text().splitlines()
    assert len(lines) == 600 and all(json.loads(line)["result"] == "x" * 300 for line in lines)


def test_a_card_is_displayed_in_a_kernel_with_both_kinds_of_text(monkeypatch):
    shown = []
    monkeypatch.setattr(report, "in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", shown.append)
    check("start.average", ...)
    assert set(shown[0]._repr_mimebundle_()) == {"text/plain", "text/html"}


def test_checking_does_not_import_torch():
    code = "import sys; from lessons_lib import check; check('start.average', ...); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


CELLS = (
    "from lessons_lib import check, hint",
    "def f(x):\n    total = sum(x)\n    return total / x[99]\n\ncheck('start.average', f)",
    "def f(x):\n    while True:\n        pass\n\ncheck('start.average', f)",
    "def f(x):\n    print('seen')\n    return sum(x) / len(x)\n\ncheck('start.average', f)",
    "hint('start.average')",
)


def test_in_a_real_kernel(tmp_path):
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    nb.cells[0].source += """
import dataclasses
from lessons_lib.exercises import report
find = report.find
report.find = lambda id: dataclasses.replace(find(id), seconds=1)"""
    run = execute(nb, tmp_path, label="kernel", timeout=60)
    assert run.failure is None, run.failure
    shown = [cell.outputs[0].data for cell in nb.cells[1:] if len(cell.outputs) == 1]
    assert len(shown) == 4 and all({"text/plain", "text/html"} == set(data) for data in shown)
    assert "line 3 of your cell: return total / x[99]" in shown[0]["text/plain"]
    assert "It was stopped after 1 s" in shown[1]["text/plain"]
    assert "passed" in shown[2]["text/plain"] and "It printed: seen" in shown[2]["text/plain"]
    assert "hint 1 of 3" in shown[3]["text/plain"]
