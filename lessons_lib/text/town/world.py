"""The tables of the Town: people, places, things and words, each entry with a weight and its forms.

An entry is `id = weight` or `id = { weight = 3, text = "Amara", pronoun = "she", tags = ["tall"] }`. Any further column
is one more form that sentences can show ({place.where}) and conditions can test; the ids never change, so that
translations, labels and switches can be attached to an entry by its id.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lessons_lib.paths import data_folder
from lessons_lib.toml import load_toml

# What a person is called when not by name. The keys are the forms that templates ask for: {hero.they}, {hero.their}.
PRONOUNS = {
    "she": {"they": "she", "them": "her", "their": "her"},
    "he": {"they": "he", "them": "him", "their": "his"},
}
PLOTS_FILE = "plots.toml"


class TownError(ValueError):
    """A table or a plot of the Town that cannot be used; the message names the file and the entry."""


@dataclass(frozen=True, eq=False)
class Table:
    """One table: entries with stable ids, weights, forms (form → one string per entry) and tags."""

    name: str
    ids: tuple[str, ...]
    weights: np.ndarray
    forms: dict[str, tuple[str, ...]]
    tags: tuple[frozenset[str], ...]

    def __len__(self) -> int:
        return len(self.ids)

    def index(self, entry: str, where: str) -> int:
        """The position of an entry's id. Raises TownError, beginning with `where`, for an unknown id."""
        if entry not in self.ids:
            raise TownError(f"{where}: table {self.name!r} has no entry {entry!r}; it has {', '.join(self.ids)}.")
        return self.ids.index(entry)

    def form(self, form: str, where: str) -> tuple[str, ...]:
        """One string per entry. Raises TownError, beginning with `where`, for a form that not every entry has."""
        if form not in self.forms:
            raise TownError(f"{where}: table {self.name!r} has no form {form!r}; it has {', '.join(self.forms)}.")
        return self.forms[form]

    @classmethod
    def build(cls, name: str, entries: dict, where: str) -> "Table":
        """A table from what TOML holds: id = weight, or id = { weight, text, any further forms, tags }."""
        if not isinstance(entries, dict) or not entries:
            raise TownError(f"{where}: table {name!r} is empty; give it at least one entry.")
        rows = [_row(entry_id, entry, f"{where}: entry {name}.{entry_id}") for entry_id, entry in entries.items()]
        shared = [form for form in rows[0]["forms"] if all(form in row["forms"] for row in rows)]
        forms = {form: tuple(row["forms"][form] for row in rows) for form in shared}
        _reject_twins(name, tuple(entries), forms["text"], where)
        return cls(
            name=name,
            ids=tuple(entries),
            weights=np.array([row["weight"] for row in rows], dtype=float),
            forms=forms,
            tags=tuple(row["tags"] for row in rows),
        )


@dataclass(frozen=True, eq=False)
class World:
    """All tables by name, and the plots as TOML gives them (plots.py compiles them)."""

    tables: dict[str, Table]
    plots: dict
    plots_file: str

    @classmethod
    def load(cls, folder: str | Path | None = None) -> "World":
        """Read every *.toml of `folder` (the course's own `data/town` when None). Raises TownError for a bad table."""
        folder = Path(folder) if folder is not None else data_folder() / "town"
        files = sorted(folder.glob("*.toml")) if folder.is_dir() else []
        if folder / PLOTS_FILE not in files:
            raise TownError(f"{folder} holds no {PLOTS_FILE}: it is not a folder of Town tables.")
        tables: dict[str, Table] = {}
        for file in files:
            if file.name == PLOTS_FILE:
                continue
            for name, entries in load_toml(file).items():
                if name in tables:
                    raise TownError(f"{file.name}: table {name!r} is defined in another file already.")
                tables[name] = Table.build(name, entries, file.name)
        return cls(tables, load_toml(folder / PLOTS_FILE), PLOTS_FILE)


def check_weight(weight, where: str) -> float:
    """`weight` as a float. Raises TownError, beginning with `where`, unless it is a finite number above zero."""
    if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not (math.isfinite(weight) and weight > 0):
        raise TownError(f"{where}: the weight is {weight!r}; a weight is a number above 0.")
    return float(weight)


def capitalised(text: str) -> str:
    """`text` with its first letter as a capital, the rest untouched."""
    return text[:1].upper() + text[1:]


def _row(entry_id: str, entry, where: str) -> dict:
    entry = dict(entry) if isinstance(entry, dict) else {"weight": entry}
    weight = check_weight(entry.pop("weight", None), where)
    tags = entry.pop("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise TownError(f"{where}: tags must be a list of strings, not {tags!r}.")
    text = entry.pop("text", entry_id.replace("_", " "))
    forms = {"text": text, "the": f"the {text}", "a": f"{'an' if text[:1].lower() in 'aeiou' else 'a'} {text}"}
    if "pronoun" in entry:
        if entry["pronoun"] not in PRONOUNS:
            raise TownError(f"{where}: pronoun {entry['pronoun']!r} is not one of {', '.join(PRONOUNS)}.")
        forms |= PRONOUNS[entry["pronoun"]]
    forms |= entry
    for form, value in forms.items():
        if not isinstance(value, str) or not value or value != " ".join(value.split()):
            raise TownError(f"{where}: form {form!r} is {value!r}; a form is words with single spaces between them.")
    return {"weight": weight, "forms": forms, "tags": frozenset(tags)}


def _reject_twins(name: str, ids: tuple[str, ...], texts: tuple[str, ...], where: str) -> None:
    seen: dict[str, str] = {}
    for entry_id, text in zip(ids, texts, strict=True):
        if text in seen:
            raise TownError(f"{where}: entries {name}.{seen[text]} and {name}.{entry_id} have the same text {text!r}.")
        seen[text] = entry_id
