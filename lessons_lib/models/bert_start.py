"""A head start for a small BERT: first weights that already look to the neighbours, and for words of one kind."""

from itertools import cycle

import torch
from torch import nn

from lessons_lib.models.bert_heads import BERTForPreTraining
from lessons_lib.models.positions import shift_matrix, sinusoidal

SHIFTS = (-1, 1, -2, 2)  # where the heads of the first block look: one place back, one ahead, two back, two ahead


@torch.no_grad()
def head_start(model: BERTForPreTraining, generator: torch.Generator | None = None) -> BERTForPreTraining:
    """New first weights, in place; the architecture stays BERT's, and training may change every one of them.

    BERT's own start, all weights random and tiny, needs hundreds of thousands of steps. Here places and
    words begin in different numbers of the vector: places as sinusoids in the first d_head, words in the others. The
    first block's queries begin as rotations by a place or two (a shift is a rotation), so that its heads look at the
    neighbours. In the other blocks and in the masked-word head, the maps begin as the identity: a
    token that expects a colour looks for colours, and what it finds it can copy. The idea of such a start is that of
    Trockman and Kolter (2023), "Mimetic initialization of self-attention layers".

    Raises ValueError for a model of a single block or with heads of odd width.
    """
    c, encoder = model.config, model.encoder
    d_head = c.d_model // c.n_heads
    if c.n_layers < 2 or d_head % 2:
        raise ValueError(f"A head start needs two blocks or more, and heads of even width; these are {d_head} wide.")
    for module in encoder.blocks.modules():
        if isinstance(module, nn.Linear):
            module.weight.normal_(std=0.05, generator=generator)
    words, places = encoder.embeddings.words.weight, encoder.embeddings.places.weight
    words.normal_(std=0.2, generator=generator)[c.pad_id] = 0.0
    words[:, :d_head] *= 0.1  # these numbers are left to the places
    places.zero_()[:, :d_head] = 0.4 * sinusoidal(c.context_length, c.d_model)[:, :d_head]
    first = encoder.blocks[0].attention
    for head, shift in zip(range(c.n_heads), cycle(SHIFTS), strict=False):
        rows = slice(head * d_head, (head + 1) * d_head)
        first.query.weight[rows, :d_head] += 1.4 * shift_matrix(shift, c.d_model)[:d_head, :d_head]
        first.key.weight[rows, :d_head] += 1.4 * torch.eye(d_head)
    for block in encoder.blocks[1:]:
        for linear in block.attention.children():
            linear.weight.copy_(linear.weight / 2 + torch.eye(c.d_model))
    model.masked.transform.weight.normal_(std=0.025, generator=generator).add_(torch.eye(c.d_model))
    model.masked.norm.weight.fill_(0.5)
    return model
