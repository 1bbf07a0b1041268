"""Corpora: texts by name, or any file or folder of yours, as documents that are never cut in two by a split.

    load_text("town", n=2000)    load_text("python-docs")    load_text("my_notes.txt")    load_text("my_folder/")

The same name gives the same documents in the same order on every run. "python-docs" and "python-source" come from the
running Python: they differ between its versions.
"""

import difflib
import os
import random
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lessons_lib.assets import registry
from lessons_lib.text import files, python_library, real_texts
from lessons_lib.text.files import TextError

__all__ = ["NAMES", "Corpus", "TextError", "load_pairs", "load_rated", "load_text"]

load_pairs = real_texts.load_pairs
load_rated = real_texts.load_rated

NAMES = ("town", "python-docs", "python-source", *real_texts.READERS)


@dataclass(frozen=True)
class Corpus:
    """A text in documents.

    `source` says in a line where it comes from; `skipped` lists the files of a folder that were left out, each with the
    reason.
    """

    name: str
    documents: tuple[str, ...]
    source: str
    skipped: tuple[str, ...] = ()

    @cached_property
    def text(self) -> str:
        """All documents, one after the other, with a blank line between two."""
        return "\n\n".join(self.documents)

    def split(self, held_out: float = 0.1, seed: int = 0) -> tuple["Corpus", "Corpus"]:
        """(training corpus, held-out corpus): a random share of the *documents* is held out, at least one.

        `held_out` is the share, between 0 and 1. Both parts keep the corpus's order; one seed, one split.
        Raises ValueError for a share that is none, and for a corpus of one document, which cannot be split.
        """
        if not 0 < held_out < 1:
            raise ValueError(f"held_out is a share between 0 and 1, not {held_out}.")
        count = len(self.documents)
        if count < 2:
            raise ValueError(
                f"{self.name!r} is a single document, and a split never cuts one in two. "
                "Give it blank lines between its parts, or load a folder of several files."
            )
        share = min(max(round(held_out * count), 1), count - 1)
        chosen = set(random.Random(seed).sample(range(count), share))
        parts = []
        for part, wanted in (("training", False), ("held out", True)):
            documents = tuple(text for i, text in enumerate(self.documents) if (i in chosen) == wanted)
            parts.append(Corpus(f"{self.name} ({part})", documents, f"{self.source}; {part}, seed {seed}"))
        return parts[0], parts[1]

    def __repr__(self) -> str:
        characters = sum(map(len, self.documents))
        return f"Corpus({self.name!r}: {len(self.documents):,} documents, {characters:,} characters; {self.source})"


def load_text(
    name_or_path: str | os.PathLike,
    *,
    n: int = 2000,
    seed: int = 0,
    split: str = "train",
    encoding: str = "utf-8",
    progress: bool = True,
) -> Corpus:
    """A corpus by name (see NAMES), or from a file or folder of yours.

    `n`, `seed` and `split` are for "town": how many stories, from which seed, of "train", "valid" or "test".
    `encoding` is for files. A name wins over a file of the same name: write "./town" for the file.
    A single file is cut into documents at its blank lines (see `files.cut`); in a folder every file is a document.
    Raises TextError, naming the file and what to do, for a file that is missing, empty, binary or in another encoding;
    AssetError for a named text that cannot be fetched.
    """
    name = os.fspath(name_or_path)
    if isinstance(name_or_path, str) and name in NAMES:
        return _named(name, n, seed, split, progress)
    path = Path(name).expanduser()
    if not name.strip() or not path.exists():
        raise TextError(_not_there(name, path))
    documents, source, skipped = files.read(path, encoding, progress)
    return Corpus(path.name or str(path), tuple(documents), source, tuple(skipped))


def _named(name: str, n: int, seed: int, split: str, progress: bool) -> Corpus:
    if name == "town":
        return _town(n, seed, split)
    if name == "python-docs":
        documents, source = python_library.documentation(progress)
    elif name == "python-source":
        documents, source = python_library.source_code(progress)
    else:
        documents, source = real_texts.READERS[name](progress)
    return Corpus(name, tuple(documents), source)


def _town(n: int, seed: int, split: str) -> Corpus:
    from lessons_lib.text.town import Town

    stories = Town().stories(n, seed=seed, split=split)
    return Corpus("town", tuple(story.text for story in stories), f"{n:,} stories of the Town, {split}, seed {seed}")


def _not_there(name: str, path: Path) -> str:
    if name in registry():
        return f"{name!r} is an asset, but not a text: {registry()[name].what}. Use lessons_lib.assets.fetch({name!r})."
    near = difflib.get_close_matches(name.lower(), NAMES, n=2, cutoff=0.6)
    folder = path.parent
    if folder.is_dir():
        siblings = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
        near += [str(folder / sibling) for sibling in difflib.get_close_matches(path.name, siblings, n=2, cutoff=0.6)]
        where = f"The folder {folder.resolve()} has no {path.name!r}."
    else:
        where = f"There is no folder {folder}."
    guess = f" Did you mean {' or '.join(near)}?" if near else ""
    return (
        f"{name!r} is neither a text that the course knows nor a file. {where}{guess} Known texts: {', '.join(NAMES)}."
    )
