"""LoRA: a trained model stays as it is, and beside each chosen matrix a thin product of two small ones learns.

Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models". Works on any model whose matrices are `nn.Linear`:
the course's own, and those of transformers.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from lessons_lib.models.checks import check_share, check_sizes


class LoRALinear(nn.Module):
    """A linear map W x, and beside it (alpha / rank) · B A x. W does not learn; A and B do.

    `A` is "rank d_in", at first normal with variance 1 / d_in; `B` is "d_out rank", at first 0, so that nothing
    changes at first. `dropout` acts on the x that goes into A. Hu et al. 2021, section 4.1.
    """

    def __init__(
        self,
        linear: nn.Linear,
        rank: int,
        alpha: float,
        *,
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        check_sizes(rank=rank)
        check_share("dropout", dropout)
        if not alpha > 0:
            raise ValueError(f"alpha is {alpha}: it must be above 0. Usual is once or twice the rank.")
        if rank > min(linear.in_features, linear.out_features):
            raise ValueError(
                f"rank is {rank}, and the matrix is {linear.out_features} × {linear.in_features}: a rank above the "
                "smaller of the two only costs more."
            )
        self.linear, self.rank, self.scale, self.dropout = linear, rank, alpha / rank, dropout
        start = torch.randn(rank, linear.in_features, generator=generator) / math.sqrt(linear.in_features)
        self.A = nn.Parameter(start.to(linear.weight))
        self.B = nn.Parameter(linear.weight.new_zeros(linear.out_features, rank))
        linear.requires_grad_(False)

    def forward(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_out"]:
        low = F.dropout(x, self.dropout, self.training) @ self.A.T  # *batch rank
        return self.linear(x) + self.scale * (low @ self.B.T)  # *batch d_out

    def change(self) -> Float[Tensor, "d_out d_in"]:
        """What is added to W in all: (alpha / rank) · B A."""
        return self.scale * self.B @ self.A


def add_lora(
    model: nn.Module,
    *,
    rank: int = 8,
    alpha: float = 16.0,
    targets: Sequence[str] = ("query", "value"),
    dropout: float = 0.0,
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Put a `LoRALinear` in the place of each linear map called one of `targets`, and freeze everything else.

    Changes `model`, and returns it. The outputs stay the same until A and B have learned. Make the optimizer after
    this. In transformers' Llama, and so in SmolLM2, the names are "q_proj" and "v_proj". Raises ValueError where a name
    fits nothing or the model has LoRA already, for sizes out of range, and for a matrix that is tied to another module;
    TypeError where a name is that of something else than `nn.Linear`.
    """
    if isinstance(targets, str):
        raise TypeError(f"targets is {targets!r}: give a list of names, such as ({targets!r},).")
    if any(True for _ in _adapted(model)):
        raise ValueError("This model has LoRA already: merge_lora(model) first.")
    found = {name: module for name, module in model.named_modules() if name.rpartition(".")[2] in targets}
    missing = [name for name in targets if not any(full.rpartition(".")[2] == name for full in found)]
    if missing or not targets:
        names = sorted({name.rpartition(".")[2] for name, m in model.named_modules() if isinstance(m, nn.Linear)})
        raise ValueError(f"No module is called {missing[0] if missing else '…'!r}; the linear maps are {names}.")
    for name, module in found.items():
        _check_target(model, name, module)
    made = {name: LoRALinear(m, rank, alpha, dropout=dropout, generator=generator) for name, m in found.items()}
    model.requires_grad_(False)
    for name, lora in made.items():
        lora.A.requires_grad_(True)
        lora.B.requires_grad_(True)
        _put(model, name, lora.train(found[name].training))
    return model


def lora_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """The A and B of every adapted matrix, by name: all that learns, and all that a file of the adapter has to hold.

    `model.load_state_dict(adapter, strict=False)` puts them back. Raises ValueError for a model without LoRA.
    """
    found = {f"{name}.{key}": getattr(lora, key) for name, lora in _adapted(model) for key in ("A", "B")}
    if not found:
        raise ValueError("This model has no LoRA: add_lora(model, rank=8) first.")
    return found


@torch.no_grad()
def merge_lora(model: nn.Module) -> nn.Module:
    """Add what LoRA has learned to the matrices themselves: a plain model again, with the same outputs and as fast.

    Changes `model`, and returns it; all its parameters learn again. Raises ValueError for a model without LoRA.
    """
    lora_parameters(model)
    for name, lora in list(_adapted(model)):
        lora.linear.weight += lora.change()
        _put(model, name, lora.linear)
    return model.requires_grad_(True)


def _adapted(model: nn.Module) -> Iterator[tuple[str, LoRALinear]]:
    return ((name, module) for name, module in model.named_modules() if isinstance(module, LoRALinear))


def _check_target(model: nn.Module, name: str, module: nn.Module) -> None:
    if not isinstance(module, nn.Linear):
        raise TypeError(f"{name} is {type(module).__name__}; LoRA stands beside an nn.Linear here.")
    for other, parameter in model.named_parameters(remove_duplicate=False):
        if parameter is module.weight and other != f"{name}.weight":
            raise ValueError(f"{name} is tied to {other}: merged into it, what LoRA learns would change both.")


def _put(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, module)
