"""Looking at values of any library: numbers, arrays and tensors as NumPy sees them, and all of them in few words."""

import math
from collections.abc import Mapping, Set
from typing import Any

import numpy as np

LONGEST = 160  # characters of a value in a message


def is_tensor(value: Any) -> bool:
    """Whether this is a torch tensor, without importing torch."""
    return any(kind.__module__ == "torch" and kind.__name__ == "Tensor" for kind in type(value).__mro__)


def is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) or is_tensor(value)


def is_number(value: Any) -> bool:
    """Whether this is one number (or truth value): Python's, NumPy's, or an array or tensor without dimensions."""
    if isinstance(value, bool | int | float | complex | np.bool_ | np.number):
        return True
    return is_array(value) and value.ndim == 0


def to_numpy(value: Any) -> np.ndarray:
    """An array from anything that `is_array` or `is_number`; tensors may be on any device and of any kind."""
    if is_tensor(value):
        value = value.detach() if "strided" in str(value.layout) else value.detach().to_dense()
        value = value.cpu().resolve_conj().resolve_neg()
        value = value.float() if "bfloat16" in str(value.dtype) else value
        return value.numpy()
    return np.asarray(value)


_NAMES = {
    type(None): "None",
    bool: "a truth value",
    np.bool_: "a truth value",
    int: "a whole number",
    float: "a number",
    str: "a string",
    list: "a list",
    tuple: "a tuple",
    dict: "a dictionary",
    set: "a set",
}


def type_name(value: Any) -> str:
    """What to call the type of a value in a message."""
    if is_tensor(value):
        return "a torch tensor"
    if isinstance(value, np.ndarray):
        return "a NumPy array"
    if type(value) in _NAMES:
        return _NAMES[type(value)]
    if isinstance(value, np.integer):
        return "a whole number"
    if isinstance(value, np.number):
        return "a number"
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def size(value: Any) -> int:
    """How much there is to read in a value: used to show the smallest input that fails."""
    if is_array(value):
        return int(math.prod(value.shape))
    if isinstance(value, Mapping):
        return sum(1 + size(v) for v in value.values())
    if isinstance(value, list | tuple | Set):
        return sum(1 + size(v) for v in value)
    return len(value) if isinstance(value, str | bytes) else 1


def shorten(value: Any, longest: int = LONGEST) -> str:
    """A value as text, rounded and cut to a readable length, the same on every machine."""
    if is_array(value) and value.ndim > 0:
        array = to_numpy(value)
        body = np.array2string(array, precision=4, threshold=24, edgeitems=2, suppress_small=True, separator=", ")
        text = f"{' '.join(body.split())}, shape {tuple(array.shape)}"
    elif is_number(value):
        number = to_numpy(value).item()
        text = f"{number:.6g}" if isinstance(number, float) else repr(number)
        text += ".0" if isinstance(number, float) and text.lstrip("-").isdigit() else ""
    elif isinstance(value, Mapping):
        text = "{" + _some((f"{shorten(k, 40)}: {shorten(v, 40)}" for k, v in value.items()), len(value), longest) + "}"
    elif isinstance(value, Set):
        text = (
            "{" + _some((shorten(v, 40) for v in sorted(value, key=repr)), len(value), longest) + "}"
            if value
            else "set()"
        )
    elif isinstance(value, list | tuple):
        left, right = "[]" if isinstance(value, list) else "()"
        comma = "," if isinstance(value, tuple) and len(value) == 1 else ""
        text = left + _some((shorten(v, 40) for v in value), len(value), longest) + comma + right
    else:
        text = repr(value)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _some(parts: Any, total: int, longest: int) -> str:
    """As many of the parts as fit, then how many more there are."""
    shown, used = [], 0
    for part in parts:
        used += len(part) + 2
        if shown and used > longest - 16:
            return ", ".join(shown) + f", … {total - len(shown)} more"
        shown.append(part)
    return ", ".join(shown)
