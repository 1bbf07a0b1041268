"""Exercise of lesson 09: a pair for next-sentence prediction."""

from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ mlm.nsp_pairs


def nsp_pair(documents, index, cut, follows, other, other_cut):
    """A pair for next-sentence prediction, with all that is random given.

    The first part is the beginning of a document: its sentences before cut. The second is the rest of the document
    where follows is true; else the rest of another document, from its sentence other_cut on.

    documents: a list of documents, each a list of sentences
    index: which document the pair begins with
    other: which of the other documents, counted without that one: from 0 to len(documents) − 2
    returns: the first part and the second, lists of sentences; and the label, 0 where the second follows, else 1
    """
    first = documents[index][:cut]
    if follows:
        return first, documents[index][cut:], 0
    if other >= index:
        other += 1
    return first, documents[other][other_cut:], 1


def _skip(index, other):
    return other + (other >= index)


def _label_exchanged(documents, index, cut, follows, other, other_cut):
    first, second, label = nsp_pair(documents, index, cut, follows, other, other_cut)
    return first, second, 1 - label


def _same_document(documents, index, cut, follows, other, other_cut):
    if follows:
        return documents[index][:cut], documents[index][cut:], 0
    return documents[index][:cut], documents[index][other_cut:], 1


def _not_skipped(documents, index, cut, follows, other, other_cut):
    second = documents[index][cut:] if follows else documents[other][other_cut:]
    return documents[index][:cut], second, int(not follows)


def _skipped_once(documents, index, cut, follows, other, other_cut):
    return _not_skipped(documents, index, cut, follows, other + (other == index), other_cut)


def _always_skipped(documents, index, cut, follows, other, other_cut):
    return _not_skipped(documents, index, cut, follows, (other + 1) % len(documents), other_cut)


def _beginning(documents, index, cut, follows, other, other_cut):
    if follows:
        return nsp_pair(documents, index, cut, follows, other, other_cut)
    return documents[index][:cut], documents[_skip(index, other)][:other_cut], 1


def _same_cut(documents, index, cut, follows, other, other_cut):
    return nsp_pair(documents, index, cut, follows, other, cut)


def _exchanged(documents, index, cut, follows, other, other_cut):
    first, second, label = nsp_pair(documents, index, cut, follows, other, other_cut)
    return second, first, label


def _one_sentence(documents, index, cut, follows, other, other_cut):
    first, second, label = nsp_pair(documents, index, cut, follows, other, other_cut)
    return first, second[:1], label


def _two_sentences(documents, index, cut, follows, other, other_cut):
    first, second, label = nsp_pair(documents, index, cut, follows, other, other_cut)
    return first[-1:], second[:1], label


def _overlap(documents, index, cut, follows, other, other_cut):
    _, second, label = nsp_pair(documents, index, cut, follows, other, other_cut)
    return documents[index][: cut + 1], second, label


def _gap(documents, index, cut, follows, other, other_cut):
    first, second, label = nsp_pair(documents, index, cut, follows, other, other_cut)
    return first, second[1:], label


def _both_elsewhere(documents, index, cut, follows, other, other_cut):
    if follows:
        return nsp_pair(documents, index, cut, follows, other, other_cut)
    document = documents[_skip(index, other)]
    return document[:other_cut], document[other_cut:], 1


def _always_follows(documents, index, cut, follows, other, other_cut):
    return documents[index][:cut], documents[index][cut:], int(not follows)


def _pair_inputs(rng):
    """Sentences are named after their place, such as "text 1, sentence 2", so that a pair can be checked by eye."""
    for count, index, follows, other in (
        (2, 0, True, 0),
        (2, 0, False, 0),
        (3, 1, False, 0),
        (3, 1, False, 1),
        (3, 2, True, 0),
        (4, 3, False, 2),
        (5, 1, False, 3),
        (6, 2, False, 1),
    ):
        lengths = rng.integers(4, 7, count)
        documents = [[f"text {d}, sentence {s}" for s in range(n)] for d, n in enumerate(lengths)]
        cut, other_cut = rng.permutation([1, 2, 3])[:2].tolist()
        yield (documents, index, cut, follows, other, other_cut)


def _never_the_same(f):
    documents = [[f"{d}.{s}" for s in range(3)] for d in range(5)]
    for index in range(5):
        owners = [f(documents, index, 1, False, other, 2)[1][0][0] for other in range(4)]
        if sorted(owners) != [str(d) for d in range(5) if d != index]:
            return False
    return True


NSP_PAIRS = Exercise(
    id="mlm.nsp_pairs",
    title="Does the second follow the first?",
    minutes=8,
    difficulty=2,
    reference=nsp_pair,
    inputs=_pair_inputs,
    mistakes={
        "The parts are right, and the labels are exchanged: 0 says that the second follows the first, 1 that it does "
        "not.": _label_exchanged,
        "The second part of a false pair comes from the same document: it may well be the true one. Take it from "
        "another.": _same_document,
        "You took other as the document's number. It counts the other documents only: from index on, its number is "
        "one more. As it stands, a false pair can come from one document.": _not_skipped,
        "You step over the document index only when other hits it. Then the next document is hit by two numbers, and "
        "the last by none: from index on, all move up by one.": _skipped_once,
        "You moved other up by one every time. The documents before index keep their number.": _always_skipped,
        "The second part of a false pair is the beginning of the other document. Its rest is wanted, as in a true "
        "pair: else a model can tell them apart by how texts begin.": _beginning,
        "You cut the other document at cut. It has a cut of its own, other_cut.": _same_cut,
        "The two parts have changed places: the beginning of the document comes first.": _exchanged,
        "The second part is a single sentence. It is all of the rest.": _one_sentence,
        "Each part is a single sentence. The first is all that stands before the cut, the second all of the rest.": (
            _two_sentences
        ),
        "Sentence number cut is in the first part. The second begins with it.": _overlap,
        "The second part begins one sentence late: sentence number cut, or other_cut, belongs to it.": _gap,
        "In a false pair both parts come from the other document, so that the second follows after all.": (
            _both_elsewhere
        ),
        "The label is 1 for a false pair, but its second part is the true one.": _always_follows,
    },
    properties=[("takes the second part of a false pair from each of the other documents once", _never_the_same)],
    explanation="Numbers from 0 to len − 2 hit each of the other documents once: so a random one is as likely as any.",
    hints=(
        "Slices do the cutting: what are `sentences[:cut]` and `sentences[cut:]`?",
        "With five documents and index 2, other can be 0, 1, 2 or 3, for documents 0, 1, 3 and 4. What is the rule?",
        "If other is at least index, add 1 to it. Then take that document's sentences from other_cut on, and label 1.",
    ),
)
