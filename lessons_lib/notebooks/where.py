"""Where the notebooks are. Without nbformat, whose import takes seconds: most commands need no more than this."""

from dataclasses import dataclass
from pathlib import Path

from lessons_lib.course import LESSONS, LessonInfo, find_lesson


class NotebookError(Exception):
    """Something about the notebooks that the person at the keyboard can mend; the message says how."""


@dataclass(frozen=True)
class LessonFile:
    """A lesson together with the file of its notebook."""

    info: LessonInfo
    path: Path


def find_folder(given: str | Path | None = None) -> Path:
    """The folder of notebooks: `given`, or the one in or above the current folder, or the checkout's own.

    Raises NotebookError, with what to do, where there is none.
    """
    if given is not None:
        folder = Path(given).expanduser()
        if not folder.is_dir():
            raise NotebookError(f"{folder} is not a folder. Give the folder that holds 00_start_here.ipynb.")
        return folder.resolve()
    here = Path.cwd()
    candidates = [here, *(parent / "notebooks" for parent in (here, *here.parents))]
    candidates.append(Path(__file__).resolve().parents[2] / "notebooks")
    for folder in candidates:
        if folder.is_dir() and any(folder.glob("[0-9][0-9]_*.ipynb")):
            return folder
    raise NotebookError(
        "No notebooks found here. Go to the course's folder (the one with notebooks/ in it), or name the folder "
        "with --notebooks FOLDER. An installed lessons_lib brings no notebooks: they are in the course's repository."
    )


def lesson_files(folder: Path) -> dict[str, LessonFile]:
    """The notebooks in `folder`, by lesson number. Raises NotebookError where two claim one number."""
    found = {}
    for info in LESSONS:
        paths = sorted(folder.glob(f"{info.number}_*.ipynb"))
        if len(paths) > 1:
            names = ", ".join(path.name for path in paths)
            raise NotebookError(f"Lesson {info.number} has more than one notebook in {folder}: {names}. Keep one.")
        if paths:
            found[info.number] = LessonFile(info, paths[0])
    return found


def choose(folder: Path, numbers: list[str]) -> list[LessonFile]:
    """The asked-for lessons, or all that are there. Raises NotebookError for one that is unknown or has no notebook."""
    found = lesson_files(folder)
    if not numbers:
        if not found:
            raise NotebookError(f"There are no lessons in {folder}. Name the right folder with --notebooks FOLDER.")
        return list(found.values())
    chosen = []
    for number in numbers:
        try:
            info = find_lesson(number)
        except ValueError as error:
            raise NotebookError(f"{error} `lessons list` shows them.") from None
        if info.number not in found:
            raise NotebookError(f"Lesson {info.number} ({info.title}) has no notebook in {folder} yet.")
        if found[info.number] not in chosen:
            chosen.append(found[info.number])
    return chosen
