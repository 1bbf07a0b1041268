"""Model-FLOPs utilisation: how much of what the processor can do at best a training step of our GPT makes use of.

The best is measured in the same run: a product of two large matrices. What a step has to compute is counted by formula
(Chowdhery et al. 2022, "PaLM", appendix B): 6 operations for each weight of a matrix and each token, forwards and
backwards, and those of scores and averages; nothing is counted that an implementation adds of its own.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from benchmarks.bert_step import make_step
from benchmarks.gpt_step import make_ids
from lessons_lib.models.gpt import GPT, GPTConfig
from lessons_lib.training import causal_lm_loss, next_tokens
from lessons_lib.training.scaling import training_flops

TARGET = 0.6
PRODUCT = 2048  # rows and columns of the large matrices


@dataclass(frozen=True)
class Utilisation:
    """Operations per second, of a step and at best, one number per turn."""

    name: str
    step: tuple[float, ...]
    best: tuple[float, ...]
    target: float = TARGET

    @property
    def share(self) -> float:
        """By the medians."""
        return statistics.median(self.step) / statistics.median(self.best)

    def __str__(self) -> str:
        shares = [step / best for step, best in zip(self.step, self.best, strict=True)]
        step, best = (statistics.median(found) / 1e9 for found in (self.step, self.best))
        return (
            f"{self.name}: {step:.1f} of {best:.1f} GFLOP/s, utilisation {self.share:.0%} "
            f"({min(shares):.0%} to {max(shares):.0%}), target {self.target:.0%}"
        )


def measure(config: GPTConfig | None = None, *, batch: int = 8, seq: int = 128, repeats: int = 5) -> Utilisation:
    """Steps and matrix products in turns. Four layers of width 512 and 1000 tokens unless a configuration is given."""
    if config is None:
        config = GPTConfig(1000, context_length=seq, d_model=512, n_layers=4, n_heads=8, dropout=0.0)
    torch.manual_seed(0)
    model, rows = GPT(config), next_tokens(make_ids(batch, seq + 1, config.vocab_size), ignore=None)
    step = make_step(model, lambda: causal_lm_loss(model, rows)[0])
    left, right, out = (torch.randn(PRODUCT, PRODUCT) for _ in range(3))
    work: dict[str, tuple[Callable[[], object], int]] = {
        "step": (step, batch * seq * training_flops(config, seq)),
        "best": (lambda: torch.mm(left, right, out=out), 2 * PRODUCT**3),
    }
    found: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(repeats + 1):
        for name, (run, operations) in work.items():
            begin = time.perf_counter()
            run()
            found[name].append(operations / (time.perf_counter() - begin))
    steps, best = (tuple(found[name][1:]) for name in work)  # the first turn warms up
    return Utilisation(f"GPT training step of width {config.d_model}, {batch} x {seq}", steps, best)
