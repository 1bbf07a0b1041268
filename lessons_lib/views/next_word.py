"""Explorers of the next word: a distribution under temperature (lesson 00), and n-gram models of any order (01)."""

from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lessons_lib.text.ngrams import heat
from lessons_lib.text.words import BEGIN, UNKNOWN, split_words
from lessons_lib.views import style
from lessons_lib.views.boxes import Box, draw_boxes, lines_needed
from lessons_lib.views.explorer import Explorer
from lessons_lib.views.figures import next_word_bars, percent
from lessons_lib.views.visible import drawable


class TemperatureExplorer(Explorer):
    """What temperature does to one next-word distribution: `TemperatureExplorer({"kite": 0.4, …}, "Amara has a")`.

    probabilities: word → probability; they must sum to 1. context: the words before, for the title.
    Raises ValueError for probabilities that are negative or do not sum to 1.
    """

    def __init__(self, probabilities: Mapping[str, float], context: str = "", temperature: float = 1.0):
        self.words = tuple(probabilities)
        self.probability = np.array([float(p) for p in probabilities.values()])
        total = self.probability.sum()
        if not len(self.words) or (self.probability < 0).any() or abs(total - 1) > 1e-6:
            raise ValueError(f"The probabilities must be at least 0 and sum to 1; these sum to {total:g}.")
        self.context = context
        super().__init__(temperature=temperature_slider(temperature))

    def draw(self, temperature: float) -> Figure:
        """Bars at this temperature; at temperature 1 as dashed outlines."""
        heated = heat(self.probability, temperature)
        figure = Figure(figsize=(7.2, 1.7 + 0.3 * len(self.words)), layout="constrained")
        axes = figure.subplots()
        next_word_bars(axes, self.words, heated, top=len(self.words), before=self.probability, limit=1.0)
        after = f"After “{self.context}”, at" if self.context else "At"
        axes.set_title(f"{after} temperature {temperature:.2f}")
        _explain_outline(axes)
        return figure

    def describe(self, temperature: float) -> str:
        """The likeliest word and its probability before and after heating."""
        heated = heat(self.probability, temperature)
        best = int(heated.argmax())
        return (
            f"Bars for {len(self.words)} possible next words at temperature {temperature:.2f}. "
            f"The likeliest, “{self.words[best]}”, has {percent(heated[best])}; "
            f"at temperature 1 it has {percent(self.probability[best])}."
        )


class NextWordExplorer(Explorer):
    """The next word by n-gram models: choose or type the words before, the order and the temperature.

    models: order → model, each with `.distribution(words)` ("vocab", all 0 where the model knows nothing) and
    `.vocabulary`. contexts: texts to choose from; the words before the next one, from the start of a story.
    Raises ValueError where there are no models or no contexts.
    """

    def __init__(
        self,
        models: Mapping[int, Any],
        contexts: Sequence[str],
        *,
        order: int | None = None,
        temperature: float = 1.0,
        top: int = 10,
    ):
        if not models or isinstance(contexts, str) or not contexts:
            raise ValueError(
                'Give models, such as {1: unigram, 2: bigram}, and a list of contexts, such as ["Amara has a"].'
            )
        self.models, self.top = dict(sorted(models.items())), top
        orders = list(self.models)
        super().__init__(
            context=ipywidgets.Dropdown(options=[(ending(context), context) for context in contexts]),
            or_type=ipywidgets.Text(placeholder="your own words, then Enter", description="or type"),
            order=ipywidgets.SelectionSlider(options=orders, value=orders[-1] if order is None else order),
            temperature=temperature_slider(temperature),
        )

    def draw(self, context: str, or_type: str, order: int, temperature: float) -> Figure:
        """The words before, with those that the model sees; under them the bars, or a sentence where there are none."""
        words = _words_before(context, or_type)
        figure = Figure(figsize=(7.2, 1.9 + 0.3 * self.top), layout="constrained")
        figure.get_layout_engine().set(rect=(0, 0, 1, 1 - 0.55 / figure.get_figheight()))
        draw_boxes(figure, context_boxes(words, seen=order - 1), left=0.1, top=0.12, width=7.0)
        below = figure.subplots()
        trouble, probability = self._look_up(words, order)
        if trouble:
            below.set_axis_off()
            below.text(0.0, 0.85, trouble, transform=below.transAxes, va="top", linespacing=1.6)
            return figure
        model, heated = self.models[order], heat(probability, temperature)
        shown = next_word_bars(below, model.vocabulary, heated, top=self.top, before=probability)
        rest = len(model.vocabulary) - len(shown)
        below.set_title(f"order {order}, temperature {temperature:.2f}", weight="normal")
        below.set_xlabel(
            f"probability of being the next word ({rest} other words share {percent(1 - heated[shown].sum())})"
        )
        _explain_outline(below)
        return figure

    def describe(self, context: str, or_type: str, order: int, temperature: float) -> str:
        """The likeliest next word, or why there is none."""
        words = _words_before(context, or_type)
        trouble, probability = self._look_up(words, order)
        start = f"After “{' '.join(words)}”, order {order}, temperature {temperature:.2f}: "
        if trouble:
            return start + trouble.replace("\n", " ")
        heated = heat(probability, temperature)
        best = int(heated.argmax())
        return (
            start + f"the likeliest next word is “{self.models[order].vocabulary[best]}” with {percent(heated[best])}."
        )

    def _look_up(self, words: tuple[str, ...], order: int) -> tuple[str, np.ndarray]:
        """What keeps the model from answering, if anything, and its distribution over the next word."""
        model = self.models[order]
        strange = [] if UNKNOWN in model.vocabulary else [w for w in words if w not in set(model.vocabulary)]
        if strange:
            return (
                f"The model does not know the word “{strange[0]}”.\nIts vocabulary has {len(model.vocabulary)} words.",
                np.zeros(0),
            )
        probability = np.asarray(model.distribution(words))
        if not probability.any():
            seen = " ".join(words[max(0, len(words) - order + 1) :])
            return (
                f"This model never saw “{seen}” in its training text,\n"
                "so it knows nothing about the next word: 0 / 0.\n"
                "Choose a smaller order, or a model with smoothing."
            ), probability
        return "", probability


_PALE = {"edge": style.COLORS["light"], "colour": style.COLORS["grey"], "dashed": True}


def temperature_slider(value: float = 1.0) -> ipywidgets.FloatSlider:
    """The slider for temperature that all lessons share: 0 (always the likeliest word) to 3."""
    return ipywidgets.FloatSlider(value, min=0.0, max=3.0, step=0.05, readout_format=".2f", description="temperature")


def context_boxes(words: Sequence[str], seen: int, width: float = 6.6, size: float = 11) -> list[Box]:
    """The words before the next one: the last `seen` in solid boxes, earlier ones pale, then the gap to be filled.

    As many of the last words as fit in one line of `width` inches. A model that sees more than there are words sees
    the beginning of the text too.
    """
    words = [BEGIN, *words]
    first_seen = len(words) - seen
    boxes = [Box("?", edge=style.COLORS["orange"], heavy=True)]
    for i in range(len(words) - 1, -1, -1):
        is_seen = i >= first_seen
        if not is_seen and words[i] == BEGIN:
            continue
        look = {"fill": "#DCEFFA", "edge": style.COLORS["blue"]} if is_seen else _PALE
        longer = [Box(drawable(words[i]), **look), *boxes]
        if lines_needed([Box("…"), *longer], width, size) > 1:
            return [Box("…", **_PALE), *boxes]
        boxes = longer
    return boxes


def ending(context: str, room: int = 34) -> str:
    """The end of a context, which is what counts, where a list has no room for the whole."""
    if len(context) <= room:
        return context
    return "… " + context[-room:].partition(" ")[2]


def _words_before(context: str, or_type: str) -> tuple[str, ...]:
    return split_words(or_type) or split_words(context)


def _explain_outline(axes: Axes) -> None:
    look = {"size": 10, "color": style.COLORS["grey"], "transform": axes.transAxes}
    axes.text(0.99, 0.02, "dashed: at temperature 1", ha="right", va="bottom", **look)
