"""The map of the course: five parts, twenty lessons, and which lesson builds on which."""

import textwrap
from collections.abc import Collection
from itertools import pairwise

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.path import Path

from lessons_lib.course import LESSONS, PARTS, LessonInfo, find_lesson
from lessons_lib.views import style
from lessons_lib.views.picture import Picture

# What a lesson builds on, beside the lesson before it in its own part.
BUILDS_ON = {"05": ("03",), "08": ("07",), "09": ("04",), "11": ("07",), "16": ("10", "14")}
FIRST_COLUMN = {1: 0, 2: 0, 3: 2, 4: 0, 5: 1}  # of each part's row; leaves the arrows a way through
TINTS = ("#E3F1FA", "#FCF0D6", "#DDF2EB", "#F8E8F1", "#ECECEC")
EDGES = ("blue", "amber", "green", "pink", "grey")
WIDE, HIGH = 1.5, 0.78  # a lesson's box, in inches as all lengths here
STEP_X, STEP_Y = 1.66, 1.14
LEFT, TOP, LABEL = 0.1, 0.2, 1.22
SIZE = (LABEL + 5 * STEP_X + 0.25, TOP + 4 * STEP_Y + HIGH + 0.12)
LETTERS = 17  # of a title in one line of its box


def course_map(done: Collection[str] = (), written: Collection[str] | None = None) -> Picture:
    """The lessons as boxes, a part in each row; an arrow runs from a lesson to one that builds on it.

    done: the numbers of finished lessons, which get a tick and a filled box. written: the lessons that exist, if not
    all do; the others are pale and dashed. Raises ValueError for a number that no lesson has.
    """
    done = {find_lesson(number).number for number in done}
    there = {lesson.number for lesson in LESSONS} if written is None else {find_lesson(n).number for n in written}
    with style.context():
        figure = Picture(SIZE, "the map of the course", _in_words(done))
        for part, name in enumerate(PARTS, start=1):
            _draw_part(figure, part, name)
        places = {lesson.number: _corner(lesson) for lesson in LESSONS}
        for before, after in pairwise(LESSONS):
            if before.part == after.part:
                (x, y), (x2, _) = places[before.number], places[after.number]
                _arrow(figure, [(x + WIDE, y + HIGH / 2), (x2, y + HIGH / 2)])
        for number, needs in BUILDS_ON.items():
            for need in needs:
                _arrow(figure, _route(places[need], places[number]))
        for lesson in LESSONS:
            _draw_lesson(figure, lesson, places[lesson.number], lesson.number in done, lesson.number in there)
        _draw_key(figure, bool(done), len(there) < len(LESSONS))
    return figure


def _in_words(done: set[str]) -> str:
    rows = [
        f"Part {name}: " + "; ".join(f"{lesson.number} {lesson.title}" for lesson in LESSONS if lesson.part == part)
        for part, name in enumerate(PARTS, start=1)
    ]
    extra = f" Done: {', '.join(sorted(done))}." if done else ""
    return ". ".join(rows) + "." + extra


def _corner(lesson: LessonInfo) -> tuple[float, float]:
    """The lower left corner of a lesson's box."""
    in_part = [other.number for other in LESSONS if other.part == lesson.part].index(lesson.number)
    x = LABEL + (FIRST_COLUMN[lesson.part] + in_part) * STEP_X
    return x, SIZE[1] - TOP - (lesson.part - 1) * STEP_Y - HIGH


def _route(start: tuple[float, float], end: tuple[float, float]) -> list[tuple[float, float]]:
    """Corners of the way from the foot of one box to the top of another, along the free lanes between the rows."""
    (x, y), (x2, y2) = start, end
    lane = (STEP_Y - HIGH) / 2
    out, into = x + WIDE / 2, x2 + WIDE / 2
    rows_between = round((y - y2) / STEP_Y) - 1
    if out == into:
        return [(out, y), (into, y2 + HIGH)]
    if rows_between and x2 < x and start[0] > LABEL + 3.5 * STEP_X:  # from the last column: down beside the row below
        column = out if y > SIZE[1] - TOP - 1.5 * STEP_Y else x + WIDE + 0.1
        first = [(out, y)] if column == out else [(x + WIDE, y + HIGH / 2), (column, y + HIGH / 2)]
        return [*first, (column, y2 + HIGH + lane), (into, y2 + HIGH + lane), (into, y2 + HIGH)]
    return [(out, y), (out, y - lane), (into, y - lane), (into, y2 + HIGH)]


def _arrow(figure: Figure, corners: list[tuple[float, float]]) -> None:
    arrow = FancyArrowPatch(
        path=Path(corners),
        arrowstyle="-|>,head_length=5,head_width=2.6",
        color=style.COLORS["grey"],
        linewidth=1.4,
        joinstyle="round",
        shrinkA=0,
        shrinkB=0,
        transform=figure.dpi_scale_trans,
    )
    figure.add_artist(arrow)


def _draw_part(figure: Figure, part: int, name: str) -> None:
    roman, title = name.split(" · ")
    y = SIZE[1] - TOP - (part - 1) * STEP_Y
    at = {"transform": figure.dpi_scale_trans, "va": "top"}
    bar = Rectangle((LEFT, y - HIGH), 0.06, HIGH, color=style.COLORS[EDGES[part - 1]], transform=figure.dpi_scale_trans)
    figure.add_artist(bar)
    figure.text(LEFT + 0.15, y, roman, weight="bold", size=12, **at)
    figure.text(LEFT + 0.15, y - 0.22, "\n".join(textwrap.wrap(title, 13)), size=10, linespacing=1.25, **at)


def _draw_lesson(figure: Figure, lesson: LessonInfo, corner: tuple[float, float], done: bool, there: bool) -> None:
    (x, y), colours = corner, style.COLORS
    box = FancyBboxPatch(
        corner,
        WIDE,
        HIGH,
        boxstyle="round,pad=0,rounding_size=0.07",
        facecolor=TINTS[lesson.part - 1] if done else colours["paper"],
        edgecolor=colours[EDGES[lesson.part - 1]] if there else colours["grey"],
        linewidth=2.4 if done else 1.4,
        linestyle="-" if there else (0, (3, 2)),
        transform=figure.dpi_scale_trans,
    )
    figure.add_artist(box)
    look = {"va": "top", "transform": figure.dpi_scale_trans, "color": colours["ink"] if there else colours["grey"]}
    title = "\n".join(textwrap.wrap(lesson.title, LETTERS))
    figure.text(x + 0.08, y + HIGH - 0.05, lesson.number, weight="bold", size=10, **look)
    figure.text(x + 0.08, y + HIGH - 0.23, title, size=10, linespacing=1.15, **look)
    if done:
        figure.text(x + WIDE - 0.08, y + HIGH - 0.05, "✓", weight="bold", size=13, ha="right", **look)


def _draw_key(figure: Figure, any_done: bool, any_missing: bool) -> None:
    lines = ["An arrow leads to a", "lesson that builds", "on this one."]
    lines += ["✓ done"] if any_done else []
    lines += ["Dashed: to come"] if any_missing else []
    x, y = LABEL + 3 * STEP_X, SIZE[1] - TOP - STEP_Y
    look = {"size": 10, "color": style.COLORS["grey"], "va": "top", "transform": figure.dpi_scale_trans}
    figure.text(x, y, "\n".join(lines), **look)
