"""What a committed lesson must be: every rule is a function that names what is wrong, in words for its author."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from nbformat import NotebookNode

from lessons_lib.course import find_lesson
from lessons_lib.exercises.registry import all_exercises
from lessons_lib.notebooks import files, stamp, where

MAX_BYTES = 1_500_000
MAX_CODE_LINES = 25
MAX_PROSE_WORDS = 160
MAX_EXEMPT_SHARE = 0.25
EXEMPT = ("nbval-ignore-output", "nbval-skip", "nbval-raises-exception", "raises-exception")
COMMENT_MARKERS = re.compile(r"^\s*#\s*(NBVAL_|PYTEST_VALIDATE_)\w+", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"```.*?```|\$\$.*?\$\$|<details>.*?</details>", re.DOTALL)
RULES: list[Callable] = []


def rule(function: Callable) -> Callable:
    """Register a rule: a function of the `Subject` that yields what is wrong."""
    RULES.append(function)
    return function


class Subject:
    """One notebook under the rules: its path, its text as it lies on disk, the notebook, and the repository setting."""

    def __init__(self, path: Path, text: str, repo: str):
        self.path, self.text, self.repo = path, text, repo
        self.nb = files.from_text(text)
        self.cells = list(enumerate(self.nb.cells, start=1))
        self.code = [(n, cell) for n, cell in self.cells if cell.cell_type == "code"]
        self.prose = [(n, cell) for n, cell in self.cells if cell.cell_type == "markdown"]


def problems(path: Path, repo: str, *, text: str | None = None, only: Callable | None = None) -> list[str]:
    """Everything the rules (or `only` one) find wrong with the notebook in `path`; `text` overrides the file."""
    subject = Subject(path, path.read_text(encoding="utf-8") if text is None else text, repo)
    return [message for check in ([only] if only else RULES) for message in check(subject)]


@rule
def executed(s: Subject) -> Iterator[str]:
    """Every code cell has been run: nbval compares a cell that was never run with nothing, and passes it."""
    never = []
    for n, cell in s.code:
        if not cell.source.strip():
            yield f"cell {n} is empty: delete it"
        elif cell.execution_count is None:
            never.append(n)
    if never:
        which = f"cell {never[0]} was" if len(never) == 1 else f"{len(never)} cells, {never[0]} the first, were"
        yield f"{which} never executed: run `lessons refresh`"


@rule
def without_errors(s: Subject) -> Iterator[str]:
    """No output is an error."""
    for n, cell in s.code:
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"cell {n} ends in an error ({output.ename})"


@rule
def without_stderr(s: Subject) -> Iterator[str]:
    """Nothing is printed to stderr: no warnings."""
    for n, cell in s.code:
        for output in cell.outputs:
            if output.output_type == "stream" and output.name == "stderr":
                yield f"cell {n} prints to stderr: {output.text.strip()[:100]!r}"


@rule
def normalised(s: Subject) -> Iterator[str]:
    """The file is what `normalise` makes of it, byte for byte."""
    raw = files.from_text(s.text)
    if "widgets" in raw.metadata:
        yield "metadata.widgets is there, and stops GitHub from showing the notebook: run `lessons refresh`"
    if files.to_text(files.normalise(raw)) != s.text:
        yield "is not normalised: run `lessons refresh`"


@rule
def identified(s: Subject) -> Iterator[str]:
    """Cell ids are there, valid and unique, so that they can stay the same from one refresh to the next."""
    seen = set()
    for n, cell in s.cells:
        name = cell.get("id")
        if not isinstance(name, str) or not files.VALID_ID.fullmatch(name):
            yield f"cell {n} has no valid id"
        elif name in seen:
            yield f"cell {n} has an id that an earlier cell has ({name})"
        seen.add(name)


@rule
def small(s: Subject) -> Iterator[str]:
    """The file stays under 1.5 MB, which GitHub shows."""
    size = len(s.text.encode())
    if size >= MAX_BYTES:
        heaviest = max(s.code, key=lambda item: len(str(item[1].outputs)), default=(0, None))[0]
        yield f"is {size / 1e6:.2f} MB, the limit is {MAX_BYTES / 1e6} MB; the heaviest output is cell {heaviest}'s"


@rule
def exempt_with_reason(s: Subject) -> Iterator[str]:
    """Cells whose output is not compared say why, and are few; a comment cannot exempt a cell."""
    exempt = []
    for n, cell in s.code:
        tags = [tag for tag in cell.metadata.get("tags", []) if tag in EXEMPT]
        why = cell.metadata.get("lessons", {}).get("why", "")
        if COMMENT_MARKERS.search(cell.source):
            yield f"cell {n} is exempted by a comment: use the tag nbval-ignore-output"
        for tag in tags:
            exempt.append(n)
            if tag != "nbval-ignore-output":
                yield f"cell {n} has the tag {tag}: only nbval-ignore-output is used here"
            if not isinstance(why, str) or len(why.split()) < 2:
                yield f"cell {n} is not compared and metadata.lessons.why does not say why"
        if why and not tags:
            yield f"cell {n} has a reason (metadata.lessons.why) but is compared: add the tag, or remove the reason"
    if len(exempt) > MAX_EXEMPT_SHARE * len(s.code):
        yield f"{len(exempt)} of {len(s.code)} code cells are not compared; at most {MAX_EXEMPT_SHARE:.0%} may be"


@rule
def short_code(s: Subject) -> Iterator[str]:
    """Code cells have at most 25 lines (15 is the aim)."""
    for n, cell in s.code:
        lines = len(cell.source.splitlines())
        if lines > MAX_CODE_LINES:
            yield f"cell {n} has {lines} lines of code, the limit is {MAX_CODE_LINES}"


@rule
def short_prose(s: Subject) -> Iterator[str]:
    """Prose cells have at most 160 words (aim: 120), without formulas, code, tables, references, folded answers."""
    for n, cell in s.prose:
        if re.match(r"#+ Further reading", cell.source):
            continue
        words = len(_prose(cell.source).split())
        if words > MAX_PROSE_WORDS:
            yield f"cell {n} has {words} words of prose, the limit is {MAX_PROSE_WORDS}"


@rule
def stamped(s: Subject) -> Iterator[str]:
    """Badge and setup cell are what the setting in pyproject makes them, and the setup cell is the first code."""
    copy = files.from_text(s.text)
    try:
        stamp.stamp(copy, s.repo, s.path.name)
    except where.NotebookError as error:
        yield str(error)
        return
    if len(copy.cells) != len(s.nb.cells) or not stamp.is_setup(s.code[0][1]):
        yield "does not begin its code with the setup cell: run `lessons refresh`"
    elif any(a.source != b.source or a.metadata != b.metadata for a, b in zip(copy.cells, s.nb.cells, strict=True)):
        yield "its badge or setup cell is out of step with [tool.lessons] repo in pyproject.toml: run `lessons colab`"
    if sum(stamp.is_setup(cell) for _, cell in s.code) > 1:
        yield "has more than one setup cell"


@rule
def named_and_started(s: Subject) -> Iterator[str]:
    """File name and title are the course's, and the code begins with setup, imports and `start`."""
    number = s.path.name[:2]
    try:
        info = find_lesson(number)
    except ValueError as error:
        yield str(error)
        return
    if s.path.name != info.file:
        yield f"is named {s.path.name}; course.py makes it {info.file}"
    title = s.nb.cells[0].source.split("\n")[0] if s.nb.cells else ""
    if info.title.lower() not in title.lower() or not title.startswith("# "):
        yield f'the first line is {title!r}; it must be a title with "{info.title}" in it'
    if not any(f'start("{number}")' in cell.source for _, cell in s.code[:3]):
        yield f'none of the first three code cells calls start("{number}")'


@rule
def headings(s: Subject) -> Iterator[str]:
    """One title, and under it headings that never skip a level: that is the table of contents."""
    level = 0
    for n, cell in s.prose:
        for line in FENCE.sub("", cell.source).splitlines():
            match = re.match(r"(#{1,6}) \S", line)
            if not match:
                continue
            depth = len(match[1])
            if depth == 1 and level:
                yield f"cell {n} has a second title: {line!r}"
            if depth > level + 1:
                yield f"cell {n} skips a heading level: {line!r}"
            level = depth
    if level == 0:
        yield "has no headings"


@rule
def links(s: Subject) -> Iterator[str]:
    """Links to files lead somewhere."""
    for n, cell in s.prose:
        for target in LINK.findall(cell.source):
            if re.match(r"[a-z]+:|#", target):
                continue
            if not (s.path.parent / target.split("#")[0]).exists():
                yield f"cell {n} links to {target}, which is not there"


@rule
def exercises(s: Subject) -> Iterator[str]:
    """Each exercise cell holds its exercise's stub and is checked; each exercise of those prefixes is in the lesson."""
    present, known = exercise_cells(s.nb), all_exercises()
    for name, (n, cell) in present.items():
        if name not in known:
            yield f"cell {n} is the exercise {name}, which is not registered"
            continue
        if known[name].stub.strip() not in cell.source:
            yield f"cell {n} does not hold the stub of {name} as the exercise has it"
        near = "\n".join(c.source for k, c in s.code if n <= k <= n + 2)
        if not re.search(rf"""\bcheck\(\s*["']{re.escape(name)}["']""", near):
            yield f"cell {n}: no check({name!r}, ...) in it or right after it"
    prefixes = {name.partition(".")[0] for name in present}
    for name in known:
        if name.partition(".")[0] in prefixes and name not in present:
            yield f"the exercise {name} is registered, but no cell carries it"
    for n, cell in s.code:
        for name in re.findall(r"""\bcheck\(\s*["']([^"']+)["']""", cell.source):
            if name not in present:
                yield f"cell {n} checks {name}, and no cell carries metadata.lessons.exercise = {name!r}"


def exercise_cells(nb: NotebookNode) -> dict[str, tuple[int, NotebookNode]]:
    """The exercise cells by id, each with its number in the notebook."""
    found = {}
    for n, cell in enumerate(nb.cells, start=1):
        name = cell.metadata.get("lessons", {}).get("exercise")
        if name and cell.cell_type == "code":
            found[name] = (n, cell)
    return found


def answered(nb: NotebookNode) -> list[str]:
    """The exercises in which somebody has written something over the stub."""
    known = all_exercises()
    cells = exercise_cells(nb).items()
    return [name for name, (_, cell) in cells if name in known and known[name].stub.strip() not in cell.source]


def _prose(source: str) -> str:
    lines = FENCE.sub("", source).splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith(("|", "<", stamp.BADGE_START)))
