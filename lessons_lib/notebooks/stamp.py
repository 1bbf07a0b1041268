"""What follows from the one setting `[tool.lessons] repo`: the Colab badge and the setup cell of every notebook."""

import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from lessons_lib.notebooks.where import NotebookError
from lessons_lib.toml import load_toml

BRANCH = "main"
BADGE_START = "[![Open in Colab]("
REPO = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/[A-Za-z0-9._-]{1,100}")
SETTING = re.compile(r'^(\[tool\.lessons\]\n(?:(?!\[).*\n)*?repo = )"[^"\n]*"', re.MULTILINE)

SETUP_KNOWN = """\
# Installs lessons_lib where it is missing, on Colab for example. Elsewhere it does nothing.
from importlib.util import find_spec

if find_spec("lessons_lib") is None:
    %pip install -q "lessons_lib @ git+https://github.com/{repo}"
"""
SETUP_UNKNOWN = """\
# Everything below needs the course's own package, lessons_lib.
from importlib.util import find_spec

if find_spec("lessons_lib") is None:
    raise ModuleNotFoundError(
        "lessons_lib is not installed for this kernel. In the course's folder, run `make lab` "
        "(or `python -m pip install .`), choose that Python as the kernel, and start again."
    )
"""


def check_repo(repo: str) -> str:
    """`repo` itself if it is empty or reads owner/name. Raises NotebookError otherwise."""
    name = repo.partition("/")[2]
    if repo and (not REPO.fullmatch(repo) or name in (".", "..") or name.endswith(".git")):
        raise NotebookError(
            f"{repo!r} is not a repository. Give owner/name as in github.com/owner/name, without address or .git; "
            'an empty "" clears the setting.'
        )
    return repo


def setting(pyproject: Path) -> str:
    """The repository that `pyproject` names, empty while it is not known."""
    return check_repo(load_toml(pyproject).get("tool", {}).get("lessons", {}).get("repo", ""))


def change_setting(text: str, repo: str) -> str:
    """The text of pyproject.toml with the setting replaced. Raises NotebookError where it has no such line."""
    text, count = SETTING.subn(lambda match: f'{match[1]}"{check_repo(repo)}"', text)
    if count != 1:
        raise NotebookError('pyproject.toml needs one line `repo = "..."` under [tool.lessons].')
    return text


def badge(repo: str, file: str) -> str:
    """The badge that opens notebooks/`file` in Colab, as one line of Markdown; empty while `repo` is not known."""
    if not repo:
        return ""
    address = f"https://colab.research.google.com/github/{repo}/blob/{BRANCH}/notebooks/{file}"
    return f"{BADGE_START}https://colab.research.google.com/assets/colab-badge.svg)]({address})"


def setup_source(repo: str) -> str:
    """The source of the first code cell."""
    return (SETUP_KNOWN.format(repo=repo) if repo else SETUP_UNKNOWN).rstrip("\n")


def is_setup(cell: NotebookNode) -> bool:
    """Whether this is the cell that `stamp` looks after."""
    return cell.cell_type == "code" and bool(cell.metadata.get("lessons", {}).get("setup"))


def stamp(nb: NotebookNode, repo: str, file: str) -> NotebookNode:
    """Write the badge under the title and the setup cell before the other code, in place. Outputs stay."""
    _stamp_title(nb, badge(repo, file))
    setup = next((cell for cell in nb.cells if is_setup(cell)), None)
    if setup is None:
        setup = nbformat.v4.new_code_cell(id="setup")
        codes = [i for i, cell in enumerate(nb.cells) if cell.cell_type == "code"]
        nb.cells.insert(codes[0] if codes else len(nb.cells), setup)
    setup.source = setup_source(repo)
    setup.metadata["tags"] = ["setup"]
    setup.metadata["lessons"] = nbformat.from_dict({"setup": True})
    return nb


def _stamp_title(nb: NotebookNode, line: str) -> None:
    first = nb.cells[0] if nb.cells else None
    if first is None or first.cell_type != "markdown" or not first.source.startswith("# "):
        raise NotebookError('The first cell of a lesson must be Markdown and begin with its title, "# ...".')
    title, *rest = first.source.split("\n")
    body = "\n".join(line for line in rest if not line.startswith(BADGE_START)).strip("\n")
    first.source = "\n\n".join(part for part in (title, line, body) if part)
