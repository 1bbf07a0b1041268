"""Strict nbval with the project's settings: what passes, what it catches, what lessons see around them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from lessons_lib.notebooks import execute, files

ROOT = Path(__file__).parents[1]
BAR = "from tqdm.auto import tqdm\nfor _ in tqdm(range(3), desc='step'):\n    pass"
PICTURE = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"
WIDGET = "import ipywidgets\nipywidgets.IntSlider(3)"
EMPTY_STATE = """\
import os
from pathlib import Path
state = Path(os.environ["LESSONS_STATE"])
print(state.exists(), *(os.environ[f"LESSONS_{name}"] for name in ("BUDGET", "MAX_STEPS")))
state.mkdir(parents=True)"""
SOURCES = ("print(1)", "print(2)", "3", BAR, PICTURE, WIDGET, EMPTY_STATE)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """What nbval says about three notebooks: one as refreshed, the same again, and one that is out of date."""
    course = tmp_path_factory.mktemp("course")
    for name in ("conftest.py", "pyproject.toml", "tests/notebooks/sanitize.cfg"):
        shutil.copy(ROOT / name, course)
    nb = new_notebook(cells=[new_markdown_cell("# Try"), *map(new_code_cell, SOURCES)])
    with execute.course_environment() as env:
        assert execute.execute(nb, course, label="", env=env).failure is None
    text = files.to_text(files.normalise(nb))
    assert files.PROGRESS_TEXT in text and files.WIDGET not in text
    (course / "good.ipynb").write_text(text, encoding="utf-8")
    (course / "again.ipynb").write_text(text, encoding="utf-8")
    nb.cells[1].outputs[0].text = "one\n"  # another text
    nb.cells[3].outputs[0].data["text/plain"] = "4"  # another result
    nb.cells[2].source += "\nimport sys; print('a warning', file=sys.stderr)"  # not compared: a guard forbids it
    nb.cells[7].outputs = []  # an output that was not there
    (course / "stale.ipynb").write_text(files.to_text(nb), encoding="utf-8")
    options = "-p no:cacheprovider -v --color=no --nbval --nbval-current-env --nbval-sanitize-with sanitize.cfg ."
    surroundings = {**os.environ, "LESSONS_BUDGET": "gpu", "LESSONS_MAX_STEPS": "2", "LESSONS_STATE": str(course)}
    command = [sys.executable, "-m", "pytest", *options.split()]
    done = subprocess.run(command, cwd=course, env=surroundings, capture_output=True, text=True)
    found = re.findall(r"^(\w+)\W+ipynb::Cell (\d+) (PASSED|FAILED|XFAIL|ERROR)", done.stdout, flags=re.M)
    assert len(found) == 3 * len(SOURCES), done.stdout + done.stderr
    return {(name, int(cell)): verdict for name, cell, verdict in found}


@pytest.mark.parametrize("cell", range(len(SOURCES)))
@pytest.mark.parametrize("name", ["good", "again"])
def test_a_refreshed_notebook_passes(name, cell, outcome):
    assert outcome[name, cell] == "PASSED", SOURCES[cell]


def test_a_notebook_that_is_out_of_date_fails_where_it_is(outcome):
    failed = [cell for (name, cell), verdict in outcome.items() if name == "stale" and verdict == "FAILED"]
    assert failed == [0, 2, 6]
