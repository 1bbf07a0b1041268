"""What the learner sees: `check`, `hint` and `solution`, as a card in Jupyter and as plain text elsewhere."""

import html
from typing import Any

from lessons_lib.exercises.engine import NOT_ATTEMPTED, PASSED, WRONG, Exercise, Verdict
from lessons_lib.exercises.judge import judge
from lessons_lib.exercises.progress import record
from lessons_lib.exercises.registry import find

# A word and a sign say what a colour says. The text keeps the page's own colour, readable in light and dark themes.
STYLES = {
    PASSED: ("✓", "passed", "#009E73"),
    WRONG: ("✗", "not right yet", "#D55E00"),
    NOT_ATTEMPTED: ("○", "not attempted yet", "#808080"),
    "hint": ("?", "hint", "#0072B2"),
}
MOST_PRINTED = 400  # characters of the learner's own printing that a card repeats

_hints_shown: dict[str, int] = {}


class Card:
    """A small framed message: a heading, a text and labelled lines. Everything in it is escaped."""

    def __init__(self, style: str, heading: str, text: str, lines: tuple[tuple[str, str], ...] = (), foot: str = ""):
        self.style, self.heading, self.text, self.lines, self.foot = style, heading, text, lines, foot

    def __repr__(self) -> str:
        sign = STYLES[self.style][0]
        rows = [f"{sign} {self.heading}", self.text, *(f"{label}: {value}" for label, value in self.lines), self.foot]
        return "\n  ".join(row.replace("\n", "\n  ") for row in rows if row)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self.as_html()}

    def as_html(self) -> str:
        sign, _, colour = STYLES[self.style]
        parts = [f'<div style="font-weight:600">{sign} {_escape(self.heading)}</div>']
        parts += [f"<div>{_escape(self.text, code=True)}</div>"] if self.text else []
        parts += [
            f"<div>{_escape(label)}: <code style='white-space:pre-wrap'>{_escape(value)}</code></div>"
            for label, value in self.lines
        ]
        parts += [f'<div style="opacity:.8;font-size:90%">{_escape(self.foot, code=True)}</div>'] if self.foot else []
        frame = f"border-left:4px solid {colour};padding:.3em .8em;margin:.3em 0;line-height:1.5"
        return f'<div style="{frame}">{"".join(parts)}</div>'


def check(id: str, answer: Any) -> None:
    """Check your answer to an exercise and say how it did. Nothing that the answer does can stop the notebook.

    Raises ValueError when there is no exercise with this id; the message names the nearest.
    """
    exercise = find(id)
    verdict = judge(exercise, answer)
    note = "" if verdict.status == NOT_ATTEMPTED else record("check", exercise.id, verdict.status)
    _show(verdict_card(exercise, verdict, note))


def hint(id: str, n: int | None = None) -> None:
    """Show the next of an exercise's three hints, or the n-th. Raises ValueError for an unknown id or number."""
    exercise = find(id)
    if n is None:
        n = min(_hints_shown.get(exercise.id, 0) + 1, 3)
    if n not in (1, 2, 3):
        raise ValueError(f"An exercise has three hints: hint({exercise.id!r}, 1) to hint({exercise.id!r}, 3).")
    _hints_shown[exercise.id] = n
    more = f'For the next one, run hint("{exercise.id}") again.' if n < 3 else f'Still stuck? solution("{exercise.id}")'
    record("hint", exercise.id, str(n))
    _show(Card("hint", f"{exercise.title} · hint {n} of 3", exercise.hints[n - 1], foot=more))


def solution(id: str) -> Any:
    """The reference solution, with its explanation, to end a cell with. Raises ValueError for an unknown id."""
    from lessons_lib.source import Source

    exercise = find(id)
    record("solution", exercise.id, "")
    note = f"\n\n# {exercise.explanation}" if exercise.explanation else ""
    return Source(exercise.solution + note, where=f"One solution of {exercise.id}. Others are as good.")


def verdict_card(exercise: Exercise, verdict: Verdict, note: str = "") -> Card:
    """The card for a verdict; `note` tells of trouble with saving it."""
    effort = f"{exercise.minutes} min · {'●' * exercise.difficulty}{'○' * (3 - exercise.difficulty)}"
    state = STYLES[verdict.status][1]
    printed = verdict.printed.strip("\n")
    lines = verdict.details + ((("It printed", _cut(printed)),) if printed else ())
    foot = [] if verdict.passed else [f'Stuck? Run hint("{exercise.id}").']
    heading = f"{exercise.title} · {state}" + (f" · {effort}" if verdict.status == NOT_ATTEMPTED else "")
    return Card(verdict.status, heading, verdict.message, lines, " ".join([*foot, note]).strip())


def _cut(text: str) -> str:
    return text if len(text) <= MOST_PRINTED else text[:MOST_PRINTED] + "…"


def _escape(text: str, code: bool = False) -> str:
    """Text made safe for HTML; with `code`, what stands between backticks is set as code."""
    text = html.escape(text)
    if code and text.count("`") % 2 == 0:
        pieces = text.split("`")
        text = "".join(f"<code>{p}</code>" if i % 2 else p for i, p in enumerate(pieces))
    return text.replace("\n", "<br>")


def _show(card: Card) -> None:
    """Display in Jupyter, print elsewhere."""
    if in_notebook():
        from IPython.display import display

        display(card)
    else:
        print(card)


def in_notebook() -> bool:
    """Whether a Jupyter kernel is running this."""
    import sys

    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None
