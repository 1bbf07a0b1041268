"""Exercise of lesson 14: which tokens of a conversation the loss asks for."""

from itertools import pairwise

from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ tune.loss_mask

IGNORE = -100


def answer_targets(ids, assistant, end):
    """What a chat model has to predict after each token of a conversation: its answers only.

    ids: a list of whole numbers, the conversation; each turn ends in the token `end`, and the turns of the assistant
        begin with the token `assistant`, which is not a word of the answer
    assistant, end: two ids
    returns: a list with one number for each token but the last: the token that follows it where that is a word of an
        answer or the `end` of an answer, and -100 everywhere else
    """
    targets, answering = [], False
    for now, following in pairwise(ids):
        answering = now == assistant or (answering and now != end)
        targets.append(following if answering else IGNORE)
    return targets


def _marked(ids, assistant, end):
    """For each token whether it belongs to an answer, its end included."""
    marks, answering = [], False
    for token in ids:
        marks.append(answering)
        answering = token == assistant or (answering and token != end)
    return marks


def _everything(ids, assistant, end):
    return ids[1:]


def _not_shifted(ids, assistant, end):
    marks = _marked(ids, assistant, end)
    return [i if mark else IGNORE for i, mark in zip(ids, marks, strict=True)][:-1]


def _whole_length(ids, assistant, end):
    return [*answer_targets(ids, assistant, end), IGNORE]


def _unshifted_whole(ids, assistant, end):
    return [i if mark else IGNORE for i, mark in zip(ids, _marked(ids, assistant, end), strict=True)]


def _no_end(ids, assistant, end):
    return [IGNORE if target == end else target for target in answer_targets(ids, assistant, end)]


def _role_too(ids, assistant, end):
    found = answer_targets(ids, assistant, end)
    return [assistant if b == assistant else t for t, b in zip(found, ids[1:], strict=True)]


def _first_word_missed(ids, assistant, end):
    found = answer_targets(ids, assistant, end)
    return [IGNORE if now == assistant else target for target, now in zip(found, ids[:-1], strict=True)]


def _last_answer(ids, assistant, end):
    last = max(place for place, token in enumerate(ids) if token == assistant)
    return [IGNORE if place < last else t for place, t in enumerate(answer_targets(ids, assistant, end))]


def _first_answer(ids, assistant, end):
    found = answer_targets(ids, assistant, end)
    stop = ids.index(end, ids.index(assistant)) if end in ids[ids.index(assistant) :] else len(ids)
    return [t if place < stop else IGNORE for place, t in enumerate(found)]


def _never_off(ids, assistant, end):
    first = ids.index(assistant)
    return [b if place >= first else IGNORE for place, b in enumerate(ids[1:])]


def _turned_round(ids, assistant, end):
    marks = answer_targets(ids, assistant, end)
    return [b if t == IGNORE else IGNORE for t, b in zip(marks, ids[1:], strict=True)]


def _zeros(ids, assistant, end):
    return [0 if t == IGNORE else t for t in answer_targets(ids, assistant, end)]


def _after_the_end(ids, assistant, end):
    targets, answering = [], False
    for now, following in pairwise(ids):
        answering = now == assistant or answering
        targets.append(following if answering else IGNORE)
        answering = answering and now != end
    return targets


def _cut_out(ids, assistant, end):
    return [t for t in answer_targets(ids, assistant, end) if t != IGNORE]


def _mask_inputs(rng):
    user, assistant, end = 90, 91, 2
    yield ([1, user, 7, end, assistant, 8, 9, end], assistant, end)
    yield ([1, user, 7, 8, end, assistant, 5, end, user, 6, end, assistant, 8, 9, end], assistant, end)
    yield ([1, user, 7, end, assistant, 8], assistant, end)  # an answer that is cut off
    for turns in (1, 2, 3, 4):
        ids = [1]
        for turn in range(2 * turns):
            said = rng.integers(3, 60, int(rng.integers(1, 6))).tolist()
            ids += [assistant if turn % 2 else user, *said, end]
        yield (ids + [user, 4, end] * (turns % 2), assistant, end)
    yield ([1, 7, 6, 5, 7, 8, 6, 7, 9, 6], 7, 6)  # other numbers for the same two tokens


def _silent_without_answers(f):
    return f([1, 90, 5, 6, 2, 90, 7, 2], 91, 2) == [IGNORE] * 7


LOSS_MASK = Exercise(
    id="tune.loss_mask",
    title="Loss on the answers only",
    minutes=8,
    difficulty=2,
    reference=answer_targets,
    inputs=_mask_inputs,
    mistakes={
        "Every token is asked for: the model learns to write the user's part too.": _everything,
        "A target stands beside the token itself. The target of a place is the token that follows it.": _not_shifted,
        "There is one target too many: after the last token nothing follows.": _whole_length,
        "A target stands beside the token itself, and there is one too many. The target of a place is the token that "
        "follows it, and the last token has none.": _unshifted_whole,
        "The end of an answer is not asked for. A model that never learned it talks on and on.": _no_end,
        "The token that begins an answer is asked for. At the time of answering it is given: only what comes after it "
        "is learned.": _role_too,
        "The first word of each answer is missing. It is the target at the place of the assistant's token.": (
            _first_word_missed
        ),
        "Only the last answer is asked for. A conversation may have several.": _last_answer,
        "Only the first answer is asked for. A conversation may have several.": _first_answer,
        "An answer ends at its end token. You go on asking for what the user says next.": _never_off,
        "It is the other way round: the user's words are asked for, and the answers are not.": _turned_round,
        "Where nothing is asked you put 0. That is a token like any other; the mark is -100.": _zeros,
        "The token after the end of an answer is asked for too: it begins the user's turn.": _after_the_end,
        "Each place keeps its target, with -100 where nothing is asked. You left those places out.": _cut_out,
    },
    properties=[("asks for nothing where the assistant says nothing", _silent_without_answers)],
    hints=(
        "Go through the pairs of a token and the one that follows it: `zip(ids, ids[1:])`, or `itertools.pairwise`.",
        "Keep a flag that says whether you are inside an answer. Which token turns it on, and which one off?",
        "The flag is on at a token that is `assistant`, or when it was on and the token is not `end`. Where it is on, "
        "the target is the following token.",
    ),
)
