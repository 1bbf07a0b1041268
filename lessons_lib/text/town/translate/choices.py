"""The choices behind a sentence: what each slot of a pattern can be, and how probable it is."""

from collections.abc import Callable, Hashable, Iterable

from lessons_lib.text.town.translate.meaning import (
    NUMBERS,
    OWN,
    Agreement,
    NounPhrase,
    Person,
    Subject,
    When,
    Where,
)
from lessons_lib.text.town.translate.slots import Options, Slot, free
from lessons_lib.text.town.world import TownError, World

RELATIVE_SHARE = 0.3  # of the people who are given something, the share called "his grandmother" and not by name


class Choices:
    """Makes the slots of the patterns from the Town's tables and sentences.toml."""

    def __init__(self, world: World, sentences: dict):
        self.world, self.sentences = world, sentences
        self._phrases: dict[tuple, NounPhrase] = {}
        self._phrase_tables: dict[tuple, Options] = {}
        self._subjects: dict[bool, Slot] = {}
        people = world.tables["people"]
        self.people = dict(zip(people.ids, people.weights.tolist(), strict=True))
        self.female = {person: form == "she" for person, form in zip(people.ids, people.forms["they"], strict=True)}
        relatives = world.tables["relatives"]
        self.relatives = {
            entry: (weight, form == "she")
            for entry, weight, form in zip(
                relatives.ids, relatives.weights.tolist(), relatives.forms["they"], strict=True
            )
        }

    def weights(self, table: str) -> dict[str, float]:
        entries = self.world.tables[table]
        return dict(zip(entries.ids, entries.weights.tolist(), strict=True))

    def who(self, third: bool) -> Slot:
        """One person or two, a person's relative, or a pronoun."""
        if third not in self._subjects:
            self._subjects[third] = free("who", Options(self._who(third)))
        return self._subjects[third]

    def _who(self, third: bool) -> list[tuple[Subject, float]]:
        weighted: list[tuple[Subject, float]] = []
        total, kinds = sum(self.people.values()), self.sentences["subjects"]
        for person, weight in self.people.items():
            p, female = weight / total, self.female[person]
            weighted.append((Subject("one", (person,), "", Agreement(3, False, female)), kinds["one"] * p))
            for other, more in self.people.items():
                both = Agreement(3, True, female and self.female[other])
                if other != person:
                    weighted.append(
                        (Subject("two", (person, other), "", both), kinds["two"] * p * more / (total - weight))
                    )
            every = sum(weight for weight, _ in self.relatives.values())
            for relative, (more, is_female) in self.relatives.items():
                agreement = Agreement(3, False, is_female)
                weighted.append(
                    (Subject("relative", (person,), relative, agreement), kinds["relative"] * p * more / every)
                )
        for kind, agreement in _PRONOUNS.items():
            if agreement.person == 3 or not third:
                weighted.append((Subject(kind, (), "", agreement), kinds[kind]))
        return weighted

    def owner(self) -> Slot:
        """Whose it is, where nobody is the subject."""
        weighted = [(agreement, self.sentences["subjects"][kind]) for kind, agreement in _PRONOUNS.items()]
        return Slot(
            "owner",
            lambda m: m.what.determiner in OWN,
            lambda before: _shares(before["what"], lambda what: what.determiner in OWN),
            lambda owned: Options(weighted if owned else [(None, 1.0)]),
        )

    def negated(self, possible: bool) -> Slot:
        share = self.sentences["chances"]["negated"] if possible else 0.0
        return free("negated", Options([(False, 1 - share), (True, share)]))

    def what(self, pattern: dict) -> Slot:
        """Noun phrases; another table when the sentence is negated."""
        return Slot(
            "what",
            lambda m: m.negated,
            lambda before: before["negated"].items(),
            lambda negated: self._noun_phrases(pattern["what"], negated),
        )

    def _noun_phrases(self, wanted: dict, negated: bool) -> Options:
        every = wanted.get("determiners", [kind for kind in self.sentences["determiners"] if kind != "generic"])
        if negated:
            every = [kind for kind in every if kind in wanted.get("negated", NEGATED)]
        key = (*wanted["kinds"], *every, wanted.get("colours", True), wanted.get("qualities", True))
        if key not in self._phrase_tables:
            self._phrase_tables[key] = Options(self._weighted_phrases(wanted, every))
        return self._phrase_tables[key]

    def _weighted_phrases(self, wanted: dict, every: list[str]) -> Iterable[tuple[NounPhrase, float]]:
        coloured = self.sentences["chances"]["coloured"]
        for kind in wanted["kinds"]:
            of_kind = every if kind != "food" else ["generic" if "generic" in every else "some"]
            determiners = {name: self.sentences["determiners"][name] for name in of_kind}
            for noun, weight in self.nouns(kind).items():
                colours = self.colours(kind, noun) if wanted.get("colours", True) else {}
                for determiner, p in _normal(determiners):
                    qualities = self.qualities(kind, noun, determiner) if wanted.get("qualities", True) else {"none": 1}
                    for quality, q in _normal(qualities):
                        plain = weight * p * q
                        shown = [("none", 1 - coloured if colours else 1.0)]
                        for colour, r in [*shown, *((c, coloured * r) for c, r in _normal(colours))]:
                            yield self._phrase(kind, noun, determiner, quality, colour), plain * r

    def _phrase(self, *fields: str) -> NounPhrase:
        """The one noun phrase of these fields."""
        return self._phrases.setdefault(fields, NounPhrase(*fields))

    def nouns(self, kind: str) -> dict[str, float]:
        tables = self.sentences["kinds"][kind]
        nouns = {noun: weight for table in tables["tables"] for noun, weight in self.weights(table).items()}
        nouns |= tables.get("more", {})
        return {noun: weight for noun, weight in nouns.items() if noun not in tables.get("without", [])}

    def colours(self, kind: str, noun: str) -> dict[str, float]:
        tables = self.sentences["kinds"][kind]
        colours = self.weights("colours") | self.sentences["more"]["colours"]
        if noun in tables.get("no_colour", []):
            return {}
        return {colour: weight for colour, weight in colours.items() if colour in tables.get("colours", colours)}

    def qualities(self, kind: str, noun: str, determiner: str) -> dict[str, float]:
        """No "her beautiful hat": with a possessive, Chinese would need 的 twice."""
        tables = self.sentences["kinds"][kind]
        barred = {"big", "small"} if noun in tables.get("no_size", []) else set()
        barred |= {"beautiful"} if determiner in OWN or determiner == "of" else set()
        return {quality: weight for quality, weight in tables["qualities"].items() if quality not in barred}

    def holder(self) -> Slot:
        """The name in "Omar's hat", nobody who is in the subject already."""
        return Slot(
            "holder",
            lambda m: (m.what.determiner == "of", m.who.names if m.who else ()),
            lambda before: _product(_shares(before["what"], lambda w: w.determiner == "of"), _names(before)),
            lambda key: Options(self._others(key[1]) if key[0] else [("", 1.0)]),
        )

    def _others(self, taken: tuple[str, ...]) -> list[tuple[str, float]]:
        return [(person, weight) for person, weight in self.people.items() if person not in taken]

    def person(self, name: str, share: float) -> Slot:
        """Somebody not in the subject, in this share of the sentences: company, or who says so."""

        def table(taken):
            return Options([("", 1 - share), *((p, share * w) for p, w in _normal(dict(self._others(taken))))])

        return Slot(name, lambda m: m.who.names, _names, table)

    def receiver(self, name: str, share: float = 1.0) -> Slot:
        """Somebody not in the subject, or the subject's relative; in the rest of the sentences nobody."""

        def table(taken):
            weighted: list[tuple[Person | None, float]] = [(None, 1 - share)]
            named = _normal(dict(self._others(taken)))
            related = _normal({relative: weight for relative, (weight, _) in self.relatives.items()})
            weighted += [(Person(person, ""), share * (1 - RELATIVE_SHARE) * p) for person, p in named]
            weighted += [(Person("", relative), share * RELATIVE_SHARE * p) for relative, p in related]
            return Options(weighted)

        return Slot(name, lambda m: m.who.names, _names, table)

    def place(self, kind: str) -> Slot:
        """A place, in 60 sentences of 100: in it, on it or at it, or (kind "in") near it."""
        places, errands = self.sentences["places"], self.sentences["errands"]
        allowed = [place for place in places if kind == "in" or place in errands[kind]]
        total = sum(places[place]["weight"] for place in allowed)
        weighted: list[tuple[Where | None, float]] = [(None, 0.4)]
        for place in allowed:
            share = 0.6 * places[place]["weight"] / total
            near = 0.25 if kind == "in" and place in errands["near"] else 0.0
            weighted += [
                (Where(places[place]["prep"], place), share * (1 - near)),
                (Where("near", place), share * near),
            ]
        return free("place", Options(weighted))

    def spot(self) -> Slot:
        spots = self.sentences["spots"].items()
        weighted = [(Where(p, spot), row["weight"] / len(row["preps"])) for spot, row in spots for p in row["preps"]]
        return free("spot", Options(weighted))

    def goal(self) -> Slot:
        return free(
            "goal",
            Options((place, self.sentences["places"][place]["weight"]) for place in self.sentences["errands"]["to"]),
        )

    def time(self, kind: str) -> Slot:
        """No time in 40 sentences of 100, before the sentence in 24, after it in 36."""
        every = _normal(self.sentences["times"][kind])
        weighted: list[tuple[When | None, float]] = [(None, 0.4)]
        weighted += [(When(time, front), (0.24 if front else 0.36) * p) for time, p in every for front in (True, False)]
        return free("time", Options(weighted))

    def colour(self) -> Slot:
        """The colour that is told of a noun: one that its kind can have."""

        def table(kind):
            noun = next(noun for noun in self.nouns(kind) if self.colours(kind, noun))
            return Options(self.colours(kind, noun).items())

        return Slot("colour", lambda m: m.what.kind, lambda before: _shares(before["what"], lambda w: w.kind), table)

    def very(self) -> Slot:
        return Slot(
            "very",
            lambda m: m.negated,
            lambda before: before["negated"].items(),
            lambda negated: Options([(False, 1.0)] if negated else [(False, 0.6), (True, 0.4)]),
        )

    def words(self, name: str, weights: dict[str, float]) -> Slot:
        return free(name, Options(weights.items()))


NEGATED = ("generic", "a", "the", "own", "of", "the_plural", "own_plural")
_PRONOUNS = {
    "he": Agreement(3, False, False),
    "she": Agreement(3, False, True),
    "I": Agreement(1, False, False),
    "we": Agreement(1, True, False),
}


def _normal(weights: dict) -> list[tuple]:
    total = sum(weights.values())
    return [(entry, weight / total) for entry, weight in weights.items()]


def _shares(marginal: dict, feature: Callable) -> list[tuple[Hashable, float]]:
    shares: dict = {}
    for value, p in marginal.items():
        shares[feature(value)] = shares.get(feature(value), 0.0) + p
    return list(shares.items())


def _names(before: dict[str, dict]) -> list[tuple[Hashable, float]]:
    return _shares(before["who"], lambda who: who.names) if "who" in before else [((), 1.0)]


def _product(left, right) -> list[tuple[Hashable, float]]:
    """The keys of two slots that are drawn independently of each other."""
    return [((a, b), p * q) for a, p in left for b, q in right]


def check_ids(sentences: dict, tables: dict, choices: Choices, file: str) -> None:
    """Raises TownError, naming file and entry, when a word of the other language is missing."""
    needed = {
        "nouns": [noun for kind in sentences["kinds"] for noun in choices.nouns(kind)],
        "colours": [*choices.weights("colours"), *sentences["more"]["colours"]],
        "qualities": [q for kind in sentences["kinds"].values() for q in kind["qualities"] if q != "none"],
        "feelings": sentences["more"]["feelings"],
        "jobs": choices.weights("jobs"),
        "relatives": choices.relatives,
        "places": [*sentences["places"], *sentences["spots"]],
        "verbs": sentences["verbs"],
        "times": sentences["time_words"],
        "numbers": [kind for kind in sentences["determiners"] if kind in NUMBERS],
    }
    if "people" in tables:
        needed["people"] = choices.people
    for table, entries in needed.items():
        for entry in entries:
            if entry not in tables[table]:
                raise TownError(f"{file}: table {table!r} has no entry {entry!r}, which the Town's sentences need.")
