"""Exercises of lesson 08 on a padded batch: which segment a token is in, and one vector for a whole text."""

import torch

from lessons_lib.exercises._attention_scores import drawn
from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ bert.segments


def segments(ids, sep_id):
    """The segment of each token: 0 for the first text, 1 for the second.

    A row is [CLS] A [SEP] B [SEP], or [CLS] A [SEP] for a single text, then padding. A [SEP] belongs to the text that
    it ends. Padding has the id 0, and segment 0.

    ids: a tensor of whole numbers, shape (batch, seq)
    sep_id: the id of [SEP]
    returns: a tensor of whole numbers, shape (batch, seq)
    """
    ends = (ids == sep_id).int()
    before = ends.cumsum(dim=1) - ends  # how many texts have ended before this token
    return before * (ids != 0)


def _ended(ids, sep_id):
    return (ids == sep_id).int().cumsum(dim=1)


def _before(ids, sep_id):
    return _ended(ids, sep_id) - (ids == sep_id).int()


def _first_sep(ids, sep_id):
    return _ended(ids, sep_id).clamp(max=1) * (ids != 0)


def _plain_cumsum(ids, sep_id):
    return _ended(ids, sep_id) * (ids != 0)


def _running_count(ids, sep_id):
    return _ended(ids, sep_id)


def _from_sep_on(ids, sep_id):
    return _ended(ids, sep_id).clamp(max=1)


def _padding_one(ids, sep_id):
    return _before(ids, sep_id).clamp(max=1)


def _padding_two(ids, sep_id):
    return _before(ids, sep_id)


def _last_sep(ids, sep_id):
    return segments(ids, sep_id) * (ids != sep_id)


def _from_one(ids, sep_id):
    return (_before(ids, sep_id) + 1) * (ids != 0)


def _swapped(ids, sep_id):
    return (1 - segments(ids, sep_id)) * (ids != 0)


def _without_cls(ids, sep_id):
    return segments(ids, sep_id)[:, 1:]


def _first_row(ids, sep_id):
    return segments(ids, sep_id)[:1].expand(len(ids), -1)


def _down_the_batch(ids, sep_id):
    ends = (ids == sep_id).int()
    return (ends.cumsum(dim=0) - ends) * (ids != 0)


def _truth_values(ids, sep_id):
    return segments(ids, sep_id) == 1


def _row(rng, sep_id, *lengths):
    parts = [[*rng.integers(1, 30, n).tolist(), sep_id] for n in lengths]
    return [31, *(i for part in parts for i in part)]


def _padded(rows, extra=0):
    longest = max(map(len, rows)) + extra
    return torch.tensor([row + [0] * (longest - len(row)) for row in rows])


def _segments_inputs(rng):
    yield (torch.tensor([[8, 5, 9, 1, 7, 9, 0]]), 9)
    yield (_padded([_row(rng, 30, 1, 2), _row(rng, 30, 2)]), 30)
    yield (_padded([_row(rng, 40, 3, 1), _row(rng, 40, 1, 2), _row(rng, 40, 2)]), 40)
    yield (_padded([_row(rng, 30, 2, 2), _row(rng, 30, 1, 5), _row(rng, 30, 4, 3), _row(rng, 30, 1)], 2), 30)


SEGMENTS = Exercise(
    id="bert.segments",
    title="Segments",
    minutes=7,
    difficulty=2,
    reference=segments,
    inputs=_segments_inputs,
    mistakes={
        "The first [SEP] got segment 1. It ends the first text, and belongs to it: 0.": _first_sep,
        "You counted each [SEP] from its own place on, so the first one got 1 and the second 2. Count those that stand "
        "before a token.": _plain_cumsum,
        "That counts each [SEP] from its own place on, and the padding with it. A [SEP] still belongs to the text that "
        "it ends, and padding has segment 0.": _running_count,
        "Everything from the first [SEP] on got segment 1. It still belongs to the first text, and padding to none: "
        "both have 0.": _from_sep_on,
        "The tokens are right, and the padding got segment 1. It belongs to neither text: 0.": _padding_one,
        "The tokens are right, and the padding got the number of [SEP] before it, 1 or 2. It should be 0: with two "
        "segments there is no 2 to look up.": _padding_two,
        "The second [SEP] got segment 0. It ends the second text, and belongs to it: 1.": _last_sep,
        "The two texts got 1 and 2. Their segments are 0 and 1: rows of a table of two.": _from_one,
        "The two segments are exchanged: the first text, with [CLS], is 0.": _swapped,
        "Each row is one number short: [CLS] is a token too, and in segment 0.": _without_cls,
        "Every row got the split of the first. Each row has its own [SEP].": _first_row,
        "You counted down the batch. The places of a text lie along axis 1.": _down_the_batch,
        "The pattern is right, but it holds truth values. Segments are looked up in a table: whole numbers.": (
            _truth_values
        ),
    },
    hints=(
        "Go along one row by hand. What have you passed once segment 1 begins?",
        "`(ids == sep_id)` marks the ends, and `cumsum(dim=1)` counts them, the one at a token itself included. Should "
        "it be?",
        "Take the mark itself away from the running count; then multiply by `ids != 0` for the padding.",
    ),
)


# ------------------------------------------------------------------ bert.pool


def pool(hidden, mask):
    """One vector for each text: the mean of the vectors of its tokens, padding left out, scaled to length 1.

    hidden: a tensor of shape (batch, seq, d_model)
    mask: a tensor of truth values, shape (batch, seq); False = padding
    returns: a tensor of shape (batch, d_model)
    """
    total = (hidden * mask[:, :, None]).sum(dim=1)  # as good as the mean: it points the same way
    return total / total.norm(dim=1, keepdim=True)


def _mean(hidden, mask):
    return (hidden * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)


def _unit(x):
    return x / x.norm(dim=-1, keepdim=True)


def _padding_in(hidden, mask):
    return _unit(hidden.mean(dim=1))


def _padding_only(hidden, mask):
    return _unit(_mean(hidden, ~mask))


def _first_token(hidden, mask):
    return _unit(hidden[:, 0])


def _largest(hidden, mask):
    return _unit(hidden.masked_fill(~mask[..., None], -torch.inf).amax(dim=1))


def _not_scaled(hidden, mask):
    return _mean(hidden, mask)


def _sum(hidden, mask):
    return (hidden * mask[..., None]).sum(dim=1)


def _over_seq(hidden, mask):
    return (hidden * mask[..., None]).mean(dim=1)


def _scaled_before(hidden, mask):
    return _mean(_unit(hidden), mask)


def _scaled_twice(hidden, mask):
    return _unit(_mean(_unit(hidden), mask))


def _down_the_columns(hidden, mask):
    mean = _mean(hidden, mask)
    return mean / mean.norm(dim=0, keepdim=True)


def _one_length(hidden, mask):
    mean = _mean(hidden, mask)
    return mean / mean.norm()


def _squared(hidden, mask):
    mean = _mean(hidden, mask)
    return mean / mean.square().sum(dim=1, keepdim=True)


def _sum_to_one(hidden, mask):
    mean = _mean(hidden, mask)
    return mean / mean.sum(dim=1, keepdim=True)


def _whole_batch(hidden, mask):
    return _unit(hidden[mask].mean(dim=0))


def _pool_inputs(rng):
    yield (torch.tensor([[[3.0, 1.0], [3.0, 7.0], [9.0, -5.0]]]), torch.tensor([[True, True, False]]))
    for lengths, seq, d_model in (((2, 3), 4, 3), ((1, 4, 2), 4, 5), ((5, 2, 3, 1), 6, 4), ((3,), 3, 6)):
        mask = torch.arange(seq) < torch.tensor(lengths)[:, None]
        yield (drawn(rng, len(lengths), seq, d_model) + 0.5, mask)


def _same_when_padded(f):
    generator = torch.Generator().manual_seed(3)
    hidden = torch.randn(2, 6, 4, generator=generator)
    mask = (torch.arange(6) < 4).expand(2, 6)
    return torch.allclose(f(hidden, mask), f(hidden[:, :4], mask[:, :4]), atol=1e-5)


POOL = Exercise(
    id="bert.pool",
    title="A vector for a sentence",
    minutes=7,
    difficulty=2,
    reference=pool,
    inputs=_pool_inputs,
    rtol=1e-4,
    atol=1e-5,
    mistakes={
        "The padding is in the mean: a text's vector then depends on the length of its neighbours. Only the places "
        "where the mask is True count.": _padding_in,
        "You took the mean of the padding. True in the mask stands for a token.": _padding_only,
        "That is the vector of the first token alone, as BERT's pooler takes it. Here the mean of all is wanted.": (
            _first_token
        ),
        "You took the largest number of each column. The mean is wanted.": _largest,
        "The mean is right; it is not scaled to length 1 yet.": _not_scaled,
        "That is the sum. It points the right way; scale it to length 1.": _sum,
        "You divided by seq, which counts the padding too, and did not scale to length 1.": _over_seq,
        "You scaled each token's vector, and then took the mean: it is shorter than 1. Mean first, then scale.": (
            _scaled_before
        ),
        "You scaled each token's vector before the mean, so long vectors lost their weight. Scale the mean only.": (
            _scaled_twice
        ),
        "You scaled over the batch: a text's vector then depends on the other texts. The numbers of one vector lie "
        "along the last axis.": _down_the_columns,
        "You divided by one length, that of the whole batch. Each text's vector has its own.": _one_length,
        "You divided by the squared length. The length is its root.": _squared,
        "The numbers of each vector now add up to 1. Its length is another thing: the root of the sum of squares.": (
            _sum_to_one
        ),
        "That is one vector for the whole batch. Each text has its own mean: add up along the words only.": (
            _whole_batch
        ),
    },
    properties=[("gives a text the same vector however much padding follows", _same_when_padded)],
    explanation="Mean or sum is the same here: they point the same way, and after scaling only the direction is left.",
    hints=(
        "How can a vector be kept out of a sum by multiplication? What must the mask's shape be for that?",
        "`mask[:, :, None]` has an axis of size 1 for d_model; `hidden * mask[:, :, None]` is 0 at padding.",
        "Add up over dim=1, divide by the number of tokens in each row, and then by `norm(dim=1, keepdim=True)`.",
    ),
)
