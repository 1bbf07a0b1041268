"""What every tokenizer here shares, and the two simplest: a token is a character, or a token is a byte."""

import re
from collections.abc import Iterable, Sequence


def checked_text(text: str) -> str:
    """`text` itself. Raises TypeError when it is no string, ValueError when it holds half of a surrogate pair."""
    if not isinstance(text, str):
        raise TypeError(f"A tokenizer needs a text (str), not {type(text).__name__}.")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"Character {error.start} of the text is U+{ord(text[error.start]):04X}, half of a surrogate pair: it is "
            "no character and has no UTF-8 form. Read the text again with its right encoding, or drop the character."
        ) from error
    return text


def checked_training_text(text: str | Iterable[str]) -> list[str]:
    """The documents to train on: one text, or several. Raises ValueError when there is nothing in them."""
    documents = [checked_text(document) for document in ([text] if isinstance(text, str) else text)]
    if not any(documents):
        raise ValueError("The training text is empty: a tokenizer is learned from text, so give it some.")
    return documents


def checked_ids(ids: Iterable[int], vocab_size: int) -> list[int]:
    """`ids` as a list of Python ints. Raises ValueError naming the first that is outside 0 … vocab_size − 1."""
    numbers = [_as_int(i) for i in ids]
    for place, number in enumerate(numbers):
        if not 0 <= number < vocab_size:
            raise ValueError(
                f"Id {number} at place {place} is outside the vocabulary, whose ids run from 0 to {vocab_size - 1}. "
                "Were these ids made by another tokenizer?"
            )
    return numbers


def _as_int(value) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"decode needs whole numbers, not {value!r}.")
    return value.__index__()


class SpecialTokens:
    """Cuts a text at special tokens, so that they are never split. The longest wins where two begin at one place."""

    def __init__(self, names: Sequence[str]):
        if len(set(names)) != len(names) or not all(isinstance(name, str) and name for name in names):
            raise ValueError(f"Special tokens must be different, non-empty strings; these are {list(names)!r}.")
        self.names = tuple(names)
        longest_first = sorted(self.names, key=len, reverse=True)
        self._pattern = re.compile("(" + "|".join(map(re.escape, longest_first)) + ")") if names else None

    def split(self, text: str) -> list[tuple[bool, str]]:
        """`(is_special, piece)` in order, without empty pieces; the pieces joined are the text."""
        pieces = self._pattern.split(text) if self._pattern else [text]
        return [(place % 2 == 1, piece) for place, piece in enumerate(pieces) if piece]


class CharTokenizer:
    """One token per character; the vocabulary is the alphabet of the training text, in code-point order."""

    def __init__(self, vocabulary: Sequence[str]):
        if not vocabulary or any(len(character) != 1 for character in vocabulary):
            raise ValueError("The vocabulary of a CharTokenizer is a list of single characters, at least one.")
        if len(set(vocabulary)) != len(vocabulary):
            raise ValueError("The vocabulary names a character twice, so its id would be ambiguous.")
        self.vocabulary = tuple(vocabulary)
        self._ids = {character: i for i, character in enumerate(self.vocabulary)}

    @classmethod
    def train(cls, text: str | Iterable[str]) -> "CharTokenizer":
        """The tokenizer whose alphabet is the characters of `text`, one or several. ValueError when it is empty."""
        return cls(sorted(set().union(*checked_training_text(text))))

    @property
    def vocab_size(self) -> int:
        """The number of characters in the alphabet."""
        return len(self.vocabulary)

    def tokens(self, text: str) -> list[str]:
        """The characters of `text`. Raises ValueError for one outside the alphabet, naming it and its place."""
        for place, character in enumerate(checked_text(text)):
            if character not in self._ids:
                raise ValueError(
                    f"Character {character!r} (U+{ord(character):04X}) at place {place} is not in the alphabet "
                    f"of {self.vocab_size} characters. Train on text that has it, or use ByteTokenizer."
                )
        return list(text)

    def encode(self, text: str) -> list[int]:
        """One id per character. Raises ValueError for a character outside the alphabet."""
        return [self._ids[character] for character in self.tokens(text)]

    def decode(self, ids: Iterable[int]) -> str:
        """The text again. Raises ValueError for an id outside the vocabulary."""
        return "".join(self.vocabulary[i] for i in checked_ids(ids, self.vocab_size))


class ByteTokenizer:
    """One token per byte of the UTF-8 form: 256 tokens, and every text can be written with them."""

    vocabulary = tuple(f"0x{byte:02X}" for byte in range(256))
    vocab_size = 256

    def tokens(self, text: str) -> list[str]:
        """The bytes of `text`, written in hexadecimal."""
        return [self.vocabulary[i] for i in self.encode(text)]

    def encode(self, text: str) -> list[int]:
        """The bytes of `text` in UTF-8, 0 to 255. Raises ValueError for half of a surrogate pair."""
        return list(checked_text(text).encode("utf-8"))

    def decode(self, ids: Iterable[int]) -> str:
        """The text again; bytes that are not UTF-8 (a character cut in half) become U+FFFD, the replacement sign."""
        return bytes(checked_ids(ids, 256)).decode("utf-8", errors="replace")
