"""How large a model a budget allows, and how long it trains: what `lessons train` decides before it begins."""

import math
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from lessons_lib.models.bert import BERTConfig
from lessons_lib.models.bert_heads import BERTForPreTraining
from lessons_lib.models.bert_start import head_start
from lessons_lib.models.gpt import GPT, GPTConfig
from lessons_lib.training.optimizers import make_optimizer
from lessons_lib.training.schedules import Schedule, warmup_cosine, warmup_stable_decay

TOKENS_PER_PARAMETER = 20  # of training, for the least loss at a given amount of arithmetic: Hoffmann et al. 2022
MAX_EPOCHS = 40  # a text that is read more often is learned by heart
MIN_STEPS = 10
SHARE = 0.9  # of the time is for steps, the rest for evaluations and for what comes before and after
# The learning rate for width 768. A narrower model takes a higher one, by this power of the ratio of the widths: so the
# rates of lessons 09 and 12 for width 64 and GPT-2's for 768 lie on one line.
RATES, RATE_POWER = {"gpt2": 6e-4, "modern": 1.5e-3, "bert": 7.5e-4}, 0.85
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Budget:
    """How long to train: `seconds`, or `steps`; the other is None."""

    seconds: float | None = None
    steps: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Budget":
        """From "90s", "10m", "1.5h", "2d" or "steps=500". Raises ValueError for anything else."""
        if found := re.fullmatch(r"steps=(\d+)", text.strip()):
            budget = cls(steps=int(found[1]))
        elif found := re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip()):
            budget = cls(seconds=float(found[1]) * UNITS[found[2]])
        else:
            raise ValueError(f"The budget is {text!r}; write a time such as 90s, 10m or 1.5h, or steps=500.")
        if not (budget.steps or budget.seconds):
            raise ValueError(f"The budget is {text!r}, which is no time at all; write 10m, say, or steps=500.")
        return budget


@dataclass(frozen=True)
class Size:
    """The sizes of a model and of its batches: `rows` of `context_length` tokens to a step.

    None for `dropout` and `learning_rate` leaves them to the plan.
    """

    d_model: int = 128
    n_layers: int = 4
    n_heads: int = 4
    context_length: int = 128
    rows: int = 32
    dropout: float | None = None
    learning_rate: float | None = None

    def __post_init__(self):
        if self.rows < 1 or (self.learning_rate is not None and not self.learning_rate > 0):
            raise ValueError(f"rows is {self.rows} and learning_rate {self.learning_rate}: both must be above 0.")

    @property
    def step_tokens(self) -> int:
        """Tokens to a step."""
        return self.rows * self.context_length


SIZES = {
    "tiny": Size(64, 2, 4, 64),
    "mini": Size(128, 4, 4, 128),
    "small": Size(256, 6, 8, 256),
    "medium": Size(512, 8, 8, 512),
    "large": Size(768, 12, 12, 1024),
    "xl": Size(1024, 24, 16, 1024, 64),
}


def parse_size(text: str) -> Size:
    """From the name of a preset (`SIZES`), sizes such as "d_model=192,n_layers=4", or both: "mini,rows=16".

    What is not named is as in "mini". Raises ValueError saying which names there are.
    """
    kinds = {field.name: float if field.name in ("dropout", "learning_rate") else int for field in fields(Size)}
    first, *rest = (part.strip() for part in text.split(","))
    size = SIZES.get(first)
    rest = rest if size else [first, *rest]
    try:
        changes = {}
        for part in rest:
            name, value = part.split("=")
            changes[name.strip()] = kinds[name.strip()](value)
    except (KeyError, ValueError):
        raise ValueError(
            f"The config is {text!r}, and {part!r} in it is not understood. Write a preset ({', '.join(SIZES)}), or "
            f"sizes such as d_model=192,n_layers=4,n_heads=6; the names are {', '.join(kinds)}."
        ) from None
    return replace(size or SIZES["mini"], **changes)


@dataclass(frozen=True)
class Plan:
    """All that is decided: sizes, dropout, learning rate, number of steps; and in words, why (`reasons`)."""

    kind: str
    recipe: str
    vocab_size: int
    size: Size
    steps: int
    seed: int
    reasons: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON; `from_dict` makes it again."""
        return asdict(self)

    @property
    def modern(self) -> bool:
        """Whether it trains with Muon; GPT-2's recipe has AdamW."""
        return self.recipe == "modern" or self.kind == "bert"

    def optimizer(self, model: nn.Module) -> Optimizer:
        """For this model: Muon without weight decay, or AdamW with 0.1."""
        rate = self.size.learning_rate
        return make_optimizer(model, rate, 0.0, "muon") if self.modern else make_optimizer(model, rate, 0.1)

    def schedule(self) -> Schedule:
        """A straight fall to 0 over four fifths of the run; by GPT-2's recipe a cosine down to a tenth."""
        warmup = min(self.steps // 4, 50 + self.steps // 100)
        if self.modern:
            decay = min(self.steps - 1 - warmup, round(0.8 * self.steps))
            return warmup_stable_decay(steps=self.steps, warmup=warmup, decay=decay)
        return warmup_cosine(steps=self.steps, warmup=warmup)

    def evaluate_every(self, tokens: int) -> int:
        """Steps between two evaluations of `tokens` tokens: so many that these take about a tenth of the time, but 4
        evaluations at least, and 20 at most, in the run."""
        cheap = 4 * tokens // self.size.step_tokens
        return max(1, min(self.steps // 4, max(self.steps // 20, cheap)))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Plan":
        return cls(**data | {"size": Size(**data["size"]), "reasons": tuple(data["reasons"])})

    def new_model(self) -> GPT | BERTForPreTraining:
        """An untrained model of these sizes, the same each time. BERT's has a head start (lesson 09)."""
        return build(self.kind, self.recipe, self.vocab_size, self.size, self.seed)


def build(kind: str, recipe: str, vocab_size: int, size: Size, seed: int) -> GPT | BERTForPreTraining:
    """The model of a size. Raises ValueError, as the configurations do, for sizes that do not go together."""
    sizes = {"vocab_size": vocab_size, "context_length": size.context_length, "d_model": size.d_model}
    sizes |= {"n_layers": size.n_layers, "n_heads": size.n_heads, "dropout": size.dropout or 0.0}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if kind == "gpt":
            return GPT(GPTConfig.modern(**sizes) if recipe == "modern" else GPTConfig(**sizes))
        return head_start(BERTForPreTraining(BERTConfig(**sizes), next_sentence=False))


def count_parameters(model: nn.Module) -> int:
    """Numbers that training may change, a tied table counted once."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def make_plan(
    kind: str,
    recipe: str,
    vocab_size: int,
    text_tokens: tuple[int, int],
    budget: Budget,
    size: Size | None,
    seed: int,
    speed: Callable[[nn.Module, Size], float],
) -> Plan:
    """Sizes and steps for a budget and a text: `text_tokens` to train on, and held out.

    Without a `size` the preset is taken whose number of training tokens comes nearest to 20 for each parameter, on a
    logarithmic scale, among those whose rows the text can fill. `speed(model, size)` measures tokens per second; it is
    asked only where the budget is a time.
    Raises ValueError for a budget that makes fewer than 10 steps.
    """
    best, reasons, to_train = None, [], text_tokens[0]
    for name, candidate in SIZES.items() if size is None else [("as asked", size)]:
        if best is not None and candidate.context_length >= min(text_tokens):
            break
        model = build(kind, recipe, vocab_size, candidate, seed)
        parameters = count_parameters(model)
        if budget.steps is not None:
            steps, how = budget.steps, ""
        else:
            try:
                rate = speed(model, candidate)
            except torch.OutOfMemoryError:
                if best is None:
                    raise
                reasons.append(f"{name}: {parameters:,} parameters, too much for this memory without --accumulate")
                break
            steps, how = int(SHARE * budget.seconds * rate / candidate.step_tokens), f" at {rate:,.0f} tokens/s"
        most = max(MIN_STEPS, int(MAX_EPOCHS * to_train / candidate.step_tokens))
        found = (candidate, min(steps, most) if budget.steps is None else steps, steps > most)
        ratio = found[1] * candidate.step_tokens / parameters
        reasons.append(f"{name}: {parameters:,} parameters, {ratio:,.1f} tokens each{how}")
        distance = abs(math.log(max(ratio, 1e-9) / TOKENS_PER_PARAMETER))
        if best is not None and distance >= best[0]:
            break
        best = (distance, name, *found)
        if ratio < TOKENS_PER_PARAMETER:
            break
    _, name, chosen, steps, repeated = best
    if budget.steps is None and steps < MIN_STEPS:
        raise ValueError(
            f"In {budget.seconds:g} s this machine makes {steps} steps of this model: give more time, or a smaller "
            "--config."
        )
    if size is None:
        reasons.append(f"chosen: {name}, nearest to {TOKENS_PER_PARAMETER} training tokens a parameter")
    if repeated:
        reasons.append(
            f"the text is read {steps * chosen.step_tokens / to_train:,.0f} times, and more would be learning it by "
            "heart: a longer text would use the budget better"
        )
    return Plan(kind, recipe, vocab_size, _settled(kind, recipe, chosen, steps, to_train), steps, seed, (*reasons,))


def _settled(kind: str, recipe: str, size: Size, steps: int, text_tokens: int) -> Size:
    """The size with a dropout for the number of times that the text is read, and a learning rate for its width."""
    epochs = steps * size.step_tokens / text_tokens
    dropout = size.dropout if size.dropout is not None else 0.0 if epochs < 4 else 0.1 if epochs < 15 else 0.2
    rate = size.learning_rate or RATES[recipe if kind == "gpt" else kind] * (768 / size.d_model) ** RATE_POWER
    return replace(size, dropout=dropout, learning_rate=float(f"{rate:.2g}"))


def measure(step: Callable[[], int], *, seconds: float = 1.0, wait: Callable[[], object] = lambda: None) -> float:
    """Tokens per second of `step`, which makes one step and returns its tokens: after one to warm up, as many as take
    `seconds`. `wait` waits for a GPU to be done."""
    step()
    wait()
    began, tokens = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        tokens += step()
        wait()
    return tokens / (time.perf_counter() - began)
