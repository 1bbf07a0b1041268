"""Small notebooks that obey every rule, for the tests to break."""

from pathlib import Path

from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from lessons_lib.exercises import all_exercises
from lessons_lib.notebooks import files, stamp

FILE = "02_tokens.ipynb"
PREFIX = "prob"


def sample(*cells, repo: str = ""):
    """A lesson 02 in the committed form, as if executed, with `cells` at its end."""
    start = new_code_cell('from lessons_lib import check, start\n\nlesson = start("02")')
    start.outputs = [new_output("stream", name="stdout", text="Lesson 02 · Tokens · cpu budget · seed 2\n")]
    nb = new_notebook(cells=[new_markdown_cell("# Tokens\n\nWhat are the pieces?"), start])
    nb.cells += [new_markdown_cell("## First"), *exercise_cells(), *cells]
    stamp.stamp(nb, repo, FILE)
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.execution_count = 1
    nb.metadata["jupytext"] = {}  # as from a conversion: the ids are to follow from the content
    return files.normalise(nb)


def exercise_cells():
    cells = []
    for id, exercise in all_exercises().items():
        if exercise.prefix == PREFIX:
            name = id.partition(".")[2]
            cells.append(new_code_cell(exercise.stub, metadata={"lessons": {"exercise": id}}))
            cells.append(new_code_cell(f'check("{id}", {name})'))
    return cells


def small(source: str = "print(6 * 7)", *more: str):
    """A lesson that has not been executed, and needs no torch: quick to run."""
    cells = [new_code_cell(text) for text in (source, *more)]
    return new_notebook(cells=[new_markdown_cell("# Tokens\n\nQuick."), *cells])


def put(folder: Path, nb, name: str = FILE) -> Path:
    """Write `nb` into `folder` as text."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(files.to_text(nb), encoding="utf-8")
    return path
