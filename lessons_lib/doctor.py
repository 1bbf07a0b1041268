"""`lessons doctor`: can this machine run the course, and if not, what to do.

Each check is a function that looks at one thing and returns a `Finding`. What it looks at comes in as an argument whose
default is the machine itself, so that the tests can show each check a machine that is not well.
"""

import argparse
import importlib
import importlib.metadata
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

PYTHONS = ((3, 10), (3, 13))
GB = 10**9
INSTALL = "In the course's folder: `make lab`, or `python -m pip install --editable '.[lab]'`"
OK, WARN, FAIL = "ok", "warn", "fail"
KERNEL_TEST = "import lessons_lib, sys; print(6 * 7)"


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's table: what was looked at, ok / warn / fail, what was found, and what to do about it."""

    name: str
    status: str
    found: str
    advice: str = ""


def python(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> Finding:
    """Python's version is one that the course supports."""
    text = ".".join(map(str, version))
    if PYTHONS[0] <= tuple(version[:2]) <= PYTHONS[1]:
        return Finding("Python", OK, f"{text} on {platform.system()} {platform.machine()}")
    return Finding("Python", FAIL, text, "Use Python 3.10 to 3.13: `make PYTHON=python3.12 lab` in a fresh checkout.")


def packages(
    requirements: list[str] | None = None, version_of: Callable[[str], str] = importlib.metadata.version
) -> Finding:
    """What lessons_lib depends on is installed, in versions that it accepts."""
    try:
        from packaging.requirements import Requirement

        if requirements is None:
            requirements = importlib.metadata.requires("lessons_lib") or []
    except ImportError as error:  # importlib's PackageNotFoundError is one
        return Finding("packages", FAIL, f"{error.name or error} is not installed", INSTALL)
    wrong, right = [], 0
    for requirement in map(Requirement, requirements):
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = version_of(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if requirement.specifier.contains(version, prereleases=True):
            right += 1
        else:
            wrong.append(f"{requirement.name} {version} is not {requirement.specifier}")
    if wrong:
        return Finding("packages", FAIL, "; ".join(wrong), INSTALL)
    return Finding("packages", OK, f"{right} packages in the versions that are needed")


def torch(load: Callable[[], object] = lambda: importlib.import_module("torch")) -> Finding:
    """PyTorch can be imported, and computes."""
    try:
        module = load()
        total = float((module.arange(4.0) @ module.ones(4)).item())
        version = module.__version__
    except Exception as error:  # a broken installation fails in many ways, and each is a finding
        reason = str(error).strip().split("\n")[0]
        advice = f"{INSTALL}. If it stays: `python -m pip install --force-reinstall torch`"
        return Finding("PyTorch", FAIL, f"{type(error).__name__}: {reason}", advice)
    if total != 6.0:
        return Finding("PyTorch", FAIL, f"{version} says that 0 + 1 + 2 + 3 is {total}", "Reinstall torch.")
    return Finding("PyTorch", OK, version)


def gpu(load: Callable[[], object] = lambda: importlib.import_module("torch"), driver: bool | None = None) -> Finding:
    """Which device lessons will use. A GPU is never needed."""
    try:
        module = load()
    except Exception:  # the check before this one has said so
        return Finding("GPU", WARN, "unknown, because PyTorch does not load")
    if module.cuda.is_available():
        size = module.cuda.get_device_properties(0).total_memory
        return Finding("GPU", OK, f"{module.cuda.get_device_name(0)}, {size / GB:.0f} GB: lessons use the gpu budget")
    if module.backends.mps.is_available():
        return Finding("GPU", OK, "Apple GPU: lessons use it, with the cpu budget")
    driver = shutil.which("nvidia-smi") is not None if driver is None else driver
    if driver:
        advice = "Install a CUDA build of torch (pytorch.org says how), or go on without: every lesson runs on the CPU."
        return Finding("GPU", WARN, "there is an NVIDIA driver, but this PyTorch cannot use it", advice)
    return Finding("GPU", OK, "none: lessons use the cpu budget, about a minute each")


def memory(total: int | None = None, free: int | None = None) -> Finding:
    """There is memory for a lesson (bytes)."""
    if total is None or free is None:
        import psutil

        limit = _container_limit()
        total = min(psutil.virtual_memory().total, limit) if total is None else total
        free = min(psutil.virtual_memory().available, limit) if free is None else free
    found = f"{free / GB:.1f} GB free of {total / GB:.1f} GB"
    if free < 1 * GB:
        return Finding("memory", FAIL, found, "Close programs: lessons need 1 to 2 GB.")
    if free < 3 * GB:
        return Finding("memory", WARN, found, "Run one lesson at a time, and shut its kernel down before the next.")
    return Finding("memory", OK, found)


def processor(cores: int | None = None) -> Finding:
    """How many cores there are to compute on."""
    cores = (
        (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
        if cores is None
        else cores
    )
    if not cores or cores < 2:
        return Finding(
            "processor", WARN, f"{cores or 'unknown'} core", "Lessons will take about twice the time they state."
        )
    return Finding("processor", OK, f"{cores} cores")


def disk(folder: Path | None = None, free: int | None = None) -> Finding:
    """There is room where the assets go (bytes)."""
    from lessons_lib.paths import cache_folder

    folder = cache_folder() if folder is None else folder
    free = shutil.disk_usage(_existing(folder)).free if free is None else free
    found, advice = (
        f"{free / GB:.1f} GB free for {folder}",
        "Make room, or set LESSONS_CACHE to a folder on another disk.",
    )
    return Finding(
        "disk", FAIL if free < GB / 2 else WARN if free < 3 * GB else OK, found, "" if free >= 3 * GB else advice
    )


def folders(cache: Path | None = None, state: Path | None = None) -> Finding:
    """Assets and progress can be written."""
    from lessons_lib.paths import cache_folder, state_folder

    places = {"LESSONS_CACHE": cache or cache_folder(), "LESSONS_STATE": state or state_folder()}
    for variable, folder in places.items():
        try:
            with tempfile.TemporaryFile(dir=_existing(folder)):
                pass
        except OSError as error:
            advice = f"Set {variable} to a folder of yours."
            return Finding("folders", FAIL, f"{folder} cannot be written: {error.strerror or error}", advice)
    return Finding("folders", OK, f"assets in {places['LESSONS_CACHE']}, progress in {places['LESSONS_STATE']}")


def data() -> Finding:
    """The data that travels with the package is there."""
    from lessons_lib.paths import data_folder

    try:
        return Finding("data", OK, str(data_folder()))
    except FileNotFoundError as error:
        return Finding("data", FAIL, str(error), INSTALL)


def lessons(folder: str | Path | None = None) -> Finding:
    """The notebooks are there and can be read."""
    from lessons_lib.notebooks import files, where

    try:
        place = where.find_folder(folder)
        chosen = where.choose(place, [])
        for lesson in chosen:
            files.read(lesson.path)
    except where.NotebookError as error:
        found, _, advice = str(error).partition(". ")
        return Finding("lessons", FAIL, found, advice)
    return Finding("lessons", OK, f"{', '.join(lesson.info.number for lesson in chosen)} in {place}")


def assets(folder: str | Path | None = None, missing: list[str] | None = None) -> Finding:
    """The assets that the lessons here use on the default budget have been fetched."""
    from lessons_lib.assets import AssetError, is_cached

    try:
        needed = _needed_assets(folder)
        missing = [name for name in needed if not is_cached(name)] if missing is None else missing
    except (AssetError, OSError) as error:
        return Finding("assets", FAIL, str(error), INSTALL)
    if missing:
        return Finding("assets", WARN, f"not yet fetched: {', '.join(missing)}", f"`lessons fetch {' '.join(missing)}`")
    return Finding("assets", OK, f"fetched: {', '.join(needed)}" if needed else "these lessons need none")


def kernel(start: Callable[[], str] | None = None) -> Finding:
    """A notebook kernel starts with this Python and finds lessons_lib."""
    try:
        answer = (start or _ask_kernel)()
    except Exception as error:  # whatever keeps a kernel from starting is the finding
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        return Finding("kernel", FAIL, reason, f"{INSTALL}. Then `python -m ipykernel --version` must print a version.")
    if answer.strip() != "42":
        return Finding("kernel", FAIL, f"answered {answer.strip()[-200:]!r}", INSTALL)
    other = _registered_python()
    if other and not _same_file(other, sys.executable):
        advice = f"`{sys.executable} -m ipykernel install --sys-prefix`, or start Jupyter from this environment."
        return Finding("kernel", WARN, f"starts, but Jupyter's own `python3` kernel is {other}", advice)
    return Finding("kernel", OK, f"starts with {sys.executable}")


def examine(notebooks: str | Path | None = None) -> list[Finding]:
    """Every check on this machine, in order."""
    general = [check() for check in (python, packages, torch, gpu, processor, memory, disk, folders, data)]
    return [*general, lessons(notebooks), assets(notebooks), kernel()]


def doctor(args: argparse.Namespace) -> int:
    """Print the table, or JSON; the exit code is 1 when a check failed."""
    findings = examine(args.notebooks)
    if args.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1, ensure_ascii=False))
    else:
        print(table(findings))
    return 1 if any(finding.status == FAIL for finding in findings) else 0


def table(findings: list[Finding]) -> str:
    """The findings as text: a line each, what to do under it, and what follows from all of them."""
    lines = []
    for finding in findings:
        lines.append(f"{finding.status:<4}  {finding.name:<9}  {finding.found}")
        if finding.advice:
            lines.append(f"{'':<4}  {'':<9}  → {finding.advice}")
    failed = [finding.name for finding in findings if finding.status == FAIL]
    warned = [finding.name for finding in findings if finding.status == WARN]
    if failed:
        verdict = f"The course cannot run yet: see to {', '.join(failed)}."
    else:
        verdict = "The course can run." + (f" Worth a look: {', '.join(warned)}." if warned else "")
    return "\n".join([*lines, "", verdict])


def _needed_assets(folder: str | Path | None) -> list[str]:
    from lessons_lib.assets import registry
    from lessons_lib.notebooks import where

    try:
        present = where.lesson_files(where.find_folder(folder))
    except where.NotebookError:  # the check of the lessons has said so
        present = {}
    return [a.name for a in registry().values() if a.budget == "default" and set(a.lessons) & set(present)]


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.exists())


def _container_limit() -> int:
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text().strip() if limit.is_file() else ""
    return int(text) if text.isdecimal() else 2**63


def _ask_kernel() -> str:
    import nbformat

    from lessons_lib.notebooks.execute import execute

    cell = nbformat.v4.new_code_cell(KERNEL_TEST)
    with tempfile.TemporaryDirectory() as folder:
        run = execute(nbformat.v4.new_notebook(cells=[cell]), Path(folder), label="kernel", timeout=60)
    if run.failure:
        raise RuntimeError(run.failure.error.splitlines()[-1])
    return "".join(output.get("text", "") for output in cell.outputs)


def _registered_python() -> str | None:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        first = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        return None
    # A bare `python` is whichever Python Jupyter itself runs with.
    return first if os.path.isabs(first) else None


def _same_file(one: str, other: str) -> bool:
    # Not resolved: a virtual environment's python is a link to the one that it was made from.
    return os.path.normcase(os.path.abspath(one)) == os.path.normcase(os.path.abspath(other))
