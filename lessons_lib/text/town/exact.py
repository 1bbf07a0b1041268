"""What is exactly true of the language: entropy and expected length, from the choices' own probability tables.

Nothing is sampled. By the chain rule the entropy of a story is the sum over its choices of the expected entropy of the
choice given what it depends on; since the text gives the choices back (see parse.py), it is the entropy of the text.
"""

import numpy as np

from lessons_lib.text.town.plots import Choice, Plot


def entropy(plots: tuple[Plot, ...]) -> float:
    """The entropy of one story in nats."""
    probs = np.array([plot.prob for plot in plots])
    return float(_entropies(probs) + sum(plot.prob * plot_entropy(plot) for plot in plots))


def plot_entropy(plot: Plot) -> float:
    """The entropy in nats of one story of this plot."""
    return sum(float((marginal(plot, c.parents) * _entropies(c.table)).sum()) for c in plot.choices)


def expected_words(plots: tuple[Plot, ...]) -> float:
    """The expected number of words and punctuation marks of a story, without any end symbol."""
    return sum(plot.prob * plot_words(plot) for plot in plots)


def plot_words(plot: Plot) -> float:
    """The expected number of words and punctuation marks of one story of this plot."""
    return sum(_phrase_words(plot, c, k) for c in plot.choices for k, t in enumerate(c.templates) if t.parts)


def marginal(plot: Plot, names: tuple[str, ...]) -> np.ndarray:
    """The exact joint distribution of some choices, one axis each: the product of the tables of all that they descend
    from, summed over the rest."""
    axes: dict[str, int] = {}
    operands: list = []
    for choice in _ancestors(plot, names):
        axes[choice.name] = len(axes)
        operands += [choice.table, [axes[name] for name in (*choice.parents, choice.name)]]
    return np.einsum(*operands, [axes[name] for name in names], optimize="greedy") if operands else np.ones(())


def _ancestors(plot: Plot, names: tuple[str, ...]) -> list[Choice]:
    wanted = set(names)
    for choice in reversed(plot.choices):
        if choice.name in wanted:
            wanted.update(choice.parents)
    return [choice for choice in plot.choices if choice.name in wanted]


def _entropies(probs: np.ndarray) -> np.ndarray:
    return -(probs * np.log(np.where(probs > 0, probs, 1.0))).sum(-1)


def _phrase_words(plot: Plot, choice: Choice, number: int) -> float:
    """P(this phrase) × its fixed words + the expected words of its slots while it is said."""
    template = choice.templates[number]
    total = sum(isinstance(token, str) for token in template.tokens) * float(marginal(plot, (choice.name,))[number])
    for slot in template.tokens:
        if isinstance(slot, str):
            continue
        names = slot.variable.variables
        said = marginal(plot, (choice.name, *(name for name in names if name != choice.name)))[number]
        grid = dict(zip(names, np.meshgrid(*(np.arange(size) for size in said.shape), indexing="ij"), strict=True))
        total += float((said * slot.lengths[slot.variable.evaluate(grid)]).sum())
    return total
