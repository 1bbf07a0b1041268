"""Explorer of lesson 02: a text's tokens under the first k merges of a byte-pair encoding."""

from functools import lru_cache
from typing import Any

import ipywidgets
import numpy as np
from matplotlib.figure import Figure

from lessons_lib.text.tokenizers.bpe import from_printable
from lessons_lib.views import style
from lessons_lib.views.boxes import FONT, Box, draw_boxes, line_height, lines_needed
from lessons_lib.views.explorer import Explorer
from lessons_lib.views.spans import TINTS
from lessons_lib.views.visible import drawable

SIZE, LEFT, WIDTH, TOP = 11, 0.15, 6.9, 0.62  # points, and inches
CURVE = 1.9  # inches for the curve and its labels
MOST_LINES = 9
CURVE_POINTS = 60


class MergeExplorer(Explorer):
    """A slider over the number of merges, the tokens of `text` under them, and how their number falls.

    bpe: a byte-pair encoding with `.merges`, `.truncated(k)`, and `.pieces(text)` (the tokens as bytes). The tokens
    that the newest merge made are outlined. Characters without a glyph in the figure's font appear as code points,
    parts of characters as bytes. Raises ValueError for an empty text.
    """

    def __init__(self, bpe: Any, text: str, merges: int | None = None):
        if not text:
            raise ValueError("MergeExplorer needs a text of at least one character.")
        self.bpe, self.text = bpe, text
        self._pieces = lru_cache(maxsize=None)(lambda k: tuple(bpe.truncated(k).pieces(text)))
        most = len(bpe.merges)
        points = np.unique(np.linspace(0, most, CURVE_POINTS).round().astype(int))
        self._curve = points, np.array([len(self._pieces(int(k))) for k in points])
        self._lines = min(MOST_LINES, lines_needed(self._boxes(0), WIDTH, SIZE))
        slider = ipywidgets.IntSlider(most // 2 if merges is None else merges, 0, most)
        slider.layout.width = "480px"
        super().__init__(merges=slider)

    def draw(self, merges: int) -> Figure:
        """Above, what the newest merge joined; in the middle, the text in boxes; below, tokens against merges."""
        pieces = self._pieces(merges)
        boxes_end = TOP + self._lines * line_height(SIZE)
        figure = Figure(figsize=(7.2, boxes_end + CURVE), layout="constrained")
        height = figure.get_figheight()
        per = len(self.text) / len(pieces)
        counts = f"{len(pieces)} tokens for {len(self.text)} characters: {per:.2f} characters a token"
        at = {"transform": figure.dpi_scale_trans, "va": "top"}
        figure.text(LEFT, height - 0.1, counts, weight="bold", **at)
        figure.text(LEFT, height - 0.34, self._newest(merges), color=style.COLORS["orange"], **at)
        draw_boxes(figure, self._boxes(merges), LEFT, TOP, WIDTH, SIZE, self._lines)
        figure.get_layout_engine().set(rect=(0, 0, 1, (CURVE - 0.1) / height))
        self._draw_curve(figure, merges, len(pieces))
        return figure

    def describe(self, merges: int) -> str:
        """How many tokens the text has, and what the newest merge was."""
        n = len(self._pieces(merges))
        return f"{n} tokens for {len(self.text)} characters after {merges} merges. {self._newest(merges)}"

    def _newest(self, merges: int) -> str:
        if merges == 0:
            return "No merges yet: every byte is a token."
        left, right = (drawable(from_printable(token), FONT) for token in self.bpe.merges[merges - 1])
        joined = drawable(self._new_piece(merges), FONT)
        uses = self._pieces(merges).count(self._new_piece(merges))
        found = f"{uses} in this text, outlined" if uses else "none in this text"
        return f"Merge {merges}: {left} + {right} → {joined} ({found})."

    def _new_piece(self, merges: int) -> bytes:
        return b"".join(map(from_printable, self.bpe.merges[merges - 1]))

    def _boxes(self, merges: int) -> list[Box]:
        new = self._new_piece(merges) if merges else None
        boxes = []
        for i, piece in enumerate(self._pieces(merges)):
            tint, edge = TINTS[i % 2]
            look = {"edge": style.COLORS["orange"], "heavy": True} if piece == new else {"edge": edge}
            boxes.append(Box(drawable(piece, FONT), fill=tint, breaks=piece.endswith(b"\n"), **look))
        return boxes

    def _draw_curve(self, figure: Figure, merges: int, tokens: int) -> None:
        axes = figure.subplots()
        axes.plot(*self._curve, linestyle="-", color=style.COLORS["blue"])
        axes.plot([merges], [tokens], marker="o", markersize=9, color=style.COLORS["orange"], clip_on=False)
        axes.set(xlabel="merges", ylabel="tokens", ylim=(0, None))
        axes.set_xlim(0, max(1, len(self.bpe.merges)))
