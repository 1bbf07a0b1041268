"""Muon for processors on which half precision is slow: the update of `torch.optim.Muon`, computed in float32."""

from collections import defaultdict
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import Optimizer

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of Jordan's quintic: steep at 0, and near 1 within five steps
ROUNDS = 5


def orthogonalised(
    matrix: Float[Tensor, "*batch rows columns"], eps: float = 1e-7
) -> Float[Tensor, "*batch rows columns"]:
    """Each matrix with all its singular values brought near 1, by Newton–Schulz iteration. Jordan et al. 2024.

    "Near" is between about 0.7 and 1.2: the iteration is tuned for speed, and Muon does not need more.
    """
    a, b, c = COEFFICIENTS
    tall = matrix.shape[-2] > matrix.shape[-1]
    size = matrix.norm(dim=(-2, -1), keepdim=True).clamp(min=eps)
    x = (matrix.mT if tall else matrix) / size  # now no singular value is above 1
    for _ in range(ROUNDS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.mT if tall else x


class Muon(Optimizer):
    """Momentum, orthogonalised, for two-axis parameters; Nesterov's form, decoupled weight decay.

    The update of a rows × columns matrix is scaled by 0.2 √max(rows, columns), so that its numbers are as large as
    AdamW's (Liu et al. 2025). `torch.optim.Muon` with `adjust_lr_fn="match_rms_adamw"` makes the same update in
    bfloat16, which on a CPU takes longer than all the rest of a small model's step. Raises ValueError for other
    parameters.
    """

    def __init__(self, params: Any, lr: float = 1e-3, weight_decay: float = 0.1, momentum: float = 0.95):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        for group in self.param_groups:
            if any(p.ndim != 2 for p in group["params"]):
                raise ValueError("Muon orthogonalises matrices: give it parameters with two axes only.")

    @torch.no_grad()
    def step(self, closure=None):
        """One update. `closure`, if given, is evaluated first."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            alike: dict[tuple, list[Tensor]] = defaultdict(list)  # matrices of one shape are orthogonalised together
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike[parameter.shape, parameter.device].append(parameter)
            for parameters in alike.values():
                self._update(parameters, group)
        return loss

    def _update(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        directions = []
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                state["momentum_buffer"] = torch.zeros_like(parameter.grad)
            buffer = state["momentum_buffer"].lerp_(parameter.grad, 1 - group["momentum"])
            directions.append(parameter.grad.lerp(buffer, group["momentum"]).float())
        size = 0.2 * max(parameters[0].shape) ** 0.5
        for parameter, update in zip(parameters, orthogonalised(torch.stack(directions)), strict=True):
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.add_(update.to(parameter.dtype), alpha=-group["lr"] * size)
