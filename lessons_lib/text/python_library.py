"""Python's own documentation and source as corpora: on every machine, and the same on every run of one Python version.

Nothing of the library is imported but `pydoc_data.topics`, which is a table of texts; modules are read as text.
"""

import ast
import inspect
import platform
import sysconfig
import tokenize
import warnings
from collections.abc import Iterator
from pathlib import Path

from lessons_lib.text.files import TextError

LEFT_OUT = {
    "test",
    "tests",
    "idlelib",
    "lib2to3",
    "site-packages",
    "dist-packages",
    "__pycache__",
    "_bundled",
    "pydoc_data",
}

OF_THE_MACHINE = ("_sysconfigdata", "sitecustomize", "usercustomize")  # modules that describe or adapt this one machine

_read: dict[str, tuple[tuple[str, ...], str]] = {}  # the documentation, once this process has parsed the library


def documentation(progress: bool = True) -> tuple[tuple[str, ...], str]:
    """(documents, source line): the reference topics by name, then a document of docstrings for each module."""
    if "documentation" not in _read:
        _read["documentation"] = _documentation(progress)
    return _read["documentation"]


def _documentation(progress: bool) -> tuple[tuple[str, ...], str]:
    from pydoc_data.topics import topics

    documents = [topics[name].strip() for name in sorted(topics)]
    count = len(documents)
    for path in _progress(progress, "reading docstrings"):
        documents.append("\n\n".join(docstrings(_source(path))))
    documents = [text for text in documents if text]
    where = (
        f"Python {platform.python_version()}: {count} reference topics, {len(documents) - count} modules' docstrings"
    )
    return tuple(documents), where


def source_code(progress: bool = True) -> tuple[tuple[str, ...], str]:
    """(documents, source line): the source of every module of the standard library, in the order of their paths."""
    documents = [_source(path).strip() for path in _progress(progress, "reading Python's source")]
    documents = [text for text in documents if text]
    return tuple(documents), f"Python {platform.python_version()}: the source of {len(documents)} modules"


def docstrings(source: str) -> list[str]:
    """The docstrings of a module, its classes and its functions, in the order of the source and not indented."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the library's own code: not for the reader of a lesson
        tree = ast.parse(source)
    found = (ast.get_docstring(node, clean=False) for node in _documented(tree))
    return [text for text in (inspect.cleandoc(raw).strip() for raw in found if raw) if text]


def _documented(node: ast.AST) -> Iterator[ast.AST]:
    """The module, and every class and function in it, from top to bottom. Expressions hold none and are not entered."""
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        yield node
    for part in ("body", "handlers", "orelse", "finalbody", "cases"):
        children = getattr(node, part, [])
        for child in children if isinstance(children, list) else ():
            yield from _documented(child)


def modules() -> list[Path]:
    """The standard library's modules, without its tests, its old tools and what other packages added. Raises TextError
    for a Python that has no source on disk (some embedded ones)."""
    home = Path(sysconfig.get_path("stdlib"))
    found = sorted(_modules(home), key=lambda path: path.relative_to(home).as_posix())
    if not found:
        raise TextError(f"This Python has no library source in {home}. Use another Python, or a file of your own.")
    return found


def _modules(folder: Path) -> Iterator[Path]:
    for entry in folder.iterdir():
        if entry.is_dir():
            if entry.name not in LEFT_OUT and entry.name.isidentifier():
                yield from _modules(entry)
        elif entry.suffix == ".py" and not entry.name.startswith(OF_THE_MACHINE):
            yield entry


def _source(path: Path) -> str:
    with tokenize.open(path) as stream:  # honours the file's own note about its encoding
        return stream.read()


def _progress(progress: bool, text: str):
    from tqdm import tqdm  # to stderr also in a notebook, so that a slow machine does not change a lesson's outputs

    return tqdm(modules(), desc=text, unit="file", delay=2, disable=not progress)
