"""Exercise of lesson 10 on tags: how found entities are counted."""

from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ finetune.entity_f1


def entity_f1(predicted, true):
    """The F1 of entities: 2 · right / (found + true), counted over all passages together.

    "B-PET" begins an entity of the type PET, each "I-PET" right after it goes on with it, "O" is none. A found entity
    is right if a true one of the same passage has the same type, the same first and the same last word.

    predicted, true: lists of passages, each a list of tags; every I goes on with a B or an I of its type, and there is
    at least one true entity
    """
    found, wanted = set(), set()
    for entities, passages in ((found, predicted), (wanted, true)):
        for passage, tags in enumerate(passages):
            for start, tag in enumerate(tags):
                if tag[0] == "B":
                    end = start + 1
                    while end < len(tags) and tags[end] == "I" + tag[1:]:
                        end += 1
                    entities.add((passage, tag, start, end))
    return 2 * len(found & wanted) / (len(found) + len(wanted))


def _spans(passages):
    """The entities of all passages: (passage, type, first word, last word)."""
    found = []
    for n, tags in enumerate(passages):
        for place, tag in enumerate(tags):
            if tag[0] == "B":
                found.append((n, tag[2:], place, place))
            elif tag[0] == "I":
                found[-1] = (*found[-1][:3], place)
    return set(found)


def _f1(found, wanted):
    total = len(found) + len(wanted)
    return 2 * len(found & wanted) / total if total else 0.0


def _tokens(passages):
    return {(n, place, tag) for n, tags in enumerate(passages) for place, tag in enumerate(tags)}


def _token_accuracy(predicted, true):
    return len(_tokens(predicted) & _tokens(true)) / len(_tokens(true))


def _token_f1(predicted, true):
    return _f1(*({token for token in _tokens(tags) if token[2] != "O"} for tags in (predicted, true)))


def _first_words(predicted, true):
    return _f1(*({span[:3] for span in _spans(tags)} for tags in (predicted, true)))


def _without_type(predicted, true):
    return _f1(*({(n, start, end) for n, _, start, end in _spans(tags)} for tags in (predicted, true)))


def _without_passage(predicted, true):
    return _f1(*({span[1:] for span in _spans(tags)} for tags in (predicted, true)))


def _overlap(predicted, true):
    found, wanted = _spans(predicted), _spans(true)
    right = sum(any(a[:2] == b[:2] and a[2] <= b[3] and b[2] <= a[3] for b in wanted) for a in found)
    return 2 * right / (len(found) + len(wanted))


def _precision(predicted, true):
    return len(_spans(predicted) & _spans(true)) / max(len(_spans(predicted)), 1)


def _recall(predicted, true):
    return len(_spans(predicted) & _spans(true)) / len(_spans(true))


def _mean_of_passages(predicted, true):
    scores = [_f1(_spans([p]), _spans([t])) for p, t in zip(predicted, true, strict=True)]
    return sum(scores) / len(scores)


def _mean_of_types(predicted, true):
    found, wanted = _spans(predicted), _spans(true)
    types = {span[1] for span in found | wanted}
    return sum(_f1({s for s in found if s[1] == t}, {s for s in wanted if s[1] == t}) for t in types) / len(types)


def _not_doubled(predicted, true):
    return _f1(_spans(predicted), _spans(true)) / 2


def _arithmetic_mean(predicted, true):
    return (_precision(predicted, true) + _recall(predicted, true)) / 2


def _union(predicted, true):
    return len(_spans(predicted) & _spans(true)) / len(_spans(predicted) | _spans(true))


def _tags(rng, n):
    tags, places = ["O"] * n, 0
    while places < n:
        length = int(rng.integers(1, 4))
        if rng.random() < 0.5 and places + length <= n:
            kind = str(rng.choice(["PERSON", "PET", "BOAT"]))
            tags[places : places + length] = [f"B-{kind}", *[f"I-{kind}"] * (length - 1)]
        places += length
    return tags


def _almost(rng, tags):
    """The same tags with some entities of another type, longer, shorter or left out."""
    changed = ["O"] * len(tags)
    for _, kind, start, end in sorted(_spans([tags])):
        chance = rng.random()
        kind = "PET" if chance < 0.2 else kind
        end = max(start, end - 1) if 0.2 < chance < 0.4 else end
        if chance < 0.85:
            changed[start : end + 1] = [f"B-{kind}", *[f"I-{kind}"] * (end - start)]
    return changed


def _tagged(rng):
    yield ([["B-PET", "O"]], [["B-PET", "B-PET"]])
    yield ([["O", "B-BOAT", "I-BOAT"]], [["O", "B-BOAT", "I-BOAT"]])
    yield ([["B-PET", "I-PET", "O"], ["O", "B-PET"]], [["B-PET", "O", "O"], ["O", "B-PET"]])
    yield ([["B-PET", "I-PET", "O"], ["B-PET", "O"]], [["O", "B-PET", "O"], ["B-PET", "O"]])
    yield ([["B-PET", "O"], ["O", "O"]], [["O", "O"], ["B-PET", "O"]])
    for n, length in ((2, 6), (3, 9), (6, 12)):
        true = [["B-BOAT", "I-BOAT", *_tags(rng, length)] for _ in range(n)]
        yield ([_almost(rng, tags) for tags in true], true)


ENTITY_F1 = Exercise(
    id="finetune.entity_f1",
    title="F1 of entities",
    minutes=12,
    difficulty=3,
    reference=entity_f1,
    inputs=_tagged,
    mistakes={
        "That is the share of words with the right tag. Most words are O, so it is high even when no name is found.": (
            _token_accuracy
        ),
        "You compare word by word. An entity of three words is right as a whole, or not at all.": _token_f1,
        "Only type and first word are compared. The last word must be right too.": _first_words,
        "The type is left out: a person taken for a pet is not right.": _without_type,
        "The passage is left out: an entity found in one passage is right by one at the same place in another.": (
            _without_passage
        ),
        "Overlap counts as right. First and last word must both be the same.": _overlap,
        "That is the precision: what was found and is right, of all found.": _precision,
        "That is the recall: what was found and is right, of all true ones.": _recall,
        "You average over passages, so one with one entity weighs as much as one with ten. Count over all together.": (
            _mean_of_passages
        ),
        "You average over types, which is macro F1. Here all entities are counted together.": _mean_of_types,
        "Half of what it should be: a right entity is among the found and among the true, so it counts twice above.": (
            _not_doubled
        ),
        "That is the mean of precision and recall. F1 is their harmonic mean, 2 · right / (found + true).": (
            _arithmetic_mean
        ),
        "You divide by the union of both sets. F1 is 2 · right / (found + true).": _union,
    },
    properties=[
        ("is 1 where all is found", lambda f: f([["B-PET", "I-PET"]], [["B-PET", "I-PET"]]) == 1),
        ("is 0 where nothing is found", lambda f: f([["O", "O"]], [["B-PET", "I-PET"]]) == 0),
    ],
    hints=(
        "First turn the tags into a set of entities, each with all that must agree. Then compare two sets.",
        "An entity begins at a B and goes on while the next tag is I of the same type. Keep passage, type, first and "
        "last word.",
        "With `found` and `wanted` as sets, `found & wanted` are the right ones: "
        "`2 * len(found & wanted) / (len(found) + len(wanted))`.",
    ),
)
