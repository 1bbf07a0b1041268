"""Loss, token by token (lesson 13): type a text, and rest on a token to see what the model expected in its place."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import anywidget
import ipywidgets
import traitlets
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from lessons_lib.views import style
from lessons_lib.views.boxes import Box, box_width, draw_boxes, line_height, lines_needed, place
from lessons_lib.views.explorer import Displayed
from lessons_lib.views.figures import percent
from lessons_lib.views.javascript import script, sheet
from lessons_lib.views.picture import message_figure, render
from lessons_lib.views.visible import drawable, visible

WIDTH, INSIDE, SIZE = 7.2, 7.0, 11
MOST_TOKENS = 200
TALL = 1.8  # lines of boxes, in heights of a line, since a loss stands under each
FULL = 6.0  # nats at which a token has the darkest tint, as in token_loss.js
EMPTY = "Type a text, then press Enter."


@dataclass(frozen=True)
class Seen:
    """A token as the model saw it coming: its loss in nats (None where it was only given), how many tokens were
    likelier, and the likeliest tokens with their probabilities."""

    token: str
    loss: float | None = None
    rank: int = 0
    best: Sequence[tuple[str, float]] = ()


class LossView(anywidget.AnyWidget):
    """The live half. rows: for each token `token`, `loss`, the `words` under the row, and the bars, `best`."""

    _esm = script("token_loss.js")
    _css = sheet()
    rows = traitlets.List(traitlets.Dict()).tag(sync=True)
    message = traitlets.Unicode("").tag(sync=True)
    focus = traitlets.Int(0).tag(sync=True)


class TokenLoss(Displayed):
    """Each token of a text with its loss, and under it what the model expected there: `TokenLoss(read, "a text")`.

    read: called with the typed text; answers with a `Seen` for each token. A ValueError of it, say for a text that is
    too long, is shown as a sentence. focus: the token that is shown first, from 0; the one with the largest loss unless
    told otherwise. A saved notebook keeps the picture of one text and token.

    Raises ValueError for a token that is not there, TypeError for an answer of `read` that is no list of `Seen`.
    """

    def __init__(self, read: Callable[[str], Sequence[Seen]], text: str = "", *, focus: int | None = None):
        self.read, self.seen = read, ()
        wide = ipywidgets.Layout(width="100%", max_width="44em")
        self.box = ipywidgets.Text(text, placeholder="your own text, then Enter", layout=wide, continuous_update=False)
        self.view = LossView(layout=ipywidgets.Layout(width="100%"))
        self.widget = ipywidgets.VBox((self.box, self.view))
        self._look()
        if focus is not None:
            self.set(focus=focus)
        self.box.observe(lambda _: self._look(), names="value")

    @property
    def settings(self) -> dict[str, Any]:
        """The text, and the token (from 0) that is shown."""
        return {"text": self.box.value, "focus": self.view.focus}

    def set(self, **values: Any) -> "TokenLoss":
        """Type a text, or choose a token, as a hand would. Raises ValueError for what is not there."""
        unknown = sorted(set(values) - {"text", "focus"})
        if unknown:
            raise ValueError(f"There is no setting {unknown[0]!r}; there are: text, focus.")
        if "text" in values:
            self.box.value = values["text"]
        if "focus" in values:
            focus, last = values["focus"], len(self.seen) - 1
            if isinstance(focus, bool) or not isinstance(focus, int) or not 0 <= focus <= last:
                raise ValueError(f"focus cannot be {focus!r}: the tokens go from 0 to {last}.")
            self.view.focus = focus
        return self

    def describe(self, text: str, focus: int) -> str:
        """The mean loss, and the chosen token in words."""
        if not self.seen:
            return self.view.message
        losses = [each.loss for each in self.seen if each.loss is not None]
        mean = f"“{text}”: mean loss {sum(losses) / len(losses):.2f} nats. " if losses else ""
        return mean + in_words(self.seen[focus])

    def draw(self, text: str, focus: int) -> Figure:
        """The still picture: tokens in tinted boxes with their losses, and bars of what was expected at one."""
        if not self.seen:
            figure = message_figure(self.view.message)
            for line in figure.texts:
                line.set_parse_math(False)
            return figure
        boxes = [_box(each, i == focus) for i, each in enumerate(self.seen)]
        chosen = self.seen[focus]
        above = 0.2 + TALL * lines_needed(boxes, INSIDE, SIZE) * line_height(SIZE)
        height = above + 0.9 + 0.3 * max(1, len(chosen.best))
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        figure.get_layout_engine().set(rect=(0, 0, 1, 1 - above / height))
        _tokens(figure, boxes, self.seen)
        _guesses(figure.subplots(), chosen)
        return figure

    def still(self) -> tuple[bytes, str]:
        """The picture of the settings as they stand, and its words."""
        with style.context():
            return render(self.draw(**self.settings)), self.describe(**self.settings)

    def _look(self) -> None:
        """Read the typed text anew, and show its most surprising token."""
        message, self.seen = EMPTY, ()
        if self.box.value.strip():
            try:
                self.seen = tuple(self.read(self.box.value))
                if not all(isinstance(each, Seen) for each in self.seen):
                    self.seen = ()
                    raise TypeError("read must answer with a list of Seen, one for each token.")
                if len(self.seen) > MOST_TOKENS:
                    message = f"This text has {len(self.seen)} tokens; give one of at most {MOST_TOKENS}."
                    self.seen = ()
            except ValueError as error:
                message = str(error) or "This text cannot be read."
        worst = max(range(len(self.seen)), key=lambda i: self.seen[i].loss or 0.0, default=0)
        with self.view.hold_sync():
            self.view.rows = [_row(each) for each in self.seen]
            self.view.message = "" if self.seen else message
            self.view.focus = worst


def _tokens(figure: Figure, boxes: Sequence[Box], seen: Sequence[Seen]) -> None:
    """Boxes in lines almost twice as far apart as usual, the loss of each below it."""
    step, places = line_height(SIZE), place(boxes, INSIDE, SIZE)
    for line in range(lines_needed(boxes, INSIDE, SIZE)):
        here = [i for i, (_, own) in enumerate(places) if own == line]
        top = 0.1 + TALL * line * step
        draw_boxes(figure, [boxes[i] for i in here], left=0.1, top=top, width=INSIDE + 1, size=SIZE)
        for i in here:
            if seen[i].loss is not None:
                x = 0.1 + places[i][0] + box_width(boxes[i].text, SIZE) / 2
                y = figure.get_figheight() - top - 1.2 * step
                look = {"transform": figure.dpi_scale_trans, "size": 8, "ha": "center", "va": "center_baseline"}
                figure.text(x, y, f"{seen[i].loss:.1f}", **look)


def _guesses(axes: Axes, chosen: Seen) -> None:
    """A bar for each of the likeliest tokens; the one that stands there in bold."""
    rows = range(len(chosen.best))
    axes.barh(rows, [p for _, p in chosen.best], height=0.7, color=style.COLORS["sky"])
    for row, (_, p) in zip(rows, chosen.best, strict=True):
        axes.text(1.015, row, percent(p), va="center", transform=axes.get_yaxis_transform())
    axes.set_yticks(rows, [drawable(name) for name, _ in chosen.best], parse_math=False)
    for label, (name, _) in zip(axes.get_yticklabels(), chosen.best, strict=True):
        label.set_weight("bold" if name == chosen.token else "normal")
    axes.set(xlim=(0, 1), ylim=(max(1, len(chosen.best)) - 0.4, -0.6))
    title = " ".join(drawable(word) for word in in_words(chosen).split())
    axes.set_title(title, size=10, weight="normal", parse_math=False)
    axes.set_xlabel("probability of standing there")
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


def in_words(seen: Seen) -> str:
    """One token: its loss, its probability, its rank."""
    if seen.loss is None:
        return f"“{visible(seen.token)}” was given, not predicted."
    before = "no token was likelier" if seen.rank == 0 else f"{seen.rank} token{'s' * (seen.rank > 1)} likelier"
    return f"“{visible(seen.token)}”: loss {seen.loss:.2f} nats, probability {percent(math.exp(-seen.loss))}, {before}."


def _row(seen: Seen) -> dict[str, Any]:
    best = [{"token": visible(name), "p": float(p), "own": name == seen.token} for name, p in seen.best]
    loss = None if seen.loss is None else float(seen.loss)
    return {"token": visible(seen.token), "loss": loss, "words": in_words(seen), "best": best}


def _box(seen: Seen, chosen: bool) -> Box:
    share = 0.55 * min(1.0, (seen.loss or 0.0) / FULL)
    tint = tuple(1 - share + share * part for part in to_rgb(style.COLORS["orange"]))
    edge = style.COLORS["ink"] if chosen else style.COLORS["grey"]
    return Box(drawable(seen.token), fill=tint, edge=edge, heavy=chosen)
