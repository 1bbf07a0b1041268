"""Explorers of lesson 05: attention step by step with its numbers, and what masks do to the weights."""

from collections.abc import Sequence

import ipywidgets
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from lessons_lib.views import style
from lessons_lib.views.explorer import Explorer
from lessons_lib.views.visible import drawable

STEPS = ("q · k", "÷ √d", "mask", "softmax", "· v")
MISTAKES = ("−∞ before the softmax", "0 before the softmax", "0 after the softmax")
MOST_WORDS = 8
MINUS = "\N{MINUS SIGN}"


def number_table(
    axes: Axes,
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    row: int | None = None,
    form: str = ".2f",
    limits: tuple[float, float] | None = None,
) -> None:
    """A matrix as a heat map with its numbers in the cells; `row` is outlined. −∞ is drawn as an empty cell.

    values: "rows columns". limits: the numbers of the darkest and the brightest cell, if not chosen to fit.
    """
    values = np.asarray(values, dtype=float)
    finite = values[np.isfinite(values)]
    low, high = limits or (finite.min(initial=0.0), finite.max(initial=0.0))
    shown = np.ma.masked_invalid(values)
    axes.imshow(shown, cmap=style.SEQUENTIAL, vmin=low, vmax=max(high, low + 1e-9), aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        dark = np.isfinite(value) and value < low + 0.6 * (high - low)
        colour = style.COLORS["paper"] if dark else style.COLORS["black"]
        axes.text(j, i, _cell(value, form), ha="center", va="center", color=colour, size=10)
    axes.set_xticks(range(len(columns)), [drawable(str(word)) for word in columns], parse_math=False)
    axes.set_yticks(range(len(rows)), [drawable(str(word)) for word in rows], parse_math=False)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    if row is not None:
        axes.add_patch(
            Rectangle(
                (-0.48, row - 0.48),
                len(columns) - 0.04,
                0.96,
                fill=False,
                edgecolor=style.COLORS["orange"],
                linewidth=3,
                clip_on=False,
            )
        )


def _cell(value: float, form: str) -> str:
    return f"{MINUS}∞" if value == -np.inf else format(value, form).replace("-", MINUS)


class AttentionSteps(Explorer):
    """Attention on a few words, one step at a time: a slider over q·k, ÷ √d, mask, softmax, · v; one row spelled out.

    words: at most eight different ones. q, k: "seq d_head"; v: "seq d_value"; tensors of numbers. Raises ValueError for
    sizes that do not belong together, for too many words, and for words that occur twice.
    """

    def __init__(
        self, words: Sequence[str], q: Tensor, k: Tensor, v: Tensor, *, step: int = 1, word: str | None = None
    ):
        self.words = tuple(words)
        if not 1 <= len(self.words) <= MOST_WORDS or len(set(self.words)) < len(self.words):
            raise ValueError(f"Give between 1 and {MOST_WORDS} different words; these are {self.words}.")
        sizes = [tuple(x.shape) for x in (q, k, v)]
        if any(len(size) != 2 or size[0] != len(self.words) for size in sizes) or sizes[0] != sizes[1]:
            raise ValueError(
                f"q, k and v need one row for each of the {len(self.words)} words; their shapes are {sizes}."
            )
        self.q, self.k, self.v = (x.detach().float() for x in (q, k, v))
        last = self.words[-1] if word is None else word
        super().__init__(
            step=ipywidgets.IntSlider(step, 1, len(STEPS)),
            row=ipywidgets.Dropdown(options=self.words, value=last),
            causal=ipywidgets.Checkbox(True, description="causal mask"),
        )

    def stages(self, causal: bool) -> list[np.ndarray]:
        """What stands in the table after each step; the last one is the output, "seq d_value"."""
        n = len(self.words)
        products = self.q @ self.k.T
        scaled = products / self.q.shape[1] ** 0.5
        mask = torch.ones(n, n, dtype=torch.bool).tril() if causal else torch.ones(n, n, dtype=torch.bool)
        masked = scaled.masked_fill(~mask, -torch.inf)
        weights = masked.softmax(dim=1)
        return [x.numpy() for x in (products, scaled, masked, weights, weights @ self.v)]

    def draw(self, step: int, row: str, causal: bool) -> Figure:
        """The table after this step; beside it what is multiplied (q and k; v and the result); under it the row."""
        stages, i, n = self.stages(causal), self.words.index(row), len(self.words)
        figure = Figure(figsize=(8.4, 2.5 + 0.42 * n), layout="constrained")
        figure.get_layout_engine().set(rect=(0, 0.75 / figure.get_figheight(), 1, 1 - 0.75 / figure.get_figheight()))
        table, values, output = figure.subplots(1, 3, width_ratios=[max(n, 3), self.v.shape[1], self.v.shape[1]])
        shown = stages[min(step, 4) - 1]
        limits = (0.0, 1.0) if step >= 4 else None
        number_table(table, shown, self.words, self.words, row=i, limits=limits)
        table.set(xlabel="key: looked at", ylabel="query: who looks", title=f"{step}. {self._title(step)}")
        names = [str(j + 1) for j in range(self.v.shape[1])]
        if step == len(STEPS):
            number_table(values, self.v.numpy(), self.words, names)
            number_table(output, stages[-1], self.words, names, row=i)
            values.set(title="v", xlabel="number")
            output.set(title="weights · v", xlabel="number")
        elif step <= 2 and self.q.shape[1] <= self.v.shape[1] + 2:
            for axes, vectors, title in ((values, self.q, "q"), (output, self.k, "k")):
                number_table(axes, vectors.numpy(), self.words, [str(j + 1) for j in range(vectors.shape[1])])
                axes.set(title=title, xlabel="number")
        else:
            for axes in (values, output):
                axes.set_axis_off()
        line = figure.text(0.12, 0.2, self._spelled(step, i, stages), size=11, transform=figure.dpi_scale_trans)
        line.set_linespacing(1.7)
        return figure

    def describe(self, step: int, row: str, causal: bool) -> str:
        """The step, and the chosen row in numbers."""
        stages, i = self.stages(causal), self.words.index(row)
        numbers = ", ".join(_cell(float(x), ".2f") for x in stages[step - 1][i])
        return f"Step {step} of {len(STEPS)}, {self._title(step)}: the row of “{row}” is {numbers}."

    def _title(self, step: int) -> str:
        return ("dot products q · k", "divided by √d", "masked", "softmax of each row", "weights, times v")[step - 1]

    def _spelled(self, step: int, i: int, stages: list[np.ndarray]) -> str:
        """How the chosen row comes about, in numbers."""
        products, scaled, masked, weights, out = stages
        word, number = self.words[i], lambda x: _cell(float(x), ".2f")
        j = int(np.argmax(masked[i]))
        key, d = self.words[j], self.q.shape[1]
        if step == 1:
            terms = " + ".join(f"({number(a)})({number(b)})" for a, b in zip(self.q[i][:4], self.k[j][:4], strict=True))
            more = " + …" if d > 4 else ""
            return f"q({word}) · k({key}) = {terms}{more} = {number(products[i, j])}"
        if step == 2:
            return f"{number(products[i, j])} ÷ √{d} = {number(scaled[i, j])}    (row “{word}”, column “{key}”)"
        if step == 3:
            hidden = [w for w, x in zip(self.words, masked[i], strict=True) if x == -np.inf]
            told = f"may not look at {', '.join(hidden)}" if hidden else "may look at every word"
            return f"“{word}” {told}."
        if step == 4:
            seen = [x for x in masked[i] if x > -np.inf]
            total = " + ".join(f"exp({number(x)})" for x in seen[:4]) + (" + …" if len(seen) > 4 else "")
            return f"weight of “{key}” = exp({number(masked[i, j])}) ÷ ({total}) = {number(weights[i, j])}"
        best = np.argsort(-weights[i], kind="stable")[:4]
        parts = [f"{number(weights[i, j])} v({self.words[j]})" for j in sorted(best) if weights[i, j] > 0]
        more = " + …" if (weights[i] > 0).sum() > len(parts) else ""
        result = ", ".join(number(x) for x in out[i][:4]) + (", …" if out.shape[1] > 4 else "")
        return f"output({word}) = {' + '.join(parts)}{more} = ({result})"


class MaskExplorer(Explorer):
    """Two masks to switch on and off, three ways to apply them, two of which are wrong; beside it, the weights.

    words: the text, padded; padding is the word `pad`. scores: "seq seq", before any mask. Raises ValueError for scores
    of another shape.
    """

    def __init__(
        self,
        words: Sequence[str],
        scores: Tensor,
        *,
        pad: str = "<pad>",
        causal: bool = True,
        padding: bool = True,
    ):
        self.words, self.scores = tuple(words), scores.detach().float()
        n = len(self.words)
        if self.scores.shape != (n, n) or n == 0:
            raise ValueError(f"{n} words need scores of shape ({n}, {n}); these have {tuple(self.scores.shape)}.")
        self.real = torch.tensor([word != pad for word in self.words])
        super().__init__(
            causal=ipywidgets.Checkbox(causal, description="causal mask"),
            padding=ipywidgets.Checkbox(padding, description="padding mask"),
            how=ipywidgets.Dropdown(options=MISTAKES, description="hidden means"),
        )

    def mask(self, causal: bool, padding: bool) -> Tensor:
        """True where a query (row) may look at a key (column)."""
        n = len(self.words)
        allowed = torch.ones(n, n, dtype=torch.bool)
        if causal:
            allowed = allowed.tril()
        return allowed & self.real if padding else allowed

    def weights(self, causal: bool, padding: bool, how: str) -> Tensor:
        """The weights under this mask, applied in the right way or in one of the wrong ones."""
        mask = self.mask(causal, padding)
        if how == MISTAKES[2]:
            return self.scores.softmax(dim=1).masked_fill(~mask, 0.0)
        hidden = -torch.inf if how == MISTAKES[0] else 0.0
        weights = self.scores.masked_fill(~mask, hidden).softmax(dim=1)
        return torch.nan_to_num(weights)  # a row that may look nowhere

    def draw(self, causal: bool, padding: bool, how: str) -> Figure:
        """Left, who may look at whom; right, the weights, and what each row sums to."""
        mask, weights = self.mask(causal, padding), self.weights(causal, padding, how)
        figure = Figure(figsize=(9.6, 2.0 + 0.42 * len(self.words)), layout="constrained")
        left, right = figure.subplots(1, 2)
        allowed = mask.numpy()
        number_table(left, allowed.astype(float), self.words, self.words, form=".0f", limits=(0.0, 1.0))
        for text, (i, j) in zip(left.texts, np.ndindex(*allowed.shape), strict=True):
            text.set_text("look" if allowed[i, j] else "–")
        left.set(title="mask: who may look at whom", xlabel="key", ylabel="query")
        number_table(right, weights.numpy(), self.words, self.words, limits=(0.0, 1.0))
        right.set(title="weights", xlabel="key")
        for i, total in enumerate(weights.sum(dim=1).tolist()):
            wrong = abs(total - 1) > 1e-4
            look = {"weight": "bold", "color": style.COLORS["orange"]} if wrong else {"color": style.COLORS["grey"]}
            right.text(len(self.words) - 0.4, i, f"Σ {total:.2f}", va="center", size=10, clip_on=False, **look)
        for axes in (left, right):
            axes.tick_params(axis="x", labelrotation=45)
        return figure

    def describe(self, causal: bool, padding: bool, how: str) -> str:
        """Which masks are on, how much weight falls on hidden words, and how far the rows are from summing to 1."""
        mask, weights = self.mask(causal, padding), self.weights(causal, padding, how)
        names = [name for name, on in (("causal", causal), ("padding", padding)) if on]
        leaked, short = float(weights[~mask].sum()), float((weights.sum(dim=1) - 1).abs().max())
        return (
            f"Masks: {' and '.join(names) or 'none'}; hidden means {how}. Weight on hidden words: {leaked:.2f} in all. "
            f"Rows sum to 1{'' if short < 1e-4 else f', but for up to {short:.2f}'}."
        )
