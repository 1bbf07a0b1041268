"""`lessons train`, from a text to a folder, on models that train in a second."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lessons_lib.models.gpt import GPT
from lessons_lib.training import command, list_checkpoints
from lessons_lib.training.command import train_command

TEXT = "\n\n".join(
    f"The {a} bear saw a {b} kite in the {c}. It was glad. Then the {a} bear went home." * 2
    for a in ("old", "young", "red", "green") for b in ("blue", "small", "torn") for c in ("park", "town", "yard")
)  # fmt: skip
TINY = "d_model=16,n_layers=2,n_heads=2,context_length=16,rows=4"


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.delenv("LESSONS_MAX_STEPS", raising=False)
    monkeypatch.setattr(command, "EVALUATED", 64)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "bears.txt"
    path.write_text(TEXT)
    return path


def write(model, prompts, end_id):
    assert isinstance(model, GPT) and not model.training and all(prompt[0] == end_id for prompt in prompts)
    return [prompt[1:3] for prompt in prompts]


def draw(history, title):
    return f"{title}: {len(history)} steps".encode()


def train(text, out, kind="gpt", **changes):
    request = {"budget": "steps=12", "config": TINY} | changes
    return train_command(write=write, draw=draw, kind=kind, data=str(text), out=str(out), **request)


@pytest.mark.parametrize(("kind", "recipe"), [("gpt", None), ("gpt", "modern"), ("bert", None)])
def test_from_a_text_to_a_model(text, tmp_path, capfd, kind, recipe):
    out = tmp_path / "run"
    assert train(text, out, kind, recipe=recipe) == 0
    said = capfd.readouterr().out.splitlines()
    heads = [line.split()[0] for line in said if line.strip()]
    assert heads[:5] == ["text", "tokens", "size", "model", "plan"]
    assert heads.count("step") == 4 and heads[-3] in ("sample", "gap") and heads[-2:] == ["log", "model"]
    assert {path.name for path in out.iterdir()} == {
        "run.json", "run.lock", "data", "checkpoints", "best.safetensors", "log.txt", "loss.png", "model"
    }  # fmt: skip
    log = (out / "log.txt").read_text().splitlines()
    assert log[0] == f"lessons train {kind}" and [line[:4] for line in log[-4:]] == ["step"] * 4
    assert ("bits per byte" if kind == "gpt" else "% guessed") in log[-1]
    assert log[-1].startswith("step      12 ·           768 tokens")
    assert (out / "loss.png").read_bytes() == f"{kind} on {text}: 12 steps".encode()
    files = {path.name for path in (out / "model").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= files
    assert ("tokenizer_config.json" in files) is (recipe is None)


def weights(out):
    return load_file(list_checkpoints(out / "checkpoints")[-1] / "model.safetensors")


def same_run(one, two):
    first, second = weights(one), weights(two)
    lines = [
        [line.rpartition("tokens/s")[2] for line in (out / "log.txt").read_text().splitlines()] for out in (one, two)
    ]
    return all(torch.equal(first[name], second[name]) for name in first) and lines[0] == lines[1]


@pytest.mark.usefixtures("unchecked")
def test_a_run_that_was_interrupted_goes_on_with_the_same_command(text, tmp_path, capsys, monkeypatch):
    assert train(text, tmp_path / "whole", accumulate=2) == 0
    real = command.LOSSES["gpt"]
    seen = iter(range(10**6))

    def interrupted(model, batch):
        if model.training and next(seen) == 11:  # in the second part of step 5
            signal.raise_signal(signal.SIGTERM)
        return real(model, batch)

    monkeypatch.setitem(command.LOSSES, "gpt", interrupted)
    assert train(text, tmp_path / "run", accumulate=2) == 130
    said = capsys.readouterr().out
    assert "interrupted after 5 of 12 steps" in said and said.endswith("Give the same command again to go on.\n")
    assert not (tmp_path / "run" / "model").exists()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert train(text, tmp_path / "run", accumulate=2) == 0
    assert "Resumed at step 5 of 12" in capsys.readouterr().out
    assert same_run(tmp_path / "whole", tmp_path / "run")


def test_a_finished_run_is_shown_again_and_not_trained(text, tmp_path, capsys):
    assert train(text, tmp_path / "run") == 0
    first = capsys.readouterr().out.splitlines()
    before = weights(tmp_path / "run")
    (tmp_path / "run" / "model" / "config.json").unlink()
    assert train(text, tmp_path / "run") == 0
    again = capsys.readouterr().out.splitlines()
    assert [line for line in again if line.startswith(("best", "sample"))] == [
        line for line in first if line.startswith(("best", "sample"))
    ]
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights(tmp_path / "run").items())
    assert (tmp_path / "run" / "model" / "config.json").exists()


def test_a_run_cut_short_by_lessons_max_steps(text, tmp_path, monkeypatch):
    monkeypatch.setenv("LESSONS_MAX_STEPS", "2")
    assert train(text, tmp_path / "run") == 0
    assert (tmp_path / "run" / "model" / "config.json").exists()
    assert [path.name for path in list_checkpoints(tmp_path / "run" / "checkpoints")] == ["step-00000002"]
    monkeypatch.delenv("LESSONS_MAX_STEPS")
    assert train(text, tmp_path / "run") == 0
    assert train(text, tmp_path / "whole") == 0
    one, two = weights(tmp_path / "run"), weights(tmp_path / "whole")
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_the_model_is_the_one_that_was_best_on_the_held_out_text(text, tmp_path, monkeypatch):
    scores = iter([3.0, 1.0, 2.0, 4.0])
    kept = []
    monkeypatch.setattr(command, "judge", lambda *_: {"loss": next(scores), "bits per byte": 1.0})
    real = command.RunFolder.keep_best
    monkeypatch.setattr(command.RunFolder, "keep_best", lambda self, model: kept.append(1) or real(self, model))
    assert train(text, tmp_path / "run") == 0
    assert len(kept) == 2
    best, last = load_file(tmp_path / "run" / "best.safetensors"), weights(tmp_path / "run")
    assert not torch.equal(best["words.weight"], last["words.weight"])
    exported = load_file(tmp_path / "run" / "model" / "model.safetensors")
    assert torch.equal(exported["transformer.wte.weight"], best["words.weight"])


def test_a_time_is_turned_into_steps_by_measuring(text, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "measure", lambda step, wait: step() * 10.0)  # ten steps a second
    assert train(text, tmp_path / "run", budget="2s") == 0
    said = capsys.readouterr().out
    assert "plan     18 steps of 64 tokens" in said and "at 640 tokens/s" in said


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"budget": "soon"}, "The budget is 'soon'; write a time"),
        ({"config": "huge"}, "The config is 'huge'"),
        ({"config": "d_model=30"}, "cannot be split among n_heads"),
        ({"config": "context_length=4000"}, "too short for rows of 4000 tokens"),
        ({"data": "kjw"}, "neither a text that the course knows nor a file.*Did you mean kjv"),
        ({"recipe": "best"}, "The recipe is 'best'"),
        ({"kind": "bert", "recipe": "modern"}, "for bert only one"),
        ({"kind": "t5"}, "of the kind 't5'; there are gpt and bert"),
        ({"precision": "int4"}, "The precision is 'int4'"),
        ({"accumulate": 5}, "A batch of 4 rows cannot be shared by 1 process.es. in 5 parts each"),
        ({"accumulate": 0}, "accumulate must be a whole number of at least 1"),
    ],
)
def test_what_it_refuses(text, tmp_path, capsys, changes, word):
    request = {"kind": "gpt", "data": str(text), "budget": "steps=12", "config": TINY} | changes
    assert train_command(write=write, draw=draw, out=str(tmp_path / "run"), **request) == 2
    said = capsys.readouterr()
    assert said.err.startswith("lessons: ") and re.search(word, said.err), said.err
    mended = train(text, tmp_path / "run", budget="steps=1", recipe="modern")
    assert mended == 0, "the folder can be used when the mistake is mended"


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "is empty"),
        (b"one line only", "single document"),
        (b"\x00\x01\x02", "is binary"),
        (b"a\n\nb", "too short"),
    ],
)
def test_texts_that_will_not_do(tmp_path, capsys, content, word):
    (tmp_path / "bad.txt").write_bytes(content)
    assert train(tmp_path / "bad.txt", tmp_path / "run") == 2
    assert word in capsys.readouterr().err


def test_a_folder_that_holds_something_else_is_left_alone(text, tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    assert train(text, tmp_path / "mine") == 2
    assert "name a new folder. Nothing was changed." in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    assert train(text, tmp_path / "run") == 0
    text.write_text(TEXT.replace("bear", "cat"))
    assert train(text, tmp_path / "run") == 2
    assert "holds a run with a text of the hash" in capsys.readouterr().err


def test_a_run_that_fails_says_why(text, tmp_path, capsys):
    assert train(text, tmp_path / "run", config=f"{TINY},learning_rate=1e30") == 1
    assert "lessons: At step " in capsys.readouterr().err


ROOT = Path(__file__).parents[2]


def test_two_processes_make_one_run(text, tmp_path):
    """Started by torchrun: one speaks and writes, and the weights are those of one process."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", "PYTHONPATH": str(ROOT)}
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    wanted = ["train", "gpt", "--data", str(text), "--budget", "steps=12", "--config", TINY, "--recipe", "modern"]
    process = subprocess.Popen(
        [sys.executable, *launcher, "-m", "lessons_lib", *wanted, "--out", str(tmp_path / "two")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    assert train(text, tmp_path / "one", recipe="modern") == 0
    said, err = process.communicate(timeout=150)
    assert process.returncode == 0, err
    heads = [line.split()[0] for line in said.splitlines() if line.strip()]
    assert heads.count("text") == heads.count("plan") == heads.count("best") == 1 and "sample" in heads
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=0, atol=2e-5)
    assert (tmp_path / "two" / "model" / "config.json").exists()
