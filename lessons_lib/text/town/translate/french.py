"""The French side: agreement is made phrase by phrase, elision and contraction word by word at the end."""

from lessons_lib.text.town.translate.meaning import NUMBERS, Agreement, NounPhrase, Person, Subject, When, Where
from lessons_lib.text.town.translate.realise import Chunk, Realiser, Word, literals

POSSESSIVES = {
    (1, False): ("mon", "ma", "mes"),
    (1, True): ("notre", "notre", "nos"),
    (3, False): ("son", "sa", "ses"),
    (3, True): ("leur", "leur", "leurs"),
}
PRONOUNS = {"he": "il", "she": "elle", "I": "je", "we": "nous"}
ELIDED = frozenset({"le", "la", "de", "ne", "que", "je"})
CONTRACTED = {("à", "le"): "au", ("à", "les"): "aux", ("de", "le"): "du", ("de", "les"): "des"}
ASPIRATED = ("hibou",)  # le hibou, not l'hibou
NARROW_SPACE = "\u202f"  # stands before a question mark


def starts_with_vowel(word: str) -> bool:
    """Whether le becomes l' before this word. A name's Y does not count (de Yuki), the little word y does (n'y)."""
    if word == "y":
        return True
    first = word[0].lower()
    return first in "aeiouàâéèêëîïôöûü" or (first == "h" and not word.startswith(ASPIRATED))


def surface(words: list[Word]) -> list[Word]:
    """What is said: le arbre → l'arbre, à le → au, de les → des. A contracted word says what both words said."""
    out: list[Word] = []
    for said in reversed(words):
        word, labels = said
        if word in ELIDED and starts_with_vowel(out[-1][0]):
            said = f"{word[:-1]}'", labels
        elif word in ("à", "de") and (word, out[-1][0]) in CONTRACTED:
            following, more = out.pop()
            said = CONTRACTED[word, following], labels + more
        out.append(said)
    return out[::-1]


def to_text(words) -> str:
    """Plain French: nothing after an apostrophe, a narrow space before a question mark, a capital."""
    text = ""
    for word in words:
        joined = not text or text[-1] == "'" or word in (",", ".")
        text += word if joined else f"{NARROW_SPACE}{word}" if word == "?" else f" {word}"
    return text[:1].upper() + text[1:]


def inflect(forms: list[str], gender: str, plural: bool) -> str:
    return forms[(gender == "f") + 2 * plural]


def possessive(owner: Agreement, following: str, gender: str, plural: bool) -> str:
    """Agrees with what is owned; mon, son instead of ma, sa before a vowel."""
    masculine, feminine, many = POSSESSIVES[owner.person, owner.plural]
    if plural:
        return many
    return feminine if gender == "f" and not starts_with_vowel(following) else masculine


def article(gender: str, plural: bool = False) -> str:
    return "les" if plural else "la" if gender == "f" else "le"


class French(Realiser):
    language = "french"

    def name(self, person: str) -> str:
        people = self.world.tables["people"]
        return people.forms["text"][people.ids.index(person)]

    def what(self, phrase: NounPhrase, owner, holder: str, negated: bool, there: bool) -> Chunk:
        noun = self.tables["nouns"][phrase.noun]
        gender, plural = noun["gender"], phrase.plural
        head = noun.get("plural", f"{noun['word']}s") if plural else noun["word"]
        words: list[Word] = [(head, ("noun",))]
        if phrase.quality != "none":
            forms = self.tables["qualities"][phrase.quality]
            before_vowel = gender == "m" and not plural and starts_with_vowel(head)
            words.insert(0, (forms[4] if before_vowel else inflect(forms, gender, plural), ("quality",)))
        if phrase.colour != "none":
            words.append((inflect(self.tables["colours"][phrase.colour], gender, plural), ("colour",)))
        determiner = self.determiner(phrase, owner, negated, words[0][0], gender)
        if phrase.determiner == "of":
            return (determiner, ("of",)), *words, ("de", ("of",)), (self.name(holder), ("holder",))
        labels = () if phrase.determiner == "generic" else ("determiner",)
        if phrase.determiner == "some" and not phrase.counted and not negated:
            return ("de", labels), (determiner, labels), *words
        return (determiner, labels), *words

    def determiner(self, phrase: NounPhrase, owner, negated: bool, following: str, gender: str) -> str:
        """For "some bread" only the article: the de before it is added by the phrase."""
        kind = phrase.determiner
        if kind in NUMBERS:
            return self.tables["numbers"][kind]
        if kind in ("own", "own_plural"):
            return possessive(owner, following, gender, phrase.plural)
        if kind in ("a", "some") and negated:
            return "de"
        if kind == "a":
            return "une" if gender == "f" else "un"
        if kind == "some" and phrase.counted:
            return "des" if phrase.quality == "none" else "de"
        return article(gender, phrase.plural)

    def who(self, who: Subject) -> Chunk:
        if who.kind in PRONOUNS:
            return ((PRONOUNS[who.kind], ("word",)),)
        first = (self.name(who.names[0]), ("first",))
        if who.kind == "two":
            return first, ("et", ("and",)), (self.name(who.names[1]), ("second",))
        if who.kind == "one":
            return (first,)
        relative = self.tables["relatives"][who.relative]
        return (article(relative["gender"]), ("of",)), (relative["word"], ("relative",)), ("de", ("of",)), first

    def form(self, verb: str, agreement: Agreement, tense: str = "present") -> str:
        return self.tables["verbs"][verb][tense][2 * (agreement.person == 3) + agreement.plural]

    def verb(self, verb: str, tense: str, agreement: Agreement, negated: bool) -> Chunk:
        forms = self.tables["verbs"][verb]
        if tense != "past":
            finite, rest = (self.form(verb, agreement), ("word", "does", "now")), ()
        else:
            with_be = forms.get("with") == "be"
            ending = "e" * (with_be and agreement.female) + "s" * (with_be and agreement.plural)
            finite = (self.form("be" if with_be else "have", agreement), ("done",))
            rest = ((forms["past"] + ending, ("word",)),)
        return (*self.negate(finite), *rest) if negated else (finite, *rest)

    def negate(self, finite: Word) -> Chunk:
        return ("ne", ("not",)), finite, ("pas", ("not",))

    def be(self, tense: str, agreement: Agreement, negated: bool, very: bool) -> Chunk:
        finite = (self.form("be", agreement, "imperfect" if tense == "felt" else "present"), ("verb",))
        return self.negate(finite) if negated else (finite,)

    def there(self, plural: bool, negated: bool) -> Chunk:
        il, y, a = ("il", ("there",)), ("y", ("there",)), ("a", ("verb",))
        return (il, ("ne", ("what.no",)), y, a, ("pas", ("what.no",))) if negated else (il, y, a)

    def deed(self, verb: str) -> Chunk:
        return ((self.tables["verbs"][verb]["infinitive"], ("to", "word")),)

    def whom(self, person: Person, owner) -> Chunk:
        if person.name:
            return ((self.name(person.name), ("name",)),)
        relative = self.tables["relatives"][person.relative]
        own = possessive(owner, relative["word"], relative["gender"], False)
        return (own, ("own",)), (relative["word"], ("relative",))

    def benefit(self, person: Person | None, owner) -> Chunk:
        return (("pour", ("for",)), *self.whom(person, owner)) if person else ()

    def the_place(self, place: str) -> Chunk:
        noun = self.tables["places"][place]
        return (article(noun["gender"]), ("the",)), (noun["word"], ("place",))

    def place(self, where: Where | None) -> Chunk:
        if where is None:
            return ()
        prep = self.tables["prepositions"][where.prep]
        words = literals(prep, "french.toml") if "<" in prep else ((prep, ("prep",)),)
        return *words, *self.the_place(where.place)

    def spot(self, where: Where) -> Chunk:
        return self.place(where)

    def goal(self, place: str) -> Chunk:
        return ("à", ("to",)), *self.the_place(place)

    def company(self, name: str) -> Chunk:
        return (("avec", ("with",)), (self.name(name), ("name",))) if name else ()

    def said(self, name: str) -> Chunk:
        return ((self.name(name), ("name",)), ("dit", ("says",)), ("que", ("that",))) if name else ()

    def very(self, very: bool) -> Chunk:
        return (("très", ("very",)),) if very else ()

    def person_form(self, table: str, entry: str, agreement: Agreement) -> Chunk:
        forms = self.tables[table][entry]
        return ((inflect(forms, "f" if agreement.female else "m", agreement.plural), ("word",)),)

    def job(self, job: str, agreement: Agreement) -> Chunk:
        return self.person_form("jobs", job, agreement)

    def feeling(self, feeling: str, agreement: Agreement) -> Chunk:
        return self.person_form("feelings", feeling, agreement)

    def colour(self, colour: str, noun: str, plural: bool) -> Chunk:
        gender = self.tables["nouns"][noun]["gender"]
        return ((inflect(self.tables["colours"][colour], gender, plural), ("word",)),)

    def size(self, size: str, noun: str, plural: bool) -> Chunk:
        gender = self.tables["nouns"][noun]["gender"]
        return ((inflect(self.tables["qualities"][size], gender, plural), ("word",)),)

    def time(self, time: When) -> Chunk:
        return literals(self.tables["times"][time.time], "french.toml")

    def finish(self, words: list[Word], pattern: dict) -> list[Word]:
        return surface(super().finish(words, pattern))
