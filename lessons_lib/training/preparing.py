"""From a text to what a model trains on: a tokenizer of its own, a stream of tokens, and a part that is held out."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lessons_lib.text.corpora import Corpus
from lessons_lib.text.files import TextError
from lessons_lib.text.tokenizers import BPETokenizer, WordPieceTokenizer
from lessons_lib.text.tokenizers.bpe import END_OF_TEXT, from_printable
from lessons_lib.text.tokenizers.wordpiece import SPECIAL_TOKENS
from lessons_lib.training.masking import Masking
from lessons_lib.training.objectives import Causal, Masked
from lessons_lib.training.pairs import Rows
from lessons_lib.training.streams import TokenStream, kept_stream

SAMPLE = 5_000_000  # characters that a tokenizer is trained on; more of them change little
SMALLEST, LARGEST = 512, 16_384  # vocabularies
HELD_OUT = 0.05
EVALUATED = 2**14  # tokens of the held-out text that an evaluation looks at


def vocabulary_size(characters: int) -> int:
    """How many tokens suit a text: about twice the root of its length, as a power of two from 512 to 16,384.

    So each token has, on average, the more examples the longer the text is.
    """
    return min(LARGEST, max(SMALLEST, 2 ** round(math.log2(2 * math.sqrt(max(1, characters))))))


def train_tokenizer(kind: str, documents: Sequence[str]) -> BPETokenizer | WordPieceTokenizer:
    """A byte-level BPE for "gpt", WordPiece for "bert", of a size for the text; trained on 5 million characters of it,
    from documents spread evenly over it. WordPiece is learned by the library tokenizers."""
    characters = sum(map(len, documents))
    sample = documents[:: max(1, math.ceil(characters / SAMPLE))]
    size = vocabulary_size(characters)
    if kind == "gpt":
        return BPETokenizer.train(sample, size - 256 - 1, special_tokens=(END_OF_TEXT,))
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    learner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    learner.normalizer = normalizers.BertNormalizer(lowercase=False)
    learner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = list(SPECIAL_TOKENS)
    trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=special, show_progress=False)
    learner.train_from_iterator(sample, trainer)
    ids = learner.get_vocab()
    return WordPieceTokenizer(sorted(ids, key=ids.__getitem__), lowercase=False)


def save_tokenizer(tokenizer: BPETokenizer | WordPieceTokenizer, folder: Path) -> None:
    """Into `folder`, as `load_tokenizer` reads it."""
    unfinished = folder / "tokenizer.partial"
    if isinstance(tokenizer, BPETokenizer):
        tokenizer.save(unfinished)
        unfinished.replace(folder / "tokenizer.json")
    else:
        lines = "".join(f"{token}\n" for token in tokenizer.vocabulary)
        unfinished.write_text(lines, encoding="utf-8", newline="\n")
        unfinished.replace(folder / "vocab.txt")


def load_tokenizer(kind: str, folder: Path) -> BPETokenizer | WordPieceTokenizer:
    """The tokenizer that `save_tokenizer` has written."""
    if kind == "gpt":
        return BPETokenizer.load(folder / "tokenizer.json")
    return WordPieceTokenizer.from_file(folder / "vocab.txt", lowercase=False)


@dataclass(frozen=True)
class Material:
    """What a model of `kind` trains on and is judged by; `held_out` are documents that it never trains on."""

    kind: str
    tokenizer: Any
    ids: np.ndarray
    held_out_ids: np.ndarray
    held_out: tuple[str, ...]

    @property
    def end_id(self) -> int:
        """The token between two documents."""
        return self.id_of(END_OF_TEXT if self.kind == "gpt" else "[SEP]")

    def id_of(self, token: str) -> int:
        return self.tokenizer.vocabulary.index(token)

    @cached_property
    def token_bytes(self) -> Tensor:
        """How many bytes of text each token of a byte-level BPE stands for, "vocab"; 0 for a special token."""
        special = self.tokenizer.special_tokens
        return torch.tensor([0 if t in special else len(from_printable(t)) for t in self.tokenizer.vocabulary])

    def batches(self, context_length: int, rows: int, seed: int) -> "Batches":
        """Batches of `rows` rows, `context_length` tokens each. Raises TextError where the text does not fill a row."""
        length = context_length if self.kind == "gpt" else context_length - 2  # two places for [CLS] and [SEP]
        try:
            streams = [TokenStream(ids, length, seed) for ids in (self.ids, self.held_out_ids)]
        except ValueError as error:
            raise TextError(f"The text is too short for rows of {context_length} tokens. {error}") from error
        return (CausalBatches if self.kind == "gpt" else MaskedBatches)(self, *streams, rows)


def prepare(kind: str, corpus: Corpus, folder: Path, *, progress: bool = False) -> Material:
    """Tokenizer and streams of a corpus, kept in `folder`; taken from there, where they are.

    Raises TextError for a corpus of a single document, from which nothing can be held out.
    """
    try:
        training, held_out = corpus.split(HELD_OUT)
    except ValueError as error:
        raise TextError(str(error)) from error
    try:
        tokenizer = load_tokenizer(kind, folder)
    except FileNotFoundError:
        tokenizer = train_tokenizer(kind, training.documents)
        save_tokenizer(tokenizer, folder)
    made = Material(kind, tokenizer, np.empty(0), np.empty(0), held_out.documents)
    parts = (training.documents, held_out.documents)
    ids = [kept_stream(part, tokenizer, made.end_id, folder, progress=progress) for part in parts]
    return Material(kind, tokenizer, *ids, held_out.documents)


@dataclass(frozen=True)
class Batches:
    """Rows of a text, for training and for judging. Subclasses say what is asked."""

    material: Material
    training: TokenStream
    held_out: TokenStream
    rows: int

    def __call__(self, step: int) -> Causal | Masked:
        """The batch of a step: a function of its number alone."""
        raise NotImplementedError

    def evaluation(self) -> Iterator[Causal | Masked]:
        """Batches of the held-out text, the same each time: all of it, or 16,384 tokens spread evenly over it."""
        raise NotImplementedError

    def _evaluated(self) -> Iterator[Causal]:
        return self.held_out.evaluation(16, limit=max(1, EVALUATED // self.held_out.context_length))


class CausalBatches(Batches):
    """For GPT: windows of the stream."""

    def __call__(self, step: int) -> Causal:
        return self.training.batch(step, self.rows)

    def evaluation(self) -> Iterator[Causal]:
        return self._evaluated()


class MaskedBatches(Batches):
    """For BERT: windows of the stream between [CLS] and [SEP], with a quarter of the tokens hidden."""

    @cached_property
    def masking(self) -> Masking:
        """What is hidden; every call draws other places."""
        return Masking.of(self.material.tokenizer, rate=0.25)

    def __call__(self, step: int) -> Masked:
        windows = self.training.rows(step, self.rows)[:, :-1]
        return self._masked(windows, torch.Generator().manual_seed(self.training.seed * 1_000_003 + step))

    def evaluation(self) -> Iterator[Masked]:
        generator = torch.Generator().manual_seed(0)
        return (self._masked(batch.ids, generator) for batch in self._evaluated())

    def _masked(self, windows: Tensor, generator: torch.Generator) -> Masked:
        cls_id, sep_id = (windows.new_full((len(windows), 1), self.material.id_of(t)) for t in ("[CLS]", "[SEP]"))
        ids = torch.cat([cls_id, windows, sep_id], dim=1)  # batch seq
        seen, targets = self.masking(ids, generator)
        return Masked(Rows(seen, torch.zeros_like(ids)), targets)
