"""The record of a training run as a figure."""

from typing import Any

import numpy as np

from lessons_lib.views import style
from lessons_lib.views.picture import Picture


def learning_curve(
    history: Any,
    title: str = "Loss",
    *,
    floor: float | None = None,
    smoothing: float | None = None,
    unit: str = "nats per token",
) -> Picture:
    """The training loss of a `History` over its steps, smoothed and as it was (pale), with the held-out loss as marks.

    The held-out loss is the evaluations' "loss", where there are any. floor: the loss that no model can beat.
    smoothing: see `History.curve`; without it, the average remembers a fiftieth of the run. The first twentieth may
    stand above the top of the figure. Raises ValueError for a run without a step.
    """
    if not len(history):
        raise ValueError("The run has no step yet, so it has no curve.")
    steps, smooth = history.curve(1 - 1 / max(1.0, len(history) / 50) if smoothing is None else smoothing)
    named = any("loss" in found for found in history.evaluations)
    at, held_out = history.evaluated() if named else (np.array([]), np.array([]))
    with style.context():
        figure = Picture((8.4, 4.2), title, _in_words(title, smooth, at, held_out, floor, unit))
        axes = figure.subplots()
        axes.plot(steps + 1, history.losses, color=style.COLORS["light"], linewidth=1, linestyle="-")
        axes.plot(steps + 1, smooth, color=style.COLORS["blue"], linestyle="-", label="training")
        if named:
            axes.plot(at, held_out, color=style.COLORS["orange"], marker="s", linestyle="--", label="held out")
        if floor is not None:
            axes.axhline(
                floor, color=style.COLORS["ink"], linewidth=1.2, linestyle="-", label=f"least possible {floor:.3f}"
            )
        shown = np.concatenate([history.losses[len(steps) // 20 :], held_out, [] if floor is None else [floor]])
        margin = 0.05 * (shown.max() - shown.min()) + 1e-3
        axes.set(title=title, xlabel="step", ylabel=f"loss ({unit})", xlim=(0, steps[-1] + 1.5))
        axes.set_ylim(shown.min() - margin, shown.max() + margin)
        axes.legend(loc="upper right")
    return figure


def _in_words(
    title: str, smooth: np.ndarray, at: np.ndarray, held_out: np.ndarray, floor: float | None, unit: str
) -> str:
    parts = [
        f"{title}: over {len(smooth)} steps the training loss went from {smooth[0]:.2f} to {smooth[-1]:.2f} {unit}"
    ]
    if len(at):
        parts.append(f"the held-out loss from {held_out[0]:.2f} at step {at[0]} to {held_out[-1]:.2f} at step {at[-1]}")
    if floor is not None:
        parts.append(f"the least possible is {floor:.2f}")
    return ", ".join(parts) + "."
