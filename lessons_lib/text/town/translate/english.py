"""The English side of the pairs: the source of every translation."""

from lessons_lib.text.town.translate.meaning import NUMBERS, Agreement, NounPhrase, Person, Subject, When, Where
from lessons_lib.text.town.translate.realise import Chunk, Realiser, literals
from lessons_lib.text.words import split_words

POSSESSIVES = {1: ("my", "our"), 3: ("his", "their")}


def a(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def possessive(owner: Agreement) -> str:
    if owner.person == 3 and not owner.plural and owner.female:
        return "her"
    return POSSESSIVES[owner.person][owner.plural]


def to_text(words) -> str:
    """Plain English: spaces, a capital, and marks and 's joined to the word before."""
    text = "".join(word if word in (",", ".", "?", "'s") else f" {word}" for word in words).strip()
    return text[:1].upper() + text[1:]


def from_text(text: str, names: frozenset[str]) -> tuple[str, ...]:
    """The words of an English sentence: 's is a word, and the first word has no capital unless it is a name or I."""
    words = []
    for word in split_words(text.replace("’", "'")):
        words += [word[:-2], "'s"] if word.endswith("'s") else [word]
    if words and words[0] not in names and words[0] != "I":
        words[0] = words[0][:1].lower() + words[0][1:]
    return tuple(words)


class English(Realiser):
    language = "english"
    names_itself = True

    def name(self, person: str) -> str:
        people = self.world.tables["people"]
        return people.forms["text"][people.ids.index(person)]

    def noun(self, phrase: NounPhrase) -> str:
        kind = self.sentences["kinds"][phrase.kind]
        for name in kind["tables"]:
            table = self.world.tables[name]
            if phrase.noun in table.ids:
                at = table.ids.index(phrase.noun)
                if "one" in table.forms:
                    return table.forms["text" if phrase.plural else "one"][at]
                text = table.forms["text"][at]
                break
        else:
            text = phrase.noun
        return kind.get("plurals", {}).get(phrase.noun, f"{text}s") if phrase.plural else text

    def what(self, phrase: NounPhrase, owner, holder: str, negated: bool, there: bool) -> Chunk:
        said = [(phrase.quality, ("quality",)), (phrase.colour, ("colour",)), (self.noun(phrase), ("noun",))]
        words = [word for word in said if word[0] != "none"]
        kind = phrase.determiner
        if kind == "of":
            return (self.name(holder), ("holder",)), ("'s", ("of",)), *words
        if kind == "generic":
            return tuple(words)
        if kind == "a":
            determiner = "no" if there and negated else a(words[0][0])
        elif kind == "some":
            determiner = "any" if negated else "some"
        else:
            determiner = kind if kind in NUMBERS else "the" if kind.startswith("the") else possessive(owner)
        return (determiner, ("determiner", "no") if determiner == "no" else ("determiner",)), *words

    def who(self, who: Subject) -> Chunk:
        if who.kind in ("he", "she", "I", "we"):
            return ((who.kind, ("word",)),)
        first = (self.name(who.names[0]), ("first",))
        if who.kind == "two":
            return first, ("and", ("and",)), (self.name(who.names[1]), ("second",))
        return (first, ("'s", ("of",)), (who.relative, ("relative",))) if who.kind == "relative" else (first,)

    def verb(self, verb: str, tense: str, agreement: Agreement, negated: bool) -> Chunk:
        forms = self.sentences["verbs"][verb]
        third = agreement.person == 3 and not agreement.plural
        no = [("not", ("not",))] if negated else []
        if tense == "progressive":
            is_ = self.is_("being", agreement)
            return (is_, ("now",)), *no, (forms["ing"], ("word",)), (forms["particle"], ("word",))
        if tense == "past":
            return (("did", ("done",)), *no, (verb, ("word",))) if negated else ((forms["past"], ("word", "done")),)
        if negated:
            return ("does" if third else "do", ("does",)), *no, (verb, ("word",))
        return ((forms["s"] if third else verb, ("word", "does")),)

    def is_(self, tense: str, agreement: Agreement) -> str:
        if tense == "felt":
            return "were" if agreement.plural else "was"
        return "are" if agreement.plural else "am" if agreement.person == 1 else "is"

    def be(self, tense: str, agreement: Agreement, negated: bool, very: bool) -> Chunk:
        is_ = (self.is_(tense, agreement), ("verb",))
        return (is_, ("not", ("not",))) if negated else (is_,)

    def there(self, plural: bool, negated: bool) -> Chunk:
        return ("there", ("there",)), ("are" if plural else "is", ("verb",))

    def deed(self, verb: str) -> Chunk:
        return ("to", ("to",)), (verb, ("word",))

    def whom(self, person: Person, owner) -> Chunk:
        if person.name:
            return ((self.name(person.name), ("name",)),)
        return (possessive(owner), ("own",)), (person.relative, ("relative",))

    def benefit(self, person: Person | None, owner) -> Chunk:
        return (("for", ("for",)), *self.whom(person, owner)) if person else ()

    def place(self, where: Where | None) -> Chunk:
        if where is None:
            return ()
        prep = tuple((word, ("prep", word)) for word in where.prep.split())
        return *prep, ("the", ("the",)), (where.place, ("place",))

    def spot(self, where: Where) -> Chunk:
        return self.place(where)

    def goal(self, place: str) -> Chunk:
        return ("to", ("to",)), ("the", ("the",)), (place, ("place",))

    def company(self, name: str) -> Chunk:
        return (("with", ("with",)), (self.name(name), ("name",))) if name else ()

    def said(self, name: str) -> Chunk:
        return ((self.name(name), ("name",)), ("says", ("says",)), ("that", ("that",))) if name else ()

    def very(self, very: bool) -> Chunk:
        return (("very", ("very",)),) if very else ()

    def job(self, job: str, agreement: Agreement) -> Chunk:
        return ((f"{job}s", ("word",)),) if agreement.plural else ((a(job), ("a",)), (job, ("word",)))

    def feeling(self, feeling: str, agreement: Agreement) -> Chunk:
        return ((feeling, ("word",)),)

    def colour(self, colour: str, noun: str, plural: bool) -> Chunk:
        return ((colour, ("word",)),)

    def size(self, size: str, noun: str, plural: bool) -> Chunk:
        return ((size, ("word",)),)

    def time(self, time: When) -> Chunk:
        return literals(self.sentences["time_words"][time.time], "sentences.toml", names_itself=True)
