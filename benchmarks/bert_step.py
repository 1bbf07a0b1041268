"""A training step of our BERT against transformers' BertForPreTraining: the same weights, batch, loss and optimizer."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.timing import Comparison, side_by_side
from lessons_lib.models.bert import BERTConfig
from lessons_lib.models.bert_heads import BERTForPreTraining
from lessons_lib.models.bridge import to_transformers
from lessons_lib.training import Masked, Masking, Pair, make_optimizer, pair_rows, pretraining_loss

CLS, SEP, MASK = 101, 102, 103  # as in bert-base-uncased
SPECIAL = (0, 100, CLS, SEP, MASK)
TARGET = 4.0  # steps of ours in the time of one of theirs


def make_batch(batch: int, seq: int, vocab_size: int) -> Masked:
    """Random words in full rows, cut into two segments anywhere; 15% are to be guessed."""
    draw = torch.Generator().manual_seed(0)
    pairs = []
    for row in range(batch):
        words = torch.randint(MASK + 1, vocab_size, (seq - 3,), generator=draw).tolist()
        cut = int(torch.randint(1, seq - 3, (), generator=draw))
        pairs.append(Pair(words[:cut], words[cut:], row % 2))
    rows = pair_rows(pairs, CLS, SEP)
    seen, targets = Masking(MASK, vocab_size, SPECIAL)(rows.ids, draw)
    return Masked(rows._replace(ids=seen), targets)


def make_step(model: nn.Module, loss_of: Callable[[], Tensor], learning_rate: float = 1e-4) -> Callable[[], float]:
    """Loss, gradient, clipping to norm 1, AdamW (fused, as transformers' Trainer has it too); returns the loss."""
    optimizer = make_optimizer(model.train(), learning_rate)

    def step() -> float:
        loss = loss_of()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return step


def both_steps(config: BERTConfig, batch: Masked) -> tuple[Callable[[], float], Callable[[], float]]:
    """Our step and theirs, from the same weights."""
    torch.manual_seed(0)
    ours = BERTForPreTraining(config)
    theirs = to_transformers(ours)
    asked = {
        "input_ids": batch.rows.ids,
        "token_type_ids": batch.rows.segments,
        "attention_mask": (batch.rows.ids != config.pad_id).long(),
        "labels": batch.targets.where(batch.targets != 0, -100),
        "next_sentence_label": batch.rows.labels,
    }
    return make_step(ours, lambda: pretraining_loss(ours, batch)[0]), make_step(theirs, lambda: theirs(**asked).loss)


def compare(
    config: BERTConfig | None = None, *, batch: int = 16, seq: int = 128, repeats: int = 7, steps: int = 3
) -> Comparison:
    """The comparison, after the losses of the first two steps have been found equal to 1e-5 of their size.

    Two layers of width 128 and 30,522 words unless a configuration is given. Raises AssertionError for losses that
    differ.
    """
    config = BERTConfig.tiny(dropout=0.0) if config is None else config
    ours, theirs = both_steps(config, make_batch(batch, seq, config.vocab_size))
    for _ in range(2):
        one, other = ours(), theirs()
        if abs(one - other) > 1e-5 * abs(other):
            raise AssertionError(f"Our loss is {one} and theirs {other}: the two sides do not do the same work.")
    name = f"BERT pre-training step, {batch} x {seq}, {config.n_layers} layers"
    return side_by_side(name, ours, theirs, target=TARGET, repeats=repeats, steps=steps)
