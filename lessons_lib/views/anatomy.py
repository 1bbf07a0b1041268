"""Explorer of lesson 11: a GPT taken apart, with the shape of what flows and the parameters of each part."""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import ipywidgets
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from lessons_lib.models.gpt import GPT, GPTConfig
from lessons_lib.views import style
from lessons_lib.views.explorer import Explorer

PARTS = ("whole model", "embeddings", "one block", "attention", "feed-forward", "output")
PRESETS = {
    "tiny": GPTConfig(vocab_size=300, context_length=64, d_model=48, n_layers=3, n_heads=4),
    "GPT-2 small": GPTConfig.gpt2_small(),
    "GPT-2 medium": GPTConfig.gpt2_medium(),
    "GPT-2 XL": GPTConfig.gpt2_xl(),
    "modern, small": GPTConfig.modern(),
}
SIZE = (9.4, 5.9)  # inches
TOP, FOOT = 0.85, 0.35  # room above the first box and below the last
BOX, WIDE = 0.55, 3.1  # where the boxes begin, and how wide they are
SHAPE, COUNT, BARS = 4.0, 7.35, 7.5  # where shapes, parameter counts and their bars stand


class Step(NamedTuple):
    """One box: its name, the shape of what leaves it by axis name, and its parameters.

    `beside` marks one that takes what the box above it takes, `opens` where the residual stream is set aside, `closes`
    where it is added again.
    """

    name: str
    shape: dict[str, int]
    parameters: int = 0
    beside: bool = False
    opens: bool = False
    closes: bool = False


@lru_cache(maxsize=32)
def parameters_of(config: GPTConfig) -> dict[str, int]:
    """The parameters of every module of a GPT that has one block of this kind, by the module's name."""
    with torch.device("meta"):  # tensors with shapes and no contents
        model = GPT(replace(config, n_layers=1))
    return {name: sum(p.numel() for p in module.parameters()) for name, module in model.named_modules()}


def steps_of(config: GPTConfig, part: str, seq: int, past: int = 0) -> list[Step]:
    """The boxes of this part of a GPT, for one text of `seq` tokens behind a cache of `past`.

    Raises ValueError for a part that is not in `PARTS`.
    """
    c, count = config, parameters_of(config)
    stream = {"batch": 1, "seq": seq, "d_model": c.d_model}
    logits = {"batch": 1, "seq": seq, "vocab": c.vocab_size}
    block = count["blocks.0"]
    tables = count["words"] + count.get("places", 0)
    top = Step("output layer, tied" if c.tied else "output layer", logits, 0 if c.tied else count["output"])
    if part == "whole model":
        found = [Step("embeddings", stream, tables), Step("block 1", stream, block)]
        if c.n_layers > 1:
            found.append(Step(f"blocks 2 to {c.n_layers}, alike", stream, (c.n_layers - 1) * block))
        return [*found, Step("last norm", stream, count["norm"]), top]
    if part == "embeddings":
        found = [Step("row of each token", stream, count["words"])]
        if c.positions == "learned":
            found += [Step("row of each place", stream, count["places"], beside=True), Step("sum of the two", stream)]
        return [*found, Step("dropout", stream)]
    if part == "one block":
        return [
            Step("norm", stream, count["blocks.0.attention_norm"], opens=True),
            Step("attention", stream, count["blocks.0.attention"]),
            Step("+ stream", stream, closes=True),
            Step("norm", stream, count["blocks.0.feed_forward_norm"], opens=True),
            Step("feed-forward", stream, count["blocks.0.feed_forward"]),
            Step("+ stream", stream, closes=True),
        ]
    if part == "attention":
        return _attention(c, count, seq, past)
    if part == "feed-forward":
        return _feed_forward(c, count, seq)
    if part == "output":
        return [Step("last norm", stream, count["norm"]), top, Step("softmax: the next token", logits)]
    raise ValueError(f"There is no part {part!r}; there are: {', '.join(PARTS)}.")


def _attention(c: GPTConfig, count: dict[str, int], seq: int, past: int) -> list[Step]:
    stream = {"batch": 1, "seq": seq, "d_model": c.d_model}
    heads = {"batch": 1, "heads": c.n_heads, "seq": seq, "d_head": c.d_model // c.n_heads}
    kept = {**heads, "seq": past + seq}
    weights = {"batch": 1, "heads": c.n_heads, "queries": seq, "keys": past + seq}
    maps = {name: count[f"blocks.0.attention.{name}"] for name in ("query", "key", "value", "output")}
    found = [Step(f"{name} map", stream, maps[name], beside=name != "query") for name in ("query", "key", "value")]
    found.append(Step("each cut into heads", heads))
    found += [Step("queries and keys to one length", heads)] if c.qk_norm else []
    found += [Step("queries and keys turned by place", heads)] if c.positions == "rotary" else []
    found += [Step("keys, values: behind the cache's", kept)] if past else []
    return [
        *found,
        Step("scores, q · k ÷ √d_head", weights),
        Step("causal mask, softmax: weights", weights),
        Step("weights · v", heads),
        Step("heads side by side", stream),
        Step("output map", stream, maps["output"]),
    ]


def _feed_forward(c: GPTConfig, count: dict[str, int], seq: int) -> list[Step]:
    stream = {"batch": 1, "seq": seq, "d_model": c.d_model}
    wide = {"batch": 1, "seq": seq, "d_ff": c.d_ff}
    inside = "blocks.0.feed_forward."
    found = [Step("widen", wide, count[inside + "widen"])]
    if c.gated:
        found += [Step("gate", wide, count[inside + "gate"], beside=True), Step(f"{c.activation} of the gate", wide)]
        found.append(Step("widened × gate", wide))
    else:
        found.append(Step(c.activation, wide))
    return [*found, Step("narrow", stream, count[inside + "narrow"])]


class AnatomyExplorer(Explorer):
    """The parts of a GPT as boxes, with the shape of what leaves each, and its parameters.

    `presets` are the models to choose from, name → configuration; `model` is the one that is shown first. `tokens` is
    the length of the text; with `cached`, all but the last are in the cache, and only the last one flows. Raises
    ValueError where there is no model.
    """

    def __init__(
        self,
        presets: Mapping[str, GPTConfig] | None = None,
        *,
        model: str | None = None,
        part: str = PARTS[0],
        tokens: int = 8,
    ):
        self.presets = dict(PRESETS if presets is None else presets)
        if not self.presets:
            raise ValueError("An anatomy needs a model: give at least one configuration, name → GPTConfig.")
        longest = min(config.context_length for config in self.presets.values())
        super().__init__(
            model=ipywidgets.Dropdown(options=tuple(self.presets), value=model or next(iter(self.presets))),
            part=ipywidgets.Dropdown(options=PARTS, value=part),
            tokens=ipywidgets.IntSlider(min(tokens, longest), 1, longest),
            cached=ipywidgets.Checkbox(False, description="all but the last token cached"),
        )

    def steps(self, model: str, part: str, tokens: int, cached: bool) -> list[Step]:
        """The boxes of the picture."""
        seq, past = (1, tokens - 1) if cached else (tokens, 0)
        return steps_of(self.presets[model], part, seq, past)

    def total(self, model: str) -> int:
        """All parameters of the model."""
        return sum(step.parameters for step in steps_of(self.presets[model], PARTS[0], 1))

    def draw(self, model: str, part: str, tokens: int, cached: bool) -> Figure:
        """One box under the other; what flows beside it, and how many parameters it has."""
        steps = self.steps(model, part, tokens, cached)
        figure = Figure(figsize=SIZE, layout="none")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, SIZE[0]), ylim=(0, SIZE[1]))
        axes.set_axis_off()
        of = "" if part == PARTS[0] else f": {part}"
        share = sum(step.parameters for step in steps)
        told = f"{self.total(model):,} parameters" + ("" if part == PARTS[0] else f", {share:,} of them here")
        axes.text(0.2, SIZE[1] - 0.3, f"{model}{of}", weight="bold", size=12)
        axes.text(SIZE[0] - 0.2, SIZE[1] - 0.3, told, ha="right", size=11)
        axes.text(SHAPE, SIZE[1] - 0.6, "what leaves it", size=9, color=style.COLORS["grey"])
        axes.text(COUNT, SIZE[1] - 0.6, "parameters", size=9, ha="right", color=style.COLORS["grey"])
        pitch = min(0.78, (SIZE[1] - TOP - FOOT) / (len(steps) + 1))
        middles = [SIZE[1] - TOP - (i + 1) * pitch for i in range(len(steps))]
        self._draw_input(axes, part, steps, middles[0] + pitch, tokens, cached)
        largest = max(1, *(step.parameters for step in steps))
        opened = 0.0
        for step, y in zip(steps, middles, strict=True):
            _draw_step(axes, step, y, pitch, largest)
            opened = y + 0.62 * pitch if step.opens else opened
            if step.closes:
                _draw_residual(axes, opened, y)
        return figure

    def describe(self, model: str, part: str, tokens: int, cached: bool) -> str:
        """The boxes in words."""
        steps = self.steps(model, part, tokens, cached)
        told = [f"{step.name} {_shape(step)}" + (f", {step.parameters:,}" if step.parameters else "") for step in steps]
        return f"{model}, {part}: name, shape and parameters of each step. {'; '.join(told)}."

    def _draw_input(self, axes: Axes, part: str, steps: list[Step], y: float, tokens: int, cached: bool) -> None:
        seq = 1 if cached else tokens
        into, name = {"batch": 1, "seq": seq}, "token ids"
        if part not in ("whole model", "embeddings"):
            into["d_model"] = next(step.shape["d_model"] for step in steps if "d_model" in step.shape)
            name = "normed stream" if part in ("attention", "feed-forward") else "residual stream"
        axes.text(BOX + WIDE / 2, y, name, ha="center", va="center", size=10, color=style.COLORS["grey"])
        axes.text(SHAPE, y, _shape(Step("", into)), va="center", size=10, color=style.COLORS["grey"])


def _shape(step: Step) -> str:
    return "  ".join(f"{name} {size:,}" for name, size in step.shape.items())


def _draw_step(axes: Axes, step: Step, y: float, pitch: float, largest: int) -> None:
    """A box in its row, an arrow into it, the shape of what leaves it, its parameters as number and bar."""
    high = 0.66 * pitch
    arrow = {"arrowstyle": "-|>", "mutation_scale": 8, "color": style.COLORS["grey"], "linewidth": 1, "shrinkA": 0}
    if not step.beside:
        axes.add_patch(FancyArrowPatch((BOX + WIDE / 2, y + pitch - high / 2), (BOX + WIDE / 2, y + high / 2), **arrow))
    fill = "#FCF0D6" if step.parameters else style.COLORS["paper"]
    box = FancyBboxPatch(
        (BOX, y - high / 2),
        WIDE,
        high,
        boxstyle="round,pad=0,rounding_size=0.05",
        facecolor=fill,
        edgecolor=style.COLORS["amber" if step.parameters else "grey"],
        linewidth=1.4,
    )
    axes.add_patch(box)
    axes.text(BOX + WIDE / 2, y, step.name, ha="center", va="center", size=10)
    axes.text(SHAPE, y, _shape(step), va="center", size=10)
    if step.parameters:
        axes.text(COUNT, y, f"{step.parameters:,}", ha="right", va="center", size=10)
        bar = {"height": 0.4 * pitch, "left": BARS, "color": style.COLORS["amber"]}
        axes.barh(y, max(0.02, 1.7 * step.parameters / largest), **bar)


def _draw_residual(axes: Axes, top: float, bottom: float) -> None:
    """The stream that goes round a part, from above its norm to the sum below it."""
    look = {"color": style.COLORS["blue"], "linewidth": 1.6}
    axes.plot([BOX + WIDE / 2, 0.3, 0.3], [top, top, bottom], linestyle="-", **look)
    head = FancyArrowPatch(
        (0.3, bottom), (BOX, bottom), arrowstyle="-|>", mutation_scale=10, shrinkA=0, shrinkB=0, **look
    )
    axes.add_patch(head)
