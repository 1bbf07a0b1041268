"""How short the loops are cut: read in one place, by lessons and by training."""

import os


def max_steps() -> int | None:
    """The number in LESSONS_MAX_STEPS, or None where it is not set. Raises ValueError for anything else in it."""
    text = os.environ.get("LESSONS_MAX_STEPS", "").strip()
    if not text:
        return None
    if not (text.isdecimal() and int(text) > 0):
        raise ValueError(f"LESSONS_MAX_STEPS is {text!r}; set it to a whole number above 0, or unset it.")
    return int(text)
