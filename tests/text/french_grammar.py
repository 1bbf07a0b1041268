"""A checker of the Town's French that shares nothing with the grammar that writes it: its own little lexicon, and rules
that read a sentence from its surface. `faults(text)` lists what is wrong."""

import itertools
import re

NOUNS = {
    "m": """tambour chapeau:chapeaux parapluie sifflet télescope accordéon vase bol sac panier livre chat chien lapin
        hibou:hiboux renard citron riz: pain: fromage: poisson: gâteau: parc jardin musée pont marché port lit canapé
        escalier rideau placard piano grand-père père oncle""",
    "f": """lampe écharpe horloge carte tasse théière clé chaise chèvre pomme poire orange prune cuisine bibliothèque
        boulangerie plage école gare table porte grand-mère mère tante""",
}
LEXICON: dict[str, tuple[str, str]] = {}  # noun → gender, number
for _gender, _list in NOUNS.items():
    for _entry in _list.split():
        _one, _, _many = _entry.partition(":")
        LEXICON[_one] = (_gender, "s")
        if ":" not in _entry or _many:
            LEXICON[_many or f"{_one}s"] = (_gender, "p")

ALL = {"ms", "fs", "mp", "fp"}


def _adjectives(table: str) -> dict[str, set[str]]:
    forms: dict[str, set[str]] = {}
    for row in table.split("/"):
        for form, slot in zip(row.split(), ("ms", "fs", "mp", "fp"), strict=True):
            forms.setdefault(form, set()).add(slot)
    return forms


COLOURS = _adjectives(
    "rouge rouge rouges rouges/bleu bleue bleus bleues/vert verte verts vertes/jaune jaune jaunes jaunes/"
    "blanc blanche blancs blanches/noir noire noirs noires/violet violette violets violettes/"
    "argenté argentée argentés argentées/orange orange orange orange/marron marron marron marron"
)
BEFORE = _adjectives(
    "grand grande grands grandes/petit petite petits petites/vieux vieille vieux vieilles/"
    "nouveau nouvelle nouveaux nouvelles/beau belle beaux belles"
)
LIAISON = {"bel": "beau", "vieil": "vieux", "nouvel": "nouveau"}
PREDICATES = _adjectives(
    "heureux heureuse heureux heureuses/content contente contents contentes/fier fière fiers fières/"
    "fatigué fatiguée fatigués fatiguées/triste triste tristes tristes/"
    "médecin médecin médecins médecins/enseignant enseignante enseignants enseignantes/"
    "boulanger boulangère boulangers boulangères/peintre peintre peintres peintres/"
    "agriculteur agricultrice agriculteurs agricultrices/infirmier infirmière infirmiers infirmières/"
    "pilote pilote pilotes pilotes/ingénieur ingénieure ingénieurs ingénieures"
)
DETERMINERS = {
    **{key: {"ms"} for key in ("un", "le", "du", "au")},
    **{key: {"fs"} for key in ("une", "la", "ma", "sa")},
    **{key: {"ms", "fs"} for key in ("mon", "son")},
    **{key: {"ms", "fs"} for key in ("l'", "notre", "leur")},
    **{key: {"mp", "fp"} for key in ("les", "des", "mes", "ses", "nos", "leurs")},
    **{key: {"mp", "fp"} for key in ("deux", "trois", "quatre", "cinq", "six")},
    **dict.fromkeys(("de", "d'"), ALL),
}
# finite verb → persons that it can have: 1, 3 (one), 4 (we), 6 (several)
VERBS = {form: {1, 3} for form in ("cherche", "aime")} | {
    "veux": {1}, "ai": {1}, "veut": {3}, "a": {3}, "est": {3}, "était": {3},
    "cherchons": {4}, "aimons": {4}, "voulons": {4}, "avons": {4},
    "cherchent": {6}, "aiment": {6}, "veulent": {6}, "ont": {6}, "sont": {6}, "étaient": {6},
}  # fmt: skip
PARTICIPLES = {"donné", "mis", "vu", "trouvé", "perdu", "acheté", "mangé"}
INFINITIVES = {"acheter", "trouver", "voir", "aller"}
WOMEN = {"Amara", "Mei", "Priya", "Ingrid", "Leila", "Aroha", "Sofia", "Yuki", "Nadia", "Chloe", "Tala", "Zainab"}
MEN = {"Omar", "Mateo", "Kwame", "Jin", "Tomas", "Ravi", "Idris", "Pavel", "Bao", "Kofi", "Emil", "Diego"}
NAMES = WOMEN | MEN
TIMES = """hier soir|hier|ce matin|la semaine dernière|lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche|
    aujourd'hui|maintenant""".replace("\n    ", "")
PREPOSITIONS = {"dans", "sur", "sous", "derrière", "à", "près", "côté", "pour", "avec"}
OTHERS = {"et", "dit", "que", "qu'", "ne", "n'", "pas", "il", "y", "elle", "je", "j'", "nous", "très", "où"}
KNOWN = (
    set(LEXICON) | set(COLOURS) | set(BEFORE) | set(LIAISON) | set(PREDICATES) | set(DETERMINERS) | set(VERBS)
    | PARTICIPLES | {"allé", "allée", "allés", "allées"} | INFINITIVES | NAMES | PREPOSITIONS | OTHERS
)  # fmt: skip


def tokens(text: str) -> list[str]:
    """Words; l' d' n' qu' j' are words of their own, aujourd'hui is one."""
    return re.findall(r"aujourd'hui|\b(?:qu|[ldnj])'|[\w-]+|[^\w\s]", text, re.IGNORECASE)


def vowel(word: str) -> bool:
    return word[0].lower() in "aeiouéèêàâîôûh" and not word.startswith("hibou")


def faults(text: str) -> list[str]:
    found: list[str] = []
    if not text[:1].isupper() or not (text.endswith((".", "\u202f?"))) or "  " in text:
        found.append("capital, spacing or final mark")
    words = tokens(text)
    joined = "".join(w if w in (".", ",") else f"\u202f{w}" if w == "?" else f" {w}" for w in words)
    if text != joined.strip().replace("' ", "'"):
        found.append("spacing")
    if words and words[0] not in NAMES:
        words[0] = words[0].lower()
    found += _elision(words)
    body, early, late = _without_time(" ".join(words[:-1]))
    if early and late:
        found.append("two times")
    words = body.split()
    found += [f"unknown word {word}" for word in words if word not in KNOWN]
    if found:
        return found
    if "que" in words or "qu'" in words:
        at = words.index("que") if "que" in words else words.index("qu'")
        if len(words[:at]) != 2 or words[0] not in NAMES or words[1] != "dit":
            found.append("who says so")
        words = words[at + 1 :]
    return found + _phrases(words) + _clause(words, text.endswith("?"))


def _without_time(body: str) -> tuple[str, bool, bool]:
    early = re.match(rf"(?:{TIMES}) , ", body)
    body = body[early.end() :] if early else body
    late = re.search(rf" (?:{TIMES})$", body)
    return body[: late.start()] if late else body, bool(early), bool(late)


def _elision(words: list[str]) -> list[str]:
    found = []
    for word, after in itertools.pairwise(words):
        if word in ("le", "la", "de", "ne", "que", "je") and (vowel(after) or after == "y"):
            found.append(f"{word} before {after}")
        if word.endswith("'") and not (vowel(after) or (word, after) == ("n'", "y")):
            found.append(f"{word} before {after}")
        if (word, after) in (("à", "le"), ("à", "les"), ("de", "le"), ("de", "les")):
            found.append(f"{word} {after} not contracted")
        if word in LIAISON and not vowel(after):
            found.append(f"{word} before {after}")
        if word in ("beau", "vieux", "nouveau") and vowel(after) and LEXICON.get(after) == ("m", "s"):
            found.append(f"{word} before {after}")
        if (word in ("ma", "sa") and vowel(after)) or (word in ("mon", "son") and after in FEMININE_CONSONANT):
            found.append(f"{word} before {after}")
    return found


FEMININE_CONSONANT = {n for n, (g, k) in LEXICON.items() if g == "f" and k == "s" and not vowel(n)} | {
    a for a, slots in BEFORE.items() if "fs" in slots
}


def _phrases(words: list[str]) -> list[str]:
    """Every noun has a determiner, at most one adjective before it and one colour after it, all agreeing."""
    found, used = [], set()
    for at, word in enumerate(words):
        if word not in LEXICON or (word == "orange" and at and _head(words[at - 1])):
            continue
        kind, left = "".join(LEXICON[word]), at - 1
        before = words[left] if left >= 0 else ""
        if before in BEFORE or before in LIAISON:
            if kind not in BEFORE.get(LIAISON.get(before, before), set()):
                found.append(f"{before} {word}")
            used.add(left)
            left -= 1
        determiner = words[left] if left >= 0 else ""
        if kind not in DETERMINERS.get(determiner, set()):
            found.append(f"{determiner} … {word}")
        if determiner == "des" and before != "des":
            found.append(f"des {before}")
        if determiner in ("de", "d'") and "pas" not in words and not (before in BEFORE and kind[1] == "p"):
            found.append(f"{determiner} {word} without a negation")
        if at + 1 < len(words) and words[at + 1] in COLOURS:
            used.add(at + 1)
            if kind not in COLOURS[words[at + 1]]:
                found.append(f"{word} {words[at + 1]}")
    verb = _verb_at(words)
    for at, word in enumerate(words):
        free = at not in used and not (word == "orange" and at and not _head(words[at - 1]))
        told = verb is not None and at == len(words) - 1 and words[at - 1] in ("est", "sont", "pas", "très")
        if free and (word in BEFORE or word in COLOURS) and not told:
            found.append(f"{word} stands alone")
    return found


def _head(word: str) -> bool:
    """Whether orange after this word is the colour: after a noun, or at the end of "est", "sont", "pas", "très"."""
    return (word in LEXICON and word != "orange") or word in ("est", "sont", "pas", "très")


def _verb_at(words: list[str]) -> int | None:
    return next((at for at, word in enumerate(words) if word in VERBS), None)


def _clause(words: list[str], asks: bool) -> list[str]:
    at = _verb_at(words)
    if at is None:
        return ["no verb"]
    negated = any(word in ("ne", "n'") for word in words)
    if negated != ("pas" in words):
        return ["ne and pas go together"]
    after = at + 1
    if negated:
        there = at >= 2 and words[at - 1] == "y"
        if words[at - 1 - there] not in ("ne", "n'") or words[at + 1] != "pas":
            return ["ne … pas not around the verb"]
        after += 1
    end = at - negated
    subject = words[2:] if asks else words[:end]
    if asks and words[:1] != ["où"]:
        return ["a question about what?"]
    if words[:at] in (["il", "y"], ["il", "n'", "y"]):
        return [] if words[at] == "a" and words[after] in (*DETERMINERS,) else ["il y a what?"]
    person, kind = _subject(subject)
    if person is None:
        return [f"no subject in {subject}"]
    if person not in VERBS[words[at]]:
        return [f"{' '.join(subject)} {words[at]}"]
    rest = words[after:]
    if words[at] in ("a", "ont", "ai", "avons") and rest[0] not in DETERMINERS:
        return [] if rest[0] in PARTICIPLES else [f"a {rest[0]}"]
    if words[at] in ("est", "sont", "était", "étaient") and not asks:
        return _predicate(rest, kind)
    if words[at].startswith(("ve", "vo")) and rest[0] not in DETERMINERS:
        return [] if rest[0] in INFINITIVES else [f"veut {rest[0]}"]
    return []


def _subject(words: list[str]) -> tuple[int | None, str]:
    """Person (1, 3, 4, 6) and kind ("fs" …)."""
    pronouns = {"je": (1, "ms"), "j'": (1, "ms"), "nous": (4, "mp"), "il": (3, "ms"), "elle": (3, "fs")}
    if len(words) == 1 and words[0] in pronouns:
        return pronouns[words[0]]
    if len(words) == 1 and words[0] in NAMES:
        return 3, "fs" if words[0] in WOMEN else "ms"
    if len(words) == 3 and words[1] == "et" and {words[0], words[2]} <= NAMES:
        return 6, "fp" if {words[0], words[2]} <= WOMEN else "mp"
    nouns = [word for word in words if word in LEXICON]
    if not nouns or words[0] not in DETERMINERS:
        return None, ""
    kind = "".join(LEXICON[nouns[0]])
    return (6 if kind[1] == "p" else 3), kind


def _predicate(rest: list[str], kind: str) -> list[str]:
    rest = rest[1:] if rest[0] == "très" else rest
    for forms in (COLOURS, BEFORE, PREDICATES):
        if rest[0] in forms and len(rest) == 1:
            return [] if kind in forms[rest[0]] else [f"{rest[0]} with {kind}"]
    if rest[0].startswith("allé"):
        return [] if rest[0] == {"ms": "allé", "fs": "allée", "mp": "allés", "fp": "allées"}[kind] else [rest[0]]
    return [] if rest[0] in PREPOSITIONS or rest[0] in ("au", "l'") else [f"est {rest[0]}"]
