"""Words and tokens in boxes, laid out in lines inside a figure. All lengths are inches from the figure's top left."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from lessons_lib.views import style

FONT = "DejaVu Sans Mono"  # travels with matplotlib; every letter has the same width
LETTER = 0.6021 / 72  # width of a letter, inches per point of size
PAD, GAP = 0.035, 0.045  # inside a box, and between boxes


@dataclass(frozen=True)
class Box:
    """One word or token: its text, colours, and line; `breaks` starts a new line after it."""

    text: str
    fill: str = "none"
    edge: str = style.COLORS["grey"]
    colour: str = style.COLORS["ink"]
    heavy: bool = False
    dashed: bool = False
    breaks: bool = False


def box_width(text: str, size: float) -> float:
    """Inches that `text` needs with its box, at `size` points."""
    return len(text) * LETTER * size + 2 * PAD


def place(boxes: Sequence[Box], width: float, size: float) -> list[tuple[float, int]]:
    """Where each box goes: inches from the left, and the number of its line."""
    places, x, line = [], 0.0, 0
    for box in boxes:
        wide = box_width(box.text, size)
        if x > 0 and x + wide > width:
            x, line = 0.0, line + 1
        places.append((x, line))
        x += wide + GAP
        if box.breaks:
            x, line = 0.0, line + 1
    return places


def line_height(size: float) -> float:
    """Inches from one line of boxes to the next."""
    return 2.0 * size / 72


def lines_needed(boxes: Sequence[Box], width: float, size: float = 11) -> int:
    """How many lines the boxes fill."""
    return place(boxes, width, size)[-1][1] + 1 if boxes else 0


def draw_boxes(
    figure: Figure,
    boxes: Sequence[Box],
    left: float,
    top: float,
    width: float,
    size: float = 11,
    lines: int | None = None,
) -> None:
    """Draw boxes in lines of at most `width` inches; where they would fill more than `lines`, end in an ellipsis."""
    height = figure.get_figheight()
    step = line_height(size)
    for box, (x, line) in zip(boxes, place(boxes, width, size), strict=True):
        y = height - top - (line + 0.5) * step
        if lines is not None and line >= lines:
            figure.text(left, y, "…", transform=figure.dpi_scale_trans, size=size, va="center")
            return
        wide = box_width(box.text, size)
        patch = FancyBboxPatch(
            (left + x, y - 0.38 * step),
            wide,
            0.76 * step,
            boxstyle="round,pad=0,rounding_size=0.03",
            transform=figure.dpi_scale_trans,
            facecolor=box.fill,
            edgecolor=box.edge,
            linewidth=2.2 if box.heavy else 0.9,
            linestyle=(0, (2, 2)) if box.dashed else "-",
        )
        figure.add_artist(patch)
        figure.text(
            left + x + wide / 2,
            y,
            box.text,
            transform=figure.dpi_scale_trans,
            size=size,
            family=FONT,
            color=box.colour,
            ha="center",
            va="center_baseline",
            weight="bold" if box.heavy else "normal",
            parse_math=False,
        )
