"""The command `lessons`, on small notebooks: what it prints, what it writes, what it leaves alone, its exit code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lessons_lib.cli import main
from lessons_lib.course import LESSONS
from lessons_lib.notebooks import files, stamp, where
from tests.lesson_samples import FILE, exercise_cells, put, small

FAILING = "start = 1\nraise ValueError('it went wrong')"


@pytest.fixture(autouse=True)
def own_state(tmp_path, monkeypatch):
    monkeypatch.setenv("LESSONS_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "state"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "course" / "notebooks"


def lessons(*words) -> int:
    return main([str(word) for word in words])


# Beginning


def test_importing_the_package_is_quick_and_loads_nothing_heavy():
    heavy = "print(sorted({'torch', 'transformers', 'matplotlib', 'numpy', 'nbformat'} & set(sys.modules)))"
    times = []
    for _ in range(3):
        command = [sys.executable, "-X", "importtime", "-c", f"import lessons_lib, sys; {heavy}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"
        line = next(line for line in done.stderr.splitlines() if line.endswith("| lessons_lib"))
        times.append(int(line.split("|")[1]) / 1e6)
    assert min(times) < 0.2


def test_fetch_begins_without_what_takes_seconds_to_import(folder):
    put(folder, small(), "01_sample.ipynb")
    code = "import sys; from lessons_lib.cli import main; main(['fetch']); "
    code += "print(sorted({'nbformat', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder.parent)
    assert done.stdout.splitlines()[-1] == "[]"


def test_python_m_lessons_lib_is_the_command():
    done = subprocess.run([sys.executable, "-m", "lessons_lib", "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: lessons ")
    for command in ("list", "run", "train", "refresh", "doctor", "fetch", "colab"):
        assert f"\n    {command} " in done.stdout


@pytest.mark.parametrize("command", ["list", "run", "refresh"])
def test_without_notebooks_the_command_says_what_to_do(command, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(where, "__file__", str(tmp_path / "a" / "b" / "where.py"))
    assert lessons(command) == 2
    assert "--notebooks FOLDER" in capsys.readouterr().err


@pytest.mark.parametrize("number, message", [("42", "no lesson '42'"), ("x", "no lesson 'x'"), ("3", "no notebook in")])
def test_an_unknown_lesson_is_named(number, message, folder, capsys):
    put(folder, small())
    assert lessons("run", number, "--notebooks", folder) == 2
    assert message in capsys.readouterr().err


# list


def test_list_shows_every_lesson_and_what_is_there(folder, capsys):
    put(folder, small())
    assert lessons("list", "--notebooks", folder) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if line.endswith("not yet")]) == len(LESSONS) - 1
    assert any(line.startswith("02  Tokens") and "here" in line and "about 5 min" in line for line in lines)


def test_a_reader_that_stops_early_is_no_crash(folder):
    put(folder, small())
    command = f'"{sys.executable}" -u -m lessons_lib list --notebooks "{folder}"'
    with subprocess.Popen(command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 1


# run


def test_run_goes_on_after_a_failing_lesson_and_says_what_failed(folder, tmp_path, capsys, own_state):
    before = {
        put(folder, small("x = 1", FAILING, "print('never')")): None,
        put(folder, small("print(6 * 7)"), LESSONS[3].file): None,
    }
    before = {path: path.read_bytes() for path in before}
    assert lessons("run", "--notebooks", folder, "--out", "out") == 1
    printed = capsys.readouterr()
    assert "02  Tokens: FAILED" in printed.out and "03  From counting to learning: ok" in printed.out
    assert "1 of 2 ran to the end · 02 failed" in printed.out
    assert "cell 3 of 4 failed" in printed.err and "    raise ValueError('it went wrong')" in printed.err
    assert "ValueError: it went wrong" in printed.err and "\x1b[" not in printed.err
    assert {path: path.read_bytes() for path in before} == before, "the notebooks themselves are left alone"
    good, bad = ((tmp_path / "out" / name).with_suffix(".html").read_text("utf-8") for name in (LESSONS[3].file, FILE))
    assert ">42\n" in good and "it went wrong" in bad
    assert lessons("list", "--notebooks", folder) == 0
    rows = {line[:2]: line for line in capsys.readouterr().out.splitlines()}
    assert rows["03"].endswith(" s") and rows["02"].endswith("-"), "only a run to the end counts"


def test_run_reports_the_time_and_the_memory_of_the_kernel_and_its_children(folder):
    from lessons_lib.notebooks.execute import execute

    hold = "import time; x = b'x' * 2**28; time.sleep(1)"
    child = f'import subprocess, sys\nsubprocess.run([sys.executable, "-c", "{hold}"])'
    plain = execute(small("1"), folder.parents[1], label="", env=None)
    busy = execute(small(child), folder.parents[1], label="", env=None)
    assert busy.seconds > plain.seconds > 0
    assert plain.peak_bytes > 2**24
    assert busy.peak_bytes - plain.peak_bytes > 2**27


def test_run_uses_the_users_environment_and_the_notebooks_folder(folder, monkeypatch, capsys):
    monkeypatch.setenv("LESSONS_BUDGET", "gpu")
    put(folder, small("import os\nassert os.environ['LESSONS_BUDGET'] == 'gpu'", f"assert os.path.exists({FILE!r})"))
    assert lessons("run", "2", "--notebooks", folder) == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    "source, timeout, message",
    [
        ("import os\nos._exit(3)", [], "The kernel died"),
        ("import time\ntime.sleep(60)", ["--timeout", "1"], "still running after 1 s"),
    ],
)
def test_a_kernel_that_dies_or_hangs_is_reported(source, timeout, message, folder, capsys):
    put(folder, small("x = 1", source))
    assert lessons("run", "2", "--notebooks", folder, *timeout) == 1
    printed = capsys.readouterr().err
    assert message in printed and "cell 3 of 3 failed" in printed


def test_run_overwrites_only_its_own_pages(folder, tmp_path, capsys):
    put(folder, small())
    page = tmp_path / "executed" / "02_tokens.html"
    assert lessons("run", "--notebooks", folder) == 0
    first = page.stat().st_mtime_ns
    assert lessons("run", "--notebooks", folder) == 0
    assert page.stat().st_mtime_ns > first
    page.write_text("<html>my own notes</html>")
    capsys.readouterr()
    assert lessons("run", "--notebooks", folder) == 2
    assert page.read_text() == "<html>my own notes</html>"
    assert "was not written by `lessons run`" in capsys.readouterr().err
    assert lessons("run", "--notebooks", folder, "--out", page) == 2
    assert "is a file, not a folder" in capsys.readouterr().err


# refresh


def test_refresh_makes_a_bare_notebook_into_a_lesson(folder, capsys, monkeypatch, own_state):
    monkeypatch.setenv("LESSONS_MAX_STEPS", "2")
    monkeypatch.setenv("LESSONS_BUDGET", "gpu")
    settings = "OMP_NUM_THREADS LESSONS_BUDGET LESSONS_MAX_STEPS LESSONS_STATE"
    path = put(folder, small(f"import os\nprint([os.environ[name] for name in '{settings}'.split()[:3]])",
                             f"assert os.environ['LESSONS_STATE'] != {str(own_state)!r}"))  # fmt: skip
    assert lessons("refresh", "--notebooks", folder) == 1
    printed = capsys.readouterr()
    assert "02  Tokens: " in printed.out and "refreshed" in printed.out
    assert 'none of the first three code cells calls start("02")' in printed.err, "the rules speak up at once"
    nb = files.read(path)
    assert stamp.is_setup(nb.cells[1])
    assert nb.cells[2].outputs[0].text == "['1', 'cpu', '']\n"
    assert [cell.execution_count for cell in nb.cells[1:]] == [1, 2, 3]
    once = path.read_bytes()
    assert lessons("refresh", "--notebooks", folder) == 1
    assert path.read_bytes() == once, "a second refresh changes no byte"


def test_a_failing_refresh_leaves_the_notebook_as_it_was(folder, capsys):
    path = put(folder, small("x = 1", FAILING))
    before = path.read_bytes()
    assert lessons("refresh", "2", "--notebooks", folder) == 1
    printed = capsys.readouterr().err
    assert "left as it was" in printed and "cell 4 of 4 failed" in printed and "ValueError: it went wrong" in printed
    assert path.read_bytes() == before
    assert list(folder.iterdir()) == [path], "no half-written file stays behind"


def test_refresh_keeps_answers(folder, capsys):
    nb = small("from lessons_lib import check")
    stub, _ = exercise_cells()[:2]
    stub.source = "def mine():\n    return 'my answer'"
    nb.cells.append(stub)
    path = put(folder, nb)
    before = path.read_bytes()
    assert lessons("refresh", "--notebooks", folder) == 1
    assert "differ from the exercises' stubs" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert lessons("refresh", "--notebooks", folder, "--force") == 1, "the rule of the stubs is still broken"
    assert files.read(path).cells[-1].source == stub.source


def test_refresh_check_changes_nothing(folder, capsys):
    path = put(folder, small())
    before = path.read_bytes()
    assert lessons("refresh", "--check", "--notebooks", folder) == 1
    assert "was never executed" in capsys.readouterr().err
    assert path.read_bytes() == before


# colab


def test_colab_stamps_the_setting_and_every_notebook(folder, capsys):
    root = Path(__file__).parents[1]
    pyproject = folder.parent / "pyproject.toml"
    paths = [put(folder, small()), put(folder, small(), LESSONS[3].file)]
    pyproject.write_text(stamp.change_setting((root / "pyproject.toml").read_text("utf-8"), ""), encoding="utf-8")
    assert lessons("colab", "--repo", "", "--notebooks", folder) == 0
    clear = [path.read_bytes() for path in (pyproject, *paths)]
    assert lessons("colab", "--repo", "ana/course", "--notebooks", folder) == 0
    assert "3 files changed" in capsys.readouterr().out
    assert stamp.setting(pyproject) == "ana/course"
    for path in paths:
        text = path.read_text("utf-8")
        assert (
            f"github/ana/course/blob/main/notebooks/{path.name}" in text and "git+https://github.com/ana/course" in text
        )
    assert lessons("colab", "--repo", "ana/course", "--notebooks", folder) == 0
    assert "0 files changed" in capsys.readouterr().out
    assert lessons("colab", "--repo", "", "--notebooks", folder) == 0
    assert [path.read_bytes() for path in (pyproject, *paths)] == clear


def test_colab_changes_nothing_when_one_file_is_wrong(folder, capsys):
    pyproject = folder.parent / "pyproject.toml"
    good = put(folder, small())
    pyproject.write_text('[tool.lessons]\nrepo = ""\n')
    before = good.read_bytes()
    assert lessons("colab", "--repo", "not a repo", "--notebooks", folder) == 2
    assert "owner/name" in capsys.readouterr().err
    (folder / LESSONS[3].file).write_text("{")
    assert lessons("colab", "--repo", "a/b", "--notebooks", folder) == 2
    assert (good.read_bytes(), pyproject.read_text()) == (before, '[tool.lessons]\nrepo = ""\n')
    pyproject.unlink()
    assert lessons("colab", "--repo", "a/b", "--notebooks", folder) == 2
    assert "works in a checkout" in capsys.readouterr().err


# train: the command as a whole, with the sampler and the figure that it brings; its parts have tests of their own


@pytest.mark.parametrize("kind", ["gpt", "bert"])
def test_train_makes_a_model_with_samples_and_a_curve(kind, tmp_path, capfd, monkeypatch):
    monkeypatch.delenv("LESSONS_MAX_STEPS", raising=False)
    (tmp_path / "tale.txt").write_text("\n\n".join(f"Once {n} bears went home. They were glad." for n in range(60)))
    sizes = "d_model=16,n_layers=2,n_heads=2,context_length=16,rows=4"
    wanted = ["--data", "tale.txt", "--budget", "steps=6", "--out", "made", "--config", sizes]
    assert lessons("train", kind, *wanted) == 0
    said = capfd.readouterr().out
    assert "sample   " in said and ("▸" in said if kind == "gpt" else "___" in said)
    assert (tmp_path / "made" / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "made" / "model" / "model.safetensors").is_file()
    assert lessons("train", kind, *wanted[:-4], "--out", "tale.txt") == 2
    assert "tale.txt is a file" in capfd.readouterr().err


def test_train_needs_data_a_budget_and_a_folder(capsys):
    for words in (["t5"], ["gpt"], ["gpt", "--data", "kjv"], ["gpt", "--data", "kjv", "--budget", "1m"]):
        with pytest.raises(SystemExit, match="2"):
            lessons("train", *words)
        assert "usage: lessons train" in capsys.readouterr().err


# fetch and doctor are wired up; their own tests are elsewhere


def test_fetch_and_doctor_answer(folder, capsys, monkeypatch):
    monkeypatch.setenv("LESSONS_CACHE", os.fspath(folder / "cache"))
    assert lessons("fetch", "--list") == 0
    assert "minilm" in capsys.readouterr().out
    put(folder.parent / "other" / "notebooks", small(), "01_sample.ipynb")
    monkeypatch.chdir(folder.parent / "other")
    assert lessons("fetch") == 0  # lesson 01 uses no assets
    assert "Nothing to fetch" in capsys.readouterr().out
    put(folder, small())
    monkeypatch.setattr("lessons_lib.doctor.examine", lambda notebooks: [])
    assert lessons("doctor", "--notebooks", folder) == 0
    assert "The course can run." in capsys.readouterr().out


def test_code_cells_that_are_interrupted_stop_the_command(folder, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    put(folder, small())
    monkeypatch.setattr("lessons_lib.notebooks.execute.execute", interrupted)
    assert lessons("run", "--notebooks", folder) == 130
    assert "stopped" in capsys.readouterr().err
