"""Named entities: passages of stories in which people, places, pets and boats are marked with BIO tags.

"B-PLACE" begins a place, "I-PLACE" goes on with it, "O" is everything else. An entity is the name as its table gives
it, without a leading "the": [Willow Street], the [old bridge], the [Swallow]. Pronouns, relatives, jobs and the spots
of a house are O. A place of the tables is one wherever it is told, also in a sentence that is the same in every story
("the hat lay on the beach"); what is in no table of places, as the market, is none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from lessons_lib.text.town.generate import Story
from lessons_lib.text.town.plots import Plot
from lessons_lib.text.town.tasks.mentions import Mention, collect, find, mentions, rows
from lessons_lib.text.town.templates import Slot
from lessons_lib.text.town.world import Table, World

_TASK = 11
_TYPES = {"people": "PERSON", "places": "PLACE", "islands": "PLACE", "pet_names": "PET", "boat_names": "BOAT"}
TYPES = tuple(dict.fromkeys(_TYPES.values()))
_FEWEST, _MOST, _SENTENCES = 10, 35, 3
_ENDS = frozenset(".!?")

# About a fifth of all mentions of people, half of them of women. No passage of train or valid has any of these names.
HELD_OUT_NAMES = frozenset(
    {
        *("Ingrid", "Sofia", "Tala", "Zainab", "Ravi", "Pavel", "Kofi", "Bao"),
        *("Ziggy", "Pearl", "Moon Island", "River Square"),
    }
)


@dataclass(frozen=True)
class Entity:
    """A name in a text: its type, and the places of its first and its last word."""

    type: str
    start: int
    end: int


@dataclass(frozen=True)
class Tagged:
    """A passage of a story: its words and punctuation marks, and a BIO tag for each."""

    words: tuple[str, ...]
    tags: tuple[str, ...]

    @cached_property
    def entities(self) -> tuple[Entity, ...]:
        return read_tags(self.tags)

    def name(self, entity: Entity) -> str:
        """The words of an entity of this passage, as they stand in HELD_OUT_NAMES."""
        return " ".join(self.words[entity.start : entity.end + 1])


def read_tags(tags: Sequence[str]) -> tuple[Entity, ...]:
    """The entities that BIO tags mark, in order. An I that goes on with nothing of its type begins an entity, so that
    the tags of a model can be read too. Raises ValueError for what is not a BIO tag."""
    found: list[Entity] = []
    for at, tag in enumerate(tags):
        mark, _, kind = tag.partition("-")
        if tag == "O":
            continue
        if mark not in ("B", "I") or not kind:
            raise ValueError(f'Tag {at} is {tag!r}; a tag is "O", or "B-" or "I-" and a type.')
        if mark == "I" and found and (found[-1].type, found[-1].end) == (kind, at - 1):
            found[-1] = Entity(kind, found[-1].start, at)
        else:
            found.append(Entity(kind, at, at))
    return tuple(found)


def draw_entities(plots: tuple[Plot, ...], world: World, n: int, seed: int, split: str) -> list[Tagged]:
    """`n` passages from the stream of (seed, split): of each story at most one, drawn from all that the split may have.

    A passage is one to three sentences in a row, together 10 to 35 words. Raises ValueError when there is none.
    """
    tagger, held_out = _Tagger(world), split == "test"
    stream = rows(plots, seed, split, _TASK, extra=1)
    passages = (tagger.passage(story, float(extra[0]), held_out) for story, extra in stream)
    which = "with" if held_out else "without"
    why_none = f"This Town tells no passage of {_FEWEST} to {_MOST} words {which} one of HELD_OUT_NAMES."
    return collect(passages, n, why_none)


def sentences(words: Sequence[str]) -> list[tuple[int, int]]:
    """Where the sentences of a text begin and end (the place after the last mark), what is quoted with its speaker."""
    ends, quoted = [], False
    for at, word in enumerate(words):
        quoted ^= word == '"'
        closes = word in _ENDS or (word == '"' and words[at - 1] in _ENDS)
        if closes and not quoted and not (at + 1 < len(words) and words[at + 1][0].islower()):
            ends.append(at + 1)
    return list(zip([0, *ends], ends, strict=False))


class _Tagger:
    def __init__(self, world: World):
        self._places: dict[str, list[tuple[str, ...]]] = {}  # by the first word of the name
        for table in (
            world.tables[table] for table, kind in _TYPES.items() if kind == "PLACE" and table in world.tables
        ):
            for name in (_name(table, entry) for entry in range(len(table))):
                self._places.setdefault(name[0], []).append(name)
        self._inside: dict[tuple[Slot, int], tuple[int, int] | None] = {}

    def passage(self, story: Story, uniform: float, held_out: bool) -> Tagged | None:
        """One of the story's passages with a held-out name, or without any; None when it has none."""
        words, (tags, new) = story.words, self.tags(story)
        if held_out and not new:
            return None
        bounds = sentences(words)
        fitting = [
            (start, end)
            for i, (start, _) in enumerate(bounds)
            for _, end in bounds[i : i + _SENTENCES]
            if _FEWEST <= end - start <= _MOST and any(start <= at < end for at in new) == held_out
        ]
        if not fitting:
            return None
        start, end = fitting[int(uniform * len(fitting))]
        return Tagged(words[start:end], tuple(tags[start:end]))

    def tags(self, story: Story) -> tuple[list[str], list[int]]:
        """A BIO tag for each word of the story, and where held-out names begin."""
        words, new = story.words, []
        tags = ["O"] * len(words)
        for mention in mentions(story):
            table = mention.slot.variable.table
            if table.name in _TYPES and (inside := self._inside_of(mention)):
                start, length = mention.start + inside[0], inside[1]
                _mark(tags, start, length, _TYPES[table.name])
                if " ".join(words[start : start + length]) in HELD_OUT_NAMES:
                    new.append(start)
        for at, word in enumerate(words):
            if word in self._places and tags[at] == "O" and words[at - 1] in ("the", "The"):
                for name in self._places[word]:
                    if words[at : at + len(name)] == name:
                        _mark(tags, at, len(name), "PLACE")
        return tags, new

    def _inside_of(self, mention: Mention) -> tuple[int, int] | None:
        """Where in the mention's words the name begins, and its length; None when they do not hold it (a pronoun)."""
        key = mention.slot, mention.entry
        if key not in self._inside:
            name = _name(mention.slot.variable.table, mention.entry)
            start = find(mention.words, name)
            self._inside[key] = None if start is None else (start, len(name))
        return self._inside[key]


def _name(table: Table, entry: int) -> tuple[str, ...]:
    return tuple(table.forms["text"][entry].removeprefix("the ").split())


def _mark(tags: list[str], start: int, length: int, kind: str) -> None:
    tags[start : start + length] = [f"B-{kind}"] + [f"I-{kind}"] * (length - 1)
