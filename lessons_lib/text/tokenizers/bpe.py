"""Byte-level byte-pair encoding, as in GPT-2: any text goes in, frequent byte sequences come out as one token."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush
from itertools import pairwise
from pathlib import Path

import regex

from lessons_lib.text.tokenizers.basic import SpecialTokens, checked_ids, checked_text, checked_training_text
from lessons_lib.text.tokenizers.bpe_training import learn_merges

# GPT-2's pattern (Radford et al., 2019, file encoder.py). No merge crosses the end of one of these matches.
GPT2_PATTERN = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
END_OF_TEXT = "<|endoftext|>"
CACHED_WORDS = 50_000
_FORMAT = "lessons_lib BPE 1"


def pre_tokenize(text: str) -> list[str]:
    """The words of `text` as GPT-2 cuts them: a space belongs to the word after it; the pieces joined are the text."""
    return GPT2_PATTERN.findall(text)


def printable_bytes() -> dict[int, str]:
    """GPT-2's way to write each byte as one visible character: itself where it has a glyph, else U+0100 and up.

    A space is written "Ġ", a line end "Ċ". The order of the characters is the order of the first 256 ids.
    """
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in visible]
    return {byte: chr(byte) for byte in visible} | {byte: chr(0x100 + n) for n, byte in enumerate(hidden)}


BYTE_TO_CHAR = printable_bytes()
CHAR_TO_BYTE = {character: byte for byte, character in BYTE_TO_CHAR.items()}
BYTE_TO_ID = {byte: i for i, byte in enumerate(BYTE_TO_CHAR)}


def from_printable(token: str) -> bytes:
    """The bytes that a token in the visible alphabet stands for. Raises ValueError for a character outside it."""
    try:
        return bytes(map(CHAR_TO_BYTE.__getitem__, token))
    except KeyError as error:
        raise ValueError(
            f"{token!r} is not written in the byte alphabet: it has no character {error.args[0]!r}."
        ) from None


class BPETokenizer:
    """Byte-pair encoding over bytes: 256 bytes, then one token per merge, then the special tokens.

    `merges` are pairs of tokens in the order learned, in the visible alphabet of `printable_bytes`. Raises ValueError
    for a merge of tokens that are not there yet, and for a special token that is an ordinary one too.
    """

    def __init__(self, merges: Iterable[tuple[str, str]] = (), *, special_tokens: Sequence[str] = ()):
        self.merges = tuple((str(left), str(right)) for left, right in merges)
        self.special_tokens = tuple(special_tokens)
        self._special = SpecialTokens(self.special_tokens)
        ids = {character: i for i, character in enumerate(BYTE_TO_CHAR.values())}
        self._ranks: dict[tuple[int, int], tuple[int, int]] = {}
        for rank, (left, right) in enumerate(self.merges):
            if left not in ids or right not in ids:
                raise ValueError(
                    f"Merge {rank} joins {left!r} and {right!r}, but no byte or earlier merge gives one of them."
                )
            new = ids.setdefault(left + right, len(ids))
            self._ranks[ids[left], ids[right]] = (rank, new)
        for name in self.special_tokens:
            if name in ids:
                raise ValueError(f"The special token {name!r} is an ordinary token too; choose another name.")
            ids[name] = len(ids)
        self._ids = ids
        self.vocabulary = tuple(ids)
        n_plain = len(ids) - len(self.special_tokens)
        self._pieces = [from_printable(token) for token in self.vocabulary[:n_plain]]
        self._pieces += [name.encode("utf-8") for name in self.special_tokens]
        self._cache: dict[str, list[int]] = {}

    @classmethod
    def train(cls, text: str | Iterable[str], n_merges: int, *, special_tokens: Sequence[str] = ()) -> "BPETokenizer":
        """Learn `n_merges` merges from one text or several; fewer when the text has no pair left to merge.

        The most frequent pair inside words is merged first; among equals the one with the smaller ids (the left one's
        id is compared first).
        Raises ValueError for an empty text or n_merges < 0.
        """
        if isinstance(n_merges, bool) or not hasattr(n_merges, "__index__") or n_merges < 0:
            raise ValueError(f"n_merges must be a whole number, 0 or more, not {n_merges!r}.")
        words: Counter[str] = Counter()
        for document in checked_training_text(text):
            words.update(pre_tokenize(document))
        spelled = {tuple(BYTE_TO_ID[byte] for byte in word.encode("utf-8")): count for word, count in words.items()}
        names = list(BYTE_TO_CHAR.values())
        merges = []
        for left, right in learn_merges(spelled, len(names), n_merges):
            merges.append((names[left], names[right]))
            names.append(names[left] + names[right])
        return cls(merges, special_tokens=special_tokens)

    @property
    def vocab_size(self) -> int:
        """The number of ids: bytes, merged tokens and special tokens."""
        return len(self.vocabulary)

    def truncated(self, n_merges: int) -> "BPETokenizer":
        """The tokenizer with the first `n_merges` merges only: what a shorter training would have learned."""
        if not 0 <= n_merges <= len(self.merges):
            raise ValueError(f"n_merges must be from 0 to {len(self.merges)}, the merges there are; not {n_merges!r}.")
        return type(self)(self.merges[:n_merges], special_tokens=self.special_tokens)

    def encode(self, text: str) -> list[int]:
        """The ids of `text`; a special token's name in it becomes that token. ValueError for half a surrogate pair."""
        ids: list[int] = []
        for is_special, segment in self._special.split(checked_text(text)):
            if is_special:
                ids.append(self._ids[segment])
                continue
            for word in pre_tokenize(segment):
                ids += self._encode_word(word)
        return ids

    def tokens(self, text: str) -> list[str]:
        """The tokens of `text` in the visible alphabet, where "Ġ" is a space."""
        return [self.vocabulary[i] for i in self.encode(text)]

    def pieces(self, text: str) -> list[bytes]:
        """The tokens of `text` as the bytes they stand for; joined they are the text in UTF-8."""
        return [self._pieces[i] for i in self.encode(text)]

    def decode(self, ids: Iterable[int]) -> str:
        """The text again; bytes that are not UTF-8 (a character cut in half) become U+FFFD, the replacement character.

        Raises ValueError for an id outside the vocabulary.
        """
        joined = b"".join(self._pieces[i] for i in checked_ids(ids, self.vocab_size))
        return joined.decode("utf-8", errors="replace")

    def _encode_word(self, word: str) -> list[int]:
        if word not in self._cache:
            if len(self._cache) >= CACHED_WORDS:
                self._cache.clear()
            self._cache[word] = apply_merges([BYTE_TO_ID[byte] for byte in word.encode("utf-8")], self._ranks)
        return self._cache[word]

    def save(self, file: str | Path) -> None:
        """Write merges and special tokens to a JSON file."""
        content = {"format": _FORMAT, "special_tokens": self.special_tokens, "merges": self.merges}
        Path(file).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, file: str | Path) -> "BPETokenizer":
        """Read what `save` wrote. Raises ValueError when the file is something else."""
        try:
            content = json.loads(Path(file).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{file} is not JSON, so it is no saved tokenizer: {error}") from error
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise ValueError(f"{file} is not a tokenizer saved by BPETokenizer.save.")
        return cls([tuple(pair) for pair in content["merges"]], special_tokens=content["special_tokens"])

    @classmethod
    def from_gpt2(cls, folder: str | Path) -> "BPETokenizer":
        """GPT-2's own tokenizer from the folder of its files `vocab.bpe` and `encoder.json` (asset "gpt2-bpe").

        Raises ValueError when the ids made from the merges are not those of encoder.json.
        """
        lines = (Path(folder) / "vocab.bpe").read_text(encoding="utf-8").split("\n")
        merges = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
        tokenizer = cls(merges, special_tokens=(END_OF_TEXT,))
        if json.loads((Path(folder) / "encoder.json").read_text(encoding="utf-8")) != tokenizer._ids:
            raise ValueError(f"{folder} is damaged: its encoder.json and vocab.bpe do not belong together.")
        return tokenizer

    def to_hf(self):
        """The same tokenizer as a `transformers.PreTrainedTokenizerFast`: same ids; it saves and loads with models."""
        from lessons_lib.text.tokenizers.hf import bpe_to_hf

        return bpe_to_hf(self)


def apply_merges(symbols: list[int], ranks: dict[tuple[int, int], tuple[int, int]]) -> list[int]:
    """The ids of one word: merge the pair of lowest rank, leftmost first, until no pair can be merged.

    `ranks` gives a pair its rank and the id it becomes. A queue of candidates keeps a word of n bytes at n log n steps,
    so that a text without spaces is no trap.
    """
    symbols = list(symbols)
    after = [*range(1, len(symbols)), -1]  # the next living symbol; the one before; −1 is none
    before = list(range(-1, len(symbols) - 1))
    queue = [(*ranks[pair], i) for i, pair in enumerate(pairwise(symbols)) if pair in ranks]
    heapify(queue)
    while queue:
        _, new, i = heappop(queue)
        j = after[i]
        if j == -1 or ranks.get((symbols[i], symbols[j]), (0, None))[1] != new:
            continue  # one of the two was merged away since
        symbols[i], symbols[j] = new, -1
        after[i], after[j] = after[j], -1
        if after[i] != -1:
            before[after[i]] = i
        for k in (before[i], i):
            if k != -1 and after[k] != -1 and (found := ranks.get((symbols[k], symbols[after[k]]))):
                heappush(queue, (*found, k))
    return [symbol for symbol in symbols if symbol != -1]
