"""The project's own files agree with one another: dependencies, constraints, conda names, make targets, CI."""

import re
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from lessons_lib.toml import load_toml

ROOT = Path(__file__).parents[1]
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}


def project() -> dict:
    return load_toml(ROOT / "pyproject.toml")["project"]


def requirements(*extras: str) -> list[Requirement]:
    table = project()
    lines = table["dependencies"] + [line for extra in extras for line in table["optional-dependencies"][extra]]
    return [Requirement(line) for line in lines]


def constraints() -> dict[str, list[Requirement]]:
    pins: dict[str, list[Requirement]] = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        line = line.partition("#")[0].strip()
        if line:
            pin = Requirement(line)
            pins.setdefault(canonicalize_name(pin.name), []).append(pin)
    return pins


def conda_dependencies() -> tuple[dict[str, str], list[str]]:
    listed = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    pip_lines = [line for entry in listed if isinstance(entry, dict) for line in entry["pip"]]
    found = {}
    for entry in listed:
        if isinstance(entry, str):
            name, bound = re.match(r"([A-Za-z0-9._-]+)(.*)", entry).groups()
            found[name] = bound
    return found, pip_lines


def test_environment_yml_lists_what_pyproject_lists():
    conda, pip_lines = conda_dependencies()
    wanted = {CONDA_NAMES.get(r.name, r.name): str(r.specifier) for r in requirements("lab")}
    assert {name: bound for name, bound in conda.items() if name not in ("python", "pip")} == wanted
    assert conda["python"].split(",") == project()["requires-python"].split(",")
    assert pip_lines == ["-e ."], "the package itself is installed by pip, so that `lessons` is there"


@pytest.mark.parametrize("requirement", requirements("lab", "test", "browser"), ids=lambda r: r.name)
def test_every_dependency_is_pinned_to_a_version_that_it_allows(requirement):
    pins = constraints().get(canonicalize_name(requirement.name))
    assert pins, f"{requirement.name} is in pyproject.toml but not in constraints.txt"
    for pin in pins:
        (spec,) = pin.specifier
        assert spec.operator == "==", f"{pin} does not pin one version"
        assert requirement.specifier.contains(spec.version), f"{pin} is outside pyproject's {requirement}"


def test_constraints_pin_one_version_for_each_python():
    for name, pins in constraints().items():
        for minor in ("3.10", "3.11", "3.12", "3.13"):
            environment = {"python_version": minor, "python_full_version": f"{minor}.1", "sys_platform": "linux"}
            chosen = [str(p) for p in pins if p.marker is None or p.marker.evaluate(environment)]
            assert len(chosen) <= 1, f"on Python {minor}, {name} is pinned twice: {chosen}"


def test_make_has_the_targets_that_the_readme_and_ci_use():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, flags=re.M))
    assert {"lab", "test", "run", "refresh", "lint", "browser", "colab"} <= targets
    for file in ("README.md", ".ci/run", ".github/workflows/tests.yml", "docs/contributing.md"):
        text = (ROOT / file).read_text(encoding="utf-8")
        used = set(re.findall(r"(?:^|`|run: )make (?:[A-Z]+=\S+ )*([a-z]+)\b", text, flags=re.M))
        assert used <= targets, f"{file} calls {used - targets}, which the Makefile does not have"


def test_the_workflow_covers_every_supported_python_and_system():
    workflow = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8"))
    matrix = workflow["jobs"]["unit"]["strategy"]["matrix"]
    assert set(matrix["python"]) == {"3.10", "3.11", "3.12", "3.13"}
    assert {name.split("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}
    assert "schedule" in workflow[True], "a weekly run shows what upgrades elsewhere broke"


def test_the_readme_lists_every_lesson_and_links_those_that_are_here():
    from lessons_lib.course import LESSONS

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (\d\d) \| (.+?) \|$", readme, flags=re.M))
    assert list(rows) == [lesson.number for lesson in LESSONS]
    for lesson in LESSONS:
        here = (ROOT / "notebooks" / lesson.file).is_file()
        title = f"[{lesson.title}](notebooks/{lesson.file})" if here else lesson.title
        assert rows[lesson.number] == f"{title} | {lesson.question}"


def test_the_links_of_readme_and_docs_lead_somewhere():
    for file in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "data" / "README.md"):
        for link in re.findall(r"\]\(([^)#]+)\)", file.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (file.parent / link).exists(), f"{file.name} links to {link}, which is not there"
