"""Pictures: figures that a notebook shows by themselves, with words for readers who do not see them."""

import base64
import io
import sys
import textwrap
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lessons_lib.views import style


class Picture(Figure):
    """A matplotlib figure to end a cell with, and no `plt.show()`: `alt` describes it, `name` stands for it in text."""

    def __init__(self, figsize: tuple[float, float], name: str, alt: str):
        super().__init__(figsize=figsize)
        self.name, self.alt = name, alt

    def __repr__(self) -> str:
        return f"Figure: {self.name}"

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict[str, Any], dict[str, Any]]:
        with style.context():
            png = base64.b64encode(render(self)).decode("ascii")
        return {"text/plain": repr(self), "image/png": png}, {"image/png": {"alt": self.alt}}


def render(figure: Figure) -> bytes:
    """`figure` as PNG bytes, the same for the same figure; the figure is closed, so that nothing piles up in memory."""
    buffer = io.BytesIO()
    try:
        # Figure.savefig would draw twice, the first time for the layout only; drawing once settles the layout too.
        FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    finally:
        pyplot = sys.modules.get("matplotlib.pyplot")  # a figure that pyplot has never seen need not be closed by it
        if pyplot is not None:
            pyplot.close(figure)
    return buffer.getvalue()


def message_figure(message: str, title: str = "") -> Figure:
    """A figure that says something in words where there is nothing to draw."""
    figure = Figure(figsize=(7.2, 2.4))
    lines = [line for part in message.splitlines() for line in textwrap.wrap(part, 82)]
    if len(lines) > 8:
        lines = [*lines[:7], "…"]
    figure.text(0.02, 0.96, title, va="top", weight="bold", color=style.COLORS["orange"])
    figure.text(0.02, 0.84 if title else 0.96, "\n".join(lines), va="top", linespacing=1.5)
    return figure
