"""Exercises of lesson 13 on search: one step of a beam, and greedy decoding that reads the wrong place."""

import torch

from lessons_lib.exercises._attention_scores import drawn
from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ decode.beam_step


def beam_step(scores, log_probs, width):
    """One step of beam search: of all continuations of all texts, the `width` likeliest, the best first.

    scores: a tensor of shape (texts,): the log-probability of each text in the beam
    log_probs: a tensor of shape (texts, vocab_size): those of the next token after each text
    width: how many to keep, at most texts · vocab_size
    returns: three tensors of shape (width,): the new scores, which text each continues (from 0), and by which token
    """
    vocab_size = log_probs.shape[1]
    total = scores[:, None] + log_probs
    best = total.flatten().topk(width)
    return best.values, best.indices // vocab_size, best.indices % vocab_size


def _split(values, places, vocab_size):
    return values, places // vocab_size, places % vocab_size


def _best_of(total, width):
    return _split(*total.flatten().topk(width), total.shape[1])


def _forgetful(scores, log_probs, width):
    return _best_of(log_probs, width)


def _token_scores(scores, log_probs, width):
    _, parents, tokens = beam_step(scores, log_probs, width)
    return log_probs[parents, tokens], parents, tokens


def _multiplied(scores, log_probs, width):
    return _best_of(scores[:, None] * log_probs, width)


def _as_probabilities(scores, log_probs, width):
    values, parents, tokens = beam_step(scores, log_probs, width)
    return values.exp(), parents, tokens


def _swapped(scores, log_probs, width):
    values, parents, tokens = beam_step(scores, log_probs, width)
    return values, tokens, parents


def _by_texts(scores, log_probs, width):
    values, places = (scores[:, None] + log_probs).flatten().topk(width)
    return values, places // len(scores), places % len(scores)


def _not_split(scores, log_probs, width):
    values, places = (scores[:, None] + log_probs).flatten().topk(width)
    return values, places // log_probs.shape[1], places


def _worst(scores, log_probs, width):
    total = scores[:, None] + log_probs
    return _split(*total.flatten().topk(width, largest=False), total.shape[1])


def _upwards(scores, log_probs, width):
    return tuple(each.flip(0) for each in beam_step(scores, log_probs, width))


def _one_each(scores, log_probs, width):
    values, tokens = (scores[:, None] + log_probs).max(dim=1)
    return values, torch.arange(len(scores)), tokens


def _of_the_best(scores, log_probs, width):
    best = int(scores.argmax())
    values, tokens = (scores[best] + log_probs[best]).sort(descending=True)
    return values[:width], torch.full_like(tokens[:width], best), tokens[:width]


def _mean(scores, log_probs, width):
    values, parents, tokens = beam_step(scores, log_probs, width)
    return values / 2, parents, tokens


def _beam_inputs(rng):
    yield (torch.tensor([-1.0, -2.0]), torch.tensor([[-3.0, -0.5, -1.5], [-0.25, -2.0, -4.0]]), 2)
    for texts, vocab, width in ((1, 5, 3), (3, 4, 3), (2, 7, 5), (4, 6, 1), (5, 3, 8)):
        log_probs = (drawn(rng, texts, vocab) * 2).log_softmax(dim=1)
        yield (-5 * torch.tensor(rng.uniform(0.2, 1, texts), dtype=torch.float32), log_probs, width)


BEAM_STEP = Exercise(
    id="decode.beam_step",
    title="One step of a beam",
    minutes=8,
    difficulty=2,
    reference=beam_step,
    inputs=_beam_inputs,
    rtol=1e-4,
    atol=1e-6,
    mistakes={
        "The texts' own scores are left out: a likely token after an unlikely text is no likely text.": _forgetful,
        "You chose rightly, but returned the tokens' log-probabilities. The new score is that of the whole text.": (
            _token_scores
        ),
        "Log-probabilities are added, not multiplied: ln(ab) = ln a + ln b.": _multiplied,
        "Those are probabilities. Scores stay logarithms, or a long text's would be rounded to 0.": _as_probabilities,
        "Texts and tokens are swapped: a row of log_probs is a text, a column is a token.": _swapped,
        "The flat index was divided by the number of texts. A row is vocab_size long.": _by_texts,
        "The last tensor still has flat indices. Which token is it within its row?": _not_split,
        "You kept the unlikeliest.": _worst,
        "The right ones, the worst first. The best comes first.": _upwards,
        "Each text kept its own best token: that is greedy decoding of several texts. All continuations of all texts "
        "compete.": _one_each,
        "Only the best text was continued. The others may have better continuations: all compete.": _of_the_best,
        "The scores are halved. The sum of both logarithms is wanted, not their mean.": _mean,
    },
    hints=(
        "Every text with every token: how many candidates are there, and what is the score of each?",
        "`scores[:, None] + log_probs` is that table. Flattened, its `topk` gives values and indices.",
        "An index counts through the rows: `index // vocab_size` is the row, `index % vocab_size` the place in it.",
    ),
)


# ------------------------------------------------------------------ decode.find_the_bug


def likeliest_next(logits, lengths):
    """The likeliest next token of each text in a batch that is padded on the right.

    logits: a tensor of shape (batch, seq, vocab_size): at each place the scores of the token after it
    lengths: a tensor of shape (batch,): how many tokens each text has; what follows them is padding
    returns: a tensor of shape (batch,)
    """
    rows = torch.arange(len(lengths))
    return logits[rows, lengths - 1].argmax(dim=1)


class _Given:  # a room of its own for the second function of this name
    def likeliest_next(logits, lengths):
        """The likeliest next token of each text in a batch that is padded on the right.

        logits: a tensor of shape (batch, seq, vocab_size): at each place the scores of the token after it
        lengths: a tensor of shape (batch,): how many tokens each text has; what follows them is padding
        returns: a tensor of shape (batch,)
        """
        rows = torch.arange(len(lengths))
        last_place = logits.shape[1] - 1
        place = lengths.clamp(max=last_place)  # no place is outside the batch
        return logits[rows, place].argmax(dim=1)


def _at(logits, place):
    return logits[torch.arange(len(logits)), place].argmax(dim=1)


def _at_the_end(logits, lengths):
    return logits[:, -1].argmax(dim=1)


def _one_too_early(logits, lengths):
    return _at(logits, (lengths - 2).clamp(min=0))


def _at_the_start(logits, lengths):
    return logits[:, 0].argmax(dim=1)


def _unclamped(logits, lengths):
    return _at(logits, lengths)


def _everywhere(logits, lengths):
    return logits.argmax(dim=2)


def _flattened(logits, lengths):
    return logits.flatten(1).argmax(dim=1)


def _any_place(logits, lengths):
    return logits.flatten(1).argmax(dim=1) % logits.shape[2]


def _longest(logits, lengths):
    return logits[:, int(lengths.max()) - 1].argmax(dim=1)


def _scores(logits, lengths):
    return logits[torch.arange(len(lengths)), lengths - 1].amax(dim=1)


def _unlikely(logits, lengths):
    return logits[torch.arange(len(lengths)), lengths - 1].argmin(dim=1)


def _across(logits, lengths):
    return logits[:, lengths - 1].argmax(dim=2)


def _next_inputs(rng):
    yield (torch.tensor([[[0.0, 2.0, 1.0], [3.0, 0.0, 1.0]]]), torch.tensor([1]))
    for lengths, seq, vocab in (([2, 4, 1], 4, 5), ([3, 1], 5, 6), ([5, 2, 4, 1], 6, 7), ([3, 3, 3], 3, 4)):
        yield (drawn(rng, len(lengths), seq, vocab) * 3, torch.tensor(lengths))


FIND_THE_BUG = Exercise(
    id="decode.find_the_bug",
    title="Find the bug: the most likely word?",
    minutes=5,
    difficulty=2,
    reference=likeliest_next,
    given=_Given.likeliest_next,
    inputs=_next_inputs,
    mistakes={
        "You read the last place of the row for every text. For a short text that is padding.": _at_the_end,
        "You read one place too early: what is predicted there is the text's own last token.": _one_too_early,
        "You read the first place of every text.": _at_the_start,
        "The clamp is gone, and a text that fills its row falls out of it. That it was needed was a sign: the places "
        "are one too large.": _unclamped,
        "That is the likeliest next token after every place. Only the last token's prediction is new.": _everywhere,
        "That is the argmax over all places and tokens: place · vocab_size + token, and no token.": _flattened,
        "That is the surest prediction of any place. The one after the text is wanted.": _any_place,
        "One place was taken for the whole batch, that of the longest text. Each text ends at its own.": _longest,
        "Those are scores. Which token has them?": _scores,
        "That is the unlikeliest token: argmax, not argmin.": _unlikely,
        "Every row was read at the last places of all texts. Rows and places must go together: index with both.": (
            _across
        ),
    },
    explanation="The prediction after a text of n tokens stands at place n − 1, since places count from 0.",
    hints=(
        "For a text of one token, which place is read, and what does it hold?",
        "The full rows come out right, thanks to the clamp. So what is clamped is one too large for them; and for the "
        "others?",
        "Places count from 0: the last of n tokens stands at n − 1, and no clamp is needed.",
    ),
)
