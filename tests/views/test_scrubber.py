"""The training scrubber, on a small GPT and a short run."""

import pytest
import torch

from lessons_lib.models.gpt import GPT, GPTConfig
from lessons_lib.training import causal_lm_loss, fit, make_optimizer, next_tokens
from lessons_lib.training.history import History
from lessons_lib.views import style
from lessons_lib.views.scrubber import KeepWeights, Snapshot, TrainingScrubber

CONFIG = GPTConfig.modern(vocab_size=8, context_length=12, d_model=8, n_layers=2, n_heads=2)
TEXTS = {"up": (("a", "b", "c", "d"), (1, 2, 3, 4)), "short": (("$x$", " y"), (5, 6))}


def rows(step):
    start = torch.randint(8, (6, 1), generator=torch.Generator().manual_seed(step))
    return next_tokens((start + torch.arange(9)) % 8, ignore=None)


def measure(model):
    return {"loss": causal_lm_loss(model, rows(1000))[0].item(), "other": 1.0}


def write(model):
    return " ".join(str(i) for i in model(torch.tensor([[1, 2, 3]])).argmax(dim=-1)[0].tolist())


@pytest.fixture(scope="module")
def run():
    torch.manual_seed(0)
    model, keep = GPT(CONFIG), KeepWeights(measure)
    options = {"optimizer": make_optimizer(model, 0.02), "evaluate": keep, "evaluate_every": 10, "progress": False}
    history = fit(model, rows, loss=causal_lm_loss, steps=30, **options)
    return model, keep, history


@pytest.fixture
def scrubber(run):
    model, keep, history = run
    curve = (history.steps, history.losses)
    return TrainingScrubber(model, keep.snapshots(history), write=write, texts=TEXTS, curve=curve, floor=0.24)


def test_snapshots_are_copies_with_the_runs_own_steps_and_losses(run):
    model, keep, history = run
    snapshots = keep.snapshots(history)
    assert [each.step for each in snapshots] == [10, 20, 30]
    assert [each.loss for each in snapshots] == [found["loss"] for found in history.evaluations]
    last, first = snapshots[-1].weights, snapshots[0].weights
    assert all(torch.equal(last[name], tensor) for name, tensor in model.state_dict().items())
    assert not torch.equal(first["words.weight"], last["words.weight"])
    assert last["words.weight"].data_ptr() != model.words.weight.data_ptr()


def test_the_untrained_model_is_step_0():
    torch.manual_seed(1)
    model = GPT(CONFIG)
    for kept in (KeepWeights(measure), KeepWeights(lambda m: measure(m)["loss"])):
        start = {name: p.detach().clone() for name, p in model.state_dict().items()}
        kept.before(model)
        options = {"optimizer": make_optimizer(model, 0.02), "evaluate": kept, "progress": False}
        history = fit(model, rows, loss=causal_lm_loss, steps=2, **options)
        snapshots = kept.snapshots(history)
        assert [each.step for each in snapshots] == [0, 2]
        assert all(torch.equal(snapshots[0].weights[name], p) for name, p in start.items())
        assert snapshots[0].loss > snapshots[1].loss


def test_snapshots_of_another_run_are_refused(run):
    _, keep, history = run
    with pytest.raises(ValueError, match="3 copies were kept and 1 evaluations"):
        keep.snapshots(History(planned=5, evaluation_steps=[5], evaluations=[{"loss": 1.0}]))
    with pytest.raises(KeyError, match="No evaluation is called 'loss'"):
        keep.snapshots(History(planned=5))
    with pytest.raises(KeyError, match="no-such"):
        KeepWeights(measure, "no-such").snapshots(history)


def test_each_step_shows_its_own_model(scrubber, run):
    model, keep, history = run
    assert scrubber.settings == {"step": 30, "text": "up", "head": (0, 0)}
    with torch.no_grad():
        _, seen = model(torch.tensor([[1, 2, 3, 4]]), return_weights=True)
        final = write(model)
    for block in range(2):
        assert torch.allclose(torch.from_numpy(scrubber.weights(30, "up")[block]), seen[block][0])
    assert scrubber.sample(30) == final
    assert not torch.allclose(torch.from_numpy(scrubber.weights(10, "up")[0]), seen[0][0], atol=1e-3)
    again = GPT(CONFIG)
    again.load_state_dict(keep.snapshots(history)[0].weights)
    with torch.no_grad():
        assert scrubber.sample(10) == write(again.eval())
    assert scrubber.model is not model


def test_the_picture_has_the_mark_the_map_and_the_sample(scrubber):
    pictures = {scrubber.png}
    for change in ({"step": 10}, {"text": "short"}, {"head": (1, 1)}):
        pictures.add(scrubber.set(**change).png)
    assert len(pictures) == 4
    scrubber.set(step=20, text="up", head=(1, 0))
    with style.context():
        figure = scrubber.draw(**scrubber.settings)
    left, right = figure.axes
    mark = next(line for line in left.lines if line.get_marker() == "s")
    assert mark.get_xdata()[0] == 20 and mark.get_ydata()[0] == scrubber.snapshots[20].loss
    assert (right.images[0].get_array() == scrubber.weights(20, "up")[1][0]).all()
    assert [label.get_text() for label in right.get_xticklabels()] == list("abcd")
    assert right.get_title(loc="left") == "block 2, head 1"
    assert scrubber.sample(20) in [text.get_text() for text in figure.texts]
    words = scrubber.image.tooltip
    assert scrubber.sample(20) in words and f"{scrubber.snapshots[20].loss:.3f}" in words and "head 1 looks" in words


def test_a_long_or_strange_sample_is_cut_and_drawable(run):
    model, keep, history = run
    scrubber = TrainingScrubber(model, keep.snapshots(history), write=lambda _: "$\\frac 天 " * 90, texts=TEXTS)
    with style.context():
        sample = scrubber.draw(**scrubber.settings).texts[-1].get_text()
    assert sample.endswith("…") and len(sample.splitlines()) == 3 and "U+5929" in sample


def test_what_cannot_be_scrubbed_is_refused(run):
    model, keep, history = run
    snapshots = keep.snapshots(history)
    for few in (snapshots[:1], [snapshots[0], snapshots[0]]):
        with pytest.raises(ValueError, match="two snapshots, of different steps"):
            TrainingScrubber(model, few, write=write, texts=TEXTS)
    for texts in ({}, {"odd": (("a",), (1, 2))}, {"none": ((), ())}):
        with pytest.raises(ValueError, match="as many tokens as ids"):
            TrainingScrubber(model, snapshots, write=write, texts=texts)
    with pytest.raises(ValueError, match="A text has 30 tokens"):
        TrainingScrubber(model, snapshots, write=write, texts={"long": (["a"] * 30, [1] * 30)})
    other = Snapshot(5, 1.0, {"words.weight": torch.zeros(2, 2)})
    with pytest.raises(ValueError, match="weights of step 5 are not those of this model"):
        TrainingScrubber(model, [other, *snapshots], write=write, texts=TEXTS)
