"""Explorers of lesson 03: what a softmax makes of logits and how the loss pushes them; what a learning rate does."""

from collections.abc import Mapping

import ipywidgets
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lessons_lib.views import style
from lessons_lib.views.explorer import Explorer
from lessons_lib.views.figures import percent
from lessons_lib.views.next_word import temperature_slider
from lessons_lib.views.visible import drawable


class SoftmaxExplorer(Explorer):
    """Logits, their softmax, and the push on each: `SoftmaxExplorer({"kite": 1.5, "ball": 0.5}, right="ball")`.

    logits: word → logit. right: the word that really comes. One word's logit can be moved, and the temperature.
    Raises ValueError for fewer than two words, a logit that is not finite, or a right word that is not among them.
    """

    def __init__(self, logits: Mapping[str, float], right: str, context: str = ""):
        self.words = tuple(logits)
        self.logits = np.array([float(z) for z in logits.values()])
        if len(self.words) < 2 or not np.isfinite(self.logits).all():
            raise ValueError("Give at least two words, each with a logit that is a finite number.")
        if right not in self.words:
            raise ValueError(f"The right word {right!r} must be one of: {', '.join(self.words)}.")
        self.context = context
        super().__init__(
            right=ipywidgets.Dropdown(options=self.words, value=right, description="what comes"),
            move=ipywidgets.Dropdown(options=self.words, value=right, description="move the logit of"),
            by=ipywidgets.FloatSlider(0.0, min=-6.0, max=6.0, step=0.25, readout_format="+.2f"),
            temperature=temperature_slider(1.0),
        )

    def state(self, right: str, move: str, by: float, temperature: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Logits "vocab", probabilities "vocab", and y "vocab": 1 at the right word. Temperature 0 means the limit."""
        z = self.logits.copy()
        z[self.words.index(move)] += by
        y = np.array([float(word == right) for word in self.words])
        if temperature == 0:
            best = (z == z.max()).astype(float)
            return z, best / best.sum(), y
        weights = np.exp((z - z.max()) / temperature)
        return z, weights / weights.sum(), y

    def draw(self, right: str, move: str, by: float, temperature: float) -> Figure:
        """Left the logits; right the probabilities, with an arrow from each to where it should be."""
        z, q, y = self.state(right, move, by, temperature)
        figure = Figure(figsize=(9.2, 1.9 + 0.42 * len(z)), layout="constrained")
        left, axes = figure.subplots(1, 2, width_ratios=(2, 3))
        rows = np.arange(len(z))
        left.barh(rows, z, height=0.6, color=style.COLORS["amber"])
        left.axvline(0, color=style.COLORS["grey"], linewidth=1)
        left.set(title="logits z", xlabel="z", xlim=_limits(self.logits))
        left.set_yticks(rows, [f"{drawable(w)}{' ✓' if w == right else ''}" for w in self.words])
        axes.barh(rows, q, height=0.6, color=style.COLORS["sky"])
        for row in rows:
            _push(axes, row, q[row], y[row])
            axes.text(1.02, row, percent(q[row]), va="center", transform=axes.get_yaxis_transform())
        axes.set(title=f"q = softmax(z / {temperature:.2f}); loss {_loss_text(q, y)}", xlim=(0, 1))
        axes.set_xlabel("probability; arrows: the push y − q")
        axes.set_yticks(rows, [])
        for panel in (left, axes):
            panel.set_ylim(len(z) - 0.4, -0.6)
            panel.grid(visible=False, axis="y")
        return figure

    def describe(self, right: str, move: str, by: float, temperature: float) -> str:
        """The right word's probability, the loss, and the strongest push."""
        _, q, y = self.state(right, move, by, temperature)
        most = int(np.abs(y - q).argmax())
        after = f"After “{self.context}” comes" if self.context else "What comes is"
        return (
            f"{after} “{right}”. Its probability is {percent(q[self.words.index(right)])} at temperature "
            f"{temperature:.2f}, the loss {_loss_text(q, y)}. "
            f"The strongest push, {y[most] - q[most]:+.2f}, is on “{self.words[most]}”."
        )


class LearningRateExplorer(Explorer):
    """Gradient descent in the bowl ½ (θ − best)², whose curvature is 1: so 2 is where it begins to diverge.

    Raises ValueError for a start that is the lowest point already.
    """

    def __init__(self, start: float = -3.0, best: float = 1.0, learning_rate: float = 0.1, steps: int = 12):
        if start == best:
            raise ValueError("start is the lowest point: there is nowhere to descend to.")
        self.start, self.best = float(start), float(best)
        super().__init__(
            learning_rate=ipywidgets.FloatSlider(
                learning_rate, min=0.02, max=2.2, step=0.02, readout_format=".2f", description="learning rate η"
            ),
            steps=ipywidgets.IntSlider(steps, min=0, max=30),
        )

    def path(self, learning_rate: float, steps: int) -> np.ndarray:
        """θ before the first step and after each."""
        points = [self.start]
        for _ in range(steps):
            points.append(points[-1] - learning_rate * (points[-1] - self.best))
        return np.array(points)

    def draw(self, learning_rate: float, steps: int) -> Figure:
        """Left the way through the bowl; right the loss after each step, on a logarithmic scale."""
        points = self.path(learning_rate, steps)
        far = 1.6 * abs(self.start - self.best)
        figure = Figure(figsize=(9.2, 3.8), layout="constrained")
        bowl, curve = figure.subplots(1, 2)
        line = np.linspace(self.best - far, self.best + far, 200)
        bowl.plot(line, self.loss(line), color=style.COLORS["grey"], linestyle="-")
        bowl.plot(points, self.loss(points), color=style.COLORS["blue"], marker="o", linestyle="-", linewidth=1.2)
        bowl.plot(points[-1], self.loss(points[-1]), color=style.COLORS["orange"], marker="s", markersize=9)
        bowl.set(xlim=(line[0], line[-1]), ylim=(-0.3, self.loss(line[0])), xlabel="θ", ylabel="loss")
        bowl.set_title(f"learning rate {learning_rate:.2f}: {verdict(learning_rate)}")
        curve.plot(np.arange(steps + 1), np.maximum(self.loss(points), 1e-9), color=style.COLORS["blue"], marker="o")
        curve.set(yscale="log", ylim=(1e-6, 1e4), xlim=(-0.5, 30.5), xlabel="step", ylabel="loss (log scale)")
        curve.set_title(f"loss after {steps} steps: {self.loss(points[-1]):.3g}")
        return figure

    def describe(self, learning_rate: float, steps: int) -> str:
        """How it goes, in words."""
        end = self.loss(self.path(learning_rate, steps)[-1])
        return (
            f"Gradient descent in a bowl, learning rate {learning_rate:.2f}: {verdict(learning_rate)}. "
            f"After {steps} steps the loss is {end:.3g}; it began at {self.loss(self.start):.3g}."
        )

    def loss(self, theta):
        """The height of the bowl at θ."""
        return (theta - self.best) ** 2 / 2


def verdict(learning_rate: float) -> str:
    """What a learning rate does where the curvature is 1: each step multiplies the distance by 1 − η."""
    if abs(learning_rate - 2) < 1e-9:
        return "for ever to and fro"
    for limit, word in ((0.3, "slow"), (0.995, "good"), (1.005, "there in one step"), (1.7, "good, in zigzags")):
        if learning_rate < limit:
            return word
    return "slow, in wide zigzags" if learning_rate < 2 else "diverges"


def _push(axes: Axes, row: int, q: float, y: float) -> None:
    """An arrow from q to y, where they differ visibly."""
    if abs(y - q) < 0.015:
        return
    look = {"arrowstyle": "-|>", "color": style.COLORS["orange"], "linewidth": 1.8, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", xy=(y, row), xytext=(q, row), arrowprops=look, annotation_clip=False)


def _limits(logits: np.ndarray) -> tuple[float, float]:
    """Room for every logit, and for one that the slider moves by up to 6 either way."""
    return min(0.0, logits.min()) - 6.3, max(0.0, logits.max()) + 6.3


def _loss_text(q: np.ndarray, y: np.ndarray) -> str:
    right = float((q * y).sum())
    return "∞" if right == 0 else f"{-np.log(right) + 0.0:.3f}"
