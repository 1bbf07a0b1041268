"""Words: how a text is cut into words and punctuation, and the three symbols that are not words."""

import re

BEGIN = "<begin>"  # stands before the first word; never predicted
END = "<end>"  # stands after the last word; predicted like any word, and counted in every loss per token
UNKNOWN = "<unknown>"  # stands for every word outside an open vocabulary

WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


def split_words(text: str) -> tuple[str, ...]:
    """The words and punctuation marks of `text`, in order; spaces and line ends are dropped, capitals kept.

    A word is a run of letters, digits and underscores, with apostrophes inside ("didn't"); every other visible
    character is a token of its own.
    """
    if not isinstance(text, str):
        raise TypeError(f"split_words needs a text (str), not {type(text).__name__}.")
    return tuple(WORD.findall(text))
