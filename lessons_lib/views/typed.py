"""A text of one's own (lesson 10): type it, press Enter, and see what a classifier or a tagger makes of it."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lessons_lib.views import style
from lessons_lib.views.boxes import FONT, Box, box_width, draw_boxes, line_height, lines_needed, place
from lessons_lib.views.explorer import Explorer
from lessons_lib.views.figures import percent
from lessons_lib.views.spans import TINTS
from lessons_lib.views.visible import drawable

WIDTH, INSIDE = 7.2, 7.0
MOST_LINES = 4
SIZE = 11
OUTSIDE = "O"
EMPTY = "Type a text, then press Enter."


class TypedTextExplorer(Explorer):
    """What a model makes of a typed text: bars for the classes, boxes with tags for the words, or both.

    predict: called with the text; it answers with label → probability (drawn in this order), with a list of
    (word, tag), or with both as a pair. The tag "O" marks a word outside every span; of "B-PER" and "I-PER" the part
    after the dash gives the colour. A ValueError of `predict`, say for an unknown word, is shown as a sentence.
    text: what is typed to begin with. title: what the bars show, such as "probability of each mood".

    Raises ValueError, shown in place of the picture, for an answer of `predict` that is none of these.
    """

    def __init__(self, predict: Callable[[str], Any], text: str = "", *, title: str = "probability of each class"):
        self.predict, self.title = predict, title
        box = ipywidgets.Text(
            text, placeholder="your own text, then Enter", layout=ipywidgets.Layout(width="100%", max_width="44em")
        )
        super().__init__(text=box)

    def answer(self, text: str) -> tuple[str, dict[str, float], list[tuple[str, str]]]:
        """What keeps the model from answering, if anything; the probabilities; the tagged words."""
        if not text.strip():
            return EMPTY, {}, []
        try:
            found = self.predict(text)
        except ValueError as error:
            return str(error) or "This text has no answer.", {}, []
        return "", *_checked(found)

    def draw(self, text: str) -> Figure:
        """The text, as it is or as tagged boxes; under it the bars, or a sentence where there are none."""
        trouble, probabilities, tagged = self.answer(text)
        boxes = _tag_boxes(tagged)
        places = place(boxes, INSIDE, SIZE)
        lines = min(lines_needed(boxes, INSIDE, SIZE), MOST_LINES)
        left_out = sum(line >= MOST_LINES for _, line in places)
        below = [f"… and {left_out} more words"] if left_out else [] if boxes else _wrapped(text, 2)
        below += [*([""] if below and trouble else []), *_wrapped(trouble, 6)]
        boxed = 2 * lines * line_height(SIZE)
        above = 0.15 + boxed + 0.24 * len(below)
        height = above + (0.95 + 0.34 * len(probabilities) if probabilities else 0.1)
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        _draw_tagged(figure, boxes, tagged)
        figure.text(0.015, 1 - (boxed + 0.12) / height, "\n".join(below), va="top", linespacing=1.4, parse_math=False)
        if probabilities:
            figure.get_layout_engine().set(rect=(0, 0, 1, 1 - above / height))
            _class_bars(figure.subplots(), probabilities, self.title)
        return figure

    def describe(self, text: str) -> str:
        """The text, and its likeliest class and tags, or why there are none."""
        trouble, probabilities, tagged = self.answer(text)
        parts = [f"{label} {percent(p)}" for label, p in probabilities.items()]
        parts += [f"“{word}” is {tag}" for word, tag in tagged if tag != OUTSIDE]
        found = trouble.replace("\n", " ") or ", ".join(parts) or "no word has a tag"
        return f"“{text}”: {found.rstrip('.')}." if text.strip() else found


def _checked(found: Any) -> tuple[dict[str, float], list[tuple[str, str]]]:
    probabilities, tagged = found if _is_pair(found) else (found, []) if isinstance(found, Mapping) else ({}, found)
    try:
        probabilities = {str(label): float(p) for label, p in probabilities.items()}
        tagged = [(str(word), str(tag)) for word, tag in tagged]
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            "predict must answer with label → probability, with a list of (word, tag), or with both as a pair."
        ) from error
    wrong = [label for label, p in probabilities.items() if not 0 <= p <= 1 + 1e-6]
    if wrong:
        raise ValueError(f"predict must answer with probabilities; “{wrong[0]}” has {probabilities[wrong[0]]:g}.")
    return probabilities, tagged


def _is_pair(found: Any) -> bool:
    return isinstance(found, tuple) and len(found) == 2 and isinstance(found[0], Mapping)


def _wrapped(text: str, most: int) -> list[str]:
    """The text as lines that a figure can draw, letter by letter; an ellipsis where there are too many."""
    words = " ".join(drawable(word) for word in text.split())
    lines = textwrap.wrap(words, 78)
    return lines if len(lines) <= most else [*lines[: most - 1], lines[most - 1][:76] + " …"]


def _tag_boxes(tagged: Sequence[tuple[str, str]]) -> list[Box]:
    """An empty box for each word, wide enough for it and for the tag below; each kind of tag has its colour."""
    kinds = list(dict.fromkeys(_kind(tag) for _, tag in tagged if tag != OUTSIDE))
    boxes = []
    for word, tag in tagged:
        if tag == OUTSIDE:
            boxes.append(Box(" " * len(drawable(word)), edge=style.COLORS["light"]))
            continue
        tint, edge = TINTS[kinds.index(_kind(tag)) % len(TINTS)]
        boxes.append(Box(" " * max(len(drawable(word)), len(drawable(tag))), fill=tint, edge=edge))
    return boxes


def _kind(tag: str) -> str:
    return tag[2:] if tag[:2] in ("B-", "I-") else tag


def _draw_tagged(figure: Figure, boxes: Sequence[Box], tagged: Sequence[tuple[str, str]]) -> None:
    """Boxes in lines twice as far apart as usual, each with its word, and its tag below."""
    step, places = line_height(SIZE), place(boxes, INSIDE, SIZE)
    look = {"transform": figure.dpi_scale_trans, "ha": "center", "va": "center_baseline", "parse_math": False}
    for line in range(min(lines_needed(boxes, INSIDE, SIZE), MOST_LINES)):
        here = [i for i, (_, own) in enumerate(places) if own == line]
        top = 0.1 + 2 * line * step
        draw_boxes(figure, [boxes[i] for i in here], left=0.1, top=top, width=INSIDE + 1, size=SIZE)
        for i in here:
            word, tag = map(drawable, tagged[i])
            middle = 0.1 + places[i][0] + box_width(boxes[i].text, SIZE) / 2
            y = figure.get_figheight() - top
            figure.text(middle, y - 0.5 * step, word, size=SIZE, family=FONT, **look)
            if tag != OUTSIDE:
                figure.text(middle, y - 1.3 * step, tag, size=9, weight="bold", color=boxes[i].edge, **look)


def _class_bars(axes: Axes, probabilities: Mapping[str, float], title: str) -> None:
    """A bar and a percentage for each label, in the order given; the likeliest in bold."""
    rows, values = range(len(probabilities)), list(probabilities.values())
    best = max(values)
    axes.barh(rows, values, height=0.7, color=style.COLORS["sky"])
    axes.set_yticks(rows, [drawable(label) for label in probabilities], parse_math=False)
    for row, (value, label) in enumerate(zip(values, axes.get_yticklabels(), strict=True)):
        weight = "bold" if value == best else "normal"
        label.set_weight(weight)
        axes.text(1.015, row, percent(value), va="center", weight=weight, transform=axes.get_yaxis_transform())
    axes.set(xlim=(0, 1), ylim=(len(values) - 0.4, -0.6))
    axes.set_xlabel(title, parse_math=False)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
