"""`fit`: what it learns, records, respects, and how it ends."""

import copy
import math
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lessons_lib.training import History, NotFiniteError, fit, language_model_loss, make_optimizer, warmup_cosine
from lessons_lib.training import progress as progress_module

VOCAB = 12


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.delenv("LESSONS_MAX_STEPS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_model(seed=0, dropout=0.0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Embedding(VOCAB, 8), nn.Linear(8, 16), nn.ReLU(), nn.Dropout(dropout), nn.LayerNorm(16), nn.Linear(16, VOCAB)
    )


def counting(step):
    """Sequences that count upwards, which a bigram can learn."""
    start = torch.randint(1, VOCAB, (4, 1), generator=torch.Generator().manual_seed(step))
    return (start + torch.arange(6)) % (VOCAB - 1) + 1


def train(model, steps=10, *, kind="adamw", optimizer=None, batch=counting, **options):
    options = {"loss": language_model_loss, "progress": False, **options}
    optimizer = optimizer or make_optimizer(model, 0.02, kind=kind)
    return fit(model, batch, steps=steps, optimizer=optimizer, **options)


def same_weights(a, b):
    return all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


def test_it_learns_and_records():
    model = make_model()
    history = train(model, 60)
    assert history.losses[0] == pytest.approx(math.log(VOCAB), abs=0.8)
    assert history.losses[-1] < 0.5
    assert history.steps == list(range(60)) and len(history) == 60 == history.planned
    assert history.tokens == [20] * 60
    assert history.seconds == sorted(history.seconds) and history.seconds[0] > 0
    assert all(norm > 0 for norm in history.gradient_norms)
    assert history.tokens_per_second > 0
    assert history.stopped is None
    assert not model.training
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_it_is_the_plain_loop(kind):
    model, plain = make_model(), make_model()
    history = train(model, 8, kind=kind, schedule=warmup_cosine(steps=8, warmup=2), clip=0.5)
    optimizer = make_optimizer(plain, 0.02, kind=kind)
    for step in range(8):
        for group in optimizer.param_groups:
            group["lr"] = 0.02 * warmup_cosine(steps=8, warmup=2)(step)
        optimizer.zero_grad()
        loss, _ = language_model_loss(plain, counting(step))
        loss.backward()
        norm = nn.utils.clip_grad_norm_(plain.parameters(), 0.5)
        optimizer.step()
        assert history.losses[step] == loss.item()
        assert history.gradient_norms[step] == norm.item()
    assert same_weights(model, plain)


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_the_same_seed_gives_the_same_weights_bit_for_bit(kind):
    runs = []
    for _ in range(2):
        model = make_model(3, dropout=0.2)
        torch.manual_seed(5)
        runs.append((train(model, 15, kind=kind).losses, model))
    assert runs[0][0] == runs[1][0]
    assert same_weights(runs[0][1], runs[1][1])


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_a_run_in_two_parts_is_the_whole_run_bit_for_bit(kind):
    whole, parts = make_model(), make_model()
    schedule = warmup_cosine(steps=10, warmup=2)
    train(whole, 10, kind=kind, schedule=schedule)
    optimizer = make_optimizer(parts, 0.02, kind=kind)
    train(parts, 6, optimizer=optimizer, schedule=schedule)
    history = train(parts, 10, optimizer=optimizer, schedule=schedule, first_step=6)
    assert history.steps == [6, 7, 8, 9]
    assert same_weights(whole, parts)


def test_the_schedule_sets_the_rates_and_leaves_the_optimizer_as_it_was():
    model = make_model()
    optimizer = make_optimizer(model, 0.02)
    schedule = warmup_cosine(steps=6, warmup=2)
    history = train(model, 6, optimizer=optimizer, schedule=schedule)
    assert history.learning_rates == [0.02 * schedule(step) for step in range(6)]
    assert {group["lr"] for group in optimizer.param_groups} == {0.02}


def test_clipping_bounds_the_gradient_and_none_leaves_it():
    def seen_norms(clip):
        norms, model = [], make_model()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        optimizer.register_step_pre_hook(
            lambda *_: norms.append(torch.cat([p.grad.flatten() for p in model.parameters()]).norm().item())
        )
        return norms, train(model, 4, optimizer=optimizer, clip=clip).gradient_norms

    clipped, recorded = seen_norms(0.1)
    assert clipped == pytest.approx([0.1] * 4, rel=1e-3)
    free, again = seen_norms(None)
    assert free == pytest.approx(again)
    assert recorded == pytest.approx(again)


# --- evaluation


def test_evaluations_at_their_steps_and_at_the_end():
    model, modes = make_model(), []

    def evaluate(seen):
        modes.append((seen is model, seen.training, torch.is_grad_enabled()))
        return {"held out": torch.tensor(1.5), "accuracy": 0.25}

    history = train(model, 10, evaluate=evaluate, evaluate_every=4)
    assert history.evaluation_steps == [4, 8, 10]
    assert history.evaluations == [{"held out": 1.5, "accuracy": 0.25}] * 3
    assert modes == [(True, False, False)] * 3
    steps, values = history.evaluated("accuracy")
    assert steps.tolist() == [4, 8, 10] and values.tolist() == [0.25] * 3
    assert train(make_model(), 8, evaluate=lambda _: 2, evaluate_every=4).evaluation_steps == [4, 8]
    assert train(make_model(), 3, evaluate=lambda _: 2).evaluations == [{"loss": 2.0}]
    with pytest.raises(KeyError, match="accuracy, held out"):
        history.evaluated()


def test_evaluating_does_not_change_the_training():
    models = []
    for evaluate in (None, lambda model: torch.rand(()) + model(torch.randint(1, VOCAB, (2, 3))).mean()):
        model = make_model(dropout=0.3)
        torch.manual_seed(9)
        train(model, 8, evaluate=evaluate, evaluate_every=2 if evaluate else None)
        models.append(model)
    assert same_weights(*models)


def test_the_clock_leaves_evaluations_out():
    history = train(make_model(), 4, evaluate=lambda _: time.sleep(0.3) or 0, evaluate_every=1)
    assert history.seconds[-1] < 0.9


# --- LESSONS_MAX_STEPS


def test_max_steps_cuts_the_run_short(monkeypatch):
    monkeypatch.setenv("LESSONS_MAX_STEPS", "2")
    history = train(make_model(), 50, evaluate=lambda _: 1.0, evaluate_every=10)
    assert history.steps == [0, 1] and history.planned == 50 and history.evaluation_steps == [2]
    assert "LESSONS_MAX_STEPS" in history.stopped
    assert train(make_model(), 50, first_step=30).steps == [30, 31]
    assert train(make_model(), 1).stopped is None


# --- numbers that are not finite


def spoil_loss(step_of_harm, how):
    calls = iter(range(10**6))

    def loss(model, ids):
        value, tokens = language_model_loss(model, ids)
        return (how(value) if next(calls) == step_of_harm else value), tokens

    return loss


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_before_it_harms(bad):
    model, reference = make_model(), make_model()
    with pytest.raises(NotFiniteError) as caught:
        train(model, 20, loss=spoil_loss(5, lambda value: value * bad))
    train(reference, 5)
    error = caught.value
    assert error.step == 5 and len(error.history) == 5
    assert same_weights(model, reference)
    message = str(error)
    assert f"At step 5 the loss is {bad}" in message
    assert f"had loss {error.history.losses[-1]:.4g}" in message
    assert "gradient norm" in message and "learning rate is 0.02" in message
    assert "batch(5)" in message


def test_a_gradient_that_is_not_finite_stops_too():
    model = make_model()
    with pytest.raises(NotFiniteError, match=r"At step 3 the loss is [\d.]+, but the norm of its gradient is .*slope"):
        train(model, 9, loss=spoil_loss(3, lambda value: value + (value - value).sqrt()))
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_too_high_a_learning_rate_is_named_as_the_cause():
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    x = torch.randn(8, 3)
    with pytest.raises(NotFiniteError, match=r"learning rate is too high.*Try a learning rate of 0\.5"):
        train(
            model,
            2000,
            batch=lambda step: x,
            loss=lambda model, x: ((model(x) - 1).square().mean(), len(x)),
            optimizer=torch.optim.SGD(model.parameters(), lr=5.0),
            clip=None,
        )


def test_other_causes_are_told_apart():
    with pytest.raises(NotFiniteError, match="first step of this run.*log 0.*no update"):
        train(make_model(), 5, loss=spoil_loss(0, lambda value: value * math.nan))

    linear = nn.Linear(2, 1)
    options = {"optimizer": torch.optim.SGD(linear.parameters(), lr=0.1), "loss": lambda m, x: (m(x[0]).mean(), 1)}
    with pytest.raises(NotFiniteError, match=r"batch itself.*batch\(step\)"):
        train(linear, 5, batch=lambda step: [torch.full((1, 2), math.nan)], **options)
    with torch.no_grad():
        linear.bias.fill_(math.inf)
    with pytest.raises(NotFiniteError, match="spoiled before, for bias"):
        train(linear, 5, batch=lambda step: [torch.ones(1, 2)], **options)


# --- the user stops it


def stopped_at(step, how):
    def batch(number):
        if number == step:
            how()
        return counting(number)

    return batch


def interrupt():
    raise KeyboardInterrupt


def test_an_interrupt_ends_the_run_and_keeps_what_was_learned(capsys):
    model, reference = make_model(), make_model()
    optimizer = make_optimizer(model, 0.02)
    history = train(model, 20, optimizer=optimizer, batch=stopped_at(7, interrupt), schedule=warmup_cosine(steps=20))
    train(reference, 7, schedule=warmup_cosine(steps=20))
    assert history.stopped == "interrupted after 7 of 20 steps"
    assert len(history) == 7
    assert same_weights(model, reference)
    assert not model.training and {group["lr"] for group in optimizer.param_groups} == {0.02}
    assert capsys.readouterr().out == (
        "Training was interrupted after 7 of 20 steps; the model keeps what it has learned.\n"
    )


@pytest.mark.parametrize("when", ["loss", "evaluate"])
def test_an_interrupt_elsewhere(when):
    model = make_model()
    options = {"loss": spoil_loss(3, lambda _: interrupt())} if when == "loss" else {}
    if when == "evaluate":
        options = {"evaluate": lambda _: interrupt(), "evaluate_every": 3}
    history = train(model, 20, **options)
    assert history.stopped == "interrupted after 3 of 20 steps" and not model.training
    assert history.evaluations == []


def test_a_signal_in_the_middle_of_an_update_waits_for_its_end():
    model, reference = make_model(), make_model()
    optimizer = make_optimizer(model, 0.02)
    optimizer.register_step_pre_hook(
        lambda *_: signal.raise_signal(signal.SIGINT) if len(optimizer.state) and next(count) == 4 else None
    )
    count = iter(range(100))
    before = signal.getsignal(signal.SIGINT)
    history = train(model, 20, optimizer=optimizer)
    assert history.stopped == "interrupted after 6 of 20 steps"  # hook call 4 of those after the first is step 5
    train(reference, 6)
    assert same_weights(model, reference)
    assert signal.getsignal(signal.SIGINT) is before


def test_another_error_passes_through_and_leaves_things_tidy():
    def fail():
        raise RuntimeError("no more data")

    model, before = make_model(), signal.getsignal(signal.SIGINT)
    with pytest.raises(RuntimeError, match="no more data"):
        train(model, 9, batch=stopped_at(2, fail))
    assert signal.getsignal(signal.SIGINT) is before and not model.training


SCRIPT = """
import sys, time
sys.path.insert(0, {tests!r})
import test_loop as t

model = t.make_model()
def batch(step):
    if step == 5:
        print("running", flush=True)
    if step > 5:
        time.sleep(0.002)
    return t.counting(step)
history = t.train(model, 10**6, batch=batch, progress=True)
reference = t.make_model()
t.train(reference, len(history))
print(history.stopped)
print("kept" if t.same_weights(model, reference) else "lost")
"""


def test_a_real_ctrl_c():
    script = SCRIPT.format(tests=str(Path(__file__).parent))
    root = Path(__file__).parents[2]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root), "PYTHONWARNINGS": "error"}
    child = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert child.stdout.readline() == "running\n"
        time.sleep(0.5)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=120)
    finally:
        child.kill()
    assert child.returncode == 0, err
    said, stopped, kept = out.splitlines()
    assert said.startswith("Training was interrupted after ")
    assert stopped.startswith("interrupted after ") and kept == "kept"
    assert "Traceback" not in err and "loss" in err  # the bar


# --- Accelerate, precision, threads


def test_precisions_one_after_the_other():
    dtypes = []

    def loss(model, ids):
        dtypes.append(model[1](model[0](ids)).dtype)
        return language_model_loss(model, ids)

    for precision in ("float32", "bfloat16", None, "bfloat16"):
        model = make_model()
        history = train(model, 30, loss=loss, precision=precision)
        assert history.losses[-1] < 1.5
        assert next(model.parameters()).dtype == torch.float32
        assert "forward" not in vars(model)  # nothing of Accelerate stays on the model
        copy.deepcopy(model)
    assert dtypes[::30] == [torch.float32, torch.bfloat16, torch.float32, torch.bfloat16]


def test_an_accelerator_of_the_users_own_still_works():
    from accelerate import Accelerator

    mine = Accelerator()
    for precision in ("bfloat16", "float32"):
        train(make_model(), 2, precision=precision)
        assert mine.device.type == "cpu"


def test_no_word_of_its_own_and_no_warning(capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for precision in ("bfloat16", None):
            train(make_model(), 3, precision=precision)
    captured = capfd.readouterr()
    assert captured.out == "" and captured.err == ""


def test_it_runs_outside_the_main_thread():
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        assert len(pool.submit(train, make_model(), 3).result()) == 3


# --- the bar


def test_the_bar_shows_loss_and_speed_and_not_too_often(monkeypatch, capfd):
    updates = []
    real = progress_module.Progress.update
    monkeypatch.setattr(progress_module, "PAUSE", 0.2)

    def slow(step):
        time.sleep(0.01)
        return counting(step)

    def counted(self, history):
        before = self._shown
        real(self, history)
        if self._shown != before:
            updates.append(time.perf_counter())

    monkeypatch.setattr(progress_module.Progress, "update", counted)
    history = train(make_model(), 60, batch=slow, progress=True)
    assert 3 <= len(updates) <= history.seconds[-1] / 0.2 + 2
    err = capfd.readouterr().err
    assert "60/60" in err and "tokens/s" in err and f"loss {history.losses[0]:.3f}" in err


# --- History


def test_the_curve_is_smooth_and_starts_at_the_first_loss():
    history = History(planned=3, steps=[5, 6, 7], losses=[4.0, 2.0, 2.0])
    steps, smooth = history.curve(0.5)
    assert steps.tolist() == [5, 6, 7]
    np.testing.assert_allclose(smooth, [4, (0.5 * 2 + 0.25 * 4) / 0.75, (0.5 * 2 + 0.25 * 2 + 0.125 * 4) / 0.875])
    assert history.curve(0.0)[1].tolist() == [4, 2, 2]
    assert [len(part) for part in History(planned=3).curve()] == [0, 0]
    assert History(planned=3).tokens_per_second == 0
    with pytest.raises(ValueError, match="below 1"):
        history.curve(1.0)


# --- what it refuses


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"steps": 0}, "1 step or more"),
        ({"steps": 3, "first_step": 4}, "first_step 4"),
        ({"clip": 0.0}, "above 0, or None"),
        ({"evaluate_every": 2}, "needs evaluate="),
        ({"precision": "half"}, "float32, bfloat16, float16"),
        ({"precision": "float16"}, "NVIDIA GPU"),
    ],
)
def test_settings_that_make_no_sense(options, word):
    model = make_model()
    with pytest.raises(ValueError, match=word):
        train(model, options.pop("steps", 3), **options)


def test_an_optimizer_of_another_model():
    with pytest.raises(ValueError, match="none of this model's parameters"):
        train(make_model(), 3, optimizer=make_optimizer(make_model()))


@pytest.mark.parametrize(
    ("returned", "word"),
    [
        (lambda value: value, "returned Tensor"),
        (lambda value: (value.item(), 3), "its loss is float"),
        (lambda value: (value.detach(), 3), "no gradient"),
        (lambda value: (value.repeat(2), 3), r"shape \(2,\)"),
    ],
)
def test_a_loss_function_that_returns_something_else(returned, word):
    with pytest.raises(TypeError, match=word):
        train(make_model(), 3, loss=lambda model, ids: returned(language_model_loss(model, ids)[0]))


def test_a_batch_of_padding_only():
    with pytest.raises(ValueError, match="nothing to predict"):
        train(make_model(), 3, batch=lambda step: torch.zeros(2, 4, dtype=torch.long))
