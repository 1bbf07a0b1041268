"""Telling stories: numbers are drawn for a whole batch at once, then put into words."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from lessons_lib.text.town.plots import Choice, Plot
from lessons_lib.text.words import split_words

_BATCH = 8192
SPLITS = {"train": 0, "valid": 1, "test": 2}


@dataclass(frozen=True)
class Story:
    """A story that the Town told.

    text: plain English. log_prob: its exact natural log-probability. plot: the id of its plot. words: its words and
    punctuation marks. facts: what is true at its end (the plot, and for each person, place or thing that matters, its
    words). Two stories are equal when they have the same text.
    """

    text: str
    log_prob: float = field(compare=False)
    _plot: Plot = field(compare=False, repr=False)
    _values: tuple[int, ...] = field(compare=False, repr=False)

    @property
    def plot(self) -> str:
        return self._plot.id

    @cached_property
    def words(self) -> tuple[str, ...]:
        return tuple(split_words(self.text))

    @cached_property
    def facts(self) -> dict[str, str]:
        values = {c.name: np.array([v]) for c, v in zip(self._plot.choices, self._values, strict=True)}
        return {"plot": self.plot} | {name: t.render(values, 1)[0] for name, t in self._plot.facts.items()}


def check_request(n, seed, split, what: str) -> None:
    """Raises ValueError for a negative n, a negative seed or an unknown split; `what` says what there are n of."""
    if split not in SPLITS:
        raise ValueError(f"There is no split {split!r}; choose one of {', '.join(SPLITS)}.")
    if isinstance(n, bool) or not isinstance(n, int) or n < 0:
        raise ValueError(f"The number of {what} is {n!r}; it must be a whole number, 0 or more.")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"The seed is {seed!r}; it must be a whole number, 0 or more.")


def sample(plots: tuple[Plot, ...], n: int, seed: int, split: str, task: tuple[int, ...] = ()) -> list[Story]:
    """`n` independent stories from the stream of (seed, split, task).

    Every story uses one row of uniform numbers, so the first k stories are the same whatever n is.
    """
    stream = random_stream(seed, split, task)
    stories: list[Story] = []
    while len(stories) < n:
        stories += tell(plots, stream.random((min(_BATCH, n - len(stories)), columns(plots))))
    return stories


def random_stream(seed: int, split: str, task: tuple[int, ...] = ()) -> np.random.Generator:
    """The random numbers of a split; `task` keeps those of another use of the same seed apart from the stories'."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(SPLITS[split], *task))))


def columns(plots: tuple[Plot, ...]) -> int:
    """How many uniform numbers a story takes: one for its plot, and one for each choice of the longest plot."""
    return 1 + max(len(plot.choices) for plot in plots)


def tell(plots: tuple[Plot, ...], uniforms: np.ndarray) -> list[Story]:
    """A story for each row of uniform numbers, at least `columns(plots)` of them; further ones are not used."""
    stories: list[Story | None] = [None] * len(uniforms)
    which = _pick(np.cumsum([plot.prob for plot in plots]), uniforms[:, 0])
    for number, plot in enumerate(plots):
        rows = np.flatnonzero(which == number)
        if not len(rows):
            continue
        values = draw(plot, uniforms[rows, 1:])
        log_probs = log_probability(plot, values).tolist()
        texts = render(plot, values).tolist()
        for row, text, log_prob, value in zip(rows.tolist(), texts, log_probs, values.tolist(), strict=True):
            stories[row] = Story(text, log_prob, plot, tuple(value))
    return stories


def draw(plot: Plot, uniforms: np.ndarray) -> np.ndarray:
    """Values "story choice" for a plot, each by inverting its cumulative distribution at one uniform number."""
    values = np.zeros((len(uniforms), len(plot.choices)), dtype=np.int64)
    for j, choice in enumerate(plot.choices):
        if choice.size > 1:
            values[:, j] = _pick(np.cumsum(choice.table, -1)[_parents(plot, choice, values)], uniforms[:, j])
    return values


def _pick(cumulative: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    # Divided by its last value so that no rounding leaves a gap below 1; values of probability zero are stepped over.
    cumulative = cumulative / cumulative[..., -1:]
    if cumulative.ndim == 1:
        return np.searchsorted(cumulative, uniforms, side="right")
    return (uniforms[:, None] >= cumulative).sum(-1)


def _parents(plot: Plot, choice: Choice, values: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(values[:, plot.position[parent]] for parent in choice.parents)


def log_probability(plot: Plot, values: np.ndarray) -> np.ndarray:
    """Exact log-probability of each row of values "story choice", plot included; -inf where impossible."""
    total = np.full(len(values), np.log(plot.prob))
    with np.errstate(divide="ignore"):
        for j, choice in enumerate(plot.choices):
            probs = choice.table[(*_parents(plot, choice, values), values[:, j])]
            total += np.log(probs)
    return total


def render(plot: Plot, values: np.ndarray) -> np.ndarray:
    """The texts of rows of values "story choice"."""
    texts = np.full(len(values), "", dtype=object)
    for j, choice in enumerate(plot.choices):
        for number, template in enumerate(choice.templates):
            rows = np.flatnonzero(values[:, j] == number) if template.parts else ()
            if len(rows):
                named = {c.name: values[rows, i] for i, c in enumerate(plot.choices)}
                texts[rows] = texts[rows] + " " + template.render(named, len(rows))
    return np.array([text[1:] for text in texts], dtype=object)


def enumerate_values(plot: Plot) -> np.ndarray:
    """Every possible row of values "story choice" of a plot: for reduced worlds only, since it is a product."""
    values = np.zeros((1, len(plot.choices)), dtype=np.int64)
    for j, choice in enumerate(plot.choices):
        probs = np.broadcast_to(choice.table[_parents(plot, choice, values)], (len(values), choice.size))
        rows, picks = np.nonzero(probs)
        values = values[rows]
        values[:, j] = picks
    return values
