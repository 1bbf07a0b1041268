"""Attention under the pointer (lessons 08 to 10): rest on a token, and see where it looks, in every layer and head."""

from collections.abc import Sequence
from typing import Any

import anywidget
import ipywidgets
import numpy as np
import torch
import traitlets
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lessons_lib.views import style
from lessons_lib.views.explorer import Displayed
from lessons_lib.views.figures import percent
from lessons_lib.views.javascript import script, sheet
from lessons_lib.views.picture import render
from lessons_lib.views.visible import drawable, visible

MOST_TOKENS = 64
MEAN = "mean"
FAINT = 0.04  # smaller weights of other tokens have no line
LABEL = 18  # letters of a token that the still picture has room for


class HoverView(anywidget.AnyWidget):
    """The live half. weights: "layers heads seq seq" as 16-bit shares of 1, lowest byte first; head 0 is the mean."""

    _esm = script("hover.js")
    _css = sheet()
    tokens = traitlets.List(traitlets.Unicode()).tag(sync=True)
    weights = traitlets.Bytes().tag(sync=True)
    n_layers = traitlets.Int().tag(sync=True)
    n_heads = traitlets.Int().tag(sync=True)
    layer = traitlets.Int(1).tag(sync=True)
    head = traitlets.Int(0).tag(sync=True)
    focus = traitlets.Int(0).tag(sync=True)


class AttentionHover(Displayed):
    """Attention weights, token by token: `AttentionHover(tokens, weights, layer=2, head=3, focus="it")`.

    Hovering over a token shows its row of weights as lines, bars and percentages; a click or the arrow keys keep it.
    A saved notebook keeps the picture of one layer, head and token.

    weights: "layers heads seq seq" (query, key), rows summing to 1. layer: from 1. head: from 1, or "mean", over the
    heads of the layer. focus: the token that is shown first, as a number from 0 or as a text (then its first
    occurrence); the middle one unless told otherwise.

    Raises ValueError for more than 64 tokens or none, weights of another shape or that do not sum to 1, and a layer,
    head or token that is not there.
    """

    def __init__(
        self,
        tokens: Sequence[str],
        weights: Any,
        *,
        layer: int = 1,
        head: int | str = MEAN,
        focus: int | str | None = None,
    ):
        self.tokens = _checked_tokens(tokens)
        self.weights = _checked_weights(weights, len(self.tokens))
        n_layers, n_heads = self.weights.shape[:2]
        self.view = HoverView(
            tokens=[visible(token) for token in self.tokens],
            weights=_packed(self.weights),
            n_layers=n_layers,
            n_heads=n_heads,
        )
        self.widget = ipywidgets.VBox((self.view,))
        self.set(layer=layer, head=head, focus=len(self.tokens) // 2 if focus is None else focus)

    @property
    def settings(self) -> dict[str, Any]:
        """The layer, the head and the token (from 0) that are shown."""
        return {"layer": self.view.layer, "head": self.view.head or MEAN, "focus": self.view.focus}

    def set(self, **values: Any) -> "AttentionHover":
        """Choose layer, head or focus as a hand would.

        Raises ValueError, and changes nothing, for a setting that is not there or a value that it cannot take.
        """
        unknown = sorted(set(values) - {"layer", "head", "focus"})
        if unknown:
            raise ValueError(f"There is no setting {unknown[0]!r}; there are: layer, head, focus.")
        n_layers, n_heads, n, _ = self.weights.shape
        chosen = {}
        if "layer" in values:
            chosen["layer"] = _within("layer", values["layer"], 1, n_layers)
        if "head" in values:
            head = values["head"]
            chosen["head"] = 0 if head == MEAN else _within("head", head, 1, n_heads, f', or "{MEAN}"')
        if "focus" in values:
            focus = values["focus"]
            if isinstance(focus, str):
                if focus not in self.tokens:
                    raise ValueError(f"There is no token {focus!r}; there are: {', '.join(map(repr, self.tokens))}.")
                focus = self.tokens.index(focus)
            chosen["focus"] = _within("focus", focus, 0, n - 1)
        with self.view.hold_sync():
            for name, value in chosen.items():
                setattr(self.view, name, value)
        return self

    def matrix(self, layer: int, head: int | str) -> np.ndarray:
        """The weights of one head, or the mean over the layer's heads: "seq seq"."""
        heads = self.weights[layer - 1]
        return heads.mean(axis=0) if head == MEAN else heads[head - 1]

    def draw(self, layer: int, head: int | str, focus: int) -> Figure:
        """The still picture: the tokens twice, with lines from the chosen one, and its weights as bars and numbers."""
        n, weights = len(self.tokens), self.matrix(layer, head)
        names = [_short(drawable(token)) for token in self.tokens]
        figure = Figure(figsize=(7.2, 0.9 + 0.27 * n), layout="constrained")
        axes = figure.subplots()
        title = f"layer {layer}, {self._head_in_words(head)}: where “{names[focus]}” looks"
        axes.set_title(title, parse_math=False)
        axes.set(xlim=(0, 10), ylim=(n - 0.4, -1.6))
        axes.set_axis_off()
        for x, side, name in ((2.9, "right", "looks"), (5.1, "left", "is looked at"), (7.6, "left", "weight")):
            axes.text(x, -1, name, ha=side, va="center", size=10, color=style.COLORS["grey"])
        _lines(axes, weights, focus)
        for i, (name, weight) in enumerate(zip(names, weights[focus], strict=True)):
            look = {"va": "center_baseline", "size": 10, "family": "DejaVu Sans Mono", "parse_math": False}
            bold = {"weight": "bold", "color": style.COLORS["orange"]} if i == focus else {}
            axes.text(2.9, i, name, ha="right", **look, **bold)
            axes.text(5.1, i, name, **look)
            axes.barh(i, 1.5 * weight, left=7.6, height=0.6, color=style.COLORS["sky"])
            axes.text(7.7 + 1.5 * weight, i, percent(weight), va="center_baseline", size=10)
        return figure

    def describe(self, layer: int, head: int | str, focus: int) -> str:
        """Where the chosen token looks most, in numbers."""
        row = self.matrix(layer, head)[focus]
        best = [int(j) for j in np.argsort(-row, kind="stable")[:3] if row[j] > 0]
        most = ", ".join(f"“{visible(self.tokens[j])}” {percent(row[j])}" for j in best)
        where = f"Layer {layer}, {self._head_in_words(head)}"
        return f"{where}: “{visible(self.tokens[focus])}” looks most at {most}."

    def still(self) -> tuple[bytes, str]:
        """The picture of the settings as they stand, and its words."""
        with style.context():
            return render(self.draw(**self.settings)), self.describe(**self.settings)

    def _head_in_words(self, head: int | str) -> str:
        n_heads = self.weights.shape[1]
        if n_heads == 1:
            return "its one head"
        return f"mean of {n_heads} heads" if head == MEAN else f"head {head} of {n_heads}"


def _lines(axes: Axes, weights: np.ndarray, focus: int) -> None:
    """All weights as faint grey lines from left to right; those of one token in blue, the darker the larger."""
    look = {"linestyle": "-", "linewidth": 2.5, "solid_capstyle": "butt"}
    for (i, j), weight in np.ndenumerate(weights):
        if i != focus and weight > FAINT:
            axes.plot([3.05, 4.95], [i, j], color=style.COLORS["grey"], alpha=0.2 * float(weight), **look)
    for j, weight in enumerate(weights[focus]):
        axes.plot([3.05, 4.95], [focus, j], color=style.COLORS["blue"], alpha=float(weight) ** 0.5, **look)


def _checked_tokens(tokens: Sequence[str]) -> tuple[str, ...]:
    if isinstance(tokens, str) or not all(isinstance(token, str) for token in tokens):
        raise ValueError('tokens must be a list of texts, one for each token, such as ["the", "cat"].')
    if not 1 <= len(tokens) <= MOST_TOKENS:
        raise ValueError(f"Give between 1 and {MOST_TOKENS} tokens; these are {len(tokens)}. Take a shorter text.")
    return tuple(tokens)


def _checked_weights(weights: Any, n: int) -> np.ndarray:
    array = torch.as_tensor(weights).detach().cpu().float().numpy()
    if array.ndim != 4 or array.shape[2:] != (n, n) or 0 in array.shape:
        raise ValueError(f"{n} tokens need weights of shape (layers, heads, {n}, {n}); these have {array.shape}.")
    if not np.isfinite(array).all() or array.min() < 0 or np.abs(array.sum(axis=-1) - 1).max() > 0.01:
        raise ValueError("Each row of weights must be at least 0 and sum to 1: give them as they leave the softmax.")
    return np.minimum(array, 1.0)


def _packed(weights: np.ndarray) -> bytes:
    """Weights as 16-bit shares of 1; what is above 0 stays above 0, so that only masked places read 0."""
    shares = np.round(weights * 65535)
    return np.where(weights > 0, np.maximum(shares, 1), 0).astype("<u2").tobytes()


def _within(name: str, value: Any, low: int, high: int, more: str = "") -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not low <= value <= high:
        raise ValueError(f"{name} cannot be {value!r}: it goes from {low} to {high}{more}.")
    return int(value)


def _short(name: str) -> str:
    return name if len(name) <= LABEL else name[: LABEL - 1] + "…"
