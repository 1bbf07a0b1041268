"""Exercises of lesson 09 on masking: which tokens are to be guessed, and what the model sees in their place."""

import torch

from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ mlm.mask_tokens


def mask_tokens(ids, special, draw, fate, other, mask_id):
    """BERT's masking, with all that is random given.

    A token is chosen where draw is below 0.15, unless it is special. What the model sees of a chosen token: [MASK]
    where fate is below 0.8; from there to below 0.9 the token that stands in other; from 0.9 on the token itself.

    ids: a tensor of whole numbers, shape (batch, seq); padding has the id 0
    special: truth values of the same shape, True at [CLS], [SEP] and padding
    draw, fate: numbers of [0, 1) of the same shape, float64
    other: ids of the same shape, a token drawn at random for each place
    mask_id: the id of [MASK]
    returns: what the model sees, and the targets: the true token where it was chosen, else 0; both like ids
    """
    chosen = (draw < 0.15) & ~special
    seen = torch.where(chosen & (fate < 0.9), other, ids)
    seen = torch.where(chosen & (fate < 0.8), mask_id, seen)
    return seen, torch.where(chosen, ids, 0)


def _chosen(special, draw):
    return (draw < 0.15) & ~special


def _seen(ids, chosen, fate, other, mask_id, *, masked=0.8, replaced=0.9):
    seen = torch.where(chosen & (fate < replaced), other, ids)
    return torch.where(chosen & (fate < masked), mask_id, seen)


def _masked(ids, chosen, fate, other, mask_id, **shares):
    return _seen(ids, chosen, fate, other, mask_id, **shares), torch.where(chosen, ids, 0)


def _targets_everywhere(ids, special, draw, fate, other, mask_id):
    return mask_tokens(ids, special, draw, fate, other, mask_id)[0], ids.clone()


def _targets_seen(ids, special, draw, fate, other, mask_id):
    seen = mask_tokens(ids, special, draw, fate, other, mask_id)[0]
    return seen, torch.where(_chosen(special, draw), seen, 0)


def _targets_changed(ids, special, draw, fate, other, mask_id):
    seen = mask_tokens(ids, special, draw, fate, other, mask_id)[0]
    return seen, torch.where(seen != ids, ids, 0)


def _targets_masked(ids, special, draw, fate, other, mask_id):
    seen = mask_tokens(ids, special, draw, fate, other, mask_id)[0]
    return seen, torch.where(seen == mask_id, ids, 0)


def _minus_hundred(ids, special, draw, fate, other, mask_id):
    seen = mask_tokens(ids, special, draw, fate, other, mask_id)[0]
    return seen, torch.where(_chosen(special, draw), ids, -100)


def _all_masked(ids, special, draw, fate, other, mask_id):
    return _masked(ids, _chosen(special, draw), fate, other, mask_id, masked=1.0)


def _none_kept(ids, special, draw, fate, other, mask_id):
    return _masked(ids, _chosen(special, draw), fate, other, mask_id, replaced=1.0)


def _none_replaced(ids, special, draw, fate, other, mask_id):
    return _masked(ids, _chosen(special, draw), fate, other, mask_id, replaced=0.0)


def _shares_exchanged(ids, special, draw, fate, other, mask_id):
    chosen = _chosen(special, draw)
    seen = torch.where(chosen & (fate >= 0.9), other, ids)
    return torch.where(chosen & (fate < 0.8), mask_id, seen), torch.where(chosen, ids, 0)


def _special_too(ids, special, draw, fate, other, mask_id):
    return _masked(ids, draw < 0.15, fate, other, mask_id)


def _special_only(ids, special, draw, fate, other, mask_id):
    return _masked(ids, (draw < 0.15) & special, fate, other, mask_id)


def _most_chosen(ids, special, draw, fate, other, mask_id):
    return _masked(ids, (draw >= 0.15) & ~special, fate, other, mask_id)


def _bounds_in(ids, special, draw, fate, other, mask_id):
    chosen = (draw <= 0.15) & ~special
    seen = torch.where(chosen & (fate <= 0.9), other, ids)
    return torch.where(chosen & (fate <= 0.8), mask_id, seen), torch.where(chosen, ids, 0)


def _one_draw_a_row(ids, special, draw, fate, other, mask_id):
    return _masked(ids, _chosen(special, draw[:, :1]), fate, other, mask_id)


def _one_draw_a_batch(ids, special, draw, fate, other, mask_id):
    return _masked(ids, _chosen(special, draw[:1]), fate, other, mask_id)


def _replaced_anywhere(ids, special, draw, fate, other, mask_id):
    seen, targets = mask_tokens(ids, special, draw, fate, other, mask_id)
    return torch.where((fate >= 0.8) & (fate < 0.9) & ~special, other, seen), targets


def _in_place_first(ids, special, draw, fate, other, mask_id):
    ids[:] = mask_tokens(ids, special, draw, fate, other, mask_id)[0]
    return ids, torch.where(_chosen(special, draw), ids, 0)


def _in_place(ids, special, draw, fate, other, mask_id):
    seen, targets = mask_tokens(ids, special, draw, fate, other, mask_id)
    ids[:] = seen
    return ids, targets


CLS, SEP, MASK = 1, 2, 3  # the special ids of the inputs; ordinary tokens from 4 on


def _mask_inputs(rng):
    ids = torch.tensor([[CLS, 10, 11, 12, 13, SEP, 0]])
    draw = torch.tensor([[0.6, 0.1, 0.05, 0.9, 0.02, 0.01, 0.04]], dtype=torch.float64)
    fate = torch.tensor([[0.1, 0.3, 0.85, 0.2, 0.95, 0.4, 0.84]], dtype=torch.float64)
    yield (ids, ids < 4, draw, fate, torch.tensor([[20, 21, 22, 23, 24, 25, 26]]), MASK)
    edge = [[0.15, 0.1499, 0.1, 0.0], [0.1, 0.15, 0.0, 0.1]], [[0.5, 0.0, 0.8, 0.9], [0.899, 0.85, 0.799, 0.901]]
    draw, fate = (torch.tensor(rows, dtype=torch.float64) for rows in edge)
    ids = torch.tensor([[10, 11, 12, 13], [14, 15, 16, 17]])
    yield (ids, torch.zeros(2, 4, dtype=torch.bool), draw, fate, ids + 10, 29)
    for batch, seq in ((2, 8), (4, 12), (6, 30)):
        ids = torch.tensor(rng.integers(4, 40, (batch, seq)))
        ids[:, 0], ids[:, -2], ids[1:, -1] = CLS, SEP, 0
        draw, fate = (torch.tensor(rng.uniform(0, top, (batch, seq))) for top in (0.25, 1.0))
        yield (ids, ids < 4, draw, fate, torch.tensor(rng.integers(40, 60, (batch, seq))), MASK)


MASK_TOKENS = Exercise(
    id="mlm.mask_tokens",
    title="80, 10, 10",
    minutes=12,
    difficulty=3,
    reference=mask_tokens,
    inputs=_mask_inputs,
    mistakes={
        "There are targets at every place. Only the chosen tokens are to be guessed: elsewhere the target is 0.": (
            _targets_everywhere
        ),
        "The targets hold what the model sees, [MASK] among it. They should hold the true tokens.": _targets_seen,
        "A chosen token that stays as it is must be guessed too: its target is missing. Targets follow from what was "
        "chosen, not from what has changed.": _targets_changed,
        "Only the places with [MASK] have a target. All that were chosen have one, those with a random token and "
        "those left alone too.": _targets_masked,
        "Where nothing is asked the target here is 0, the id of padding. −100 is what transformers puts there.": (
            _minus_hundred
        ),
        "Every chosen token became [MASK]. That is for fate to say; draw is below 0.15 at all of them.": (_all_masked),
        "That is 80, 20 and 0: from a fate of 0.9 on, a chosen token stays as it is.": _none_kept,
        "That is 80, 0 and 20: no token is replaced by another. Those with a fate from 0.8 to below 0.9 are.": (
            _none_replaced
        ),
        "Two fates are exchanged: from 0.8 to below 0.9 another token stands there, from 0.9 on the token itself.": (
            _shares_exchanged
        ),
        "[CLS], [SEP] or padding was chosen. Special tokens never are, whatever the draw.": _special_too,
        "You chose among the special tokens. They are the ones that are never chosen.": _special_only,
        "That chooses 85% of the tokens: those with a draw of 0.15 or more. Chosen is what lies below.": _most_chosen,
        "The bounds are on the wrong side: with numbers from 0 to below 1, 'below 0.15' has probability 0.15. A draw "
        "of just 0.15 is not chosen, a fate of just 0.8 is no [MASK].": _bounds_in,
        "All tokens of a row were chosen by one draw, or none. Each token has its own.": _one_draw_a_row,
        "All rows were masked at the same places, by the draws of the first. Each token has its own.": (
            _one_draw_a_batch
        ),
        "Tokens that were not chosen were replaced as well. Fate says what becomes of the chosen ones only.": (
            _replaced_anywhere
        ),
        "You wrote into ids, and took the targets from it afterwards: they hold what the model sees, and the text is "
        "lost. Write into a copy.": _in_place_first,
        "You wrote into ids: the text is lost for the next epoch, which should mask it anew. Write into a copy.": (
            _in_place
        ),
    },
    explanation="Targets depend on what was chosen, never on what is seen: so the model must doubt every token.",
    hints=(
        "First only the question which tokens are chosen: two conditions, joined by `&`. The targets follow from it.",
        "`torch.where(condition, a, b)` takes a where the condition holds, else b. Use it for the random tokens, then "
        "on its result once more, for [MASK].",
        "Put other where `chosen & (fate < 0.9)`; then, over it, mask_id where `chosen & (fate < 0.8)`. Targets: ids "
        "where chosen, else 0.",
    ),
)


# ------------------------------------------------------------------ mlm.count_the_masks

COUNT_THE_MASKS = Exercise(
    id="mlm.count_the_masks",
    title="Predict: how many of 1,000 tokens look different?",
    minutes=2,
    difficulty=1,
    kind="value",
    reference="135",
    choices=("120", "135", "150", "850"),
    mistakes={
        "So many become [MASK]. Others are replaced by a random token, and that is a change too.": "120",
        "So many are chosen, and so many count in the loss. One in ten of them the model sees as it was.": "150",
        "So many are not chosen. They all stay as they are.": "850",
    },
    explanation="150 are chosen: 120 become [MASK], 15 another token, and 15 stay. The loss counts all 150.",
    hints=(
        "How many of the 1,000 are chosen, at 15%?",
        "Of 150 chosen ones, 80% become [MASK], 10% another token, 10% stay. Which of them look different?",
        "80% and 10% of 150, added.",
    ),
)
