"""Exercise of lesson 10 on tags: which piece has a word's label."""

from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ finetune.align_labels


def align_labels(pieces, labels):
    """The labels of the pieces of a passage, [CLS] before it and [SEP] after it included.

    The first piece of a word has the word's label. All else has −100, the number that PyTorch's cross-entropy ignores.

    pieces: a list with a list for each word: its pieces, such as [["Omar"], ["ki", "##tes"]]
    labels: a list with a whole number for each word
    returns: a list with a whole number for each piece
    """
    aligned = [-100]
    for place, word in enumerate(pieces):
        aligned += [labels[place], *[-100] * (len(word) - 1)]
    return [*aligned, -100]


def _rows(pieces, labels, first=lambda label: label, rest=lambda label: -100, cls=(-100,), sep=(-100,)):
    spread = []
    for word, label in zip(pieces, labels, strict=True):
        spread += [first(label), *[rest(label) for _ in word[1:]]]
    return [*cls, *spread, *sep]


def _every_piece(pieces, labels):
    return _rows(pieces, labels, rest=lambda label: label)


def _last_piece(pieces, labels):
    spread = [i for word, label in zip(pieces, labels, strict=True) for i in [-100] * (len(word) - 1) + [label]]
    return [-100, *spread, -100]


def _zeros_at_the_ends(pieces, labels):
    return _rows(pieces, labels, cls=(0,), sep=(0,))


def _zeros_inside(pieces, labels):
    return _rows(pieces, labels, rest=lambda label: 0)


def _zeros_everywhere(pieces, labels):
    return _rows(pieces, labels, rest=lambda label: 0, cls=(0,), sep=(0,))


def _no_ends(pieces, labels):
    return _rows(pieces, labels, cls=(), sep=())


def _shifted(pieces, labels):
    return _rows(pieces, labels, cls=(), sep=(-100, -100))


def _no_sep(pieces, labels):
    return _rows(pieces, labels, sep=())


def _no_cls(pieces, labels):
    return _rows(pieces, labels, cls=())


def _words_for_pieces(pieces, labels):
    return [-100, *labels, -100]


def _labels_run_on(pieces, labels):
    n = sum(len(word) for word in pieces)
    return [-100, *labels, *[-100] * (n - len(labels)), -100]


def _minus_one(pieces, labels):
    return _rows(pieces, labels, rest=lambda label: -1, cls=(-1,), sep=(-1,))


def _next_label(pieces, labels):
    return _rows(pieces, labels, rest=lambda label: label + label % 2)


def _passages(rng):
    yield ([["Omar"], ["ki", "##tes"]], [1, 3])
    yield ([["a"], ["boat"]], [0, 5])
    yield ([["swal", "##low", "##s"]], [5])
    for n in (4, 7, 12):
        lengths = rng.integers(1, 5, n)
        pieces = [["w", *[f"##{i}" for i in range(1, length)]] for length in lengths.tolist()]
        yield (pieces, rng.integers(0, 7, n).tolist())


ALIGN_LABELS = Exercise(
    id="finetune.align_labels",
    title="Labels for pieces",
    minutes=7,
    difficulty=2,
    reference=align_labels,
    inputs=_passages,
    mistakes={
        "Every piece has its word's label, so a word of four pieces counts four times. Only the first piece has it.": (
            _every_piece
        ),
        "The label is at the last piece of each word. It belongs to the first.": _last_piece,
        "[CLS] and [SEP] have the label 0, and 0 is a real label: the loss would count them. They get −100.": (
            _zeros_at_the_ends
        ),
        "The pieces after the first have the label 0, and 0 is a real label: the model would learn that they are no "
        "part of a name. They get −100.": _zeros_inside,
        "0 is a real label, here and at [CLS] and [SEP]. What is not to be counted has −100.": _zeros_everywhere,
        "[CLS] and [SEP] are missing, one at each end. They are places too.": _no_ends,
        "Everything is one place too early: [CLS] comes first, so the first word's label is at place 1.": _shifted,
        "[SEP], the last place, has no label yet. It gets −100.": _no_sep,
        "[CLS], the first place, has no label yet. It gets −100.": _no_cls,
        "There is one label for each word. The model sees pieces, so the row must have one for each piece.": (
            _words_for_pieces
        ),
        "The labels stand side by side, whatever the words' pieces are. The second word begins where the pieces of the "
        "first one end.": _labels_run_on,
        "Cross-entropy ignores −100, and takes −1 for a class, which raises an error.": _minus_one,
        "The pieces after the first have a label of their own, as if they were words inside the name. They get −100: "
        "a tag belongs to a word.": _next_label,
    },
    hints=(
        "Write the row of pieces, [CLS] and [SEP] included, and under each piece what it should have.",
        "A word of n pieces gives n labels: its own, and n − 1 times −100.",
        "Begin with `[-100]`, add `[label] + [-100] * (len(word) - 1)` for each word, and end with another −100.",
    ),
)
