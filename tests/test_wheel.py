"""The installed package works with no checkout: a wheel, in an environment of its own, runs a lesson to the end."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell

from lessons_lib.course import find_lesson
from lessons_lib.notebooks import files

ROOT = Path(__file__).parents[1]
LESSON = ROOT / "notebooks" / find_lesson("01").file
WHERE = """\
import lessons_lib.paths
from pathlib import Path
Path("where.txt").write_text(f"{lessons_lib.__file__}\\n{lessons_lib.paths.data_folder()}", encoding="utf-8")"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "--quiet", "--wheel-dir", str(out)]
    if find_spec("hatchling"):
        command.append("--no-build-isolation")
    subprocess.run(command, check=True, cwd=out)
    (made,) = out.glob("lessons_lib-*.whl")
    return made


def test_the_wheel_holds_the_package_and_its_data_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder, target in ((ROOT / "lessons_lib", "lessons_lib"), (ROOT / "data", "lessons_lib/data")):
        here = {
            p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts
        }
        assert {f"{target}/{name}" for name in here} <= names
    assert all(name.startswith(("lessons_lib/", "lessons_lib-")) for name in names), "nothing outside the package"
    assert not any("__pycache__" in name or name.endswith(".ipynb") for name in names)


@pytest.mark.skipif(not LESSON.is_file(), reason="lesson 01 is not written yet")
def test_the_wheel_runs_a_lesson_outside_the_checkout(wheel, tmp_path):
    python = environment(tmp_path / "env", wheel)
    home = tmp_path / "elsewhere"
    (home / "notebooks").mkdir(parents=True)
    nb = files.read(LESSON)
    nb.cells.append(new_code_cell(WHERE))
    (home / "notebooks" / LESSON.name).write_text(files.to_text(nb), encoding="utf-8")
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "LESSONS_MAX_STEPS")}
    env |= {"LESSONS_BUDGET": "cpu", "LESSONS_STATE": str(tmp_path / "state")}
    env["JUPYTER_PATH"] = str(Path(sysconfig.get_path("data")) / "share" / "jupyter")  # the templates for HTML copies
    done = subprocess.run(
        [python, "-m", "lessons_lib", "run", "01"], cwd=home, env=env, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 ran to the end" in done.stdout
    module, data = map(Path, (home / "notebooks" / "where.txt").read_text(encoding="utf-8").splitlines())
    assert tmp_path / "env" in module.parents and tmp_path / "env" in data.parents
    assert (home / "executed" / LESSON.with_suffix(".html").name).is_file()


def environment(folder: Path, wheel: Path) -> str:
    """A fresh environment with the wheel in it, which sees this one's other packages without a download.

    They come in by a path alone, so this environment's own .pth files (an editable lessons_lib) are not followed.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = str(folder / ("Scripts" if os.name == "nt" else "bin") / "python")
    ask = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip())
    others = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "zz_other_packages.pth").write_text("\n".join(sorted(others)) + "\n", encoding="utf-8")
    install = ["--python", python, "install", "--no-deps", "--no-index", "--quiet", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *install], check=True)
    return python
