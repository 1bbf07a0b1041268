"""HTML copies of executed notebooks, which never take the place of a file that somebody else wrote."""

from pathlib import Path

from nbformat import NotebookNode

from lessons_lib.notebooks import files, where

MARK = '<meta name="generator" content="lessons run">'


def target(folder: Path, notebook: Path) -> Path:
    """Where the copy goes. Raises NotebookError where something that is not such a copy lies in the way."""
    page = folder / f"{notebook.stem}.html"
    for place in (folder, *folder.parents):
        if place.exists():
            if not place.is_dir():
                raise where.NotebookError(f"{place} is a file, not a folder. Choose another --out FOLDER.")
            break
    if page.exists() and not (page.is_file() and MARK in page.read_text(encoding="utf-8", errors="replace")[:2000]):
        raise where.NotebookError(
            f"{page} is there and was not written by `lessons run`, so it stays. Choose another --out FOLDER."
        )
    return page


def write(page: Path, nb: NotebookNode, *, title: str) -> None:
    """Write `nb` as one HTML page with its figures in it."""
    import logging

    from nbconvert import HTMLExporter

    exporter = HTMLExporter()
    exporter.log.setLevel(logging.ERROR)  # it remarks on figures without alternative text
    body, _ = exporter.from_notebook_node(nb, resources={"metadata": {"name": title}})
    page.parent.mkdir(parents=True, exist_ok=True)
    files.write(page, body.replace("<head>", f"<head>{MARK}", 1))
