"""Exercise of lesson 09: what a masked language model says of the [MASK], read off at the wrong place."""

import torch

from lessons_lib.exercises._attention_scores import drawn
from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ mlm.find_the_bug


def fill_mask(logits, ids, mask_id):
    """The likeliest token for the [MASK] of each text; 0 for a text without one.

    logits: a tensor of shape (batch, seq, vocab_size): a score of each token, for each place
    ids: a tensor of whole numbers, shape (batch, seq), with at most one [MASK] in a row
    mask_id: the id of [MASK]
    returns: a tensor of whole numbers, shape (batch,)
    """
    at_mask = ids == mask_id
    best = torch.zeros(len(ids), dtype=torch.long)
    best[at_mask.any(dim=1)] = logits[at_mask].argmax(dim=1)
    return best


class _Given:  # a room of its own for the second function of this name
    def fill_mask(logits, ids, mask_id):
        """The likeliest token for the [MASK] of each text; 0 for a text without one.

        logits: a tensor of shape (batch, seq, vocab_size): a score of each token, for each place
        ids: a tensor of whole numbers, shape (batch, seq), with at most one [MASK] in a row
        mask_id: the id of [MASK]
        returns: a tensor of whole numbers, shape (batch,)
        """
        has_mask = (ids == mask_id).any(dim=1)
        vocab_size = logits.shape[2]
        scores = logits.flatten(start_dim=1)  # batch, seq · vocab_size
        best = scores.argmax(dim=1) % vocab_size
        return torch.where(has_mask, best, 0)


def _where_asked(best, ids, mask_id):
    return torch.where((ids == mask_id).any(dim=1), best, 0)


def _place(ids, mask_id):
    return (ids == mask_id).int().argmax(dim=1)


def _at(logits, place):
    return logits[torch.arange(len(logits)), place % logits.shape[1]].argmax(dim=1)


def _with_place(logits, ids, mask_id):
    return _where_asked(logits.flatten(start_dim=1).argmax(dim=1), ids, mask_id)


def _the_place(logits, ids, mask_id):
    return _where_asked(logits.flatten(start_dim=1).argmax(dim=1) // logits.shape[2], ids, mask_id)


def _one_before(logits, ids, mask_id):
    return _where_asked(_at(logits, _place(ids, mask_id) - 1), ids, mask_id)


def _one_after(logits, ids, mask_id):
    return _where_asked(_at(logits, _place(ids, mask_id) + 1), ids, mask_id)


def _first_place(logits, ids, mask_id):
    return _where_asked(logits[:, 0].argmax(dim=1), ids, mask_id)


def _one_for_all(logits, ids, mask_id):
    return _where_asked(logits[ids == mask_id].argmax() % logits.shape[2], ids, mask_id)


def _one_number(logits, ids, mask_id):
    return logits[ids == mask_id].argmax()


def _others_zeroed(logits, ids, mask_id):
    scores = logits * (ids == mask_id)[:, :, None]
    return _where_asked(scores.flatten(start_dim=1).argmax(dim=1) % logits.shape[2], ids, mask_id)


def _mean_of_places(logits, ids, mask_id):
    return _where_asked(logits.mean(dim=1).argmax(dim=1), ids, mask_id)


def _each_place(logits, ids, mask_id):
    return logits.argmax(dim=2)


def _masks_only(logits, ids, mask_id):
    return logits[ids == mask_id].argmax(dim=1)


def _always_asked(logits, ids, mask_id):
    return _at(logits, _place(ids, mask_id))


def _first_text(logits, ids, mask_id):
    return _where_asked(logits.flatten(0, 1)[_place(ids, mask_id)].argmax(dim=1), ids, mask_id)


def _guess_inputs(rng):
    yield (torch.tensor([[[5.0, 1.0, 9.0], [0.0, 4.0, 2.0]]]), torch.tensor([[2, 1]]), 1)
    for batch, seq, vocab, masks, shift in (
        (2, 3, 4, (1, None), 0),
        (3, 4, 6, (2, 1, 0), -9),
        (4, 6, 5, (3, None, 5, 1), 1),
        (5, 5, 9, (4, 2, 3, None, 0), -9),
    ):
        ids = torch.tensor(rng.integers(2, vocab, (batch, seq)))
        for row, place in enumerate(masks):
            if place is not None:
                ids[row, place] = 1
        yield (drawn(rng, batch, seq, vocab) * 2 + shift, ids, 1)


def _reads_the_mask(f):
    logits = torch.full((2, 4, 7), -1.0)
    logits[0, 2, 5], logits[0, 3, 6], logits[1, 1, 4], logits[1, 0, 3] = 1.0, 8.0, 1.0, 8.0
    return f(logits, torch.tensor([[2, 6, 1, 6], [3, 1, 3, 2]]), 1).tolist() == [5, 4]


FIND_THE_BUG = Exercise(
    id="mlm.find_the_bug",
    title="Find the bug: what stands behind the mask?",
    minutes=6,
    difficulty=2,
    reference=fill_mask,
    given=_Given.fill_mask,
    inputs=_guess_inputs,
    mistakes={
        "Without the remainder it is place × vocab_size + token: no token at all. The remainder was not the fault.": (
            _with_place
        ),
        "That is a place in the text. A token is wanted, the likeliest one at the [MASK].": _the_place,
        "You read the place before the [MASK]. Was [CLS] left out in the counting? Logits and ids have the same "
        "places.": _one_before,
        "You read the place after the [MASK]. Logits and ids have the same places: nothing is shifted here.": (
            _one_after
        ),
        "You read the first place, [CLS], in every text. Each text has its [MASK] somewhere else.": (_first_place),
        "One token was taken for the whole batch: argmax without dim looks at all the masks at once.": _one_for_all,
        "That is one number for the whole batch, and no token where there are several masks: argmax without dim looks "
        "at all of them at once.": _one_number,
        "You made the other places' logits 0. Where all those of the [MASK] are negative, 0 is the largest. Pick its "
        "row and leave the others out.": _others_zeroed,
        "You averaged over the places. Only the logits at the [MASK] speak of it.": _mean_of_places,
        "That is the likeliest token of every place. Which place holds the [MASK]?": _each_place,
        "The tokens are right, but a text without a [MASK] has no line of its own. It should have a 0.": _masks_only,
        "The tokens are right, but a text without a [MASK] should have 0, whatever its logits say.": _always_asked,
        "You flattened batch and places into one axis, and then took each place in the first text. A text's own places "
        "begin at its number times seq.": _first_text,
    },
    properties=[("reads the [MASK] even where the model is surer of another place", _reads_the_mask)],
    explanation="The model says something at every place, and is surest of the words it can see. Ask at the [MASK].",
    hints=(
        "Print the places and tokens that the argmax finds, before the remainder hides the place. Are they the masks'?",
        "The likeliest of all tokens at all places is mostly a word that the model sees. Which row of logits is about "
        "the [MASK]?",
        "`ids == mask_id` marks the place in each text; `logits[ids == mask_id]` has one row for each [MASK].",
    ),
)
