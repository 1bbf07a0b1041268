"""What a sentence means, before it is said in any language: one value for each slot of its pattern.

Subjects and noun phrases are made once, in the tables of choices.py, and compared by identity, which is fast: there are
thousands of them, and the words of each are remembered.
"""

from dataclasses import dataclass
from typing import NamedTuple

PLURAL = frozenset({"some", "the_plural", "own_plural", "generic", "two", "three", "four", "five", "six"})
NUMBERS = frozenset({"two", "three", "four", "five", "six"})
INDEFINITE = frozenset({"a", "some", "generic"}) | NUMBERS
OWN = frozenset({"own", "own_plural"})


class Agreement(NamedTuple):
    """What a verb, an adjective or a possessive has to agree with. `female` is true when all who are meant are."""

    person: int
    plural: bool
    female: bool


@dataclass(frozen=True, eq=False, slots=True)
class Subject:
    """Who does it: one person, two, somebody's relative, or a pronoun (kind he, she, I, we)."""

    kind: str
    names: tuple[str, ...]
    relative: str
    agreement: Agreement


@dataclass(frozen=True, eq=False, slots=True)
class NounPhrase:
    """A determiner (see sentences.toml), perhaps a quality and a colour, and a noun of a kind."""

    kind: str
    noun: str
    determiner: str
    quality: str
    colour: str

    @property
    def counted(self) -> bool:
        return self.kind != "food"

    @property
    def plural(self) -> bool:
        return self.counted and self.determiner in PLURAL


class Person(NamedTuple):
    """Somebody other than the subject: a name, or (`relative`) the subject's own grandmother."""

    name: str
    relative: str


class Where(NamedTuple):
    prep: str
    place: str


class When(NamedTuple):
    time: str
    front: bool


@dataclass(slots=True)
class Meaning:
    """The slots of one sentence. Those that its pattern does not have keep their defaults."""

    tense: str = ""
    verb: str = ""
    who: Subject | None = None
    owner: Agreement | None = None
    negated: bool = False
    deed: str = ""
    what: NounPhrase | None = None
    holder: str = ""
    whom: Person | None = None
    benefit: Person | None = None
    place: Where | None = None
    spot: Where | None = None
    goal: str = ""
    company: str = ""
    said: str = ""
    very: bool = False
    job: str = ""
    feeling: str = ""
    colour: str = ""
    size: str = ""
    time: When | None = None

    @property
    def agreement(self) -> Agreement:
        """Of the sentence's subject: a person, or the thing that is spoken about."""
        return self.who.agreement if self.who else Agreement(3, self.what.plural, False)


# What the words of each slot depend on: the arguments of the method of that name in each language.
DEPENDS = {
    "who": lambda m: (m.who,),
    "verb": lambda m: (m.verb, m.tense, m.who.agreement, m.negated),
    "be": lambda m: (m.tense, m.agreement, m.negated, m.very),
    "there": lambda m: (m.what.plural, m.negated),
    "deed": lambda m: (m.deed,),
    "what": lambda m: (m.what, m.owner if m.what.determiner in OWN else None, m.holder, m.negated, m.tense == "there"),
    "whom": lambda m: (m.whom, m.owner if m.whom.relative else None),
    "benefit": lambda m: (m.benefit, m.owner if m.benefit and m.benefit.relative else None),
    "place": lambda m: (m.place,),
    "spot": lambda m: (m.spot,),
    "goal": lambda m: (m.goal,),
    "company": lambda m: (m.company,),
    "said": lambda m: (m.said,),
    "very": lambda m: (m.very,),
    "job": lambda m: (m.job, m.agreement),
    "feeling": lambda m: (m.feeling, m.agreement),
    "colour": lambda m: (m.colour, m.what.noun, m.what.plural),
    "size": lambda m: (m.size, m.what.noun, m.what.plural),
    "time": lambda m: (m.time,),
}
