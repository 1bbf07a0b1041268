"""Guards of the committed notebooks: what strict nbval lets pass, and what a lesson must be. Each is shown to fail."""

import os
import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from lessons_lib.course import LESSONS
from lessons_lib.exercises import all_exercises
from lessons_lib.notebooks import files, rules, stamp
from tests.lesson_samples import FILE, PREFIX, sample

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
REPO = stamp.setting(ROOT / "pyproject.toml")


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_lesson_obeys(path, rule):
    assert rules.problems(path, REPO, only=rule) == []


def test_every_exercise_is_in_one_lesson():
    where = {}
    for path in NOTEBOOKS:
        for name in rules.exercise_cells(files.read(path)):
            where.setdefault(name, []).append(path.name)
    assert {name: places for name, places in where.items() if len(places) > 1} == {}
    assert set(all_exercises()) - set(where) == set(), "registered, but in no lesson"


def test_every_notebook_is_a_lesson():
    known = {lesson.file for lesson in LESSONS}
    assert {path.name for path in NOTEBOOKS} <= known


# Each rule against a notebook that breaks it: (rule, what to do to the sample, a part of the message)


def code(source="1", **changes):
    cell = new_code_cell(source, metadata=changes.pop("metadata", {}), outputs=changes.pop("outputs", []))
    cell.execution_count = changes.pop("execution_count", 1)
    return cell


def add(cell):
    return lambda nb: nb.cells.append(cell)


def in_cell(index, change):
    return lambda nb: change(nb.cells[index])


def exempt(why="Speeds differ from machine to machine.", tag="nbval-ignore-output", times=1):
    def change(nb):
        for _ in range(times):
            nb.cells.append(code(metadata={"tags": [tag], "lessons": {"why": why} if why else {}}))

    return change


def stub_cell(nb):
    return next(cell for cell in nb.cells if "exercise" in cell.metadata.get("lessons", {}))


ERROR = new_output("error", ename="ValueError", evalue="no", traceback=[])
STDERR = new_output("stream", name="stderr", text="UserWarning: no\n")
HEAVY = new_output("display_data", data={"text/plain": "x" * 1_500_000})

BREAKS = [
    ("executed", add(code(execution_count=None)), "never executed"),
    ("executed", add(code("  ")), "is empty"),
    ("without_errors", add(code(outputs=[ERROR])), "ends in an error (ValueError)"),
    ("without_stderr", add(code(outputs=[STDERR])), "prints to stderr: 'UserWarning: no'"),
    ("normalised", add(code(execution_count=99)), "not normalised"),
    ("normalised", lambda nb: nb.metadata.update(widgets={}), "metadata.widgets"),
    ("normalised", lambda nb: nb.metadata["language_info"].update(version="3.11.7"), "not normalised"),
    ("normalised", in_cell(0, lambda c: c.metadata.update(execution={"iopub.status.idle": "2026"})), "not normalised"),
    ("normalised", in_cell(0, lambda c: c.update(source=c.source + "\n")), "not normalised"),
    ("identified", in_cell(0, lambda c: c.update(id="two words")), "cell 1 has no valid id"),
    ("identified", in_cell(0, lambda c: c.pop("id")), "cell 1 has no valid id"),
    ("identified", in_cell(0, lambda c: c.update(id="setup")), "an id that an earlier cell has"),
    ("small", add(code(outputs=[HEAVY])), "is 1.5"),
    ("exempt_with_reason", exempt(why=""), "does not say why"),
    ("exempt_with_reason", exempt(why="random"), "does not say why"),
    ("exempt_with_reason", exempt(tag="nbval-skip"), "only nbval-ignore-output"),
    ("exempt_with_reason", exempt(tag="raises-exception"), "only nbval-ignore-output"),
    ("exempt_with_reason", exempt(times=9), "code cells are not compared; at most 25%"),
    ("exempt_with_reason", add(code("# NBVAL_IGNORE_OUTPUT\n1")), "by a comment"),
    ("exempt_with_reason", add(code(metadata={"lessons": {"why": "No reason any more."}})), "but is compared"),
    ("short_code", add(code("\n".join(f"x{i} = 1" for i in range(26)))), "26 lines of code"),
    ("short_prose", add(new_markdown_cell("word " * 161)), "161 words of prose"),
    ("stamped", in_cell(0, lambda c: c.update(source=c.source + f"\n\n{stamp.badge('a/b', FILE)}")), "out of step"),
    ("stamped", in_cell(1, lambda c: c.update(source="%pip install lessons_lib")), "out of step"),
    ("stamped", lambda nb: nb.cells.pop(1), "setup cell"),
    ("stamped", lambda nb: nb.cells.insert(1, code("print('too early')")), "does not begin its code with the setup"),
    ("stamped", lambda nb: nb.cells.append(nbformat.from_dict({**nb.cells[1], "id": "again"})), "more than one setup"),
    ("stamped", in_cell(0, lambda c: c.update(source="Tokens")), "begin with its title"),
    ("named_and_started", in_cell(0, lambda c: c.update(source="# Pieces")), 'a title with "Tokens"'),
    ("named_and_started", in_cell(2, lambda c: c.update(source="import lessons_lib")), 'calls start("02")'),
    ("headings", add(new_markdown_cell("# Again")), "a second title"),
    ("headings", add(new_markdown_cell("#### Deep")), "skips a heading level"),
    ("links", add(new_markdown_cell("[the next](03_missing.ipynb)")), "03_missing.ipynb, which is not there"),
    ("exercises", lambda nb: stub_cell(nb).update(source="def average(x): return 1"), "does not hold the stub"),
    ("exercises", lambda nb: nb.cells.remove(stub_cell(nb)), "no cell carries it"),
    ("exercises", lambda nb: nb.cells.pop(nb.cells.index(stub_cell(nb)) + 1), f"no check('{PREFIX}."),
    ("exercises", add(code(metadata={"lessons": {"exercise": "prob.gone"}})), "prob.gone, which is not registered"),
    ("exercises", add(code('check("prob.gone", 1)')), "checks prob.gone, and no cell"),
]


def problems(nb, rule, tmp_path, name=FILE):
    path = tmp_path / name
    return rules.problems(path, "", text=files.to_text(nb), only=getattr(rules, rule))


def test_the_sample_obeys_every_rule(tmp_path):
    nb = sample(new_markdown_cell("## [Out](https://example.org/a_(b)) and [in](02_tokens.ipynb#First)"))
    (tmp_path / FILE).touch()
    assert {rule.__name__: problems(nb, rule.__name__, tmp_path) for rule in rules.RULES} == {
        rule.__name__: [] for rule in rules.RULES
    }


@pytest.mark.parametrize("rule, change, message", BREAKS, ids=[f"{b[0]}-{b[2][:25]}" for b in BREAKS])
def test_the_guard_can_fail(rule, change, message, tmp_path):
    nb = sample()
    change(nb)
    found = problems(nb, rule, tmp_path)
    assert any(message in text for text in found), found


def test_the_guard_of_names_can_fail(tmp_path):
    assert "course.py makes it 02_tokens.ipynb" in problems(sample(), "named_and_started", tmp_path, "02_bits.ipynb")[0]
    assert "no lesson" in problems(sample(), "named_and_started", tmp_path, "77_bits.ipynb")[0]


def test_every_rule_is_shown_to_fail():
    assert {rule.__name__ for rule in rules.RULES} == {rule for rule, _, _ in BREAKS}


def test_a_list_of_references_is_not_prose(tmp_path):
    assert problems(sample(new_markdown_cell("## Further reading\n\n" + "word " * 200)), "short_prose", tmp_path) == []


def test_formulas_tables_and_folded_answers_are_not_prose(tmp_path):
    text = "| a | b |\n" * 90 + "$$" + " x" * 200 + "$$\n<details>\n" + "word " * 200 + "\n</details>\n" + "word " * 150
    assert problems(sample(new_markdown_cell(text)), "short_prose", tmp_path) == []


# What no file of the project may contain

HOMES = re.compile(r"(?<![\w.])(?:/(?:home|Users)/\w+|/(?:root|work)/|[A-Z]:\\Users\\\w+)")
TEMPORARY = re.compile(r"(?<![\w.])/(?:tmp|var/folders)/\w")
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b")
BINARY = {".png", ".jpg", ".ico", ".woff2", ".gz"}


def project_files():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and path.suffix not in BINARY and path != Path(__file__)]


def own_index_hosts():
    """Hosts of the package indexes that this machine is set to use, if they are not the public one."""
    told = subprocess.run(["python", "-m", "pip", "config", "list"], capture_output=True, text=True).stdout
    told += " ".join(value for name, value in os.environ.items() if name.startswith("PIP_"))
    hosts = {urlsplit(address).hostname for address in re.findall(r"https?://[^\s'\"]+", told)}
    return {host for host in hosts if host and host not in ("pypi.org", "localhost") and "." in host}


def text_of(path):
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    nb = files.read(path)
    for cell in nb.cells:
        for output in cell.get("outputs", []):
            for kind in [kind for kind in output.get("data", {}) if kind.startswith("image/")]:
                del output.data[kind]
    return files.to_text(nb)


def forbidden(text, *, notebook, hosts=()):
    patterns = [HOMES, UNFINISHED, *(re.compile(re.escape(host)) for host in hosts)] + [TEMPORARY] * notebook
    return [match[0] for pattern in patterns for match in pattern.finditer(text)]


def test_no_file_names_a_machine_a_private_index_or_something_unfinished():
    hosts = own_index_hosts()
    found = {
        str(path.relative_to(ROOT)): words
        for path in project_files()
        if (words := forbidden(text_of(path), notebook=path.suffix == ".ipynb", hosts=hosts))
    }
    assert found == {}


@pytest.mark.parametrize(
    "text",
    [
        "see /home/ana/x",
        'File "/root/.cache"',
        "/Users/ana",
        r"C:\Users\ana",
        "TO" + "DO: later",
        "kept in /tmp/lessons-1",
        "https://packages.inside.example/simple",
    ],
)
def test_forbidden_words_are_found(text):
    assert forbidden(text, notebook=True, hosts={"packages.inside.example"})


def test_ordinary_words_are_not_forbidden():
    assert forbidden("the homework; https://example.org/home/page; a/root/b; 4xXXx", notebook=True) == []
