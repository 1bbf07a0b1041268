"""The explorer of lesson 06: what each kind of position looks like, and what it says about distance."""

import ipywidgets
import numpy as np
import torch
from matplotlib.figure import Figure

from lessons_lib.models.positions import alibi_slopes, frequencies
from lessons_lib.views import style
from lessons_lib.views.explorer import Explorer

PLACES = 64
KINDS = ("sinusoidal", "sines only", "as misprinted", "rotary", "ALiBi")


def position_vectors(kind: str, d: int, base: float = 10000.0, n: int = PLACES) -> np.ndarray:
    """The vectors of places 0 … n − 1, "n d", for a kind that has vectors.

    "sines only" has a sine in both dimensions of a pair; "as misprinted" is sin(t / base^(2j / d)) in dimension j.
    Rotary embeddings have none of their own: theirs is what a query of (0, 1, 0, 1, …) becomes when it is turned.
    Raises ValueError for ALiBi, which has no vectors, and for an unknown kind.
    """
    if kind not in KINDS or kind == "ALiBi":
        raise ValueError(f"There are no position vectors of kind {kind!r}; choose one of {', '.join(KINDS[:-1])}.")
    t = torch.arange(n, dtype=torch.float64)[:, None]
    if kind == "as misprinted":
        return torch.sin(t * base ** (-2 * torch.arange(d, dtype=torch.float64) / d)).numpy()
    angles = t * frequencies(d, base)  # n pairs
    if kind == "sines only":
        return angles.sin().repeat_interleave(2, dim=1).numpy()
    sign = -1 if kind == "rotary" else 1
    return torch.stack([sign * angles.sin(), angles.cos()], dim=-1).flatten(1).numpy()


def similarity(vectors: np.ndarray) -> np.ndarray:
    """The dot product of every two places, divided by that of a place with itself at its largest: "n n"."""
    products = vectors @ vectors.T
    return products / np.abs(np.diag(products)).max()


def by_distance(table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mean, least and largest entry of a table "n n" for each distance: 0 … n / 2."""
    lines = [np.diag(table, k) for k in range(len(table) // 2 + 1)]
    return tuple(np.array([pick(line) for line in lines]) for pick in (np.mean, np.min, np.max))


class PositionExplorer(Explorer):
    """Position vectors as a heat map, and beside it the similarity of two places by their distance.

    Controls: the kind, d_model and the base. The grey area shows how far the similarity at one distance depends on
    where the two places stand. Without one, distance is all that counts.
    """

    def __init__(self, kind: str = "sinusoidal", d_model: int = 64, base: float = 10000.0):
        super().__init__(
            kind=ipywidgets.Dropdown(options=KINDS, value=kind),
            d_model=ipywidgets.SelectionSlider(options=(4, 8, 16, 32, 64, 128), value=d_model),
            base=ipywidgets.SelectionSlider(options=(10.0, 100.0, 1000.0, 10000.0, 100000.0), value=base),
        )

    def draw(self, kind: str, d_model: int, base: float) -> Figure:
        """The heat map on the left, similarity by distance on the right; for ALiBi its penalties in both."""
        figure = Figure(figsize=(9.6, 4.0), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
        if kind == "ALiBi":
            _draw_alibi(left, right)
        else:
            vectors = position_vectors(kind, d_model, base)
            image = left.imshow(vectors, cmap=style.DIVERGING, vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
            figure.colorbar(image, ax=left, label="value")
            left.set(xlabel="dimension", ylabel="place", title=f"{kind}, d_model {d_model}, base {base:g}")
            mean, low, high = by_distance(similarity(vectors))
            distance = np.arange(len(mean))
            right.fill_between(distance, low, high, color=style.COLORS["light"], label="depends on the place")
            right.plot(distance, mean, label="mean over places")
            right.set(xlabel="distance, in places", ylabel="similarity of two places", ylim=(-1.05, 1.05))
            right.set_title("Similarity by distance")
            right.legend(loc="lower left")
        left.grid(False)
        return figure

    def describe(self, kind: str, d_model: int, base: float) -> str:
        """How the similarity falls, and whether it depends on the distance alone."""
        if kind == "ALiBi":
            return "ALiBi has no vectors: a penalty on the scores that grows in a straight line, steeper in some heads."
        mean, low, high = by_distance(similarity(position_vectors(kind, d_model, base)))
        spread = (high - low).max()
        where = "depends on the distance alone" if spread < 1e-9 else f"varies with the place by up to {spread:.2f}"
        return (
            f"{kind}, d_model {d_model}, base {base:g}: similarity {mean[1]:.2f} at distance 1, "
            f"{mean[10]:.2f} at distance 10; it {where}."
        )


def _draw_alibi(left, right, n_heads: int = 4) -> None:
    slopes = alibi_slopes(n_heads).numpy()
    places = np.arange(PLACES)
    left.imshow(-slopes[0] * np.abs(places[:, None] - places), aspect="auto", interpolation="nearest")
    left.set(xlabel="key's place", ylabel="query's place", title="ALiBi, first of 4 heads (dark: far away)")
    distance = np.arange(PLACES // 2 + 1)
    for head, slope in enumerate(slopes):
        right.plot(distance, -slope * distance, label=f"head {head + 1}, slope {slope:.3g}")
    right.set(xlabel="distance, in places", ylabel="added to the score", title="Penalty by distance")
    right.legend(loc="lower left")
