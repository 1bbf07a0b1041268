"""The GPTs of lessons 12 to 14: how each is trained, on the Town's notes or Python's source, and where it is kept."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lessons_lib.models.gpt import GPT, GPTConfig
from lessons_lib.paths import data_folder
from lessons_lib.text.corpora import load_text
from lessons_lib.text.tokenizers import BPETokenizer
from lessons_lib.text.town import Town
from lessons_lib.text.vocab import WordVocabulary
from lessons_lib.training.kept import Trained, kept_folder, recipe_key, train_kept
from lessons_lib.training.objectives import Causal, causal_lm_loss, next_tokens
from lessons_lib.training.optimizers import make_optimizer
from lessons_lib.training.schedules import Schedule, warmup_cosine, warmup_stable_decay
from lessons_lib.training.streams import TokenStream, make_stream

VERSION = 1  # of the code that trains; raise it when a change there changes what comes out
END_OF_TEXT = "<|endoftext|>"


@dataclass(frozen=True)
class WriterRecipe:
    """All that decides the outcome, but the processor: sizes, data, optimizer. The defaults are for the Town's notes.

    `modern` takes the parts of `GPTConfig.modern`, Muon, and a learning rate that falls in a line to 0; otherwise the
    parts are GPT-2's, the optimizer is AdamW, and the rate falls along a cosine to a tenth. `size` is rows to a step;
    `n_notes` for the Town, `n_merges` and `share` (of the source's modules) for Python.
    """

    text: str = "town"
    modern: bool = True
    steps: int = 900
    size: int = 64
    learning_rate: float = 1e-2
    weight_decay: float = 0.0
    warmup: int = 20
    context_length: int = 64
    d_model: int = 64
    n_layers: int = 2
    n_heads: int = 4
    d_ff: int = 128
    n_notes: int = 57_600
    n_merges: int = 1000
    share: float = 0.5
    seed: int = 12

    def __post_init__(self):
        if self.text not in WRITERS:
            raise ValueError(f"text is {self.text!r}; there are recipes for {' and '.join(WRITERS)}.")

    @property
    def key(self) -> str:
        """A short name that changes with anything in the recipe."""
        return recipe_key(self)

    @classmethod
    def gpt2(cls, **changes) -> "WriterRecipe":
        """The same text and sizes by GPT-2's recipe, at a learning rate that a few runs found to serve it."""
        return cls(**{"modern": False, "learning_rate": 4e-3, "warmup": 50} | changes)

    @classmethod
    def python(cls, **changes) -> "WriterRecipe":
        """For Python's source: a wider model, longer rows."""
        sizes = {"d_model": 128, "n_layers": 2, "n_heads": 4, "d_ff": 256, "context_length": 128}
        return cls(**{"text": "python", "steps": 250, "size": 16, "n_merges": 2000} | sizes | changes)

    def schedule(self) -> Schedule:
        warmup = min(self.warmup, self.steps - 1)
        if self.modern:
            decay = min(round(0.95 * self.steps), self.steps - warmup)
            return warmup_stable_decay(steps=self.steps, warmup=warmup, decay=decay)
        return warmup_cosine(steps=self.steps, warmup=warmup)


class Writer:
    """A text as a GPT learns it. Subclasses say what the batches are."""

    def __init__(self, recipe: WriterRecipe):
        self.recipe = recipe

    @property
    def vocab_size(self) -> int:
        raise NotImplementedError

    def batch(self, step: int) -> Causal:
        """The rows of a step: a function of its number alone."""
        raise NotImplementedError

    def new_model(self) -> GPT:
        """An untrained model of the recipe's sizes, without dropout: no note is read twice."""
        r = self.recipe
        sizes = {"context_length": r.context_length, "d_model": r.d_model, "n_layers": r.n_layers}
        sizes |= {"n_heads": r.n_heads, "d_ff": r.d_ff, "vocab_size": self.vocab_size, "dropout": 0.0}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(r.seed)
            return GPT(GPTConfig.modern(**sizes) if r.modern else GPTConfig(**sizes))

    def versions(self) -> tuple[object, ...]:
        """What decides the outcome beside the recipe: see `kept_folder`."""
        raise NotImplementedError


class TownWriter(Writer):
    """The Town's notes, word by word; each row of a batch is a whole note between BEGIN and END.

    So every word is predicted from all that its writer knew, and the mean loss can be compared with the exact entropy.
    """

    def __init__(self, recipe: WriterRecipe | None = None):
        super().__init__(recipe if recipe is not None else WriterRecipe())
        self.town = Town.notes()
        self.vocabulary = WordVocabulary(sorted(self.town.vocabulary()))

    @property
    def vocab_size(self) -> int:
        return len(self.vocabulary)

    @cached_property
    def training(self) -> list[list[int]]:
        """The training notes as ids, each between BEGIN and END."""
        stories = self.town.stories(self.recipe.n_notes, seed=self.recipe.seed, split="train")
        return [self.vocabulary.encode(story.words, begin=True, end=True) for story in stories]

    def batch(self, step: int) -> Causal:
        r, count = self.recipe, len(self.training)
        turn, first = divmod(step * r.size, count)
        order = np.random.default_rng([r.seed, turn]).permutation(count)
        if first + r.size > count:
            order = np.concatenate([order, np.random.default_rng([r.seed, turn + 1]).permutation(count)])
        return self.rows([self.training[i] for i in order[first : first + r.size].tolist()])

    def rows(self, notes: list[list[int]]) -> Causal:
        """Rows of encoded notes, padded."""
        return next_tokens(self.vocabulary.pad(notes))

    def examination(self, n: int = 500, split: str = "valid") -> tuple[Causal, float]:
        """`n` notes of a split, and the least loss possible on them: -ln of their probability in the Town, in nats per
        token, END counted. The splits are independent draws of one language: the commoner notes stand in several."""
        stories = self.town.stories(n, seed=self.recipe.seed, split=split)
        rows = self.rows([self.vocabulary.encode(story.words, begin=True, end=True) for story in stories])
        floor = -sum(story.log_prob for story in stories) / sum(len(story.words) + 1 for story in stories)
        return rows, floor

    def versions(self) -> tuple[object, ...]:
        tables = [path.read_bytes() for path in sorted((data_folder() / "town").glob("*.toml"))]
        return VERSION, tables, (data_folder() / "town" / "notes" / "plots.toml").read_bytes()


class PythonWriter(Writer):
    """The source of Python's library, in the pieces of a byte-level BPE; the rows are windows of one long stream."""

    def __init__(self, recipe: WriterRecipe | None = None):
        super().__init__(recipe if recipe is not None else WriterRecipe.python())
        corpus = load_text("python-source", progress=False)
        self.training_text, self.held_out = corpus.split(0.05, seed=self.recipe.seed)

    @cached_property
    def documents(self) -> tuple[str, ...]:
        """The training modules that are read: a share of them, drawn at random."""
        every = self.training_text.documents
        rng = np.random.default_rng(self.recipe.seed)
        return tuple(every[i] for i in rng.permutation(len(every))[: max(1, round(self.recipe.share * len(every)))])

    @cached_property
    def tokenizer(self) -> BPETokenizer:
        return BPETokenizer.train(self.documents[::2], self.recipe.n_merges, special_tokens=(END_OF_TEXT,))

    @property
    def vocab_size(self) -> int:
        return self.tokenizer.vocab_size

    @property
    def end_id(self) -> int:
        """The token between two modules."""
        return self.tokenizer.encode(END_OF_TEXT)[0]

    def stream(self, documents: tuple[str, ...]) -> TokenStream:
        ids = make_stream(map(self.tokenizer.encode, documents), self.end_id, vocab_size=self.vocab_size)
        return TokenStream(ids, self.recipe.context_length, self.recipe.seed)

    @cached_property
    def training(self) -> TokenStream:
        return self.stream(self.documents)

    def batch(self, step: int) -> Causal:
        return self.training.batch(step, self.recipe.size)

    def versions(self) -> tuple[object, ...]:
        return VERSION, self.training_text.source, len(self.training_text.text)


WRITERS: dict[str, Callable[..., Any]] = {"town": TownWriter, "python": PythonWriter}


def train_writer(
    writer: Writer,
    *,
    device: str | torch.device = "cpu",
    checkpoint: Path | str | None = None,
    evaluate: Callable[[GPT], dict[str, float]] | None = None,
    evaluate_every: int | None = None,
    progress: bool = True,
) -> Trained:
    """Train a new model by the writer's recipe; `checkpoint` is `train_kept`'s."""
    r, model = writer.recipe, writer.new_model().to(device)
    optimizer = make_optimizer(model, r.learning_rate, r.weight_decay, "muon" if r.modern else "adamw")
    return train_kept(
        model,
        writer.batch,
        loss=causal_lm_loss,
        steps=r.steps,
        optimizer=optimizer,
        schedule=r.schedule(),
        checkpoint=checkpoint,
        evaluate=evaluate,
        evaluate_every=evaluate_every,
        progress=progress,
    )


def writer_folder(writer: Writer) -> Path:
    """Where the model of this writer is kept between lessons."""
    return kept_folder(f"gpt-{writer.recipe.text}-{writer.recipe.key}", *writer.versions())


def kept_writer(
    text: str | WriterRecipe = "town", *, device: str | torch.device = "cpu", progress: bool = True
) -> Trained:
    """The trained GPT for "town" or "python", or of a recipe: taken from where it is kept, or trained now and kept."""
    if isinstance(text, str):
        text = WriterRecipe.python() if text == "python" else replace(WriterRecipe(), text=text)
    writer = WRITERS[text.text](text)
    return train_writer(writer, device=device, checkpoint=writer_folder(writer), progress=progress)
