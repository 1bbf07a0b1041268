"""Texts among the assets, each read in its own form: nothing fetched is ever imported or run."""

import ast
import csv
import json
from collections.abc import Callable
from itertools import groupby

from lessons_lib.assets import fetch
from lessons_lib.text import files

PAIRS = ("jupyter-fr", "jupyter-zh")


def load_pairs(name: str, *, progress: bool = True) -> list[tuple[str, str]]:
    """(English, translation) pairs of "jupyter-fr" or "jupyter-zh": JupyterLab's interface messages.

    In the order of the catalogues. A message that its translators left in English, an empty one, and one whose English
    text came before are left out; of several plural forms the first is taken. Raises ValueError for another name.
    """
    if name not in PAIRS:
        raise ValueError(f"There are no pairs named {name!r}: there are {' and '.join(PAIRS)}.")
    folder = fetch(name, progress=progress)
    pairs: dict[str, str] = {}
    for path in sorted(folder.glob("*.json")):
        if path.name == "asset.json":
            continue
        for key, forms in json.loads(path.read_text(encoding="utf-8")).items():
            english = key.rpartition("\x04")[2].strip()  # a message may carry a context, divided off by this character
            if english and english not in pairs and forms[0].strip() not in ("", english):
                pairs[english] = forms[0].strip()
    return list(pairs.items())


def load_rated(name: str = "movie-sentences", *, progress: bool = True) -> list[tuple[str, float]]:
    """(sentence, mean rating from −4 to 4) of "movie-sentences", in the file's order; ValueError for another name."""
    if name != "movie-sentences":
        raise ValueError(f"There are no rated sentences named {name!r}: there are movie-sentences.")
    path = fetch(name, progress=progress) / "movieReviewSnippets_GroundTruth.txt"
    with path.open(encoding="latin-1", newline="") as stream:
        rows = list(csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [(row[2].strip(), float(row[1])) for row in rows if row]


def kjv_chapters(source: str) -> list[str]:
    """The chapters of the King James Bible, from the package's module, which is parsed and not run.

    The module calls Bible(version, text, {verse: start}, {verse: end}, …); verse 40005003 is verse 3 of book 40's 5th
    chapter.
    The square brackets around words that the translators supplied are taken off.
    """
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    bible = next(call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Bible")
    text, starts, ends = (ast.literal_eval(argument) for argument in bible.args[1:4])
    chapters = []
    for _, group in groupby(sorted(starts), key=lambda verse: verse // 1000):
        verses = list(group)
        chapter = text[starts[verses[0]] : ends[verses[-1]]].strip()
        chapters.append(chapter.replace("[", "").replace("]", ""))
    return chapters


def _kjv(progress: bool) -> tuple[list[str], str]:
    path = fetch("kjv", progress=progress) / "plain_text_readers_bible.py"
    chapters = kjv_chapters(path.read_text(encoding="utf-8"))
    return chapters, f"the King James Bible, {len(chapters):,} chapters"


def _shakespeare(progress: bool) -> tuple[list[str], str]:
    text = files.read_file(fetch("shakespeare", progress=progress) / "input.txt")
    return files.cut(text), "tiny Shakespeare, about 2,000 characters a document"


def _movie_sentences(progress: bool) -> tuple[list[str], str]:
    rated = load_rated(progress=progress)
    return [text for text, _ in rated], f"{len(rated):,} sentences of film reviews"


def _pairs(name: str) -> Callable[[bool], tuple[list[str], str]]:
    def read(progress: bool) -> tuple[list[str], str]:
        pairs = load_pairs(name, progress=progress)
        return [f"{english}\n{other}" for english, other in pairs], f"{len(pairs):,} JupyterLab messages, two languages"

    return read


READERS: dict[str, Callable[[bool], tuple[list[str], str]]] = {
    "kjv": _kjv,
    "movie-sentences": _movie_sentences,
    "jupyter-fr": _pairs("jupyter-fr"),
    "jupyter-zh": _pairs("jupyter-zh"),
    "shakespeare": _shakespeare,
}
