"""Exercise of lesson 10 on answers: the best span that is legal."""

import torch

from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ finetune.best_span


def best_span(start_scores, end_scores, in_context, max_length):
    """The span with the largest start_scores[start] + end_scores[end], as a tuple (start, end) of places.

    start and end are the answer's first and last place: both in the context, start not after end, and no more than
    max_length places from start to end, both counted. Of equal sums the earliest start wins, then the earliest end.

    start_scores, end_scores: float tensors of shape (seq,)
    in_context: truth values of shape (seq,), True at the places of the context; one at least is
    max_length: a whole number of at least 1
    """
    places = [place for place in range(len(in_context)) if in_context[place]]
    spans = [(start, end) for start in places for end in places if start <= end < start + max_length]
    return max(spans, key=lambda span: start_scores[span[0]] + end_scores[span[1]])


def _search(start_scores, end_scores, in_context, max_length, *, order=True, context=True, plus=0, add=torch.add):
    """The best span under rules that may be broken one by one."""
    best, found = -torch.inf, None
    for start in range(len(start_scores)):
        for end in range(len(end_scores)):
            legal = in_context[start] and in_context[end] if context else True
            legal = legal and (start <= end if order else True) and end - start < max_length + plus
            total = add(start_scores[start], end_scores[end])
            if legal and total > best:
                best, found = total, (start, end)
    return found


def _separate(start_scores, end_scores, in_context, max_length):
    return int(start_scores.argmax()), int(end_scores.argmax())


def _separate_in_context(start_scores, end_scores, in_context, max_length):
    outside = ~in_context
    return _separate(start_scores.masked_fill(outside, -torch.inf), end_scores.masked_fill(outside, -torch.inf), 0, 0)


def _start_first(start_scores, end_scores, in_context, max_length):
    start, _ = _separate_in_context(start_scores, end_scores, in_context, max_length)
    ends = [e for e in range(start, min(start + max_length, len(in_context))) if in_context[e]]
    return start, max(ends, key=lambda end: end_scores[end])


def _end_first(start_scores, end_scores, in_context, max_length):
    _, end = _separate_in_context(start_scores, end_scores, in_context, max_length)
    starts = [s for s in range(max(end - max_length + 1, 0), end + 1) if in_context[s]]
    return max(starts, key=lambda start: start_scores[start]), end


def _backwards(start_scores, end_scores, in_context, max_length):
    return _search(start_scores, end_scores, in_context, max_length, order=False)


def _anywhere(start_scores, end_scores, in_context, max_length):
    return _search(start_scores, end_scores, in_context, max_length, context=False)


def _any_length(start_scores, end_scores, in_context, max_length):
    return _search(start_scores, end_scores, in_context, len(in_context))


def _one_too_long(start_scores, end_scores, in_context, max_length):
    return _search(start_scores, end_scores, in_context, max_length, plus=1)


def _product(start_scores, end_scores, in_context, max_length):
    return _search(start_scores, end_scores, in_context, max_length, add=torch.mul)


def _probabilities_added(start_scores, end_scores, in_context, max_length):
    return _search(start_scores.softmax(0), end_scores.softmax(0), in_context, max_length)


def _behind_the_end(start_scores, end_scores, in_context, max_length):
    start, end = best_span(start_scores, end_scores, in_context, max_length)
    return start, end + 1


def _from_the_context(start_scores, end_scores, in_context, max_length):
    start, end = best_span(start_scores, end_scores, in_context, max_length)
    first = int(in_context.int().argmax())
    return start - first, end - first


def _single_places(start_scores, end_scores, in_context, max_length):
    return _search(start_scores, end_scores, in_context, 1)


def _length_paid(start_scores, end_scores, in_context, max_length):
    places = [place for place in range(len(in_context)) if in_context[place]]
    spans = [(start, end) for start in places for end in places if start <= end < start + max_length]
    return max(spans, key=lambda span: (start_scores[span[0]] + end_scores[span[1]]) / (span[1] - span[0] + 1))


def _scores(rng):
    """A question of two to four places between specials, then the context, and a few places after it."""
    yield (torch.tensor([0.0, 2.0, 1.0]), torch.tensor([0.0, 1.0, 2.0]), torch.tensor([False, True, True]), 2)
    equal = torch.tensor([0.0, 1.0, 1.0, 0.0])
    yield (equal, equal.clone(), torch.tensor([False, True, True, True]), 3)
    sizes = ((2, 4, 2), (3, 6, 3), (2, 9, 4), (4, 12, 2), (3, 8, 1), (2, 7, 20)) * 2
    for n, (question, context, max_length) in enumerate(sizes):
        before, after = question + 2, int(rng.integers(1, 4))
        seq = before + context + after
        start_scores, end_scores = torch.tensor(rng.normal(0, 2, (2, seq)), dtype=torch.float32)
        place = torch.arange(seq)
        start_scores -= 4 * (n % 3)  # all below 0, in some
        yield (start_scores, end_scores, (place >= before) & (place < before + context), max_length)


BEST_SPAN = Exercise(
    id="finetune.best_span",
    title="The best legal answer",
    minutes=10,
    difficulty=3,
    reference=best_span,
    inputs=_scores,
    mistakes={
        "Start and end are the largest of their scores, each by itself, wherever they are: the pair may be no span.": (
            _separate
        ),
        "Start and end are each the largest in the context, but not together: the end may come before the start.": (
            _separate_in_context
        ),
        "You take the best start and then the best end for it. A start of lower score can have a better end: try all "
        "pairs.": _start_first,
        "You take the best end and then the best start for it. Try all pairs.": _end_first,
        "The end may come before the start in yours.": _backwards,
        "The answer may lie in the question, or in the padding: both its ends must be in the context.": _anywhere,
        "The length has no limit in yours: at most max_length places.": _any_length,
        "One place too long: from start to end, both counted, are end − start + 1 places.": _one_too_long,
        "You multiply the scores. They are logarithms, so they are added; two negative ones have a large product.": (
            _product
        ),
        "You add probabilities. They are multiplied, which is why the scores, their logarithms, are added.": (
            _probabilities_added
        ),
        "The end is the last place inside, not the one behind it.": _behind_the_end,
        "The places count from the beginning of the row, not of the context.": _from_the_context,
        "Yours are single places only. A span may have up to max_length.": _single_places,
        "You divide the sum by the length. The sum alone decides.": _length_paid,
    },
    properties=[
        (
            "does not change when all scores grow by the same",
            lambda f: tuple(f(torch.ones(4) * 9, torch.arange(4.0) + 7, torch.tensor([True] * 4), 2)) == (2, 3),
        )
    ],
    hints=(
        "How many pairs (start, end) are there? Few enough to try them all.",
        "Go over the pairs with both places in the context and start ≤ end < start + max_length; keep the best sum.",
        "`max(spans, key=lambda span: start_scores[span[0]] + end_scores[span[1]])` takes the first of the best.",
    ),
)
