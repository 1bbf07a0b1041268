"""The one form in which notebooks are kept."""

import hashlib
import json
import os
import re
import tempfile
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from lessons_lib.notebooks.where import NotebookError

KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
LANGUAGE_INFO = {
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "nbconvert_exporter": "python",
    "pygments_lexer": "ipython3",
}
KEPT_CELL_METADATA = ("deletable", "editable", "jupyter", "lessons", "tags")
WIDGET = "application/vnd.jupyter.widget-view+json"
# What a tqdm bar shows before its first step. tests/notebooks/sanitize.cfg replaces the same text by the same words.
PROGRESS_BAR = re.compile(r"^.*\d\S* \[\d\d:\d\d[<,].*\]$")
PROGRESS_TEXT = "(a progress bar, while the cell runs)"
VALID_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def read(path: Path) -> NotebookNode:
    """The notebook in `path`. Raises NotebookError where it is not one."""
    try:
        nb = from_text(path.read_text(encoding="utf-8"))
        _identify(nb.cells, fresh=False)
        nbformat.validate(nb)
        return nb
    except FileNotFoundError:
        raise NotebookError(f"{path} is not there.") from None
    except (ValueError, nbformat.ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise NotebookError(f"{path} is not a readable notebook ({reason}). Restore or download it.") from None


def from_text(text: str) -> NotebookNode:
    """A notebook from its JSON text, as format 4.5. Missing and double cell ids stay as they are."""
    raw = json.loads(text)
    if not isinstance(raw, dict) or raw.get("nbformat") != 4:
        raise ValueError("it is not in format 4")
    cells = raw.get("cells")
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise ValueError("it has no list of cells")
    nb = nbformat.v4.reads(text)  # nbformat.reads would give random ids to cells without one
    nb.nbformat_minor = 5
    return nb


def to_text(nb: NotebookNode) -> str:
    """The file's text: sorted keys, one space of indentation, one newline at the end."""
    return nbformat.v4.writes(nb).rstrip("\n") + "\n"


def write(path: Path, text: str) -> None:
    """Replace `path` in one step: a reader sees the old file or the new one, never half of one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.chmod(name, path.stat().st_mode & 0o777 if path.exists() else 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def normalise(nb: NotebookNode) -> NotebookNode:
    """Bring `nb` to the committed form, in place: what is random, machine-bound or redundant goes.

    Sources stay as they are, apart from blank space at their end. Doing it twice changes nothing more.
    """
    fresh = "jupytext" in nb.metadata  # converted a moment ago: its ids are random, so they are made anew
    lessons = nb.metadata.get("lessons")
    nb.metadata = nbformat.from_dict({"kernelspec": KERNELSPEC, "language_info": LANGUAGE_INFO})
    if lessons:
        nb.metadata["lessons"] = lessons
    count = 0
    for cell in nb.cells:
        cell.source = cell.source.rstrip()
        cell.metadata = nbformat.from_dict({k: cell.metadata[k] for k in KEPT_CELL_METADATA if k in cell.metadata})
        if cell.cell_type != "code":
            continue
        executed = cell.get("execution_count") is not None
        count += executed
        cell.execution_count = count if executed else None
        cell.outputs = _outputs(cell.get("outputs", []), cell.execution_count)
    _identify(nb.cells, fresh)
    return nb


def _identify(cells: list[NotebookNode], fresh: bool) -> None:
    """Keep valid unique ids; give the rest one that follows from what the cell says."""
    used = set()
    for cell in cells:
        old = cell.get("id")
        stale = fresh and not cell.metadata.get("lessons", {}).get("setup")
        if stale or not isinstance(old, str) or not VALID_ID.fullmatch(old) or old in used:
            cell.pop("id", None)
        else:
            used.add(old)
    for cell in cells:
        if "id" not in cell:
            stem = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]
            names = (stem, *(f"{stem}-{n}" for n in range(2, len(cells) + 2)))
            cell["id"] = next(name for name in names if name not in used)
            used.add(cell["id"])


def _outputs(outputs: list[NotebookNode], count: int | None) -> list[NotebookNode]:
    kept: list[NotebookNode] = []
    for output in outputs:
        output.pop("transient", None)
        if output.output_type == "stream":
            last = kept[-1] if kept else {}
            if last.get("output_type") == "stream" and last["name"] == output.name:
                last["text"] += output.text
                continue
        elif "data" in output:
            _settle(output.data)
        if output.output_type == "execute_result":
            output.execution_count = count
        kept.append(output)
    return kept


def _settle(data: NotebookNode) -> None:
    """A widget's model is gone with its kernel and has a random name; the picture and the text beside it remain."""
    if WIDGET in data and len(data) > 1:
        del data[WIDGET]
    plain = data.get("text/plain")
    if isinstance(plain, str) and PROGRESS_BAR.match(plain):
        data["text/plain"] = PROGRESS_TEXT
