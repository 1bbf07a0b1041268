"""Exercises of lesson 07 on writing: what the decoder reads while it learns, and the search for a good sentence."""

import math

import torch

from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ transformer.shift_right


def shift_right(target):
    """What the decoder reads while it learns to write target: BEGIN, then the target without its last place.

    BEGIN is 1, the end symbol is 2, padding is 0.

    target: a tensor of ids of shape (batch, seq); each row is a sentence, the end symbol, then padding
    returns: a tensor of ids of the same shape
    """
    begin = torch.ones_like(target[:, :1])
    return torch.cat([begin, target[:, :-1]], dim=1)


def _not_shifted(target):
    return target.clone()


def _left(target):
    return torch.cat([target[:, 1:], torch.ones_like(target[:, :1])], dim=1)


def _left_padded(target):
    return torch.cat([target[:, 1:], torch.zeros_like(target[:, :1])], dim=1)


def _longer(target):
    return torch.cat([torch.ones_like(target[:, :1]), target], dim=1)


def _rolled(target):
    return target.roll(1, dims=1)


def _overwritten(target):
    return torch.cat([torch.ones_like(target[:, :1]), target[:, 1:]], dim=1)


def _by_two(target):
    ones = torch.ones_like(target[:, :1])
    return torch.cat([ones, ones, target[:, :-2]], dim=1)


def _padding_first(target):
    return torch.cat([torch.zeros_like(target[:, :1]), target[:, :-1]], dim=1)


def _end_first(target):
    return torch.cat([torch.full_like(target[:, :1], 2), target[:, :-1]], dim=1)


def _over_sentences(target):
    return torch.cat([torch.ones_like(target[:1]), target[:-1]], dim=0)


def _flat(target):
    return torch.cat([torch.ones_like(target.flatten()[:1]), target.flatten()[:-1]]).reshape(target.shape)


def _shift_inputs(rng):
    yield (torch.tensor([[7, 8, 2]]),)
    for batch, seq in ((2, 3), (3, 5), (2, 7)):
        target = torch.tensor(rng.integers(4, 30, size=(batch, seq)))
        for row, length in zip(target, rng.integers(2, seq + 1, size=batch), strict=True):
            row[length - 1] = 2
            row[length:] = 0
        yield (target,)


SHIFT_RIGHT = Exercise(
    id="transformer.shift_right",
    title="Shift right",
    minutes=4,
    difficulty=1,
    reference=shift_right,
    inputs=_shift_inputs,
    mistakes={
        "Nothing has moved: at each place the decoder would read the very word it has to write.": _not_shifted,
        "You shifted to the left: the decoder would read the word *after* the one it has to write.": _left,
        "You shifted to the left, with padding at the end: the decoder would read the future.": _left_padded,
        "It is one place too long: the decoder never reads the last place, for nothing is written after it.": _longer,
        "`roll` carries the last place round to the front. The first place is always BEGIN.": _rolled,
        "BEGIN has taken the place of the first word. It stands before it: the words move.": _overwritten,
        "Off by one: that is shifted by two places.": _by_two,
        "The first place holds padding, which attention never looks at. It should be BEGIN, 1.": _padding_first,
        "The first place holds the end symbol. Here it should be BEGIN, 1.": _end_first,
        "You shifted the sentences in the batch, not the words in each sentence: axis 1.": _over_sentences,
        "You shifted the batch as one long line: the first place of each row now holds the end of the row before.": (
            _flat
        ),
    },
    hints=(
        "Write the target of one sentence in a row, and under each word the last word that was known before it.",
        "Every row begins with 1; then come all places but the last, `target[:, :-1]`.",
        "`torch.cat([..., ...], dim=1)` joins them; `torch.ones_like(target[:, :1])` is a column of BEGIN.",
    ),
)


# ------------------------------------------------------------------ transformer.beam


def beam(q, width, alpha):
    """The sentence that beam search finds, as a tuple of words without "<end>".

    Begin with the empty sentence, (). At each step continue every open sentence by every word, and of all these
    keep the `width` likeliest. Those that end in "<end>" are finished and leave the beam; go on until none is open.
    Of the finished, choose the one with the largest ln q(sentence) / n ** alpha, where n counts its words and "<end>".

    q: q[sentence][word] is the probability of word after sentence, a tuple of words
    """
    open_, finished = [((), 0.0)], []
    while open_:
        grown = [((*words, word), score + math.log(p)) for words, score in open_ for word, p in q[words].items()]
        kept = sorted(grown, key=lambda one: one[1], reverse=True)[:width]
        finished += [one for one in kept if one[0][-1] == "<end>"]
        open_ = [one for one in kept if one[0][-1] != "<end>"]
    return max(finished, key=lambda one: one[1] / len(one[0]) ** alpha)[0][:-1]


def _search(q, width, alpha, *, grow=None, each=False, first=False, n=len, lose=False, start=0.0):
    grow = grow or (lambda score, p: score + math.log(p))
    open_, finished = [((), start)], []
    while open_ and not (first and finished):
        families = [[((*words, word), grow(s, p)) for word, p in q[words].items()] for words, s in open_]
        families = families if each else [[one for family in families for one in family]]
        kept = [one for family in families for one in sorted(family, key=lambda one: -one[1])[:width]]
        finished = [] if lose else finished
        finished += [one for one in kept if one[0][-1] == "<end>"]
        open_ = [one for one in kept if one[0][-1] != "<end>"]
    return max(finished, key=lambda one: one[1] / n(one[0]) ** alpha)[0][:-1]


def _greedy(q, width, alpha):
    return _search(q, 1, alpha)


def _no_length(q, width, alpha):
    return _search(q, width, 0)


def _all_length(q, width, alpha):
    return _search(q, width, 1)


def _logs_multiplied(q, width, alpha):
    return _search(q, width, alpha, grow=lambda score, p: score * math.log(p), start=1.0)


def _probabilities(q, width, alpha):
    return _search(q, width, alpha, grow=lambda score, p: score * p, start=1.0)


def _probabilities_added(q, width, alpha):
    return _search(q, width, alpha, grow=lambda score, p: score + p)


def _last_only(q, width, alpha):
    return _search(q, width, alpha, grow=lambda score, p: math.log(p))


def _per_sentence(q, width, alpha):
    return _search(q, width, alpha, each=True)


def _first_finished(q, width, alpha):
    return _search(q, width, alpha, first=True)


def _end_uncounted(q, width, alpha):
    return _search(q, width, alpha, n=lambda words: max(len(words) - 1, 1))


def _times_length(q, width, alpha):
    return _search(q, width, alpha, n=lambda words: 1 / len(words))


def _forgetful(q, width, alpha):
    return _search(q, width, alpha, lose=True)


def _with_end(q, width, alpha):
    return (*beam(q, width, alpha), "<end>")


def _tree(rng, words, depth):
    """Probabilities after every sentence of up to `depth` words; after the longest, "<end>" is certain."""
    q, open_ = {}, [()]
    while open_:
        sentence = open_.pop(0)
        if len(sentence) == depth:
            q[sentence] = {"<end>": 1.0}
            continue
        shares = rng.dirichlet([1.0] * (len(words) + 1)).clip(0.001)
        q[sentence] = {w: round(float(p), 4) for w, p in zip([*words, "<end>"], shares, strict=True)}
        open_ += [(*sentence, word) for word in words]
    return q


def _beam_inputs(rng):
    yield (
        {
            (): {"le": 0.6, "un": 0.4},
            ("le",): {"chat": 0.4, "thé": 0.35, "<end>": 0.25},
            ("un",): {"chat": 0.9, "<end>": 0.1},
            **{(a, b): {"<end>": 1.0} for a in ("le", "un") for b in ("chat", "thé")},
        },
        2,
        0.0,
    )
    rivals = {
        (): {"a": 0.6, "b": 0.4},
        ("a",): {"c": 0.5, "d": 0.5},
        ("b",): {"c": 0.6, "d": 0.4},
        **{("a", word): {"e": 0.3, "f": 0.3, "g": 0.4} for word in "cd"},
        **{("b", word): {"<end>": 1.0} for word in "cd"},
        **{("a", word, last): {"<end>": 1.0} for word in "cd" for last in "efg"},
    }
    yield (rivals, 2, 0.0)
    for words, depth, width, alpha in [
        (("a", "b"), 2, 2, 1.0),
        (("a", "b"), 3, 2, 0.6),
        (("a", "b"), 3, 3, 1.0),
        (("a", "b", "c"), 3, 1, 0.0),
        (("a", "b", "c"), 3, 2, 0.0),
        (("a", "b", "c"), 3, 3, 0.5),
        (("a", "b"), 4, 2, 1.0),
        (("a", "b"), 4, 3, 0.0),
        (("a", "b"), 4, 4, 2.0),
    ] * 3:
        yield (_tree(rng, words, depth), width, alpha)


BEAM = Exercise(
    id="transformer.beam",
    title="Beam search",
    minutes=12,
    difficulty=3,
    reference=beam,
    inputs=_beam_inputs,
    mistakes={
        "Only the likeliest continuation is followed: that is greedy search, a beam of width 1.": _greedy,
        "The length is left out: divide the log-probability by n ** alpha before you choose. Without it, short "
        "sentences win because they have fewer factors below 1.": _no_length,
        "You divided by n whatever alpha is; it should be n ** alpha.": _all_length,
        "You multiplied log-probabilities. Probabilities are multiplied, so their logarithms are added.": (
            _logs_multiplied
        ),
        "Your scores are products of probabilities. The ranking by length needs their logarithms: begin at 0.0 "
        "and add math.log(p).": _probabilities,
        "You added probabilities. Add their logarithms.": _probabilities_added,
        "Each score is that of the last word alone. Add it to the score of the sentence so far.": _last_only,
        "You kept `width` continuations of each sentence. Keep `width` of all continuations together.": _per_sentence,
        "You stopped at the first finished sentence. A better one may still be open.": _first_finished,
        "n counts the words and the end symbol: it was predicted too.": _end_uncounted,
        "You multiplied by n ** alpha, which punishes length twice. Divide.": _times_length,
        "Finished sentences of earlier steps were forgotten. Set them aside until the end.": _forgetful,
        'The answer still has "<end>" at its end; leave it out.': _with_end,
    },
    hints=(
        "Keep a list of (words, score) pairs that are open, at first [((), 0.0)], and a list of finished ones.",
        "One step: make all continuations of all open sentences, sort by score, cut to `width`, divide in two lists.",
        "The score of a continuation is score + math.log(p). At the end, max over finished of score / n ** alpha.",
    ),
)
