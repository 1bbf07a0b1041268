"""A conversation (lesson 14): type a message, send it, and read what a model answers."""

import html
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from lessons_lib.views import style
from lessons_lib.views.boxes import FONT, LETTER
from lessons_lib.views.explorer import Displayed
from lessons_lib.views.picture import render
from lessons_lib.views.visible import drawable

WIDTH, COLUMNS, SIZE, LINE = 7.2, 58, 10, 0.19  # inches, letters in a line, points, inches
MOST = 8  # messages in the still picture
NOTICE = "notice"  # the role of what neither side has said
EMPTY = "Nothing has been said yet. Type a message and press Enter, or Send."
_LOOKS = {"user": ("#DCEFFA", style.COLORS["blue"]), "assistant": ("#F4F4F4", style.COLORS["grey"])}

Reply = Callable[[list[tuple[str, str]], float], str]


class ChatExplorer(Displayed):
    """A conversation with a model: `ChatExplorer({"our GPT": reply}, opening=["Write a note about a lost hat."])`.

    models: name → function; called with the conversation so far, a list of (role, text) with the roles "user" and
    "assistant" in turn, and the temperature, it returns the answer. A ValueError of the function, say for a word that
    the model does not know, is shown as a notice; the message then stays in its box. opening: messages that are sent at
    once, to the first model. `send(text)` and `clear()` do what the buttons do. Another model begins a new
    conversation. What is typed or answered is shown letter by letter, never as markup.

    Raises ValueError where there are no models.
    """

    def __init__(self, models: Mapping[str, Reply], *, temperature: float = 0.7, opening: Sequence[str] = ()):
        if not models:
            raise ValueError('Give at least one model, such as {"our GPT": reply}.')
        if isinstance(opening, str):
            raise ValueError('Give a list of opening messages, such as ["Write a note."].')
        self.models, self.conversation, self.notice = dict(models), [], ""
        fit = {"style": {"description_width": "initial"}}
        self.model = ipywidgets.Dropdown(options=list(models), description="model", **fit)
        self.temperature = ipywidgets.FloatSlider(
            temperature, min=0.0, max=2.0, step=0.05, description="temperature", continuous_update=False, **fit
        )
        wide = ipywidgets.Layout(width="100%", max_width="40em")
        self.message = ipywidgets.Text(placeholder="your message, then Enter", layout=wide)
        self.button, self.again = ipywidgets.Button(description="Send"), ipywidgets.Button(description="New chat")
        self.shown = ipywidgets.HTML()
        rows = (self.model, self.temperature), (self.message, self.button, self.again)
        boxes = [ipywidgets.HBox(row, layout=ipywidgets.Layout(flex_flow="row wrap")) for row in rows]
        self.widget = ipywidgets.VBox([boxes[0], self.shown, boxes[1]])
        self.button.on_click(lambda _: self.send())
        self.again.on_click(lambda _: self.clear())
        self.message.on_msg(self._on_message)
        self.model.observe(lambda _: self.clear(), names="value")
        self._show()
        for text in opening:
            self.send(text)

    @property
    def settings(self) -> dict[str, Any]:
        """Model, temperature, and how many messages there are."""
        n = len(self.conversation)
        return {"model": self.model.value, "temperature": self.temperature.value, "messages": n}

    def send(self, text: str | None = None) -> "ChatExplorer":
        """Send what is typed (or `text`), and wait for the answer. Nothing happens where nothing is typed."""
        text = (self.message.value if text is None else text).strip()
        if not text:
            return self
        self.button.disabled, self.button.description = True, "…"
        try:
            said = [*self.conversation, ("user", text)]
            answer = self.models[self.model.value](list(said), float(self.temperature.value))
            self.conversation, self.notice = [*said, ("assistant", str(answer))], ""
            self.message.value = ""
        except ValueError as error:
            self.notice = str(error) or "There is no answer to this."
            self.message.value = text
        finally:
            self.button.disabled, self.button.description = False, "Send"
            self._show()
        return self

    def clear(self) -> "ChatExplorer":
        """A new conversation."""
        self.conversation, self.notice = [], ""
        self._show()
        return self

    def draw(self) -> Figure:
        """The last messages as boxes: the user's on the right, the model's on the left; under them the notice."""
        shown = [(role, _lines(text)) for role, text in self.conversation[-MOST:]]
        left_out = len(self.conversation) - len(shown)
        notes = _lines(self.notice or ("" if shown else EMPTY), 74) if self.notice or not shown else []
        above = 0.3 if left_out else 0.1
        height = above + sum(LINE * len(lines) + 0.42 for _, lines in shown) + LINE * len(notes) + 0.12
        figure, top = Figure(figsize=(WIDTH, height)), above
        look = {"transform": figure.dpi_scale_trans, "va": "top", "parse_math": False}
        if left_out:
            figure.text(0.1, height - 0.08, f"… {left_out} earlier messages", size=9, **look)
        for role, lines in shown:
            top = self._bubble(figure, role, lines, top)
        figure.text(0.1, height - top, "\n".join(notes), size=SIZE, color=style.COLORS["orange"], **look)
        return figure

    def describe(self) -> str:
        """The last message and its answer, or the notice, or that nothing has been said."""
        who = {"user": "You", "assistant": self.model.value}
        parts = [f"{who[role]}: “{text}”" for role, text in self.conversation[-2:]]
        return " ".join([*parts, *([self.notice] if self.notice else [])]) or EMPTY

    def still(self) -> tuple[bytes, str]:
        """The picture of the conversation, and its words."""
        with style.context():
            return render(self.draw()), self.describe()

    def _bubble(self, figure: Figure, role: str, lines: list[str], top: float) -> float:
        """Draw one message; where the next one begins, in inches from the top."""
        fill, edge = _LOOKS[role]
        wide, high = max(map(len, lines)) * LETTER * SIZE + 0.2, LINE * len(lines) + 0.12
        left = WIDTH - 0.1 - wide if role == "user" else 0.1
        y = figure.get_figheight() - top
        name = "you" if role == "user" else " ".join(map(drawable, self.model.value.split()))
        look = {"transform": figure.dpi_scale_trans, "va": "top", "parse_math": False}
        side = {"ha": "right", "x": left + wide} if role == "user" else {"ha": "left", "x": left}
        figure.text(y=y, s=name, size=8, color=style.COLORS["grey"], **side, **look)
        corner, shape = (left, y - 0.16 - high), "round,pad=0,rounding_size=0.05"
        inside = {"transform": figure.dpi_scale_trans, "facecolor": fill, "edgecolor": edge, "linewidth": 0.9}
        figure.add_artist(FancyBboxPatch(corner, wide, high, boxstyle=shape, **inside))
        for i, line in enumerate(lines):
            figure.text(left + 0.1, y - 0.22 - i * LINE, line, size=SIZE, family=FONT, **look)
        return top + 0.3 + high

    def _show(self) -> None:
        """The conversation as markup in which every letter that was typed or answered is escaped."""
        names = {"user": "you", "assistant": self.model.value}
        parts = [_markup(role, names[role], text) for role, text in self.conversation]
        if self.notice or not parts:
            parts.append(_markup(NOTICE, "", self.notice or EMPTY))
        self.shown.value = "".join(parts)

    def _on_message(self, _, content: Any, __) -> None:
        """Enter in the box: what the browser then says."""
        if isinstance(content, Mapping) and content.get("event") == "submit":
            self.send()


def _markup(role: str, name: str, text: str) -> str:
    edge = _LOOKS[role][1] if role in _LOOKS else style.COLORS["orange"]
    margin = "margin:0.3em 0 0.3em 6em" if role == "user" else "margin:0.3em 6em 0.3em 0"
    label = f"<b>{html.escape(name)}</b> " if name else ""
    box = f"{margin};padding:0.1em 0.6em;border-left:3px solid {edge};line-height:1.5;overflow-wrap:anywhere"
    return f'<div style="{box}">{label}{html.escape(text)}</div>'


def _lines(text: str, columns: int = COLUMNS, most: int = 8) -> list[str]:
    """The text as lines that a figure can draw, letter by letter; an ellipsis where there are too many."""
    lines = textwrap.wrap(" ".join(drawable(word) for word in text.split()), columns) or ["…"]
    return lines if len(lines) <= most else [*lines[: most - 1], lines[most - 1][: columns - 2] + " …"]
