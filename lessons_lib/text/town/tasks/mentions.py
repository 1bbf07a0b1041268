"""Where in a story its variables are told: every slot that was filled, with its place among the words; and what the
labelled sets share in drawing stories and filling templates."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lessons_lib.text.town.generate import Story, columns, random_stream, tell
from lessons_lib.text.town.plots import Plot
from lessons_lib.text.town.templates import Slot, Template

_BATCH = 512
_PATIENCE = 40  # batches without a single example


@dataclass(frozen=True, slots=True)
class Mention:
    """A filled slot: which entry of its table it shows, its words, where they begin, and in which sentence (`say`)."""

    slot: Slot
    entry: int
    words: tuple[str, ...]
    start: int
    say: int


def mentions(story: Story) -> list[Mention]:
    """All filled slots of a story, in the order of its words."""
    found, at, values = [], 0, named(story)
    for step, choice in enumerate(story._plot.choices):
        if not choice.templates:
            continue
        slots, rest = _layout(choice.templates[story._values[step]])
        for before, slot in slots:
            entry = values[slot.variable.source(values)]
            words = slot.split[entry]
            found.append(Mention(slot, entry, words, at + before, step))
            at += before + len(words)
        at += rest
    return found


def named(story: Story) -> dict[str, int]:
    """The values of the story's choices by name."""
    return {choice.name: value for choice, value in zip(story._plot.choices, story._values, strict=True)}


@lru_cache(maxsize=4096)
def _layout(template: Template) -> tuple[list[tuple[int, Slot]], int]:
    """The slots of a template, each with the number of fixed words before it, and the number of those at the end."""
    slots, before = [], 0
    for token in template.tokens:
        if isinstance(token, Slot):
            slots.append((before, token))
            before = 0
        else:
            before += 1
    return slots, before


def find(words: Sequence[str], wanted: Sequence[str]) -> int | None:
    """Where `wanted` begins in `words`, capitals or not; None when it is not there."""
    low, target = [word.lower() for word in words], [word.lower() for word in wanted]
    starts = range(len(low) - len(target) + 1)
    return next((start for start in starts if low[start : start + len(target)] == target), None)


def rows(plots: tuple[Plot, ...], seed: int, split: str, task: int, extra: int) -> Iterator[tuple[Story, np.ndarray]]:
    """Stories without end, each with `extra` uniform numbers more, from a stream that only this task uses."""
    stream, width = random_stream(seed, split, (task,)), columns(plots)
    while True:
        uniforms = stream.random((_BATCH, width + extra))
        yield from zip(tell(plots, uniforms), uniforms[:, width:], strict=True)


def collect(examples: Iterator, n: int, why_none: str) -> list:
    """The first `n` examples that are not None. Raises ValueError, with `why_none`, when there seem to be none."""
    found: list = []
    for tried, example in enumerate(examples if n else ()):
        if example is not None:
            found.append(example)
        elif not found and tried > _PATIENCE * _BATCH:
            raise ValueError(why_none)
        if len(found) == n:
            break
    return found


def filled(template: Template, values: dict[str, int]) -> str:
    """The template in words, for these values of the plot's choices."""
    return "".join(p if isinstance(p, str) else p.strings[p.variable.evaluate(values)] for p in template.parts)


def template_words(plot: Plot, template: Template) -> frozenset[str]:
    """Every word and punctuation mark that the template can show in this plot."""
    parts = (plot._slot_words(token) if isinstance(token, Slot) else {token} for token in template.tokens)
    return frozenset().union(*parts)
