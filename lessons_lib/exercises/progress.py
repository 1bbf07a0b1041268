"""What the learner has tried and passed: a local file, one JSON object a line, that is only ever appended to."""

import html
import json
import os
from datetime import datetime, timezone
from pathlib import Path

from lessons_lib.paths import state_folder

FILE = "progress.jsonl"


def progress_file() -> Path:
    """Where results are kept. It is a text file of the learner's own: delete it to start afresh."""
    return state_folder() / FILE


def record(event: str, id: str, result: str) -> str:
    """Append one line. Returns "" or, when it cannot be written, a note that says why; a result is never lost to that.

    The line goes out in one write to a file opened for appending, so that two notebooks at once do not mix their lines.
    """
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    line = json.dumps({"time": now, "event": event, "id": id, "result": result}) + "\n"
    try:
        path = progress_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)
    except (OSError, RuntimeError) as error:  # RuntimeError: no home folder
        return f"(This could not be saved: {getattr(error, 'strerror', None) or error}. Set LESSONS_STATE to a folder.)"
    return ""


def read_events() -> list[dict[str, str]]:
    """The recorded events, oldest first. Lines that are damaged are left out."""
    try:
        lines = progress_file().read_text(encoding="utf-8", errors="replace").splitlines()
    except (OSError, RuntimeError):
        return []
    events = []
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and all(isinstance(event.get(k), str) for k in ("time", "event", "id", "result")):
            events.append(event)
    return events


class Progress:
    """How far the learner is with each exercise: a table, in HTML in Jupyter. `where` is the file it comes from."""

    columns = ("lesson", "exercise", "title", "result", "checks", "hints", "solution seen")

    def __init__(self, rows: list[tuple[str, str, str, str, int, int, str]], where: str):
        self.rows, self.where = rows, where

    @property
    def passed(self) -> int:
        """How many exercises are passed."""
        return sum("✓ passed" in row for row in self.rows)

    def _summary(self) -> str:
        return f"{self.passed} of {len(self.rows)} exercises passed"

    def __repr__(self) -> str:
        table = [self.columns, *[tuple(map(str, row)) for row in self.rows]]
        widths = [max(len(row[i]) for row in table) for i in range(len(self.columns))]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in table]
        return "\n".join([*lines, self._summary()])

    def _repr_html_(self) -> str:
        def row(cells, tag):
            style = ' style="text-align:left"'
            return "<tr>" + "".join(f"<{tag}{style}>{html.escape(str(c))}</{tag}>" for c in cells) + "</tr>"

        body = "".join(row(cells, "td") for cells in self.rows)
        return f"<table>{row(self.columns, 'th')}{body}</table><div>{html.escape(self._summary())}</div>"


def progress() -> Progress:
    """How far you are: a row for every exercise of the course, from the file on this machine. Never raises."""
    from lessons_lib.exercises.registry import all_exercises

    events = read_events()
    rows = []
    for id, exercise in all_exercises().items():
        mine = [event for event in events if event["id"] == id]
        results = [event["result"] for event in mine if event["event"] == "check"]
        state = "✓ passed" if "passed" in results else "✗ tried" if results else "○ not yet"
        hints = len({event["result"] for event in mine if event["event"] == "hint"})
        seen = "yes" if any(event["event"] == "solution" for event in mine) else ""
        rows.append((exercise.lesson, id, exercise.title, state, len(results), hints, seen))
    return Progress(rows, _where())


def _where() -> str:
    try:
        return str(progress_file())
    except RuntimeError as error:
        return f"no file: {error}"
