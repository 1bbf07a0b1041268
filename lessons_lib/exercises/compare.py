"""Comparing an answer with what is expected, and saying how they differ: type, shape, kind of number, or value."""

import copy
from collections import Counter
from collections.abc import Mapping, Set
from typing import Any, NamedTuple

import numpy as np

from lessons_lib.exercises.values import is_array, is_number, is_tensor, shorten, to_numpy, type_name


class Difference(NamedTuple):
    """How an answer differs: `reason` is "type", "shape", "dtype", "nan" or "value"."""

    reason: str
    message: str


class Tolerance(NamedTuple):
    """Relative and absolute tolerance; `strict_kind` refuses a float where a whole number is meant."""

    rtol: float = 1e-5
    atol: float = 1e-8
    strict_kind: bool = False


CLOSE = Tolerance()
EXACT = Tolerance(0.0, 0.0)


def difference(expected: Any, got: Any, tolerance: Tolerance = CLOSE) -> Difference | None:
    """The first difference between the two, or None. Lists and tuples are alike, and so are numbers of any library."""
    if expected is None or isinstance(expected, str | bytes):
        return _plain(expected, got)
    if is_number(expected):
        return _numbers(expected, got, tolerance)
    if is_array(expected):
        return _arrays(expected, got, tolerance)
    if isinstance(expected, list | tuple):
        return _sequences(expected, got, tolerance)
    if isinstance(expected, Mapping):
        return _mappings(expected, got, tolerance)
    if isinstance(expected, Set):
        return _sets(expected, got)
    return _plain(expected, got)


def _wrong_type(expected: Any, got: Any) -> Difference:
    extra = " A `yield` makes a generator: collect the values in a list." if type(got).__name__ == "generator" else ""
    extra = " Call the function instead of returning it." if type(got).__name__ == "function" else extra
    return Difference("type", f"The result is {type_name(got)}; {type_name(expected)} is expected.{extra}")


def _plain(expected: Any, got: Any) -> Difference | None:
    if type(got) is type(expected) or isinstance(got, type(expected)):
        if expected == got:
            return None
        if isinstance(expected, str) and expected.split() == got.split():
            return Difference("value", "The result differs from the expected one only in its white space.")
        return Difference("value", "The result is not the expected one.")
    return _wrong_type(expected, got)


def _numbers(expected: Any, got: Any, tolerance: Tolerance) -> Difference | None:
    if is_array(got) and got.ndim > 0:
        return Difference("shape", f"The result has shape {tuple(got.shape)}; one number is expected.")
    if not is_number(got):
        return _wrong_type(expected, got)
    if (to_numpy(expected).dtype == bool) != (to_numpy(got).dtype == bool):
        wanted = "a truth value" if to_numpy(expected).dtype == bool else "a number"
        return Difference("type", f"The result is {type_name(got)}; {wanted} is expected.")
    return _close(expected, got, tolerance)


def _arrays(expected: Any, got: Any, tolerance: Tolerance) -> Difference | None:
    if is_number(got) and not is_array(got):
        return Difference("shape", f"The result is one number; shape {tuple(expected.shape)} is expected.")
    if not is_array(got) or is_tensor(got) != is_tensor(expected):
        return _wrong_type(expected, got)
    if tuple(got.shape) != tuple(expected.shape):
        message = f"The result has shape {tuple(got.shape)}; shape {tuple(expected.shape)} is expected."
        return Difference("shape", message)
    if (to_numpy(expected).dtype == bool) != (to_numpy(got).dtype == bool):
        wanted = "truth values (bool)" if to_numpy(expected).dtype == bool else "numbers"
        return Difference("dtype", f"The result holds {_kind(to_numpy(got))}; {wanted} are expected.")
    return _close(expected, got, tolerance)


def _close(expected: Any, got: Any, tolerance: Tolerance) -> Difference | None:
    """Compare numbers of one shape; the tolerance widens to what the less precise of the two types can hold."""
    a, b = to_numpy(expected), to_numpy(got)
    if a.dtype.kind not in "biufc" or b.dtype.kind not in "biufc":
        same = a.shape == b.shape and bool(np.all(a == b))
        return None if same else Difference("value", "The result is not the expected one.")
    whole, wanted_whole = b.dtype.kind in "iu", a.dtype.kind in "iu"
    if tolerance.strict_kind and whole != wanted_whole:
        wanted = "whole numbers" if wanted_whole else "floating-point numbers"
        return Difference("dtype", f"The result holds {_kind(b)}; {wanted} are expected.")
    eps = max((float(np.finfo(x.dtype).eps) for x in (a, b) if x.dtype.kind in "fc"), default=0.0)
    if tolerance == EXACT:
        eps = 0.0
    finite = np.abs(a[np.isfinite(a)]).astype(float)
    scale = float(finite.max()) if finite.size else 0.0
    rtol, atol = max(tolerance.rtol, 32 * eps), max(tolerance.atol, 8 * eps * scale)
    if np.allclose(b, a, rtol=rtol, atol=atol, equal_nan=True) if eps or rtol or atol else _identical(a, b):
        return None
    strange = ~np.isfinite(b) & np.isfinite(a)
    if strange.any():
        name = "NaN (not a number)" if np.isnan(b[strange]).any() else "infinity"
        cause = "a division by zero, the logarithm of 0, or exp of a large number makes one"
        return Difference("nan", f"The result contains {name} where a finite number is expected: {cause}.")
    if whole and not wanted_whole and a.dtype.kind == "f":
        message = "The result holds whole numbers where fractions are needed: was something rounded?"
        return Difference("dtype", message)
    return Difference("value", "The result is not the expected one.")


def _kind(values: np.ndarray) -> str:
    """What an array holds; not the name of its type, for the default one depends on the system."""
    names = {"b": "truth values (bool)", "i": "whole numbers", "u": "whole numbers", "f": "floating-point numbers"}
    return names.get(values.dtype.kind, values.dtype.name)


def _identical(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal bit for bit, NaN included."""
    return bool(np.all((a == b) | ((a != a) & (b != b))))


def _sequences(expected: Any, got: Any, tolerance: Tolerance) -> Difference | None:
    if isinstance(got, np.ndarray) and got.ndim > 0:
        got = list(got)
    if not isinstance(got, list | tuple):
        return _wrong_type(expected, got)
    if len(got) != len(expected):
        return Difference("shape", f"The result has {_items(len(got))}; {_items(len(expected))} expected.")
    for place, (a, b) in enumerate(zip(expected, got, strict=True)):
        found = difference(a, b, tolerance)
        if found:
            return _at(found, f"item {place}")
    return None


def _items(n: int) -> str:
    return "1 item" if n == 1 else f"{n} items"


def _mappings(expected: Mapping, got: Any, tolerance: Tolerance) -> Difference | None:
    if not isinstance(got, Mapping):
        return _wrong_type(expected, got)
    if isinstance(expected, Counter):  # a counter answers 0 for what it does not hold
        expected, got = ({k: v for k, v in m.items() if not (is_number(v) and v == 0)} for m in (expected, got))
    missing = [k for k in expected if k not in got]
    extra = [k for k in got if k not in expected]
    if missing or extra:
        parts = [f"lacks the key {shorten(missing[0], 60)}"] if missing else []
        parts += [f"has the key {shorten(extra[0], 60)}, which is not expected"] if extra else []
        return Difference("value", f"The result {' and '.join(parts)}.")
    for key in expected:
        found = difference(expected[key], got[key], tolerance)
        if found:
            return _at(found, f"the entry for {shorten(key, 60)}")
    return None


def _sets(expected: Set, got: Any) -> Difference | None:
    if not isinstance(got, Set):
        return _wrong_type(expected, got)
    missing, extra = set(expected) - set(got), set(got) - set(expected)
    if not missing and not extra:
        return None
    parts = [f"lacks {shorten(min(missing, key=repr), 60)}"] if missing else []
    parts += [f"has {shorten(min(extra, key=repr), 60)}, which is not expected"] if extra else []
    return Difference("value", f"The result {' and '.join(parts)}.")


def _at(found: Difference, place: str) -> Difference:
    """The same difference, with the place where it is."""
    if f" of {place}" in found.message or not found.message.startswith("The result"):
        return found
    return Difference(found.reason, f"In the result, {place}: {found.message[0].lower()}{found.message[1:]}")


def copy_of(args: tuple) -> tuple:
    """A deep copy of the arguments, so that no call sees what another one did to them."""
    return copy.deepcopy(args)


def changed(before: tuple, after: tuple) -> int | None:
    """The place of the first argument that a call changed; random generators are meant to change."""
    for place, (a, b) in enumerate(zip(before, after, strict=True)):
        comparable = isinstance(a, str | bytes | list | tuple | Mapping | Set) or is_array(a) or is_number(a)
        if comparable and difference(_plain_dict(a), _plain_dict(b), EXACT):
            return place
    return None


def _plain_dict(value: Any) -> Any:
    """A counter as a dictionary: a key that was added with the count 0 is a change."""
    return dict(value) if isinstance(value, Counter) else value
