"""The sampling bench (lesson 13): what temperature, top-k, top-p and min-p do to the next token, and to the text."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets
import numpy as np
import torch
import traitlets
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lessons_lib.using.generating import generate, next_logits
from lessons_lib.using.sampling import Sampling
from lessons_lib.views import style
from lessons_lib.views.boxes import FONT as MONO
from lessons_lib.views.explorer import Explorer
from lessons_lib.views.figures import percent
from lessons_lib.views.next_word import ending, temperature_slider
from lessons_lib.views.visible import drawable

OFF = "off"
TOP_KS = (1, 2, 3, 5, 10, 20, 50, 100)
LETTERS, LINES = 84, 4  # the room for the text
ENDED = "(it ended at once)"
INVITATION = "Press “sample” to let the model write on with these settings."


@dataclass(frozen=True)
class Bench:
    """A model on the bench: how it encodes a prompt and decodes ids, what stops it, and a prompt to begin with.

    `encode` may raise ValueError for a prompt that the model cannot read: its message is then shown.
    """

    model: Any
    encode: Callable[[str], Sequence[int]]
    decode: Callable[[Sequence[int]], str]
    stop_ids: Sequence[int] = ()
    prompt: str = ""


class SampleButton(ipywidgets.Button):
    """A button that counts: its value is how often it was pressed, and the seed of what is drawn."""

    value = traitlets.Int(0)

    def __init__(self, **more: Any):
        super().__init__(**more)
        self.on_click(lambda _: self.set_trait("value", self.value + 1))


class SamplingBench(Explorer):
    """The next token under every filter: `SamplingBench({"ours": Bench(…), "SmolLM2": Bench(…)})`.

    Bars are the model's own probabilities (dashed) and those that are drawn from (filled); what a filter forbids is
    marked as cut. The button draws a text of at most `max_new_tokens`, shown behind its prompt, which is grey; moving
    anything else takes it away. `top` tokens have bars.

    Raises ValueError where there is no model.
    """

    def __init__(self, benches: Mapping[str, Bench], *, top: int = 10, max_new_tokens: int = 24):
        if not benches:
            raise ValueError('Give at least one model, such as {"ours": Bench(model, encode, decode)}.')
        self.benches, self.top, self.max_new_tokens = dict(benches), top, max_new_tokens
        self._logits: dict[tuple[str, str], torch.Tensor] = {}
        self._texts: dict[tuple[Any, ...], str] = {}
        first = next(iter(benches))
        wide = ipywidgets.Layout(width="100%", max_width="44em")
        self.button = SampleButton(description="sample")
        controls = {
            "model": ipywidgets.Dropdown(options=list(benches), value=first),
            "prompt": ipywidgets.Text(benches[first].prompt, placeholder="a prompt, then Enter", layout=wide),
            "temperature": temperature_slider(),
            "top_k": ipywidgets.SelectionSlider(options=[*TOP_KS, OFF], value=OFF, description="top-k"),
            "top_p": ipywidgets.FloatSlider(1.0, min=0.05, max=1.0, step=0.05, description="top-p"),
            "min_p": ipywidgets.FloatSlider(0.0, min=0.0, max=0.5, step=0.01, description="min-p"),
            "sample": self.button,
        }
        controls["model"].observe(self._on_model, names="value")  # before the base class redraws
        for name, control in controls.items():
            if name != "sample":
                control.observe(self._on_setting, names="value")
        super().__init__(**controls)

    def set(self, **values: Any) -> "SamplingBench":
        """Move controls as a hand would, the button last, and redraw once; raises as every explorer does."""
        order = [*self.controls, *values]
        return super().set(**{name: values[name] for name in dict.fromkeys(order) if name in values})

    def sampling(self, temperature: float, top_k: int | str, top_p: float, min_p: float) -> Sampling:
        """The settings as `Sampling` has them."""
        return Sampling(
            temperature=temperature,
            top_k=None if top_k == OFF else top_k,
            top_p=None if top_p == 1 else top_p,
            min_p=min_p or None,
        )

    def distributions(self, model: str, prompt: str, how: Sampling) -> tuple[np.ndarray, np.ndarray]:
        """The probabilities of the next token before and after the filters, "vocab" both."""
        if (model, prompt) not in self._logits:
            bench = self.benches[model]
            self._logits[model, prompt] = next_logits(bench.model, bench.encode(prompt)).cpu()
        logits = self._logits[model, prompt][None]
        return tuple(each.probabilities(logits)[0].numpy() for each in (Sampling(), how))

    def text(self, model: str, prompt: str, how: Sampling, seed: int) -> str:
        """What the model writes after the prompt, with the space that separates them, if there is one."""
        asked = (model, prompt, how, seed)
        if asked not in self._texts:
            bench, dice = self.benches[model], torch.Generator().manual_seed(seed)
            ids = list(bench.encode(prompt))
            stops = {"stop_ids": bench.stop_ids, "max_new_tokens": self.max_new_tokens}
            (new,) = generate(bench.model, [ids], sampling=how, generator=dice, **stops)
            before, whole = bench.decode(ids), bench.decode([*ids, *new])
            after = whole.removeprefix(before) if whole.startswith(before) else f" {bench.decode(new)}"
            self._texts = {asked: after}  # the last one, which is drawn and described
        return self._texts[asked]

    def draw(self, model: str, prompt: str, sample: int, **filters: Any) -> Figure:
        """The bars, and under them the text, or a sentence where the prompt cannot be read."""
        figure = Figure(figsize=(7.2, 2.3 + 0.3 * self.top), layout="constrained")
        how, room = self.sampling(**filters), 1.05 / figure.get_figheight()
        figure.get_layout_engine().set(rect=(0, room, 1, 1 - room))
        try:
            before, after = self.distributions(model, prompt, how)
        except ValueError as error:
            figure.text(0.02, 0.95, "\n".join(textwrap.wrap(str(error), 82)), va="top", parse_math=False)
            return figure
        decode = self.benches[model].decode
        bench_bars(figure.subplots(), before, after, lambda token: drawable(decode([token])), top=self.top)
        where = {"x": 0.015, "y": 0.95 * room, "va": "top", "linespacing": 1.4, "parse_math": False}
        if not sample:
            figure.text(s=INVITATION, **where)
            return figure
        given, written = behind(prompt, self.text(model, prompt, how, sample))
        where |= {"family": MONO, "size": 9.5}
        figure.text(s=given, color=style.COLORS["grey"], **where)
        figure.text(s=written, **where)
        return figure

    def describe(self, model: str, prompt: str, sample: int, **filters: Any) -> str:
        """How many tokens are allowed, the likeliest before and after, and the text."""
        how = self.sampling(**filters)
        try:
            before, after = self.distributions(model, prompt, how)
        except ValueError as error:
            return str(error)
        best = int(after.argmax())
        name = self.benches[model].decode([best])
        said = f"{model} after “{prompt}”: {int((after > 0).sum())} of {len(after)} tokens are allowed; the likeliest, "
        said += f"“{name}”, has {percent(after[best])}, by the model itself {percent(before[best])}."
        return said + (f" It wrote: {self.text(model, prompt, how, sample).strip()}" if sample else "")

    def _on_model(self, change: traitlets.Bunch) -> None:
        self._quietly("prompt", self.benches[change["new"]].prompt)

    def _on_setting(self, change: traitlets.Bunch) -> None:
        self._quietly("sample", 0)

    def _quietly(self, name: str, value: Any) -> None:
        """Move a control as part of another's move: the base class redraws, once, after this."""
        held, self._held = self._held, True
        self.controls[name].value = value
        self._held = held


def behind(prompt: str, written: str) -> tuple[str, str]:
    """A prompt and what was written behind it, as two texts of the same lines: each has spaces where the other has
    letters. In a font whose letters are equally wide both can be drawn in one place.

    Of a long prompt only the end is there. `written` begins with the space that separates them, if there is one.
    """
    given, new = _in_one_line(ending(prompt, LETTERS)), _in_one_line(written)
    gap = " " if given and (prompt[-1:].isspace() or written[:1].isspace() or not new) else ""
    text = "\n".join(textwrap.wrap(given + gap + (new or ENDED), LETTERS)[:LINES])
    letters = [i for i, letter in enumerate(text) if not letter.isspace()]
    n_given = min(sum(not letter.isspace() for letter in given), len(letters))
    cut = letters[n_given - 1] + 1 if n_given else 0
    return text[:cut] + _blank(text[cut:]), _blank(text[:cut]) + text[cut:]


def _in_one_line(text: str) -> str:
    return " ".join(drawable(word, MONO) for word in text.split())


def _blank(text: str) -> str:
    return "".join(letter if letter.isspace() else " " for letter in text)


def bench_bars(
    axes: Axes, before: np.ndarray, after: np.ndarray, name: Callable[[int], str], *, top: int = 10
) -> list[int]:
    """Fill `axes` with the `top` tokens that are likeliest before: hollow bars before, filled ones after, or “cut”.

    before, after: "vocab", probabilities. Returns the tokens.
    """
    shown = np.argsort(-before, kind="stable")[:top].tolist()
    rows = np.arange(len(shown))
    axes.barh(rows, after[shown], height=0.7, color=style.COLORS["sky"], label="drawn from")
    hollow = {"facecolor": "none", "edgecolor": style.COLORS["ink"], "linewidth": 1.2, "linestyle": (0, (3, 2))}
    axes.barh(rows, before[shown], height=0.7, label="the model’s own", **hollow)
    for row, token in zip(rows, shown, strict=True):
        text = percent(float(after[token])) if after[token] > 0 else "cut"
        axes.text(1.015, row, text, va="center", transform=axes.get_yaxis_transform())
    axes.set_yticks(rows, [name(token) for token in shown], parse_math=False)
    longest = float(max(before[shown].max(), after[shown].max()))
    limit = next(edge for edge in (0.1, 0.25, 0.5, 1.0) if longest <= edge + 1e-6)
    axes.set(xlim=(0, limit), ylim=(max(top, 1) - 0.4, -0.6))
    allowed, rest = int((after > 0).sum()), max(0.0, 1 - float(after[shown].sum()))
    axes.set_xlabel(f"probability of the next token ({allowed} allowed; those not shown share {percent(rest)})")
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.2)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    return shown
