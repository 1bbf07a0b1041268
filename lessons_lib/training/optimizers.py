"""Optimizers: AdamW with decay groups, and Muon for the matrices inside the network with AdamW for the rest."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW, Optimizer

from lessons_lib.training.muon import Muon

KINDS = ("adamw", "muon")
HEADS = frozenset({"head", "lm_head", "output", "output_layer", "unembedding", "to_vocabulary", "classifier"})


def parameter_roles(model: nn.Module) -> dict[str, str]:
    """What each trainable parameter is: "embedding", "head", "vector" (biases, gains of norms) or "matrix", by name.

    An embedding is a table with a row for each token or place. The head gives the logits and is known by its name, one
    of HEADS, outside an attention; a head tied to the embedding is the embedding. What is left with two or more axes is
    a matrix inside the network.
    """
    heads = {
        id(child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if name in HEADS and not type(parent).__name__.endswith("Attention")
    }
    found: dict[int, str] = {}
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            if found.get(id(parameter)) != "embedding":
                found[id(parameter)] = _role(module, parameter, id(module) in heads)
    return {name: found[id(p)] for name, p in model.named_parameters() if p.requires_grad}


def _role(module: nn.Module, parameter: nn.Parameter, is_head: bool) -> str:
    if parameter.ndim < 2:
        return "vector"
    kind = type(module).__name__
    if isinstance(module, nn.Embedding) or "Embedding" in kind or "Positions" in kind:
        return "embedding"
    return "head" if is_head else "matrix"


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups for an optimizer: matrices and heads with weight decay; biases, norms and embeddings without.

    Decay pulls a weight towards 0. That keeps matrices from growing; a norm's gain belongs near 1, and the row of a
    rare token would shrink on every step that does not show the token.
    """
    roles = parameter_roles(model)
    return _groups(((name, p) for name, p in model.named_parameters() if name in roles), roles, weight_decay)


def _groups(named: Iterable[tuple[str, nn.Parameter]], roles: dict[str, str], weight_decay: float) -> list[dict]:
    by_decay: dict[float, list] = {weight_decay: [], 0.0: []}
    for name, parameter in named:
        by_decay[weight_decay if roles[name] in ("matrix", "head") else 0.0].append((name, parameter))
    return [{"params": params, "weight_decay": decay} for decay, params in by_decay.items() if params]


def make_optimizer(
    model: nn.Module,
    learning_rate: float = 1e-3,
    weight_decay: float = 0.01,
    kind: str = "adamw",
    *,
    betas: tuple[float, float] = (0.9, 0.95),
) -> Optimizer:
    """An optimizer for all trainable parameters of `model`.

    "adamw": Loshchilov and Hutter (2019), with the groups of `parameter_groups`. "muon": `Muon` (Jordan et
    al. 2024) for two-axis matrices inside the network, AdamW for embeddings, heads, vectors and the rest, as one
    optimizer. Muon's update is scaled to the size of AdamW's (Liu et al. 2025), so that one learning rate serves both.
    Raises ValueError for settings out of range and for a model with nothing to train.
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(KINDS)}.")
    if not learning_rate > 0 or not weight_decay >= 0:
        raise ValueError(
            f"learning_rate is {learning_rate} and weight_decay {weight_decay}: "
            "the first must be above 0, the second 0 or more."
        )
    roles = parameter_roles(model)
    named = {name: p for name, p in model.named_parameters() if name in roles}
    if not named:
        raise ValueError("The model has no parameter to train: none requires a gradient.")
    inside = [n for n, p in named.items() if kind == "muon" and roles[n] == "matrix" and p.ndim == 2]
    rest = [n for n in named if n not in set(inside)]
    parts: list[Optimizer] = []
    if inside:
        parts.append(Muon([{"params": [(n, named[n]) for n in inside]}], learning_rate, weight_decay))
    if rest:
        groups = _groups(((n, named[n]) for n in rest), roles, weight_decay)
        parts.append(AdamW(groups, lr=learning_rate, betas=betas, fused=_can_fuse(named.values())))
    return parts[0] if len(parts) == 1 else Optimizers(*parts)


def _can_fuse(parameters: Iterable[nn.Parameter]) -> bool:
    """One kernel for all of AdamW's arithmetic: for real numbers on a CPU or CUDA."""
    return all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in parameters)


class Optimizers(Optimizer):
    """Several optimizers that act as one: each has its own parameters; step, zero_grad and state go to all of them."""

    def __init__(self, *optimizers: Optimizer) -> None:
        super().__init__([group for one in optimizers for group in one.param_groups], {})
        self.optimizers = optimizers
        self._join()

    def _join(self) -> None:
        """The groups are the parts' own, so that a learning rate set here is set there; the states are one view."""
        self.param_groups = [group for one in self.optimizers for group in one.param_groups]

    def step(self, closure=None):
        """One step of each. `closure`, if given, is evaluated once."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for one in self.optimizers:
            one.step()
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        for one in self.optimizers:
            one.zero_grad(set_to_none)

    def add_param_group(self, param_group: dict) -> None:
        if hasattr(self, "optimizers"):
            raise TypeError("Add the group to the one of .optimizers that should have it, when it is made.")
        super().add_param_group(param_group)

    def state_dict(self) -> dict[str, Any]:
        return {"optimizers": [one.state_dict() for one in self.optimizers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        states = state_dict.get("optimizers", ())
        if len(states) != len(self.optimizers):
            raise ValueError(f"This state holds {len(states)} optimizers; here are {len(self.optimizers)}.")
        for one, state in zip(self.optimizers, states, strict=True):
            one.load_state_dict(state)
        self._join()

    @property
    def state(self) -> dict:
        joined: dict = defaultdict(dict)
        for one in getattr(self, "optimizers", ()):
            joined.update(one.state)
        return joined

    @state.setter
    def state(self, value: dict) -> None:
        """Each part keeps its own state; nothing is kept here."""
