"""The synchronous grammar: patterns of sentences.toml, drawn once and said in two languages."""

import math
import random
from collections.abc import Iterator
from functools import cached_property, lru_cache
from pathlib import Path

from lessons_lib.paths import data_folder
from lessons_lib.text.town.translate import chinese, english, french
from lessons_lib.text.town.translate.choices import Choices, check_ids
from lessons_lib.text.town.translate.meaning import Meaning
from lessons_lib.text.town.translate.realise import Realiser, Word
from lessons_lib.text.town.translate.slots import Options, Slot
from lessons_lib.text.town.world import TownError, World
from lessons_lib.toml import load_toml

LANGUAGES = {"fr": "french", "zh": "chinese"}
_REALISERS = {"french": french.French, "chinese": chinese.Chinese}


class Pattern:
    """A pattern and its slots, in the order in which they are drawn."""

    def __init__(self, name: str, row: dict, prob: float, choices: Choices):
        self.name, self.row, self.prob = name, row, prob
        self.slots = tuple(_slots(row, choices))

    def draw(self, uniforms) -> tuple[Meaning, float]:
        """A meaning and its log-probability, the pattern included; one uniform number for each slot."""
        meaning, log_prob = Meaning(tense=self.row["tense"]), math.log(self.prob)
        for slot, uniform in zip(self.slots, uniforms, strict=False):
            options = slot.fixed or slot.options(slot.key(meaning))
            value, more = options.pick(uniform)
            setattr(meaning, slot.name, value)
            log_prob += more
        if meaning.who is not None:
            meaning.owner = meaning.who.agreement
        return meaning, log_prob

    def entropy(self) -> float:
        """Of one sentence of this pattern, in nats, by the chain rule: no sampling."""
        total, before = 0.0, {}
        for slot in self.slots:
            total += math.fsum(p * slot.options(key).entropy() for key, p in slot.keys(before))
            before[slot.name] = slot.marginal(before)
        return total

    def every(self, most: int, rng: random.Random) -> Iterator[tuple[Meaning, float]]:
        """Meanings with each slot cut to `most` of its values, drawn afresh for each key: a small world to list."""
        kept: dict[tuple, list[int]] = {}

        def extend(values: dict, log_prob: float, rest: tuple[Slot, ...]):
            meaning = Meaning(tense=self.row["tense"], **values)
            if not rest:
                if meaning.who is not None:
                    meaning.owner = meaning.who.agreement
                yield meaning, log_prob
                return
            slot, key = rest[0], rest[0].key(meaning)
            options = slot.options(key)
            count = range(len(options.values))
            chosen = kept.setdefault((slot.name, key), sorted(rng.sample(count, min(most, len(count)))))
            for at in chosen:
                yield from extend(values | {slot.name: options.values[at]}, log_prob + options.log_probs[at], rest[1:])

        yield from extend({}, math.log(self.prob), self.slots)


def _slots(row: dict, choices: Choices) -> Iterator[Slot]:
    text, sentences = row["english"], choices.sentences
    if "{who}" in text:
        yield choices.who(third=row.get("subjects") == "third")
    yield choices.negated(possible=not row.get("asks"))
    if "verb" in row:
        yield choices.words("verb", row["verb"])
    if "deed" in row:
        yield choices.words("deed", row["deed"])
    if "what" in row:
        yield choices.what(row)
        yield choices.holder()
        if "{who}" not in text:
            yield choices.owner()
    makers = {
        "whom": lambda: choices.receiver("whom"),
        "benefit": lambda: choices.receiver("benefit", 0.4),
        "place": lambda: choices.place(row["place"]),
        "spot": choices.spot,
        "goal": choices.goal,
        "company": lambda: choices.person("company", 0.5),
        "said": lambda: choices.person("said", 0.4),
        "very": choices.very,
        "job": lambda: choices.words("job", choices.weights("jobs")),
        "feeling": lambda: choices.words("feeling", sentences["more"]["feelings"]),
        "colour": choices.colour,
        "size": lambda: choices.words("size", {"big": 3, "small": 3, "old": 2, "beautiful": 1}),
    }
    for slot, make in makers.items():
        if f"{{{slot}}}" in text:
            yield make()
    if "time" in row:
        yield choices.time(row["time"])


class Grammar:
    """All patterns, and the languages in which they are said.

    Raises TownError, naming the file and the entry, when a table lacks a word that the Town needs.
    """

    def __init__(self, world: World, folder: Path | None = None):
        folder = folder if folder is not None else data_folder() / "town" / "translation"
        self.sentences = load_toml(folder / "sentences.toml")
        self.tables = {name: load_toml(folder / f"{name}.toml") for name in _REALISERS}
        choices = Choices(world, self.sentences)
        for name, tables in self.tables.items():
            check_ids(self.sentences, tables, choices, f"{name}.toml")
        rows = self.sentences["patterns"]
        total = sum(row["weight"] for row in rows.values())
        self.patterns = tuple(Pattern(name, row, row["weight"] / total, choices) for name, row in rows.items())
        self.which = Options((pattern, pattern.prob) for pattern in self.patterns)
        self.source = english.English(world, self.sentences, {})
        self.targets: dict[str, Realiser] = {
            short: _REALISERS[name](world, self.sentences, self.tables[name]) for short, name in LANGUAGES.items()
        }
        self.names = frozenset(world.tables["people"].forms["text"])

    @cached_property
    def columns(self) -> int:
        """Uniform numbers that one sentence uses at most."""
        return 1 + max(len(pattern.slots) for pattern in self.patterns)

    @cached_property
    def pinyin(self) -> dict[str, str]:
        """Chinese word → its pinyin."""
        tables = self.tables["chinese"]
        entries = [entry for table in tables.values() for entry in table.values() if isinstance(entry, dict)]
        found = {entry["word"]: entry["pinyin"] for entry in entries}
        for other in ("animal", "wish"):
            found |= {entry[other]: entry[f"{other}_pinyin"] for entry in entries if other in entry}
        return found | tables["measures"] | tables["words"]

    def entropy(self) -> float:
        """The exact entropy of one sentence, and so of one pair, in nats (the target follows from the source)."""
        return self.which.entropy() + sum(pattern.prob * pattern.entropy() for pattern in self.patterns)

    def draw(self, uniforms) -> tuple[Pattern, Meaning, float]:
        pattern, _ = self.which.pick(uniforms[0])
        return pattern, *pattern.draw(uniforms[1:])

    def english(self, pattern: Pattern, meaning: Meaning) -> list[Word]:
        return self.source.words(pattern.row, meaning)

    def translation(self, pattern: Pattern, meaning: Meaning, language: str) -> list[Word]:
        if language not in self.targets:
            raise ValueError(f"There is no language {language!r}; choose one of {', '.join(LANGUAGES)}.")
        return self.targets[language].words(pattern.row, meaning)


@lru_cache(maxsize=1)
def default_grammar() -> Grammar:
    """The grammar over the Town's own tables, made once."""
    return Grammar(World.load())


__all__ = ["LANGUAGES", "Grammar", "Pattern", "TownError", "default_grammar"]
