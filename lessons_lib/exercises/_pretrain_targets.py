"""Exercise of lesson 12: what a packed row asks of a GPT."""

import torch

from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ pretrain.shift_targets


def shift_targets(ids, documents):
    """What a GPT learns from packed rows: the ids that it sees, and after each the token that is right.

    After the last token of a document nothing is asked, nor after padding: the target there is −100.

    ids: a tensor of whole numbers, shape (batch, seq): documents one behind the other, then padding
    documents: the number of each token's document, from 1 on in each row, and 0 for padding; shape (batch, seq)
    returns: inputs and targets, two tensors of whole numbers of shape (batch, seq − 1)
    """
    inputs, targets = ids[:, :-1], ids[:, 1:]
    goes_on = (documents[:, 1:] == documents[:, :-1]) & (documents[:, 1:] != 0)
    return inputs, torch.where(goes_on, targets, -100)


def _goes_on(documents):
    return (documents[:, 1:] == documents[:, :-1]) & (documents[:, 1:] != 0)


def _not_shifted(ids, documents):
    return ids[:, :-1], torch.where(_goes_on(documents), ids[:, :-1], -100)


def _same_place(ids, documents):
    return ids, torch.where(documents != 0, ids, -100)


def _whole_rows(ids, documents):
    ends = torch.full_like(ids[:, :1], -100)
    return ids, torch.cat([shift_targets(ids, documents)[1], ends], dim=1)


def _backwards(ids, documents):
    return ids[:, 1:], torch.where(_goes_on(documents), ids[:, :-1], -100)


def _rolled(ids, documents):
    return ids, torch.where(documents != 0, ids.roll(-1, dims=1), -100)


def _by_two(ids, documents):
    inputs, targets = shift_targets(ids, documents)
    return inputs[:, :-1], targets[:, 1:]


def _across_documents(ids, documents):
    return ids[:, :-1], torch.where(documents[:, 1:] != 0, ids[:, 1:], -100)


def _padding_asked(ids, documents):
    same = documents[:, 1:] == documents[:, :-1]
    return ids[:, :-1], torch.where(same, ids[:, 1:], -100)


def _all_asked(ids, documents):
    return ids[:, :-1], ids[:, 1:].clone()


def _by_the_input(ids, documents):
    inside = documents[:, :-1] != 0
    starts = torch.cat([torch.ones_like(inside[:, :1]), documents[:, 1:-1] != documents[:, :-2]], dim=1)
    return ids[:, :-1], torch.where(inside & ~starts, ids[:, 1:], -100)


def _zero_for_nothing(ids, documents):
    return ids[:, :-1], torch.where(_goes_on(documents), ids[:, 1:], 0)


def _padding_by_id(ids, documents):
    same = (documents[:, 1:] == documents[:, :-1]) & (ids[:, 1:] != 0)
    return ids[:, :-1], torch.where(same, ids[:, 1:], -100)


def _inputs_hidden(ids, documents):
    inputs, targets = shift_targets(ids, documents)
    return torch.where(targets != -100, inputs, -100), targets


def _only_ends(ids, documents):
    return ids[:, :-1], torch.where(_goes_on(documents), -100, ids[:, 1:])


def _packed_inputs(rng):
    yield (torch.tensor([[5, 6, 7, 8, 9, 0]]), torch.tensor([[1, 1, 1, 2, 2, 0]]))
    yield (torch.tensor([[4, 5, 6], [7, 8, 0]]), torch.tensor([[1, 1, 1], [1, 1, 0]]))
    for batch, seq in ((2, 9), (3, 14)):
        rows = []
        for row in range(batch):
            cuts = sorted(rng.choice(range(2, seq - 2), 2, replace=False).tolist())
            sizes = [cuts[0], cuts[1] - cuts[0], seq - cuts[1] - row]
            numbers = [n for n, size in enumerate(sizes, start=1) for _ in range(size)]
            rows.append(numbers + [0] * row)
        documents = torch.tensor(rows)
        ids = torch.tensor(rng.integers(0, 20, (batch, seq)))  # here 0 is a token like any other
        yield (ids.where(documents != 0, 0), documents)


def _last_is_never_asked(f):
    ids, documents = torch.tensor([[3, 4, 5, 6, 7]]), torch.tensor([[1, 1, 2, 2, 2]])
    return f(ids, documents)[1].tolist() == [[4, -100, 6, 7]]


SHIFT_TARGETS = Exercise(
    id="pretrain.shift_targets",
    title="After each token, which is right?",
    minutes=8,
    difficulty=2,
    reference=shift_targets,
    inputs=_packed_inputs,
    mistakes={
        "Inputs and targets are the same tokens: the model would only copy what it sees. The target is the token after "
        "it.": _not_shifted,
        "Nothing is shifted: at each place the target is the token that stands there already.": _same_place,
        "The last place of a row has no next token: the inputs are the row without its last token.": _whole_rows,
        "The shift goes the wrong way: from each token the one before it is asked, which the model has seen.": (
            _backwards
        ),
        "roll brings the first token of a row behind its last. Cut the last one off, and nothing comes round.": _rolled,
        "Shifted twice: the target is two tokens on.": _by_two,
        "After the last token of a document the first of the next is asked. Nobody can know it: −100.": (
            _across_documents
        ),
        "Padding is asked for: from padding, more padding. Where the document's number is 0, the target is −100.": (
            _padding_asked
        ),
        "Every place has a target. None is to be asked behind the end of a document, and none in the padding.": (
            _all_asked
        ),
        "You left out the question at the first token of a document, not at its last.": _by_the_input,
        "Where nothing is asked the target is −100: 0 is the id of a token, and it would be learned.": (
            _zero_for_nothing
        ),
        "You know padding by the id 0. A token can have that id: padding is where the document's number is 0.": (
            _padding_by_id
        ),
        "The inputs hold −100. That is for targets: the model sees every token, it is only not asked.": _inputs_hidden,
        "The questions are the wrong way round: asked is where the next token belongs to the same document.": (
            _only_ends
        ),
    },
    properties=[("asks nothing across the border of two documents", _last_is_never_asked)],
    hints=(
        "Forget the documents first: inputs are all columns but the last, targets all but the first.",
        "The same two cuts of documents tell, for each place, the document of the token seen and of the token asked.",
        "Asked is where the two numbers are equal and not 0: `torch.where(condition, ids[:, 1:], -100)`.",
    ),
)
