"""Every French sentence is re-parsed from its surface by a checker of its own, which notices every planted mistake."""

import re

import pytest

from lessons_lib.text.town import Town
from tests.text.french_grammar import COLOURS, LEXICON, faults

SWAPPED = {}  # an adjective → the same of the other gender
for _forms in ("vert verte", "bleu bleue", "blanc blanche", "noir noire", "violet violette", "argenté argentée",
               "grand grande", "petit petite", "heureux heureuse", "fier fière", "content contente"):  # fmt: skip
    _m, _f = _forms.split()
    SWAPPED |= {_m: _f, _f: _m} | ({f"{_m}s": f"{_f}s", f"{_f}s": f"{_m}s"} if _m != "heureux" else {})

_ADJECTIVES = "|".join(sorted(SWAPPED, key=len, reverse=True))
_COLOURS = "|".join(sorted(set(COLOURS) - {"orange"}, key=len, reverse=True))
_NOUNS = "|".join(sorted(LEXICON, key=len, reverse=True))
CORRUPTIONS = {
    "wrong article": (r"\b(un|une)\b", lambda m: {"un": "une", "une": "un"}[m[1]]),
    "wrong definite article": (r"\b(le|la) (?!semaine)", lambda m: {"le": "la ", "la": "le "}[m[1]]),
    "article not elided": (r"\bl'(?=\w)", "le "),
    "feminine article not elided": (r"\bl'(?=\w)", "la "),
    "de not elided": (r"\bd'(?=\w)", "de "),
    "ne not elided": (r"\bn'", "ne "),
    "que not elided": (r"\bqu'", "que "),
    "je not elided": (r"\bj'|\bJ'", "je "),
    "elided before a consonant": (r"\b(?:le|la) (?=[bcfgjlmnpqrstv])", "l'"),
    "elided before an aspirated h": (r"\ble (?=hibou)", "l'"),
    "du in two words": (r"\bdu ", "de le "),
    "au in two words": (r"\bau ", "à le "),
    "colour before the noun": (rf"\b({_NOUNS}) ({_COLOURS})\b", r"\2 \1"),
    "quality after the noun": (r"\b(grande?s?|petite?s?|vieille|nouvelle|belle) ([\w-]+)", r"\2 \1"),
    "adjective of the other gender": (rf"\b({_ADJECTIVES})\b", lambda m: SWAPPED[m[1]]),
    "no plural": (r"\b((?:deux|trois|quatre|cinq|six|des|les) \w+?)s\b", r"\1"),
    "sa before a vowel": (r"\bson (?=écharpe|horloge|orange)", "sa "),
    "possessive of the wrong gender": (r"\bsa (?!$)", "son "),
    "des before an adjective": (r"\bde (?=(?:grand|petit|vieill|nouvell|bell)e?s )", "des "),
    "no special form before a vowel": (r"\bvieil (?=accordéon)", "vieux "),
    "special form before a consonant": (r"\bvieux (?=[bcdfglmprst]\w*\b(?<![sx]))", "vieil "),
    "participle does not agree": (r"\ballée\b", "allé"),
    "verb of the wrong number": (r"\b(a|ont|est|sont|veut|veulent|aime|aiment)\b(?! (?:que|pas d))",
                                 lambda m: VERBS[m[1]]),
    "pas left out": (r" pas\b", ""),
    "ne left out": (r"\b(?:ne |n')", ""),
    "no capital": (r"^[A-ZÀÉ]", lambda m: m[0].lower()),
}  # fmt: skip
VERBS = {"a": "ont", "ont": "a", "est": "sont", "sont": "est", "veut": "veulent", "veulent": "veut"}
VERBS |= {"aime": "aiment", "aiment": "aime"}


@pytest.fixture(scope="module")
def texts():
    town = Town()
    return [pair.target_text for split in ("train", "test") for pair in town.pairs(3000, 5, split, "fr")]


def test_every_sentence_is_french(texts):
    bad = {text: found for text in texts if (found := faults(text))}
    assert not bad, f"{len(bad)} of {len(texts)}, such as {next(iter(bad.items()))}"


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_checker_notices(texts, name):
    pattern, replacement = CORRUPTIONS[name]
    corrupted = {new for text in texts if (new := re.sub(pattern, replacement, text, count=1)) != text}
    missed = [text for text in corrupted if not faults(text)]
    assert len(corrupted) >= 5, f"no sentence to corrupt by {name}"
    assert not missed, f"{len(missed)} of {len(corrupted)} pass with {name}, such as {missed[0]}"


def test_forms_that_the_lesson_shows(texts):
    together = " ".join(texts)
    for form in ("bel ", "vieil ", "nouvel ", "son écharpe", "sa vieille", " l'horloge", "le hibou", "hiboux", " du ",
                 " au ", "des ", "n'y a pas de", "n'est pas allée", "sont allés", "qu'", "J'ai", "les nouvelles",
                 "marron", "orange.", "leurs ", "d'Amara", "de Yuki"):  # fmt: skip
        assert form in together, form
