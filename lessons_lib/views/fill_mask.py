"""Masked words (lesson 09): click on a word to mask it, and compare the model's guesses with the exact posterior."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anywidget
import ipywidgets
import numpy as np
import traitlets
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lessons_lib.text.words import split_words
from lessons_lib.views import style
from lessons_lib.views.boxes import Box, draw_boxes, line_height, lines_needed
from lessons_lib.views.explorer import Explorer
from lessons_lib.views.figures import percent
from lessons_lib.views.javascript import script, sheet
from lessons_lib.views.picture import render
from lessons_lib.views.visible import drawable, visible

MASK = "[MASK]"
WIDTH = 7.2
INVITATION = "No word is masked.\nClick on a word to mask it; then the guesses for its place appear here."


@dataclass(frozen=True)
class Guess:
    """A word for the masked place: the model's probability `q`, and the exact one, `p`, where it is known."""

    word: str
    q: float
    p: float | None = None


class WordRow(anywidget.AnyWidget):
    """A row of words to click on. value: the masked places, from 0, in the order of the clicks; the last is shown."""

    _esm = script("fill_mask.js")
    _css = sheet()
    words = traitlets.List(traitlets.Unicode()).tag(sync=True)
    value = traitlets.List(traitlets.Int()).tag(sync=True)

    @traitlets.validate("value")
    def _known_places(self, proposal: traitlets.Bunch) -> list[int]:
        places = proposal["value"]
        if len(set(places)) < len(places) or not all(0 <= place < len(self.words) for place in places):
            raise traitlets.TraitError(f"the places must be different numbers from 0 to {len(self.words) - 1}")
        return places


class FillMaskExplorer(Explorer):
    """Words to mask by a click, and bars for the last one: the model's guesses (filled) and the exact ones (hollow).

    A click on a word masks it, a click on another masked word shows that one, and a click on the one shown gives the
    word back. sentences: texts, which are cut with `split_words`, or sequences of tokens. predict: called with the
    words, None for each masked one, and the place (from 0) to guess; it answers with word → (q, p), or with a list of
    (word, q, p): the model's probability and the exact one, None where that is not known. It is called once for
    each question. top: how many words get bars: those with the largest q or p, and the true word (marked ✓).
    masked: the places that are masked in the first sentence to begin with.

    Raises ValueError for no sentences, the same twice, an empty one, or an answer of `predict` that is no such list.
    """

    def __init__(
        self,
        sentences: Sequence[str | Sequence[str]],
        predict: Callable[[tuple[str | None, ...], int], Any],
        *,
        top: int = 8,
        masked: Sequence[int] = (),
    ):
        if isinstance(sentences, str) or not sentences:
            raise ValueError('Give a list of sentences, such as ["Amara has a red kite ."].')
        cut = [split_words(sentence) if isinstance(sentence, str) else tuple(sentence) for sentence in sentences]
        self.words = {" ".join(words): words for words in cut}
        if len(self.words) < len(cut) or not all(cut):
            raise ValueError("The sentences must be different from one another, and each must have a word.")
        self.predict, self.top, self._answers = predict, top, {}
        first = next(iter(self.words))
        sentence = ipywidgets.Dropdown(
            options=list(self.words), value=first, layout=ipywidgets.Layout(width="auto", max_width="100%")
        )
        self.row = WordRow(words=self._row(first), layout=ipywidgets.Layout(width="100%"))
        sentence.observe(self._on_sentence, names="value")  # before the base class redraws
        try:
            self.row.value = list(masked)
        except traitlets.TraitError as error:
            raise ValueError(f"masked cannot be {masked!r}: {error}") from error
        super().__init__(sentence=sentence, masked=self.row)

    def guesses(self, sentence: str, masked: Sequence[int]) -> list[Guess]:
        """What is drawn for the last of the masked places: the largest of `predict`'s answers, by falling q."""
        words, place = self.words[sentence], masked[-1]
        asked = tuple(None if i in masked else word for i, word in enumerate(words)), place
        if asked not in self._answers:
            self._answers[asked] = _checked(self.predict(*asked))
        answer = self._answers[asked]
        chosen = sorted(answer, key=lambda guess: -max(guess.q, guess.p or 0.0))[: self.top]
        chosen += [guess for guess in answer if guess.word == words[place] and guess not in chosen]
        return sorted(chosen, key=lambda guess: -guess.q)

    def draw(self, sentence: str, masked: Sequence[int]) -> Figure:
        """The bars for the last masked place, or an invitation where there is none."""
        return self._figure(sentence, masked)

    def describe(self, sentence: str, masked: Sequence[int]) -> str:
        """The sentence with its masks, the likeliest guesses, and the word that was masked."""
        if not masked:
            return f"“{sentence}”: no word is masked."
        words, place = self.words[sentence], masked[-1]
        text = " ".join(MASK if i in masked else word for i, word in enumerate(words))
        best = "; ".join(_in_words(guess) for guess in self.guesses(sentence, masked)[:3])
        return f"“{text}”, word {place + 1}, which was “{words[place]}”: {best}."

    def still(self) -> tuple[bytes, str]:
        """The words, masks as boxes, above the bars: a saved notebook has no row of words to click on."""
        settings = self.settings
        with style.context():
            try:
                return render(self._figure(**settings, with_words=True)), self.describe(**settings)
            except Exception:  # its message stands in the live picture
                return super().still()

    def _figure(self, sentence: str, masked: Sequence[int], with_words: bool = False) -> Figure:
        boxes = self._boxes(sentence, masked) if with_words else []
        above = 0.15 + lines_needed(boxes, WIDTH - 0.2) * line_height(11) if boxes else 0.0
        height = 1.15 + 0.37 * (self.top + 1) + above if masked else 0.9 + above
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        draw_boxes(figure, boxes, left=0.1, top=0.1, width=WIDTH - 0.2)
        if not masked:
            figure.text(0.02, 0.75 / height, INVITATION, va="top", linespacing=1.6)
            return figure
        figure.get_layout_engine().set(rect=(0, 0, 1, 1 - above / height))
        axes = figure.subplots()
        words, place = self.words[sentence], masked[-1]
        shown = self.guesses(sentence, masked)
        paired_bars(axes, shown, true=words[place], rows=self.top + 1)
        axes.set_title(f"guesses for word {place + 1}")
        axes.set_xlabel(f"probability of the masked word ({_rest(shown)})")
        return figure

    def _boxes(self, sentence: str, masked: Sequence[int]) -> list[Box]:
        shown = {"edge": style.COLORS["orange"], "heavy": True}
        hidden = [{"dashed": True} | (shown if place == masked[-1] else {}) for place in masked]
        looks = dict(zip(masked, hidden, strict=True))
        words = self.words[sentence]
        return [Box(MASK, **looks[i]) if i in looks else Box(drawable(word)) for i, word in enumerate(words)]

    def _row(self, sentence: str) -> list[str]:
        return [visible(word) for word in self.words[sentence]]

    def _on_sentence(self, change: traitlets.Bunch) -> None:
        """Other words: nothing is masked. The base class redraws, once, after this."""
        held, self._held = self._held, True
        with self.row.hold_sync():
            self.row.value = []
            self.row.words = self._row(change["new"])
        self._held = held


def paired_bars(axes: Axes, guesses: Sequence[Guess], *, true: str | None = None, rows: int | None = None) -> None:
    """Fill `axes` with two bars and percentages for each guess: q filled, p hatched where it is known.

    true: the word that is marked ✓. rows: how many guesses there is room for, if not for exactly these.
    """
    q = np.array([guess.q for guess in guesses], dtype=float)
    p = np.array([np.nan if guess.p is None else guess.p for guess in guesses], dtype=float)
    known = ~np.isnan(p)
    places = np.arange(len(guesses), dtype=float)
    hollow = {"facecolor": "none", "edgecolor": style.COLORS["ink"], "linewidth": 1.0, "hatch": "////"}
    shift = 0.2 if known.any() else 0.0
    axes.barh(places - shift, q, height=0.36, color=style.COLORS["sky"], label="model, q")
    if known.any():
        axes.barh(places[known] + shift, p[known], height=0.36, label="exact, p", **hollow)
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.2)
    longest = max([0.0, *q, *p[known]])
    limit = next(edge for edge in (0.1, 0.25, 0.5, 1.0) if longest <= edge + 1e-6)
    for place, values, moved in ((places, q, -shift), (places[known], p[known], shift)):
        for row, value in zip(place, values, strict=True):
            axes.text(value + 0.012 * limit, row + moved, percent(value), va="center", size=9)
    axes.set(xlim=(0, limit * 1.12), ylim=((rows or len(guesses)) - 0.4, -0.6))
    axes.set_xticks([tick * limit / 5 for tick in range(6)])
    names = [drawable(guess.word) + (" ✓" if guess.word == true else "") for guess in guesses]
    axes.set_yticks(places, names, parse_math=False)
    for label, guess in zip(axes.get_yticklabels(), guesses, strict=True):
        label.set_weight("bold" if guess.word == true else "normal")
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


def _checked(answer: Any) -> list[Guess]:
    """What `predict` answered, as guesses. Raises ValueError where it is something else."""
    try:
        rows = [(word, *pair) for word, pair in answer.items()] if isinstance(answer, Mapping) else answer
        guesses = [Guess(str(word), float(q), None if p is None else float(p)) for word, q, p in rows]
    except (TypeError, ValueError) as error:
        raise ValueError("predict must answer with word → (q, p), or with a list of (word, q, p).") from error
    for guess in guesses:
        if not 0 <= guess.q <= 1 + 1e-6 or not (guess.p is None or 0 <= guess.p <= 1 + 1e-6):
            raise ValueError(
                f"predict must answer with probabilities; “{guess.word}” has q = {guess.q}, p = {guess.p}."
            )
    if not guesses or len({guess.word for guess in guesses}) < len(guesses) or sum(g.q for g in guesses) > 1.001:
        raise ValueError("predict must answer with at least one word, each once, and their q may not exceed 1 in all.")
    return guesses


def _in_words(guess: Guess) -> str:
    exact = "" if guess.p is None else f", exactly {percent(guess.p)}"
    return f"“{guess.word}” {percent(guess.q)}{exact}"


def _rest(guesses: Sequence[Guess]) -> str:
    left = f"other words: q {percent(max(0.0, 1 - sum(guess.q for guess in guesses)))}"
    if any(guess.p is None for guess in guesses):
        return left
    return left + f", p {percent(max(0.0, 1 - sum(guess.p for guess in guesses)))}"
