"""The rules of the house: imports run one way, modules stay small, importing the package is cheap."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "lessons_lib"
MODULES = sorted(PACKAGE.rglob("*.py"))

BASE = {"toml", "paths", "budget", "course", "source", "assets"}
ROOMS = ["text", "models", "training", "using", "views"]
TOP = {"lesson", "notebooks", "doctor", "cli", "__main__"}


def room(parts: tuple[str, ...]) -> str:
    """The first folder or module below lessons_lib."""
    return parts[0].removesuffix(".py")


def allowed(importer: str, imported: str) -> bool:
    if importer == imported:
        return True
    if imported == "":  # the package itself holds only lazy names
        return importer in TOP
    if importer in TOP:
        return True
    if imported in TOP:
        return False
    if importer in BASE:
        return imported in BASE
    if importer in ROOMS:
        return imported in BASE or (imported in ROOMS and ROOMS.index(imported) < ROOMS.index(importer))
    if importer == "exercises":
        return imported in BASE or (imported in ROOMS and imported != "views")
    if importer == "classroom":
        return imported in BASE or imported in ROOMS or imported == "exercises"
    raise AssertionError(f"lessons_lib/{importer} is a room that the house does not know; add it to the rules here")


def imports_of(source: str) -> list[str]:
    """The rooms of lessons_lib that this source imports ("" for the package itself), wherever the import stands."""
    rooms = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import: write the full name, so that the rule can be read"
            names = [f"{node.module}.{alias.name}" for alias in node.names] if node.module else []
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "lessons_lib":
                rooms.append(parts[1] if len(parts) > 1 and (PACKAGE / parts[1]).exists() else _module(parts))
    return rooms


def _module(parts: list[str]) -> str:
    return parts[1] if len(parts) > 1 and (PACKAGE / f"{parts[1]}.py").exists() else ""


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    relative = path.relative_to(PACKAGE)
    if relative.parts == ("__init__.py",):
        return
    importer = room(relative.parts)
    for imported in imports_of(path.read_text(encoding="utf-8")):
        assert allowed(importer, imported), f"{relative} imports lessons_lib.{imported}: imports run the other way"


def test_the_rule_can_fail():
    assert imports_of("from lessons_lib.views.style import use") == ["views"]
    assert imports_of("def f():\n    import lessons_lib.views") == ["views"]
    assert not allowed("text", "views")
    assert not allowed("exercises", "views")
    assert not allowed("models", "training")
    assert allowed("views", "models")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_modules_are_small_enough_to_read(path):
    limit = 160 if path.name in ("gpt.py", "bert.py") else 310
    assert len(path.read_text(encoding="utf-8").splitlines()) <= limit


@pytest.mark.parametrize("module", ["lessons_lib", "lessons_lib.cli", "lessons_lib.lesson", "lessons_lib.assets"])
def test_importing_loads_nothing_heavy(module):
    code = (
        f"import sys, {module}; print(*sorted({{'torch', 'transformers', 'matplotlib', 'numpy'}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
