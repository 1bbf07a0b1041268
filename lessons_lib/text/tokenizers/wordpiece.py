"""WordPiece as BERT does it: clean the text, split it into words, and cut each word into the longest known pieces.

Schuster and Nakajima, "Japanese and Korean Voice Search" (2012) and Wu et al. (2016) describe the pieces; Devlin et al.
(2019), whose tokenization.py is followed here, the cleaning. Where that file and `transformers`' `BertTokenizer` differ
(unassigned characters, one range of rare ideographs, the Greek final sigma), this follows `BertTokenizer`.
"""

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from lessons_lib.text.tokenizers.basic import SpecialTokens, checked_ids, checked_text

PREFIX = "##"  # marks a piece that continues a word
MAX_WORD_LENGTH = 100  # a longer word is unknown
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
CACHED_WORDS = 50_000
_IDEOGRAPHS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),  # BERT's own file begins this one at 0x2B820, BertTokenizer here
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


class WordPieceTokenizer:
    """BERT's tokenizer over a given vocabulary.

    `vocabulary` is the list of tokens in id order; it must hold "[UNK]". Those of [PAD] [UNK] [CLS] [SEP] [MASK] that
    it holds are special: their names in a text become those tokens. `lowercase` also strips accents, as in BERT's
    uncased models. Raises ValueError for a vocabulary without [UNK] or with a token twice.
    """

    def __init__(self, vocabulary: Sequence[str], lowercase: bool = True):
        if isinstance(vocabulary, (str, bytes)):
            raise TypeError(
                "The vocabulary is a list of tokens. To read a vocab.txt use WordPieceTokenizer.from_file(path)."
            )
        self.vocabulary = tuple(vocabulary)
        if "[UNK]" not in self.vocabulary:
            raise ValueError('The vocabulary has no "[UNK]", the token that stands for a word it cannot spell: add it.')
        self._ids = {token: i for i, token in enumerate(self.vocabulary)}
        if len(self._ids) != len(self.vocabulary) or not all(isinstance(t, str) and t for t in self.vocabulary):
            raise ValueError("The vocabulary must be different, non-empty strings: a repeated token has no single id.")
        self.lowercase = lowercase
        self.special_tokens = tuple(name for name in SPECIAL_TOKENS if name in self._ids)
        self._special = SpecialTokens(self.special_tokens)
        self._cache: dict[str, list[int]] = {}

    @classmethod
    def from_file(cls, file: str | Path, lowercase: bool = True) -> "WordPieceTokenizer":
        """The tokenizer of a `vocab.txt`: one token a line, the line number its id."""
        lines = Path(file).read_text(encoding="utf-8").split("\n")
        return cls(lines[:-1] if lines[-1] == "" else lines, lowercase)

    @property
    def vocab_size(self) -> int:
        """The number of tokens."""
        return len(self.vocabulary)

    def words(self, text: str) -> list[str]:
        """The cleaned words of `text`: between spaces, every punctuation mark and every ideograph a word of its own."""
        return split_punctuation(normalize(checked_text(text), self.lowercase))

    def tokens(self, text: str, *, add_special_tokens: bool = False) -> list[str]:
        """The tokens of `text`; with `add_special_tokens`, [CLS] before and [SEP] after."""
        return [self.vocabulary[i] for i in self.encode(text, add_special_tokens=add_special_tokens)]

    def encode(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        """The ids of `text`; with `add_special_tokens`, [CLS] before, [SEP] after. A word it cannot spell is [UNK]."""
        ids: list[int] = []
        for is_special, segment in self._special.split(checked_text(text)):
            if is_special:
                ids.append(self._ids[segment])
                continue
            for word in self.words(segment):
                ids += self._encode_word(word)
        return [self._id_of("[CLS]"), *ids, self._id_of("[SEP]")] if add_special_tokens else ids

    def decode(self, ids: Iterable[int]) -> str:
        """The tokens joined by spaces, continuations joined to their word. Case, accents and spacing are gone for good.

        Raises ValueError for an id outside the vocabulary.
        """
        text = " ".join(self.vocabulary[i] for i in checked_ids(ids, self.vocab_size))
        return text.replace(" " + PREFIX, "")

    def _encode_word(self, word: str) -> list[int]:
        if word not in self._cache:
            if len(self._cache) >= CACHED_WORDS:
                self._cache.clear()
            self._cache[word] = [self._ids[piece] for piece in longest_match(word, self._ids)]
        return self._cache[word]

    def _id_of(self, name: str) -> int:
        if name not in self._ids:
            raise ValueError(f"The vocabulary has no {name}, so add_special_tokens has nothing to add.")
        return self._ids[name]

    def to_hf(self):
        """The same tokenizer as a `transformers.PreTrainedTokenizerFast`: same ids; it saves and loads with models."""
        from lessons_lib.text.tokenizers.hf import wordpiece_to_hf

        return wordpiece_to_hf(self)


def longest_match(word: str, vocabulary: Collection[str]) -> list[str]:
    """The pieces of one word: the longest beginning that is known, then the longest of the rest, and so on.

    All pieces but the first carry "##". A word whose rest has no known beginning is ["[UNK]"] as a whole, and so is one
    of more than 100 characters.
    """
    if len(word) > MAX_WORD_LENGTH:
        return ["[UNK]"]
    pieces: list[str] = []
    start = 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = (PREFIX if start else "") + word[start:end]
            if piece in vocabulary:
                pieces.append(piece)
                start = end
                break
        else:
            return ["[UNK]"]
    return pieces


def normalize(text: str, lowercase: bool = True) -> str:
    """`text` without control characters, spaces plain, ideographs spaced; with `lowercase`, no capitals, no accents."""
    text = "".join(_clean(character) for character in text)
    if lowercase:
        # NFD writes "é" as "e" and a mark (category Mn), which is then dropped. Lower case one character at a time, or
        # "Σ" would depend on its neighbours.
        decomposed = unicodedata.normalize("NFD", text)
        text = "".join(c.lower() for c in decomposed if unicodedata.category(c) != "Mn")
    return text


def split_punctuation(text: str) -> list[str]:
    """The words between spaces, with each punctuation mark a word of its own."""
    return "".join(f" {character} " if is_punctuation(character) else character for character in text).split()


def is_punctuation(character: str) -> bool:
    """Whether Unicode says so (category P…), or it is ASCII and no letter, digit or space ("$", "+")."""
    if character < "\x80":
        return "!" <= character <= "~" and not character.isalnum()
    return unicodedata.category(character).startswith("P")


def is_ideograph(character: str) -> bool:
    """Whether the character is in one of the blocks of Chinese characters (which Japanese and Korean use too)."""
    return character >= "㐀" and any(low <= ord(character) <= high for low, high in _IDEOGRAPHS)


def _clean(character: str) -> str:
    if " " <= character <= "~":
        return character
    if character in "\t\n\r" or unicodedata.category(character) in ("Zs", "Zl", "Zp"):
        return " "
    if character == "\ufffd" or unicodedata.category(character) in ("Cc", "Cf", "Co"):
        return ""
    return f" {character} " if is_ideograph(character) else character
