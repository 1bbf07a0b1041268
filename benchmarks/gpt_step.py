"""A training step of our GPT against transformers' GPT2LMHeadModel: the same weights, batch, loss and optimizer."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.bert_step import make_step
from benchmarks.timing import Comparison, side_by_side
from lessons_lib.models.bridge import to_transformers
from lessons_lib.models.gpt import GPT, GPTConfig
from lessons_lib.text.vocab import IGNORE
from lessons_lib.training import causal_lm_loss
from lessons_lib.training.objectives import Causal

TARGET = 1.4  # steps of ours in the time of one of theirs
VOCAB_SIZE = 1000  # as that of a small byte-level BPE; with GPT-2's 50,257 the logits would be most of the work of both


def make_ids(batch: int, seq: int, vocab_size: int) -> Tensor:
    """Random tokens in full rows: what is in them does not matter to the time."""
    return torch.randint(vocab_size, (batch, seq), generator=torch.Generator().manual_seed(0))


def both_steps(config: GPTConfig, ids: Tensor) -> tuple[Callable[[], float], Callable[[], float]]:
    """Our step and theirs, from the same weights. Each predicts all tokens of a row but the first."""
    torch.manual_seed(0)
    ours = GPT(config)
    theirs = to_transformers(ours)
    theirs.loss_type = "ForCausalLM"  # the default for GPT-2 too, but there it comes with a warning
    batch = Causal(ids, F.pad(ids[:, 1:], (0, 1), value=IGNORE))
    return make_step(ours, lambda: causal_lm_loss(ours, batch)[0]), make_step(
        theirs, lambda: theirs(input_ids=ids, labels=ids, use_cache=False).loss
    )


def compare(
    config: GPTConfig | None = None, *, batch: int = 32, seq: int = 64, repeats: int = 7, steps: int = 3
) -> Comparison:
    """The comparison, after the losses of the first two steps have been found equal to 1e-5 of their size.

    Four layers of width 128 and 1000 tokens unless a configuration is given; without dropout, which would draw other
    numbers on either side. Raises AssertionError for losses that differ.
    """
    if config is None:
        config = GPTConfig(VOCAB_SIZE, context_length=seq, d_model=128, n_layers=4, n_heads=4, dropout=0.0)
    ours, theirs = both_steps(config, make_ids(batch, seq, config.vocab_size))
    for _ in range(2):
        one, other = ours(), theirs()
        if abs(one - other) > 1e-5 * abs(other):
            raise AssertionError(f"Our loss is {one} and theirs {other}: the two sides do not do the same work.")
    name = f"GPT training step, {batch} x {seq}, V = {config.vocab_size:,}"
    return side_by_side(name, ours, theirs, target=TARGET, repeats=repeats, steps=steps)
