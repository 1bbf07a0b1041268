"""Checkpoints: they hold the whole state, a resumed run is the whole run, and no crash or damage loses anything."""

import errno
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lessons_lib.training import (
    DamagedCheckpointError,
    History,
    checkpoints,
    fit,
    language_model_loss,
    list_checkpoints,
    load_checkpoint,
    loop,
    make_optimizer,
    save_checkpoint,
    saving,
    warmup_cosine,
)

VOCAB = 12
# The type checker of the tests draws from Python's random stream, so where that stream must be the same it is off.
unchecked = pytest.mark.usefixtures("unchecked")
FILES = ("model.safetensors", "optimizer.safetensors", "checkpoint.json")
HELPER = Path(__file__).with_name("killed_run.py")


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.delenv("LESSONS_MAX_STEPS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_model(seed=0, width=16):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Embedding(VOCAB, 8),
        nn.Linear(8, width),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.LayerNorm(width),
        nn.Linear(width, 12),
    )


def batch(step):
    start = torch.randint(1, VOCAB, (4, 1), generator=torch.Generator().manual_seed(step))
    return (start + torch.arange(6)) % (VOCAB - 1) + 1


def noisy_loss(model, ids):
    """Random in all three streams: dropout's, NumPy's and Python's."""
    value, tokens = language_model_loss(model, ids)
    return value * (0.9 + 0.1 * random.random() + 0.1 * np.random.rand()), tokens


def noisy_score(model):
    return {"score": random.random() + np.random.rand() + torch.rand(()) + model(batch(0)).mean()}


def seed(number):
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)


class Run:
    """One start of a training script: a model and an optimizer made anew, and seeds that are the start's own."""

    def __init__(self, start=0, kind="adamw", make=make_model):
        self.model = make()
        self.optimizer = make_optimizer(self.model, 0.02, kind=kind)
        self.start = start

    def train(self, steps=20, **options):
        seed(100 + self.start)  # which a run that resumes must not depend on
        settings = {"loss": noisy_loss, "schedule": warmup_cosine(steps=20, warmup=3), "progress": False}
        return fit(
            self.model, options.pop("batch", batch), steps=steps, optimizer=self.optimizer, **settings, **options
        )

    def state(self):
        held = [tensor for state in self.optimizer.state.values() for _, tensor in sorted(state.items())]
        return [*self.model.state_dict().values(), *held]

    def stopped_in(self, step, **options):
        """Training that Ctrl-C ends while it makes the batch of this step, after a random draw."""

        def interrupted(number):
            if number == step:
                torch.rand(3), np.random.rand(), random.random()
                raise KeyboardInterrupt
            return batch(number)

        return self.train(batch=interrupted, **options)


def same_bits(a, b):
    return len(a) == len(b) and all(
        x.dtype == y.dtype and x.shape == y.shape and torch.equal(x, y) for x, y in zip(a, b, strict=True)
    )


def draws():
    return random.random(), np.random.rand(), np.random.randn(), torch.rand(2).tolist()


def record(history):
    """A history without its clock."""
    return {**history.as_dict(), "seconds": None}


def run_to(folder, steps=6, every=2, **options):
    run = Run(**options)
    run.train(steps, checkpoint=folder, checkpoint_every=every)
    return run


# --- what a checkpoint holds


@pytest.mark.parametrize(
    "make",
    [
        lambda model: make_optimizer(model, 0.02),
        lambda model: make_optimizer(model, 0.02, kind="muon"),
        lambda model: torch.optim.AdamW(model.parameters(), amsgrad=True, foreach=False),
        lambda model: torch.optim.SGD(model.parameters(), lr=0.1),
        lambda model: torch.optim.NAdam(model.parameters()),
        lambda model: torch.optim.Adafactor(model.parameters()),
        lambda model: torch.optim.LBFGS(model.parameters(), max_iter=3),
    ],
    ids=["adamw", "muon", "amsgrad", "sgd", "nadam", "adafactor", "lbfgs"],
)
def test_any_optimizer_goes_on_as_if_nothing_had_been(tmp_path, make):
    def steps(model, optimizer, first, last):
        for step in range(first, last):

            def closure(step=step):
                optimizer.zero_grad()
                loss, _ = language_model_loss(model.eval(), batch(step))
                loss.backward()
                return loss

            optimizer.step(closure)

    model = make_model()
    optimizer = make(model)
    steps(model, optimizer, 0, 4)
    save_checkpoint(tmp_path, model, optimizer, 4)
    steps(model, optimizer, 4, 7)
    other = make_model(seed=1)
    its_optimizer = make(other)
    found = load_checkpoint(tmp_path, other, its_optimizer)
    assert found.step == 4 and len(found.history) == 0
    steps(other, its_optimizer, 4, 7)
    assert same_bits([*model.parameters()], [*other.parameters()])
    one, two = (json.dumps(checkpoints.encode(o.state_dict(), {}, "")) for o in (optimizer, its_optimizer))
    assert one == two


class Odd(nn.Module):
    """Tensors of every kind: tied, transposed, overlapping, empty, without axes, of seven dtypes."""

    def __init__(self, fill=0.0, tied=True):
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 5, bias=False)
        if tied:
            self.head.weight = self.embedding.weight
        self.across = nn.Parameter(torch.full((4, 2), fill).t())
        self.scale = nn.Parameter(torch.tensor(fill))
        self.brief = nn.Parameter(torch.full((3,), fill, dtype=torch.bfloat16))
        self.precise = nn.Parameter(torch.full((2,), fill, dtype=torch.float64))
        both = torch.full((6,), int(fill * 10))
        for name, tensor in {
            "mask": torch.full((3,), fill > 0),
            "count": torch.tensor(int(fill * 10)),
            "left": both[:4],
            "right": both[2:],
            "none": torch.zeros(0, 3),
            "small": torch.tensor([int(fill * 10)], dtype=torch.uint8),
            "float16": torch.full((2,), fill, dtype=torch.float16),
        }.items():
            self.register_buffer(name, tensor)


def test_tied_weights_odd_shapes_and_dtypes(tmp_path):
    model = Odd(1.5)
    optimizer = torch.optim.AdamW(model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    optimizer.state[model.brief]["exp_avg"] = torch.randn(3)  # a state in another dtype than its parameter
    before = json.loads((save_checkpoint(tmp_path, model, optimizer, 1) / "checkpoint.json").read_text())
    assert before["files"]["model.safetensors"]["aliases"] == {"head.weight": "embedding.weight"}
    other = Odd()
    its_optimizer = torch.optim.AdamW(other.parameters())
    load_checkpoint(tmp_path, other, its_optimizer)
    assert same_bits([*model.state_dict().values()], [*other.state_dict().values()])
    assert other.head.weight is other.embedding.weight
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        held, restored = optimizer.state[one], its_optimizer.state[two]
        assert held.keys() == restored.keys()
        assert same_bits([*held.values()], [*restored.values()])
    with pytest.raises(ValueError, match="'head.weight' shares its memory with another weight there only"):
        untied = Odd(tied=False)
        load_checkpoint(tmp_path, untied, torch.optim.AdamW(untied.parameters()))


@unchecked
def test_every_random_stream_goes_on(tmp_path):
    run = Run()
    np.random.randn()  # NumPy then holds the second number of a pair
    save_checkpoint(tmp_path, run.model, run.optimizer, 0)
    expected = draws()
    seed(0)
    load_checkpoint(tmp_path, run.model, run.optimizer)
    assert draws() == expected


def test_numbers_that_json_lacks_and_state_that_no_checkpoint_takes(tmp_path):
    run = Run()
    history = History(planned=9, steps=[0], gradient_norms=[float("inf")], losses=[0.1 + 0.2], evaluations=[{"a": 1.0}])
    save_checkpoint(tmp_path, run.model, run.optimizer, 3, history=history)
    assert load_checkpoint(tmp_path, run.model, run.optimizer).history == history
    run.optimizer.param_groups[0]["odd"] = object()
    with pytest.raises(TypeError, match=r"param_groups\.0\.odd is of type object"):
        save_checkpoint(tmp_path, run.model, run.optimizer, 4)


def test_a_float16_scaler_is_kept(tmp_path):
    run, scaler = Run(), torch.amp.GradScaler("cpu", init_scale=8.0)
    scaler.scale(torch.zeros(()))
    scaler.update(2.0)
    save_checkpoint(tmp_path, run.model, run.optimizer, 1, scaler=scaler)
    other = torch.amp.GradScaler("cpu")
    load_checkpoint(tmp_path, run.model, run.optimizer, scaler=other)
    assert other.state_dict() == scaler.state_dict() and other.get_scale() == 2.0


def test_no_pickle_and_nothing_but_the_three_files(tmp_path):
    run_to(tmp_path)
    (path, *_) = list_checkpoints(tmp_path)
    assert sorted(file.name for file in path.iterdir()) == sorted(FILES)
    assert list(json.loads((path / "checkpoint.json").read_text()))[:4] == ["sha256", "format", "step", "planned"]


# --- keeping


def test_the_latest_are_kept_and_other_files_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "step-1").mkdir()
    (tmp_path / "step-00000002.partial").mkdir()  # a save that was killed
    (tmp_path / "step-00000002.partial" / "model.safetensors").write_text("half")
    run_to(tmp_path, steps=7)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["notes.txt", "step-00000006", "step-00000007", "step-1"]
    assert [path.name for path in list_checkpoints(tmp_path)] == names[1:3]
    run = Run()
    run.train(9, checkpoint=tmp_path, keep=1)
    assert [path.name for path in list_checkpoints(tmp_path)] == ["step-00000009"]


def test_an_unfinished_save_is_ignored(tmp_path):
    run = run_to(tmp_path)
    shutil.copytree(tmp_path / "step-00000006", tmp_path / "step-00000008.partial")
    assert load_checkpoint(tmp_path, run.model, run.optimizer).step == 6
    assert load_checkpoint(tmp_path / "none", run.model, run.optimizer) is None


def test_a_folder_with_a_later_checkpoint_is_refused(tmp_path):
    run = run_to(tmp_path)
    for step in (3, 6):
        with pytest.raises(ValueError, match="holds step-00000006 already.*another folder"):
            save_checkpoint(tmp_path, run.model, run.optimizer, step)
    with pytest.raises(ValueError, match="keep is 0"):
        save_checkpoint(tmp_path, run.model, run.optimizer, 8, keep=0)
    assert len(list_checkpoints(tmp_path)) == 2


# --- resuming


@unchecked
@pytest.mark.parametrize("kind", ["adamw", "muon"])
@pytest.mark.parametrize("precision", [None, "bfloat16"])
def test_a_resumed_run_is_the_whole_run_bit_for_bit(tmp_path, capsys, kind, precision):
    options = {"evaluate": noisy_score, "evaluate_every": 3, "precision": precision}
    whole = Run(kind=kind)
    history = whole.train(**options)
    after = draws()
    for start, stop in enumerate((7, 12, 12, 99)):  # 12: evaluated at 12 already, and stopped before it was saved
        run = Run(start, kind=kind)
        resumed = run.stopped_in(stop, checkpoint=tmp_path / "run", checkpoint_every=5, **options)
    assert draws() == after
    assert same_bits(run.state(), whole.state())
    assert record(resumed) == record(history)
    assert resumed.seconds == sorted(resumed.seconds) and len(resumed.seconds) == 20
    assert {group["lr"] for group in run.optimizer.param_groups} == {0.02} and not run.model.training
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("Resumed")] == [
        "Resumed at step 7 of 20 from run.",
        "Resumed at step 12 of 20 from run.",
        "Resumed at step 12 of 20 from run.",
    ]


@unchecked
def test_checkpoints_do_not_change_the_training(tmp_path):
    plain, saving = Run(), Run()
    history = plain.train(evaluate=noisy_score, evaluate_every=4)
    again = saving.train(evaluate=noisy_score, evaluate_every=4, checkpoint=tmp_path, checkpoint_every=1)
    assert record(again) == record(history) and same_bits(plain.state(), saving.state())


@unchecked
def test_an_evaluation_that_was_stopped_is_made_up_for(tmp_path):
    def stopped(model):
        np.random.rand()
        raise KeyboardInterrupt

    whole = Run().train(evaluate=noisy_score, evaluate_every=6)
    first = Run().train(evaluate=stopped, evaluate_every=6, checkpoint=tmp_path)
    assert first.stopped == "interrupted after 6 of 20 steps" and first.evaluations == []
    assert record(Run(1).train(evaluate=noisy_score, evaluate_every=6, checkpoint=tmp_path)) == record(whole)


def test_a_finished_run_makes_no_step(tmp_path):
    first = Run()
    history = first.train(checkpoint=tmp_path, evaluate=noisy_score)
    again = Run(1)
    made = []
    assert again.train(checkpoint=str(tmp_path), evaluate=noisy_score, batch=lambda step: made.append(step)) == history
    assert made == [] and same_bits(again.state(), first.state()) and not again.model.training
    longer = Run(2).train(23, checkpoint=tmp_path)
    assert longer.steps == list(range(23)) and longer.planned == 23 and longer.stopped is None
    with pytest.raises(ValueError, match="made 23 steps already, and steps is 20: ask for at least 23, or"):
        Run().train(checkpoint=tmp_path)


def test_a_run_cut_short_goes_on(tmp_path, monkeypatch):
    monkeypatch.setenv("LESSONS_MAX_STEPS", "2")
    for begin in (0, 2):
        history = Run().train(6, checkpoint=tmp_path)
        assert history.steps == list(range(begin + 2)) and "LESSONS_MAX_STEPS" in history.stopped
    monkeypatch.delenv("LESSONS_MAX_STEPS")
    assert Run().train(6, checkpoint=tmp_path).stopped is None
    assert [path.name for path in list_checkpoints(tmp_path)] == ["step-00000004", "step-00000006"]


def test_when_it_saves(tmp_path, monkeypatch):
    seen = []
    real = saving.save_checkpoint
    monkeypatch.setattr(saving, "save_checkpoint", lambda *a, **k: seen.append(a[3]) or real(*a, **k))
    Run().train(7, checkpoint=tmp_path / "steps", checkpoint_every=3)
    Run().train(7, checkpoint=tmp_path / "end")
    monkeypatch.setattr(saving, "SAVE_SECONDS", 0.0)
    Run().stopped_in(2, checkpoint=tmp_path / "time")
    Run().stopped_in(0, checkpoint=tmp_path / "nothing")
    assert seen == [3, 6, 7, 7, 1, 2]
    assert list_checkpoints(tmp_path / "nothing") == []


@unchecked
def test_ctrl_c_during_a_save_waits_for_its_end(tmp_path, monkeypatch):
    real = checkpoints.save_file
    monkeypatch.setattr(checkpoints, "save_file", lambda *a: signal.raise_signal(signal.SIGINT) or real(*a))
    history = Run().train(checkpoint=tmp_path, checkpoint_every=4)
    assert history.stopped == "interrupted after 4 of 20 steps"
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000004"]
    run, whole = Run(1), Run()
    whole.train()
    run.train(checkpoint=tmp_path)
    assert same_bits(run.state(), whole.state())


def test_the_saved_learning_rates_are_those_without_the_schedule(tmp_path):
    run_to(tmp_path, steps=2)
    other = Run()
    load_checkpoint(tmp_path, other.model, other.optimizer)
    assert {group["lr"] for group in other.optimizer.param_groups} == {0.02}


def test_only_the_main_process_saves_and_speaks(tmp_path, monkeypatch, capsys):
    run_to(tmp_path)
    spoil(tmp_path / "step-00000006", "checkpoint.json", "delete")
    real = loop.Accelerated.__init__

    def second(self, *arguments):
        real(self, *arguments)
        self._accelerator = type("Second", (), {"is_main_process": False, "scaler": None})()
        self.clip = nn.utils.clip_grad_norm_
        self.backward = lambda loss, last: loss.backward()

    monkeypatch.setattr(loop.Accelerated, "__init__", second)
    assert Run().train(7, checkpoint=tmp_path).steps == list(range(7))
    assert [path.name for path in list_checkpoints(tmp_path)] == ["step-00000004"]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"checkpoint": "run", "first_step": 3}, "first_step is 3.*give one"),
        ({"checkpoint": "run", "checkpoint_every": 0}, "both must be 1 or more"),
        ({"checkpoint": "run", "keep": 0}, "both must be 1 or more"),
        ({"checkpoint_every": 5}, "needs checkpoint="),
        ({"checkpoint": __file__}, "which is a file: name a folder"),
    ],
)
def test_settings_that_make_no_sense(options, word):
    with pytest.raises(ValueError, match=word):
        Run().train(**options)


# --- damage


def spoil(path, file, how):
    file = path / file
    contents = bytearray(file.read_bytes())
    if how == "delete":
        file.unlink()
        return
    if how == "truncate":
        del contents[len(contents) // 2 :]
    elif how == "empty":
        contents.clear()
    elif how == "flip":
        contents[-20] ^= 1
    file.write_bytes(contents)


@unchecked
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("how", ["truncate", "flip", "delete", "empty"])
def test_a_damaged_newest_is_reported_and_the_one_before_is_used(tmp_path, capsys, file, how):
    whole = run_to(tmp_path / "whole")
    folder = tmp_path / "run"
    run_to(folder)
    spoil(folder / "step-00000006", file, how)
    capsys.readouterr()
    run = run_to(folder, start=1)
    damaged, resumed = capsys.readouterr().out.splitlines()
    assert damaged.startswith("step-00000006 in run is damaged: ") and file in damaged
    assert damaged.endswith("It is kept as step-00000006.damaged, and step-00000004 is used.")
    assert resumed == "Resumed at step 4 of 6 from run."
    assert same_bits(run.state(), whole.state())
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["step-00000004", "step-00000006", "step-00000006.damaged"]
    kept = folder / "step-00000006.damaged"
    assert sorted(path.name for path in kept.iterdir()) == sorted(set(FILES) - ({file} if how == "delete" else set()))


@pytest.mark.parametrize("file", FILES)
def test_a_flipped_bit_anywhere_is_found(tmp_path, file):
    run_to(tmp_path, steps=2)
    path = tmp_path / "step-00000002"
    whole = (path / file).read_bytes()
    for place in random.Random(0).sample(range(len(whole)), 150):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        (path / file).write_bytes(changed)
        try:
            found = checkpoints.newest_checkpoint(tmp_path)
        except DamagedCheckpointError:
            continue
        assert file == "checkpoint.json" and json.loads(changed) == json.loads(whole) and found.step == 2  # a blank


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"sha256": 1}', "[" * 100_000, "\ud800", '{"step": 3}'])
def test_a_record_that_is_something_else(tmp_path, text):
    run_to(tmp_path, steps=2)
    (tmp_path / "step-00000002" / "checkpoint.json").write_text(text, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(DamagedCheckpointError, match="checkpoint.json"):
        checkpoints.newest_checkpoint(tmp_path)


def test_when_all_are_damaged_it_stops_and_changes_nothing(tmp_path, capsys):
    run_to(tmp_path / "run")
    spoil(tmp_path / "run" / "step-00000004", "checkpoint.json", "delete")
    spoil(tmp_path / "run" / "step-00000006", "model.safetensors", "truncate")
    capsys.readouterr()
    for _ in range(2):
        run = Run()
        before = [tensor.clone() for tensor in run.state()]
        with pytest.raises(DamagedCheckpointError) as caught:
            run.train(checkpoint=tmp_path / "run")
        message = str(caught.value)
        assert str(tmp_path / "run") in message and "Use another folder" in message
        assert "step-00000004: checkpoint.json is missing" in message
        assert "step-00000006: model.safetensors has " in message
        assert same_bits(run.state(), before)
    assert [path.name for path in list_checkpoints(tmp_path / "run")] == ["step-00000004", "step-00000006"]
    assert capsys.readouterr().out == ""


def test_a_second_damage_at_the_same_step_has_a_name_of_its_own(tmp_path):
    for _ in range(3):
        run_to(tmp_path)
        spoil(tmp_path / "step-00000006", "model.safetensors", "flip")
    run_to(tmp_path)
    assert sorted(path.name.partition(".")[2] for path in tmp_path.glob("*.damaged*")) == [
        "damaged",
        "damaged-2",
        "damaged-3",
    ]


# --- not damaged, but of something else


def other_shape(run):
    run.model = make_model(width=20)


def more_layers(run):
    run.model = nn.Sequential(*make_model(), nn.Linear(12, 12))


def fewer_layers(run):
    run.model = make_model()[:5]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (other_shape, r"'1.bias' has shape \(16,\) \(float32\) in the checkpoint and \(20,\) \(float32\) here"),
        (more_layers, "the model in the checkpoint has no '6.bias' and 1 more"),
        (fewer_layers, "the model here has no '5.bias' and 1 more"),
        (lambda run: run.model.double(), r"\(float64\) here"),
    ],
)
def test_another_model(tmp_path, change, word):
    run_to(tmp_path)
    run = Run()
    change(run)
    run.optimizer = make_optimizer(run.model, 0.02)
    before = [tensor.clone() for tensor in run.state()]
    for load in (lambda: run.train(checkpoint=tmp_path), lambda: load_checkpoint(tmp_path, run.model, run.optimizer)):
        with pytest.raises(ValueError, match=f"belongs to another run.*{word}.*another folder"):
            load()
    assert same_bits(run.state(), before)
    assert len(list_checkpoints(tmp_path)) == 2


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda model: make_optimizer(model, 0.02, kind="muon"), "AdamW in the checkpoint and Muon and AdamW here"),
        (lambda model: torch.optim.SGD(model.parameters(), lr=0.02), "AdamW in the checkpoint and SGD here"),
        (lambda model: torch.optim.AdamW(model.parameters(), lr=0.02), "groups hold parameters of other numbers"),
        (lambda model: make_optimizer(model, 0.03), "lr is 0.02 in the checkpoint and 0.03 here"),
        (lambda model: make_optimizer(model, 0.02, betas=(0.9, 0.99)), r"betas is \(0.9, 0.95\) in"),
    ],
)
def test_another_optimizer(tmp_path, make, word):
    run_to(tmp_path)
    run = Run()
    run.optimizer = make(run.model)
    before = [tensor.clone() for tensor in run.state()]
    with pytest.raises(ValueError, match=f"belongs to another run.*{word}.*another folder"):
        run.train(checkpoint=tmp_path)
    assert same_bits(run.state(), before)


def test_settings_may_differ_where_the_caller_says_so_and_kernels_always(tmp_path):
    run_to(tmp_path)
    run = Run()
    run.optimizer = make_optimizer(run.model, 0.5)
    for group in run.optimizer.param_groups:
        group["fused"], group["foreach"] = False, True
    load_checkpoint(tmp_path, run.model, run.optimizer, same_settings=False)
    assert {(g["lr"], g["fused"], g["foreach"]) for g in run.optimizer.param_groups} == {(0.02, False, True)}


def test_a_later_format(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "FORMAT", 2)
    run_to(tmp_path)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="has format 2, and this version of lessons_lib reads 1"):
        Run().train(checkpoint=tmp_path)


# --- a disk that is full


def wide():
    return make_model(width=600)


def check_failed_save(folder, steps, failing):
    """Train until a save fails; then the checkpoint before is whole, and a run that has room ends as it should."""
    whole = Run(make=wide)
    whole.train(steps)
    with failing(), pytest.raises(OSError) as caught:
        Run(make=wide).train(steps, checkpoint=folder, checkpoint_every=2, keep=9)
    assert str(folder) in str(caught.value) and "Those before it are whole" in str(caught.value)
    assert "step" in str(caught.value)
    left = [path.name for path in folder.iterdir()]
    assert left and all(checkpoints.NAME.fullmatch(name) for name in left)
    run = Run(1, make=wide)
    assert load_checkpoint(folder, run.model, run.optimizer).path == list_checkpoints(folder)[-1]
    for old in list_checkpoints(folder)[:-1]:
        shutil.rmtree(old)
    return whole, caught.value


@pytest.mark.parametrize("file", FILES[1:])
def test_no_room_for_a_file_leaves_the_last_one_whole(tmp_path, file):
    """The limit on the size of a file is one that the kernel really enforces, in the middle of a write."""
    run_to(tmp_path, steps=2, make=wide)
    size = (tmp_path / "step-00000002" / file).stat().st_size
    assert (file == "checkpoint.json") == (size < 30_000)

    class Limited:
        def __enter__(self):
            self.before = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size - 1000, self.before[1]))

        def __exit__(self, *_):
            resource.setrlimit(resource.RLIMIT_FSIZE, self.before)

    if file == "checkpoint.json":  # all files are longer than the record, so the limit must come after them
        real = checkpoints._digest
        limits = []

        def limited(body):
            limits.append(Limited())
            limits[-1].__enter__()
            return real(body)

        run = Run(1, make=wide)
        load_checkpoint(tmp_path, run.model, run.optimizer)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(checkpoints, "_digest", limited)
            try:
                with pytest.raises(OSError, match=f"step 3 could not be saved in {tmp_path}"):
                    save_checkpoint(tmp_path, run.model, run.optimizer, 3)
            finally:
                limits[0].__exit__()
        assert [path.name for path in tmp_path.iterdir()] == ["step-00000002"]
        return
    _, error = check_failed_save(tmp_path, 6, Limited)
    assert "File too large" in str(error)


@unchecked
def test_a_disk_that_is_really_full(tmp_path):
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", str(tmp_path)], capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("needs the right to mount a small tmpfs")
    try:
        from contextlib import nullcontext

        folder = tmp_path / "run"
        whole, error = check_failed_save(folder, 12, nullcontext)
        assert "No space left" in str(error)
        run = Run(1, make=wide)
        run.train(12, checkpoint=folder, checkpoint_every=2, keep=1)
        assert same_bits(run.state(), whole.state())
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


@pytest.mark.parametrize("step", ["save_file", "_to_disk", "_digest"])
def test_an_error_anywhere_in_a_save_leaves_nothing_behind(tmp_path, monkeypatch, step):
    run = run_to(tmp_path)

    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(checkpoints, step, fail)
    with pytest.raises(OSError, match=rf"step 8 could not be saved in {tmp_path} \(Input/output error\)") as caught:
        save_checkpoint(tmp_path, run.model, run.optimizer, 8)
    assert caught.value.errno == errno.EIO
    monkeypatch.undo()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000004", "step-00000006"]
    assert load_checkpoint(tmp_path, run.model, run.optimizer).step == 6


# --- SIGKILL


def helper(*arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HELPER.parents[2])}
    return subprocess.Popen(
        [sys.executable, str(HELPER), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


@pytest.fixture(scope="module")
def forked(tmp_path_factory):
    """The records of runs of forty steps, of each kind one that nobody kills, and then those that are killed; and the
    folder they were in. One interpreter forks them all, since it takes long to start."""
    folder = tmp_path_factory.mktemp("forked")
    process = helper("forked", folder, "small-0", *["small-5"] * 4, "gpt-0", "gpt-3", "small-5-left")
    said, err = process.communicate(timeout=150)
    assert process.returncode == 0, err
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")], folder


def check_killed(runs, unkilled, kills):
    assert unkilled["codes"] == [] and unkilled["last code"] == 0 and len(unkilled["digest"]) == 64
    for run in runs:
        assert run["codes"] == [-signal.SIGKILL] * kills
        assert (run["last code"], run["digest"]) == (0, unkilled["digest"])


def test_twenty_kills_and_the_same_weights_every_time(forked):
    """Four runs, each killed five times: between steps, or within a save."""
    (unkilled, *killed), folder = forked[0][:5], forked[1]
    assert len(killed) == 4
    check_killed(killed, unkilled, kills=5)
    left = [sorted(path.name for path in run.iterdir()) for run in (folder / "small-5").iterdir()]
    assert left == [["step-00000038", "step-00000040"]] * 4


def test_a_killed_process_and_a_new_interpreter(forked):
    (unkilled, *_, killed), folder = forked
    assert killed["codes"] == [-signal.SIGKILL] * 5 and killed["digest"] is None
    (run,) = (folder / "small-5-left").iterdir()
    said, err = helper("alone", run, "small").communicate(timeout=120)
    assert said.startswith("Resumed at step "), err
    assert said.split()[-1] == unkilled["digest"]


def test_a_killed_gpt_in_parts_and_bfloat16(forked):
    """Batches in three parts, the forward pass in bfloat16: the same bits after three kills as after none."""
    unkilled, *killed = forked[0][5:7]
    assert len(killed) == 1
    check_killed(killed, unkilled, kills=3)
