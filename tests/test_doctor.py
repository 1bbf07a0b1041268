"""The doctor: each check finds its illness when it is shown one, and a well machine when it is not."""

import argparse
import importlib.metadata
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from lessons_lib import doctor
from lessons_lib.assets import AssetError
from lessons_lib.doctor import FAIL, OK, WARN, Finding
from lessons_lib.toml import load_toml
from tests.lesson_samples import put, small

GB = doctor.GB


def broken(*_):
    raise ImportError("libtorch.so: cannot open shared object file\nmore")


def fake_torch(cuda=False, mps=False, total=6.0):
    tensor = SimpleNamespace(__matmul__=None)
    tensor = type("T", (), {"__matmul__": lambda self, other: SimpleNamespace(item=lambda: total)})()
    return SimpleNamespace(
        __version__="2.9",
        arange=lambda n: tensor,
        ones=lambda n: tensor,
        cuda=SimpleNamespace(
            is_available=lambda: cuda,
            get_device_name=lambda i: "GPU X",
            get_device_properties=lambda i: SimpleNamespace(total_memory=24 * GB),
        ),
        backends=SimpleNamespace(mps=SimpleNamespace(is_available=lambda: mps)),
    )


def versions(**known):
    def version(name):
        if name not in known:
            raise importlib.metadata.PackageNotFoundError(name)
        return known[name]

    return version


CASES = [
    (lambda: doctor.python((3, 12, 1)), OK, "3.12.1"),
    (lambda: doctor.python((3, 9, 20)), FAIL, "3.9.20"),
    (lambda: doctor.python((3, 14, 0)), FAIL, "3.14.0"),
    (lambda: doctor.packages(["a>=1", "b; python_version<'3'"], versions(a="1.2")), OK, "1 packages"),
    (lambda: doctor.packages(["a>=2", "b"], versions(a="1.2")), FAIL, "a 1.2 is not >=2; b is missing"),
    (lambda: doctor.packages(["a>=1", "t; extra=='test'"], versions(a="1.2")), OK, "1 packages"),
    (lambda: doctor.torch(fake_torch), OK, "2.9"),
    (lambda: doctor.torch(broken), FAIL, "ImportError: libtorch.so: cannot open shared object file"),
    (lambda: doctor.torch(lambda: fake_torch(total=5.0)), FAIL, "is 5.0"),
    (lambda: doctor.gpu(lambda: fake_torch(cuda=True)), OK, "GPU X, 24 GB"),
    (lambda: doctor.gpu(lambda: fake_torch(mps=True)), OK, "Apple GPU"),
    (lambda: doctor.gpu(fake_torch, driver=False), OK, "none: lessons use the cpu budget"),
    (lambda: doctor.gpu(fake_torch, driver=True), WARN, "this PyTorch cannot use it"),
    (lambda: doctor.gpu(broken), WARN, "unknown"),
    (lambda: doctor.processor(8), OK, "8 cores"),
    (lambda: doctor.processor(1), WARN, "1 core"),
    (lambda: doctor.memory(16 * GB, 8 * GB), OK, "8.0 GB free of 16.0 GB"),
    (lambda: doctor.memory(4 * GB, 2 * GB), WARN, "2.0 GB free"),
    (lambda: doctor.memory(4 * GB, GB // 2), FAIL, "0.5 GB free"),
    (lambda: doctor.disk(Path("x").absolute(), 50 * GB), OK, "50.0 GB free"),
    (lambda: doctor.disk(Path("x").absolute(), 2 * GB), WARN, "2.0 GB free"),
    (lambda: doctor.disk(Path("x").absolute(), GB // 10), FAIL, "0.1 GB free"),
    (lambda: doctor.assets(missing=[]), OK, ""),
    (lambda: doctor.assets(missing=["kjv", "minilm"]), WARN, "not yet fetched: kjv, minilm"),
    (lambda: doctor.kernel(lambda: "42\n"), OK, "starts with"),
    (lambda: doctor.kernel(lambda: "41"), FAIL, "answered '41'"),
    (lambda: doctor.kernel(broken), FAIL, "libtorch.so"),
]


@pytest.mark.parametrize("check, status, found", CASES, ids=[f"{c[1]}-{c[2][:30]}" for c in CASES])
def test_a_check_finds_what_it_is_shown(check, status, found, monkeypatch):
    monkeypatch.setattr(doctor, "_registered_python", lambda: None)
    finding = check()
    assert finding.status == status and found in finding.found
    assert finding.status == OK or finding.advice or finding.name == "GPU", "what is wrong comes with what to do"


def test_the_supported_pythons_are_those_of_pyproject():
    wanted = load_toml(Path(__file__).parents[1] / "pyproject.toml")["project"]["requires-python"]
    (low, high) = doctor.PYTHONS
    assert wanted == f">={low[0]}.{low[1]},<{high[0]}.{high[1] + 1}"


def test_a_package_that_is_not_installed_at_all(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", missing)
    finding = doctor.packages()
    assert finding.status == FAIL and "lessons_lib" in finding.found and "make lab" in finding.advice


def test_another_kernel_under_jupyters_name(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "_registered_python", lambda: str(tmp_path / "python"))
    finding = doctor.kernel(lambda: "42")
    assert finding.status == WARN and str(tmp_path) in finding.found and "ipykernel install" in finding.advice


def test_folders_that_cannot_be_written(tmp_path):
    assert doctor.folders(tmp_path / "not" / "yet", tmp_path).status == OK
    assert list(tmp_path.iterdir()) == [], "looking leaves nothing behind"
    (tmp_path / "file").write_text("")
    finding = doctor.folders(tmp_path, tmp_path / "file" / "state")
    assert finding.status == FAIL and finding.advice == "Set LESSONS_STATE to a folder of yours."


def test_the_data_folder(monkeypatch):
    assert doctor.data().status == OK

    def gone():
        raise FileNotFoundError("The course's data folder is missing.")

    monkeypatch.setattr("lessons_lib.paths.data_folder", gone)
    assert doctor.data().status == FAIL


def test_the_notebooks(tmp_path):
    assert doctor.lessons(tmp_path).status == FAIL
    put(tmp_path, small())
    assert doctor.lessons(tmp_path).found == f"02 in {tmp_path}"
    (tmp_path / "02_tokens.ipynb").write_text("{")
    finding = doctor.lessons(tmp_path)
    assert finding.status == FAIL and "not a readable notebook" in finding.found


def test_the_assets_of_the_lessons_that_are_here(tmp_path, monkeypatch):
    monkeypatch.setenv("LESSONS_CACHE", str(tmp_path / "cache"))
    assert doctor.assets(tmp_path).found == "these lessons need none"
    put(tmp_path, small())
    finding = doctor.assets(tmp_path)
    assert finding.status == WARN and "minilm" in finding.found and finding.advice.startswith("`lessons fetch ")

    def bad():
        raise AssetError("data/assets.toml: nonsense.")

    monkeypatch.setattr("lessons_lib.assets.registry", bad)
    assert doctor.assets(tmp_path).status == FAIL


def test_a_container_limit_counts(monkeypatch):
    monkeypatch.setattr(doctor, "_container_limit", lambda: GB // 2)
    assert doctor.memory().status == FAIL


def test_a_real_kernel_answers():
    assert doctor._ask_kernel() == "42\n"


@pytest.mark.parametrize("statuses, code, verdict", [
    ([OK, OK], 0, "The course can run."),
    ([OK, WARN], 0, "The course can run. Worth a look: 1."),
    ([WARN, FAIL], 1, "The course cannot run yet: see to 1."),
])  # fmt: skip
def test_the_exit_code_says_whether_the_course_can_run(statuses, code, verdict, monkeypatch, capsys):
    findings = [Finding(str(i), status, "found", "do this") for i, status in enumerate(statuses)]
    monkeypatch.setattr(doctor, "examine", lambda notebooks: findings)
    assert doctor.doctor(argparse.Namespace(notebooks=None, json=False)) == code
    printed = capsys.readouterr().out
    assert printed.strip().endswith(verdict) and "→ do this" in printed
    assert doctor.doctor(argparse.Namespace(notebooks=None, json=True)) == code
    assert [entry["status"] for entry in json.loads(capsys.readouterr().out)] == statuses
