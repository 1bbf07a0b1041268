"""The Chinese side: nothing is inflected; measure words, 的 and 了 and the order of the words do the work."""

from lessons_lib.text.town.translate.meaning import (
    INDEFINITE,
    NUMBERS,
    Agreement,
    Meaning,
    NounPhrase,
    Person,
    Subject,
    When,
    Where,
)
from lessons_lib.text.town.translate.realise import Chunk, Realiser, Word, literals, under

PRONOUNS = {"he": "他", "she": "她", "I": "我", "we": "我们"}


def possessive(owner: Agreement) -> str:
    if owner.person == 1:
        return "我们的" if owner.plural else "我的"
    they = "她" if owner.female else "他"
    return f"{they}们的" if owner.plural else f"{they}的"


def to_text(words) -> str:
    """Plain Chinese has no spaces."""
    return "".join(words)


class Chinese(Realiser):
    language = "chinese"

    def choose(self, pattern: dict, meaning: Meaning) -> str:
        if "chinese_definite" in pattern and meaning.what.determiner not in INDEFINITE:
            return pattern["chinese_definite"]
        if "chinese_at_place" in pattern and meaning.place:
            return pattern["chinese_at_place"]
        return pattern["chinese"]

    def add_time(self, words: list[Word], meaning: Meaning) -> list[Word]:
        """A time after an English sentence stands after the Chinese subject, in the pattern."""
        front = meaning.time is not None and meaning.time.front
        return [*under("time", self.time_words(meaning.time)), *words] if front else words

    def finish(self, words: list[Word], pattern: dict) -> list[Word]:
        return [*words, ("？" if pattern.get("asks") else "。", (".",))]

    def word(self, table: str, entry: str) -> str:
        return self.tables[table][entry]["word"]

    def what(self, phrase: NounPhrase, owner, holder: str, negated: bool, there: bool) -> Chunk:
        words = list(self.determiner(phrase, owner, holder, negated))
        noun, quality, size = self.tables["nouns"][phrase.noun], None, None
        if phrase.quality != "none":
            quality = self.tables["qualities"][phrase.quality]
            if quality.get("de"):
                words += [(quality["word"], ("quality",)), ("的", ("quality",))]
            else:
                size = self.quality_word(phrase.quality, phrase.noun)
        if phrase.colour != "none":
            words.append((self.word("colours", phrase.colour), ("colour",)))
            # One 的 is enough, unless a single syllable would have to stand right after the colour.
            if not any(word.endswith("的") for word, _ in words) or not (size or len(noun["word"]) > 1):
                words.append(("的", ("colour",)))
        return *words, *([(size, ("quality",))] if size else []), (noun["word"], ("noun",))

    def determiner(self, phrase: NounPhrase, owner, holder: str, negated: bool) -> Chunk:
        kind, labels = phrase.determiner, ("determiner",)
        measure = (self.tables["nouns"][phrase.noun].get("measure", ""), labels)
        if kind == "generic" or (negated and kind in ("a", "some")):
            return ()
        if kind == "of":
            return (self.word("people", holder), ("holder",)), ("的", ("of",))
        if kind in ("own", "own_plural"):
            return ((possessive(owner), labels),)
        if kind in ("some", "the_plural"):
            return (("一些" if kind == "some" else "那些", labels),)
        number = self.word("numbers", kind) if kind in NUMBERS else "一" if kind == "a" else "那"
        return (number, labels), measure

    def quality_word(self, quality: str, noun: str) -> str:
        entry = self.tables["qualities"][quality]
        animal = self.tables["nouns"][noun].get("measure") == "只"
        return entry["animal"] if animal and "animal" in entry else entry["word"]

    def who(self, who: Subject) -> Chunk:
        if who.kind in PRONOUNS:
            return ((PRONOUNS[who.kind], ("word",)),)
        first = (self.word("people", who.names[0]), ("first",))
        if who.kind == "two":
            return first, ("和", ("and",)), (self.word("people", who.names[1]), ("second",))
        if who.kind == "one":
            return (first,)
        return first, ("的", ("of",)), (self.word("relatives", who.relative), ("relative",))

    def verb(self, *key) -> Chunk:
        now = (("在", ("now",)),) if key[1] == "progressive" else ()
        return *self.verb_not(*key), *now, *self.verb_word(*key), *self.verb_done(*key)

    def verb_not(self, verb: str, tense: str, agreement: Agreement, negated: bool) -> Chunk:
        """没 denies what was done, is being done, or is had; 不 denies the rest."""
        if not negated or verb == "have":
            return ()
        if tense == "past":
            return (("没", ("not", "done")),)
        return (("没" if tense == "progressive" else "不", ("not",)),)

    def verb_word(self, verb: str, tense: str, agreement: Agreement, negated: bool) -> Chunk:
        if tense == "infinitive":
            return (("想", ("word",)),)
        if verb == "have" and negated:
            return (("没有", ("word", "not")),)
        return ((self.word("verbs", verb), ("word",)),)

    def verb_done(self, verb: str, tense: str, agreement: Agreement, negated: bool) -> Chunk:
        return (("了", ("done",)),) if tense == "past" and not negated else ()

    def be(self, tense: str, agreement: Agreement, negated: bool, very: bool) -> Chunk:
        if tense == "being":
            return *self.be_not(tense, agreement, negated, very), ("是", ("verb",))
        if negated:
            return self.be_not(tense, agreement, negated, very)
        return () if very else (("很", ("verb",)),)

    def be_not(self, tense: str, agreement: Agreement, negated: bool, very: bool) -> Chunk:
        return (("不", ("not",)),) if negated else ()

    def there(self, plural: bool, negated: bool) -> Chunk:
        return (("没有", ("verb", "what.no")),) if negated else (("有", ("verb",)),)

    def deed(self, verb: str) -> Chunk:
        entry = self.tables["verbs"][verb]
        return ((entry.get("wish", entry["word"]), ("word",)),)

    def whom(self, person: Person, owner) -> Chunk:
        if person.name:
            return ((self.word("people", person.name), ("name",)),)
        return (possessive(owner), ("own",)), (self.word("relatives", person.relative), ("relative",))

    def benefit(self, person: Person | None, owner) -> Chunk:
        return (("给", ("for",)), *self.whom(person, owner)) if person else ()

    def place(self, where: Where | None) -> Chunk:
        return (*self.spot_at(where), *self.spot_inside(where)) if where else ()

    def spot(self, where: Where) -> Chunk:
        return self.place(where)

    def spot_at(self, where: Where) -> Chunk:
        return (("在", ("prep",)),)

    def spot_inside(self, where: Where) -> Chunk:
        place = (self.word("places", where.place), ("place",))
        if where.prep not in self.tables["localizers"]:
            return (place,)
        return place, (self.word("localizers", where.prep), ("prep",))

    def goal(self, place: str) -> Chunk:
        return ((self.word("places", place), ("place",)),)

    def company(self, name: str) -> Chunk:
        if not name:
            return ()
        return ("跟", ("with",)), (self.word("people", name), ("name",)), ("一起", ("with",))

    def said(self, name: str) -> Chunk:
        return ((self.word("people", name), ("name",)), ("说", ("says",))) if name else ()

    def very(self, very: bool) -> Chunk:
        return (("非常", ("very",)),) if very else ()

    def job(self, job: str, agreement: Agreement) -> Chunk:
        return ((self.word("jobs", job), ("word",)),)

    def feeling(self, feeling: str, agreement: Agreement) -> Chunk:
        return ((self.word("feelings", feeling), ("word",)),)

    def colour(self, colour: str, noun: str, plural: bool) -> Chunk:
        return ((self.word("colours", colour), ("word",)),)

    def size(self, size: str, noun: str, plural: bool) -> Chunk:
        return ((self.quality_word(size, noun), ("word",)),)

    def time(self, time: When | None) -> Chunk:
        return () if time is None or time.front else self.time_words(time)

    def time_words(self, time: When) -> Chunk:
        return literals(self.tables["times"][time.time], "chinese.toml")
