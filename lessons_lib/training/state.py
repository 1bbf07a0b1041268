"""The state of a run in a form that files can hold: random streams, tensors that share memory, optimizers."""

import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

KERNELS = ("foreach", "fused", "capturable", "differentiable")  # settings of how an update is computed, not of which


@dataclass(frozen=True)
class RandomStates:
    """The random states of Python, of NumPy's global generator, and of torch on the CPU and on every CUDA device."""

    python: tuple
    numpy: tuple
    torch: Tensor
    cuda: list[Tensor]

    @classmethod
    def now(cls) -> "RandomStates":
        """Those of this moment. A CUDA that nothing has used yet is left asleep."""
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
        return cls(random.getstate(), np.random.get_state(), torch.get_rng_state(), cuda)

    def restore(self) -> None:
        """Let all streams go on from here; those of CUDA devices that this machine lacks are left out."""
        random.setstate(self.python)
        np.random.set_state(self.numpy)
        torch.set_rng_state(self.torch)
        for device, state in enumerate(self.cuda[: torch.cuda.device_count()]):
            torch.cuda.set_rng_state(state, device)

    def as_json(self) -> dict[str, Any]:
        kind, key, *rest = self.numpy
        return {
            "python": self.python,
            "numpy": [kind, key.tolist(), *rest],
            "torch": self.torch.numpy().tobytes().hex(),
            "cuda": [state.numpy().tobytes().hex() for state in self.cuda],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "RandomStates":
        version, numbers, gauss = data["python"]
        kind, key, *rest = data["numpy"]
        cpu, *cuda = (
            torch.tensor(list(bytes.fromhex(text)), dtype=torch.uint8) for text in [data["torch"], *data["cuda"]]
        )
        return cls((version, tuple(numbers), gauss), (kind, np.array(key, dtype=np.uint32), *rest), cpu, cuda)


@contextmanager
def same_randomness() -> Iterator[None]:
    """Inside, random draws are anyone's; after it, every stream goes on as if there had been none."""
    states = RandomStates.now()
    try:
        yield
    finally:
        states.restore()


def encode(value: Any, tensors: dict[str, Tensor], name: str) -> Any:
    """`value` as JSON can hold it; its tensors go into `tensors`, named by the place where they were.

    Raises TypeError for what is neither a tensor, a number, text, None, nor a list, tuple or dict of such.
    """
    if isinstance(value, Tensor):
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, dict):  # as pairs, for a key need not be text
        return {"dict": [[key, encode(item, tensors, f"{name}.{key}")] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        items = [encode(item, tensors, f"{name}.{place}") for place, item in enumerate(value)]
        return {"tuple": items} if isinstance(value, tuple) else items
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(
        f"{name} is of type {type(value).__name__}, which no checkpoint can hold: "
        "it takes tensors, numbers, text, None, and lists, tuples and dicts of them."
    )


def decode(value: Any, tensors: dict[str, Tensor]) -> Any:
    """What `encode` was given. The tensors are copies of those in `tensors`."""
    if isinstance(value, list):
        return [decode(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, held),) = value.items()
    if kind == "dict":
        return {key: decode(item, tensors) for key, item in held}
    if kind == "tuple":
        return tuple(decode(item, tensors) for item in held)
    return tensors[held].clone() if kind == "tensor" else float(held)


def shared_names(tensors: dict[str, Tensor]) -> dict[str, str]:
    """For each further name of a tensor that has several (tied weights): the first of its names."""
    first: dict[tuple, str] = {}
    aliases = {}
    for name, tensor in tensors.items():
        view = (*_memory(tensor), tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype)
        if tensor.numel() and first.setdefault(view, name) != name:
            aliases[name] = first[view]
    return aliases


def separate(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as safetensors takes them: on the CPU, contiguous, no two in the same memory, each under one name."""
    aliases, seen, stored = shared_names(tensors), set(), {}
    for name, tensor in tensors.items():
        if name not in aliases:
            whole = tensor.detach().cpu().contiguous()
            stored[name] = whole.clone() if _memory(tensor) in seen else whole  # a different view of what is stored
            seen.add(_memory(tensor))
    return stored


def _memory(tensor: Tensor) -> tuple[torch.device, int]:
    return tensor.device, tensor.untyped_storage().data_ptr()


def model_difference(saved: dict[str, Tensor], aliases: dict[str, str], model: nn.Module) -> str | None:
    """In what way `model` is not the one whose state was saved; None where it is the same one."""
    own = model.state_dict()
    for lacking, where in ((saved.keys() - own.keys(), "here"), (own.keys() - saved.keys(), "in the checkpoint")):
        if lacking:
            more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            return f"the model {where} has no {min(lacking)!r}{more}"
    for name, tensor in saved.items():
        then, now = ((tuple(t.shape), str(t.dtype).removeprefix("torch.")) for t in (tensor, own[name]))
        if then != now:
            return (
                f"the model's {name!r} has shape {then[0]} ({then[1]}) in the checkpoint and {now[0]} ({now[1]}) here"
            )
    tied = shared_names(own)
    for name in sorted(tied.keys() ^ aliases.keys()):
        return f"the model's {name!r} shares its memory with another weight {'here' if name in tied else 'there'} only"
    return None


# --- optimizers, of one part or, as `Optimizers`, of several


def describe(optimizer: Optimizer) -> list[dict[str, Any]]:
    """For each part, its class and the shapes of its parameters, group by group."""
    return [
        {
            "class": type(part).__name__,
            "shapes": [[list(p.shape) for p in group["params"]] for group in part.param_groups],
        }
        for part in getattr(optimizer, "optimizers", [optimizer])
    ]


def optimizer_difference(
    saved: dict[str, Any], described: list[dict[str, Any]], optimizer: Optimizer, same_settings: bool
) -> str | None:
    """In what way `optimizer` is not the one whose state was saved; None where it is the same one."""
    then, now = (" and ".join(part["class"] for part in parts) for parts in (described, describe(optimizer)))
    if then != now:
        return f"the optimizer is {then} in the checkpoint and {now} here"
    if described != describe(optimizer):
        return "the optimizer's groups hold parameters of other numbers or shapes in the checkpoint than here"
    for old, new in _groups_of(saved, optimizer.state_dict()):
        for key in sorted((old.keys() | new.keys()) - {"params", *KERNELS}) if same_settings else ():
            if old.get(key) != new.get(key):
                return f"the optimizer's {key} is {old.get(key)} in the checkpoint and {new.get(key)} here"
    return None


def load_optimizer(optimizer: Optimizer, saved: dict[str, Any]) -> None:
    """Give `optimizer` the saved state, every tensor with its own dtype, computed by the kernels chosen here."""
    for old, new in _groups_of(saved, optimizer.state_dict()):
        old.update({key: new[key] for key in KERNELS if key in new})
    optimizer.load_state_dict(saved)
    for old, new in zip(_parts_of(saved), _parts_of(optimizer.state_dict()), strict=True):
        _same_dtypes(old["state"], new["state"])


def _same_dtypes(saved: Any, loaded: Any) -> None:
    """Undo, in place, that torch casts a state to the dtype of its parameter."""
    for key, value in saved.items() if isinstance(saved, dict) else enumerate(saved):
        if isinstance(value, (dict, list)):
            _same_dtypes(value, loaded[key])
        elif isinstance(value, Tensor) and value.dtype != loaded[key].dtype:
            loaded[key] = value.to(loaded[key].device)


def _parts_of(state: dict[str, Any]) -> list[dict[str, Any]]:
    return state.get("optimizers", [state])


def _groups_of(saved: dict[str, Any], own: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for old, new in zip(_parts_of(saved), _parts_of(own), strict=True):
        yield from zip(old["param_groups"], new["param_groups"], strict=True)
