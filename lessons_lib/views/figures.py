"""Static figures, and the parts that explorers are put together from."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from lessons_lib.views import style
from lessons_lib.views.picture import Picture
from lessons_lib.views.visible import drawable


def percent(p: float) -> str:
    """A probability as a reader says it: "42.0%", "0.03%", and "<0.01%" for what is smaller still."""
    if 0 < p < 0.00005:
        return "<0.01%"
    return f"{100 * p:.2f}%" if 0 < p < 0.00995 else f"{100 * p:.1f}%"


def next_word_bars(
    axes: Axes,
    words: Sequence[str],
    probability: np.ndarray,
    *,
    top: int = 10,
    before: np.ndarray | None = None,
    limit: float | None = None,
) -> list[int]:
    """Fill `axes` with a bar and a percentage for each of the `top` likeliest words; returns their indices, in order.

    probability: "vocab", summing to 1; words of probability 0 get no bar. before: "vocab", another distribution, drawn
    as a hollow bar behind each bar. limit: the probability at the right edge, if not chosen to fit.
    """
    probability = np.asarray(probability, dtype=float)
    order = [int(i) for i in np.argsort(-probability, kind="stable")[:top] if probability[i] > 0]
    rows = np.arange(len(order))
    axes.barh(rows, probability[order], height=0.7, color=style.COLORS["sky"])
    if before is not None:
        hollow = {"facecolor": "none", "edgecolor": style.COLORS["ink"], "linewidth": 1.2, "linestyle": (0, (3, 2))}
        axes.barh(rows, np.asarray(before)[order], height=0.7, **hollow)
    for row, i in zip(rows, order, strict=True):
        axes.text(1.015, row, percent(probability[i]), va="center", transform=axes.get_yaxis_transform())
    axes.set_yticks(rows, [drawable(words[i]) for i in order], parse_math=False)
    axes.set(xlim=(0, limit or _nice_limit(probability, before, order)), ylim=(max(top, 1) - 0.4, -0.6))
    axes.set_xlabel("probability of being the next word")
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    return order


def loss_by_order(
    held_out: Mapping[str, Sequence[float]],
    train: Mapping[str, Sequence[float]] | None = None,
    *,
    floor: float | None = None,
    title: str = "Loss by order",
    unit: str = "nats per word",
) -> Picture:
    """Cross-entropy against n-gram order: held-out curves (filled marks), training curves (hollow), and the floor.

    held_out, train: name → the losses of orders 1, 2, 3, … in `unit`; a name keeps its colour and mark in both. An
    infinite loss is an ∞ at the top of the figure, above its order. floor: the loss that no model can beat.
    """
    train = train or {}
    names = list(dict.fromkeys([*held_out, *train]))
    losses = np.concatenate([np.asarray(curve, dtype=float) for curve in [*held_out.values(), *train.values()]])
    finite = [*losses[np.isfinite(losses)], *([] if floor is None else [floor])]
    margin = 0.1 * (max(finite) - min(finite))
    with style.context():
        figure = Picture((8.4, 4.4), title, _losses_in_words(held_out, train, floor, unit))
        axes = figure.subplots()
        for curves, kind in ((held_out, "held out"), (train, "training")):
            for name, curve in curves.items():
                _loss_curve(axes, name, curve, names.index(name), kind)
        axes.set(title=title, xlabel="order n (the model sees n − 1 words)", ylabel=f"cross-entropy ({unit})")
        axes.set_xticks(range(1, max(map(len, [*held_out.values(), *train.values()])) + 1))
        axes.margins(x=0.06)
        axes.set_ylim(max(0.0, min(finite) - margin), max(finite) + margin * (1 + np.isinf(losses).any()))
        if floor is not None:
            axes.axhspan(0, floor, color=style.COLORS["light"], alpha=0.55, linewidth=0, zorder=0)
            axes.axhline(floor, color=style.COLORS["ink"], linewidth=1.2, linestyle="-", label=f"entropy {floor:.3f}")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _losses_in_words(held_out: Mapping, train: Mapping, floor: float | None, unit: str) -> str:
    lines = [
        f"{name} ({kind}): {', '.join(f'{loss:.2f}' for loss in losses)}"
        for curves, kind in ((held_out, "held out"), (train, "training"))
        for name, losses in curves.items()
    ]
    low = "" if floor is None else f" The exact entropy is {floor:.3f}."
    return f"Cross-entropy in {unit} for orders 1, 2, and so on. {'; '.join(lines)}.{low}"


def _loss_curve(axes: Axes, name: str, losses: Sequence[float], i: int, kind: str) -> None:
    losses = np.asarray(losses, dtype=float)
    orders = np.arange(1, len(losses) + 1)
    colour, marker = style.COLORS[style.CYCLE[i % len(style.CYCLE)]], style.MARKERS[i % len(style.MARKERS)]
    hollow = kind == "training"
    axes.plot(
        orders,
        np.where(np.isfinite(losses), losses, np.nan),
        color=colour,
        marker=marker,
        markerfacecolor=style.COLORS["paper"] if hollow else colour,
        linestyle="--" if hollow else "-",
        label=f"{name}, {kind}" if name else kind,
    )
    for order in orders[np.isposinf(losses)]:
        axes.text(order, 1.0, "∞", color=colour, ha="center", va="top", size=16, transform=axes.get_xaxis_transform())


def _nice_limit(probability: np.ndarray, before: np.ndarray | None, order: list[int]) -> float:
    """The right edge of the bars: 1, or a rounder number where all bars are short."""
    if not order:
        return 1.0
    longest = max(float(np.max(p)) for p in (probability, before) if p is not None)
    return next(edge for edge in (0.1, 0.25, 0.5, 1.0) if longest <= edge + 1e-9)
