"""The package behind the course: text → models → training → using → views.

Importing it is cheap. The few names that every notebook opens with can be imported from here; each loads its module
when it is first asked for:

    from lessons_lib import check, expect, hint, show_source, solution, start
"""

from importlib import import_module

__version__ = "0.1.0"

_HOME = {
    "start": "lessons_lib.lesson",
    "expect": "lessons_lib.lesson",
    "show_source": "lessons_lib.source",
    "check": "lessons_lib.exercises",
    "hint": "lessons_lib.exercises",
    "solution": "lessons_lib.exercises",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'lessons_lib' has no attribute {name!r}; it offers {', '.join(__all__)}.")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
