"""The BERT of lessons 09 and 10: how it is trained on the Town's notes, and where it is kept."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from lessons_lib.models.bert import BERTConfig
from lessons_lib.models.bert_heads import BERTForPreTraining
from lessons_lib.models.bert_start import head_start
from lessons_lib.paths import data_folder
from lessons_lib.text.tokenizers import WordPieceTokenizer
from lessons_lib.text.tokenizers.wordpiece import SPECIAL_TOKENS
from lessons_lib.text.town import Town
from lessons_lib.training.kept import Trained, kept_folder, recipe_key, train_kept
from lessons_lib.training.masking import Masking
from lessons_lib.training.objectives import Masked, masked_lm_loss, pretraining_loss
from lessons_lib.training.optimizers import make_optimizer
from lessons_lib.training.pairs import Rows, joined_rows, next_sentence_pair, pair_rows, single_rows
from lessons_lib.training.schedules import warmup_stable_decay

VERSION = 1  # of the code that trains; raise it when a change there changes what comes out


@dataclass(frozen=True)
class Recipe:
    """All that decides the outcome, but the processor: sizes, data, masking, optimizer. The defaults are lesson 09's.

    Of the `size` rows of a batch a share `pairs` are pairs for next-sentence prediction, true ones and false ones; the
    others are whole notes in one piece. `rate`, `masked` and `random` are `Masking`'s.
    """

    steps: int = 1000
    size: int = 64
    pairs: float = 0.25
    rate: float = 0.25
    masked: float = 0.8
    random: float = 0.1
    learning_rate: float = 6e-3
    decay: float = 0.8
    d_model: int = 64
    n_layers: int = 2
    n_heads: int = 4
    d_ff: int = 128
    n_notes: int = 60_000
    seed: int = 9

    @property
    def key(self) -> str:
        """A short name that changes with anything in the recipe."""
        return recipe_key(self)


class Notes:
    """The Town's notes as BERT reads them: `tokenizer`, the sentences of training notes as ids, and batches of them."""

    def __init__(self, recipe: Recipe | None = None):
        self.recipe = recipe if recipe is not None else Recipe()
        self.town = Town.notes()
        words = (*self.town.vocabulary(), *self.town.task_vocabulary())
        self.tokenizer = WordPieceTokenizer([*SPECIAL_TOKENS, *words], lowercase=False)
        ids = {token: i for i, token in enumerate(self.tokenizer.vocabulary)}
        self.cls_id, self.sep_id, self.mask_id = (ids[name] for name in ("[CLS]", "[SEP]", "[MASK]"))
        self.end_id = ids["."]
        r = self.recipe
        self.masking = Masking.of(self.tokenizer, rate=r.rate, masked=r.masked, random=r.random)

    @cached_property
    def training(self) -> list[list[list[int]]]:
        """The training notes: each a list of sentences, each a list of ids."""
        stories = self.town.stories(self.recipe.n_notes, seed=self.recipe.seed, split="train")
        return [self.sentences(self.tokenizer.encode(story.text)) for story in stories]

    def sentences(self, ids: list[int]) -> list[list[int]]:
        """The ids of a note cut behind each full stop."""
        ends = [i + 1 for i, token in enumerate(ids) if token == self.end_id]
        return [ids[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    def rows(self, step: int) -> Rows:
        """The rows of a step before any word is masked: a function of the step's number alone."""
        r = self.recipe
        rng = np.random.default_rng([r.seed, step])
        chosen = rng.integers(len(self.training), size=r.size).tolist()
        n_pairs = round(r.pairs * r.size)
        pairs = [next_sentence_pair(self.training, i, rng) for i in chosen[:n_pairs]]
        whole = [[token for s in self.training[i] for token in s] for i in chosen[n_pairs:]]
        parts = [pair_rows(pairs, self.cls_id, self.sep_id)] if pairs else []
        parts += [single_rows(whole, self.cls_id, self.sep_id)] if whole else []
        return joined_rows(parts)

    def batch(self, step: int) -> Masked:
        """The rows of a step with words masked anew."""
        rows = self.rows(step)
        generator = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + step)
        seen, targets = self.masking(rows.ids, generator)
        return Masked(rows._replace(ids=seen), targets)

    def new_model(self) -> BERTForPreTraining:
        """An untrained model of the recipe's sizes, with a head start."""
        r = self.recipe
        config = BERTConfig(
            self.tokenizer.vocab_size,
            context_length=64,
            d_model=r.d_model,
            n_layers=r.n_layers,
            n_heads=r.n_heads,
            d_ff=r.d_ff,
            dropout=0.0,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(r.seed)
            return head_start(BERTForPreTraining(config, next_sentence=r.pairs > 0))


def pretrain(
    notes: Notes,
    *,
    device: str | torch.device = "cpu",
    checkpoint: Path | str | None = None,
    evaluate: Callable[[BERTForPreTraining], dict[str, float]] | None = None,
    evaluate_every: int | None = None,
    progress: bool = True,
) -> Trained:
    """Train a new model by the recipe of `notes`; `checkpoint` is `train_kept`'s."""
    r, model = notes.recipe, notes.new_model().to(device)
    optimizer = make_optimizer(model, r.learning_rate, 0.0, "muon")
    decay = min(r.steps - 1, round(r.decay * r.steps))
    return train_kept(
        model,
        notes.batch,
        loss=pretraining_loss if r.pairs else masked_lm_loss,
        steps=r.steps,
        optimizer=optimizer,
        schedule=warmup_stable_decay(steps=r.steps, warmup=min(20, r.steps - 1 - decay), decay=decay),
        checkpoint=checkpoint,
        evaluate=evaluate,
        evaluate_every=evaluate_every,
        progress=progress,
    )


def notes_folder(notes: Notes) -> Path:
    """Where the model of these notes is kept: a name that changes with the recipe, the Town's tables, the vocabulary,
    and VERSION."""
    tables = [path.read_bytes() for path in sorted((data_folder() / "town").glob("*.toml"))]
    tables.append((data_folder() / "town" / "notes" / "plots.toml").read_bytes())
    return kept_folder(f"bert-notes-{notes.recipe.key}", VERSION, tables, notes.tokenizer.vocabulary)


def kept_model(recipe: Recipe | None = None, *, device: str | torch.device = "cpu", progress: bool = True) -> Trained:
    """The trained model of lesson 09: taken from where it is kept, or trained now, with a progress bar, and kept."""
    notes = Notes(recipe)
    return pretrain(notes, device=device, checkpoint=notes_folder(notes), progress=progress)
