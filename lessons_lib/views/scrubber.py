"""Explorer of lesson 12: a training run under a slider. What did the model write, and look at, after so many steps?"""

import copy
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ipywidgets
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from lessons_lib.training.history import History
from lessons_lib.views import style
from lessons_lib.views.explorer import Explorer
from lessons_lib.views.visible import drawable

MOST_TOKENS = 26  # more do not fit on the axes of the attention map
WIDTH, LINES = 88, 3  # characters of a line of the sample, and lines


@dataclass(frozen=True)
class Snapshot:
    """A model as it was after `step` steps: a loss, in nats per token, and a copy of its weights by name."""

    step: int
    loss: float
    weights: Mapping[str, Tensor] = field(repr=False)


class KeepWeights:
    """For `fit(evaluate=…)`: measures the model by `measure`, and keeps a copy of its weights each time.

    After the run, `snapshots(history)` pairs the copies with their steps; `before(model)`, called before the run, makes
    one of step 0 as well. `name` is the measure that is shown.
    """

    def __init__(self, measure: Callable[[Any], "float | dict[str, float]"], name: str = "loss"):
        self.measure, self.name = measure, name
        self.weights: list[dict[str, Tensor]] = []
        self.start: list[Snapshot] = []

    @torch.no_grad()
    def before(self, model: nn.Module) -> None:
        """Keep the untrained model, as step 0."""
        found = self.measure(model)
        self.start = [Snapshot(0, float(found[self.name] if isinstance(found, dict) else found), _copied(model))]

    def __call__(self, model: nn.Module) -> "float | dict[str, float]":
        found = self.measure(model)
        self.weights.append(_copied(model))
        return found

    def snapshots(self, history: History) -> list[Snapshot]:
        """The copies with the steps and losses of the run's evaluations. Raises ValueError where there are none, or not
        as many evaluations: the history of another run, or of one that was resumed."""
        steps, losses = history.evaluated(self.name)
        if not len(steps) or len(steps) != len(self.weights):
            raise ValueError(
                f"{len(self.weights)} copies were kept and {len(steps)} evaluations recorded: give the history of the "
                "run that had this as evaluate=, from its first step."
            )
        rows = zip(steps.tolist(), losses.tolist(), self.weights, strict=True)
        return [*self.start, *(Snapshot(step, loss, weights) for step, loss, weights in rows)]


def _copied(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}


class TrainingScrubber(Explorer):
    """A slider over the snapshots of a run: the loss curve with a mark, a sample of that step, and one head's weights.

    model: a decoder that takes ids "1 seq" and, with return_weights=True, returns (logits, for each block "batch heads
    queries keys"); a copy of it is used. write: from the model to a text, the same each time. texts: text → (its tokens
    to be shown, their ids). curve: steps and losses of training, to be drawn pale. floor: the least loss there is.
    Raises ValueError for fewer than two snapshots, for texts that are missing or too long, and for weights of another
    model.
    """

    def __init__(
        self,
        model: nn.Module,
        snapshots: Sequence[Snapshot],
        *,
        write: Callable[[Any], str],
        texts: Mapping[str, tuple[Sequence[str], Sequence[int]]],
        curve: tuple[Sequence[int], Sequence[float]] | None = None,
        floor: float | None = None,
        step: int | None = None,
    ):
        self.snapshots = {each.step: each for each in sorted(snapshots, key=lambda each: each.step)}
        if len(self.snapshots) < 2:
            raise ValueError("A slider needs at least two snapshots, of different steps.")
        if not texts or any(len(tokens) != len(ids) or not len(ids) for tokens, ids in texts.values()):
            raise ValueError("Give at least one text, and for each text as many tokens as ids, one or more.")
        if (longest := max(len(ids) for _, ids in texts.values())) > MOST_TOKENS:
            raise ValueError(f"A text has {longest} tokens, and the map has room for {MOST_TOKENS}: shorten it.")
        self.model = copy.deepcopy(model).cpu().eval()
        self.write, self.texts, self.curve, self.floor = write, dict(texts), curve, floor
        self._written: dict[int, str] = {}
        steps = list(self.snapshots)
        self._loaded: int | None = None
        shapes = self.weights(steps[0], next(iter(self.texts)))
        heads = [(f"block {b + 1}, head {h + 1}", (b, h)) for b, seen in enumerate(shapes) for h in range(len(seen))]
        super().__init__(
            step=ipywidgets.SelectionSlider(options=steps, value=steps[-1] if step is None else step),
            text=ipywidgets.Dropdown(options=list(self.texts)),
            head=ipywidgets.Dropdown(options=heads),
        )

    @torch.no_grad()
    def weights(self, step: int, text: str) -> list[np.ndarray]:
        """Each block's attention on this text after so many steps: "heads queries keys"."""
        self._load(step)
        _, seen = self.model(torch.tensor([list(self.texts[text][1])]), return_weights=True)
        return [each[0].numpy() for each in seen]

    @torch.no_grad()
    def sample(self, step: int) -> str:
        """What the model of that step writes."""
        if step not in self._written:
            self._load(step)
            self._written[step] = self.write(self.model)
        return self._written[step]

    def draw(self, step: int, text: str, head: tuple[int, int]) -> Figure:
        """Above the curve and the head's map, below the sample."""
        figure = Figure(figsize=(9.8, 5.6), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1, 1))
        room = 1.15 / figure.get_figheight()
        figure.get_layout_engine().set(rect=(0, room, 1, 1 - room))
        self._draw_curve(left, step)
        self._draw_head(right, step, text, head)
        lines = textwrap.wrap(" ".join(map(drawable, self.sample(step).split())), WIDTH)
        lines = lines if len(lines) <= LINES else [*lines[: LINES - 1], lines[LINES - 1][: WIDTH - 1] + "…"]
        title = f"written after {step:,} steps:"
        figure.text(0.02, room - 0.02, title, va="top", color=style.COLORS["grey"])
        sample = figure.text(0.02, room - 0.065, "\n".join(lines), va="top", linespacing=1.45, family="monospace")
        sample.set_parse_math(False)
        return figure

    def describe(self, step: int, text: str, head: tuple[int, int]) -> str:
        """The loss, where the head looks most from the last token, and the sample."""
        tokens, seen = self.texts[text][0], self.weights(step, text)[head[0]][head[1]]
        most = int(seen[-1].argmax())
        return (
            f"After {step:,} steps the loss is {self.snapshots[step].loss:.3f} nats per token. From the last token of "
            f"“{text}”, block {head[0] + 1}, head {head[1] + 1} looks most at “{tokens[most]}” "
            f"({seen[-1, most]:.2f}). The model writes: “{self.sample(step)}”"
        )

    def _load(self, step: int) -> None:
        if self._loaded == step:
            return
        try:
            self.model.load_state_dict(dict(self.snapshots[step].weights))
        except RuntimeError as error:
            raise ValueError(f"The weights of step {step} are not those of this model: {error}") from error
        self._loaded = step

    def _draw_curve(self, axes: Axes, step: int) -> None:
        if self.curve is not None:
            axes.plot(*self.curve, color=style.COLORS["light"], linestyle="-", linewidth=1.2, label="training")
        losses = [each.loss for each in self.snapshots.values()]
        axes.plot(list(self.snapshots), losses, color=style.COLORS["blue"], marker="o", markersize=4, label="held out")
        here = self.snapshots[step].loss
        axes.plot(step, here, marker="s", markersize=10, color=style.COLORS["orange"], linestyle="none")
        if self.floor is not None:
            axes.axhline(self.floor, color=style.COLORS["ink"], linewidth=1.2, linestyle="-")
            axes.text(0.99, self.floor, "the floor", ha="right", va="bottom", transform=axes.get_yaxis_transform())
        axes.set(yscale="log", xlabel="step", ylabel="loss (nats per token)")
        axes.set_title(f"step {step:,}: loss {here:.3f}")
        ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10) if 0.9 * min(losses) <= t <= 1.1 * max(losses)]
        axes.set_yticks(ticks, [f"{t:g}" for t in ticks])
        axes.minorticks_off()
        axes.legend(loc="upper right")

    def _draw_head(self, axes: Axes, step: int, text: str, head: tuple[int, int]) -> None:
        tokens, seen = self.texts[text][0], self.weights(step, text)[head[0]][head[1]]
        axes.imshow(seen, cmap=style.SEQUENTIAL, vmin=0, vmax=1, aspect="auto")
        names = [drawable(token) for token in tokens]
        size = 9 if len(names) <= 14 else 7.5
        axes.set_xticks(range(len(names)), names, rotation=90, size=size, parse_math=False)
        axes.set_yticks(range(len(names)), names, size=size, parse_math=False)
        axes.set(xlabel="looked at", ylabel="who looks", title=f"block {head[0] + 1}, head {head[1] + 1}")
        axes.grid(visible=False)
        axes.tick_params(length=0)
