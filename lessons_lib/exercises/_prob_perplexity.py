"""The bug hunt of lesson 01: a perplexity that is a mean of means."""

import math

from lessons_lib.exercises.engine import Exercise


def perplexity(log_probs):
    """The perplexity of a text: exp of the mean of −ln q over all its tokens.

    log_probs: one list a sentence, with ln q of each token of that sentence
    """
    tokens = [log_prob for sentence in log_probs for log_prob in sentence]
    return math.exp(-sum(tokens) / len(tokens))


class _Given:
    """Keeps the faulty version under the name that the learner knows it by."""

    def perplexity(log_probs):
        """The perplexity of a text: exp of the mean of −ln q over all its tokens.

        log_probs: one list a sentence, with ln q of each token of that sentence
        """
        losses = []
        for sentence in log_probs:
            losses.append(-sum(sentence) / len(sentence))
        return math.exp(sum(losses) / len(losses))


def _flat(log_probs):
    return [log_prob for sentence in log_probs for log_prob in sentence]


def _per_sentence(log_probs):
    return math.exp(-sum(_flat(log_probs)) / len(log_probs))


def _not_averaged(log_probs):
    return math.exp(-sum(_flat(log_probs)))


def _upside_down(log_probs):
    return math.exp(sum(_flat(log_probs)) / len(_flat(log_probs)))


def _base_two(log_probs):
    return 2 ** (-sum(_flat(log_probs)) / len(_flat(log_probs)))


def _still_a_loss(log_probs):
    return -sum(_flat(log_probs)) / len(_flat(log_probs))


def _mean_of_perplexities(log_probs):
    each = [math.exp(-sum(sentence) / len(sentence)) for sentence in log_probs]
    return sum(each) / len(each)


def _mean_of_inverses(log_probs):
    each = [math.exp(-log_prob) for log_prob in _flat(log_probs)]
    return sum(each) / len(each)


def _without_ends(log_probs):
    words = _flat([sentence[:-1] for sentence in log_probs])
    return math.exp(-sum(words) / max(len(words), 1))


def _ends_not_counted(log_probs):
    return math.exp(-sum(_flat(log_probs)) / max(sum(len(sentence) - 1 for sentence in log_probs), 1))


def _perplexity_inputs(rng):
    yield ([[-0.5], [-1.0, -3.0]],)
    for sizes in ((1, 9), (4, 2, 2, 7), rng.integers(1, 12, 20).tolist()):
        yield ([(-rng.exponential(1.5, size)).round(3).tolist() for size in sizes],)


PERPLEXITY = Exercise(
    id="prob.perplexity",
    title="A bug in the perplexity",
    minutes=6,
    difficulty=2,
    reference=perplexity,
    given=_Given.perplexity,
    inputs=_perplexity_inputs,
    mistakes={
        "Now you divide by the number of sentences. The mean is over tokens.": _per_sentence,
        "There is no mean in it: divide by the number of tokens.": _not_averaged,
        "That is 1 divided by the perplexity: a minus sign is missing.": _upside_down,
        "The logarithms are natural ones, so the base is e: math.exp rather than 2 to the power.": _base_two,
        "That is the cross-entropy. The perplexity is exp of it.": _still_a_loss,
        "You took the mean of the sentences' perplexities. Take one mean over all tokens, and exp once, at the end.": (
            _mean_of_perplexities
        ),
        "You took exp of each token and then the mean. Take the mean of the logarithms first, and exp at the end.": (
            _mean_of_inverses
        ),
        "You dropped the last token of each sentence. It is the end symbol, and it counts.": _without_ends,
        "All tokens are in the sum, but the end symbols are missing from the number that you divide by.": (
            _ends_not_counted
        ),
    },
    properties=[
        ("gives 8 where every token has one chance in 8", lambda f: math.isclose(f([[-math.log(8)] * 3] * 2), 8))
    ],
    explanation="The faulty version is a mean of means: a token in a short sentence weighs more.",
    hints=(
        "Run it on one sentence and it is right. Run it on a short and a long one: which tokens have more say?",
        "The mean of the sentences' means is not the mean over the tokens, unless all sentences are equally long.",
        "Add up all log-probabilities of all sentences, count all tokens, and divide once.",
    ),
)
