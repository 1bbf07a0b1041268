"""What `lessons train` decides: budgets, sizes, steps, and why."""

import pytest
import torch

from lessons_lib.models.bert_heads import BERTForPreTraining
from lessons_lib.models.gpt import GPT
from lessons_lib.training import planning
from lessons_lib.training.planning import SIZES, Budget, Plan, Size, count_parameters, make_plan, measure, parse_size

unchecked = pytest.mark.usefixtures("unchecked")


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("90s", Budget(seconds=90.0)),
        ("10m", Budget(seconds=600.0)),
        ("1.5h", Budget(seconds=5400.0)),
        (" 2d ", Budget(seconds=172_800.0)),
        ("steps=500", Budget(steps=500)),
    ],
)
def test_budgets(text, budget):
    assert Budget.parse(text) == budget


@pytest.mark.parametrize("text", ["", "10", "m", "10 m", "-5m", "ten minutes", "steps=", "steps=1.5", "1e3s", "10m5s"])
def test_what_is_no_budget(text):
    with pytest.raises(ValueError, match="write a time such as 90s, 10m or 1.5h, or steps=500"):
        Budget.parse(text)


@pytest.mark.parametrize("text", ["0m", "steps=0", "0.0h"])
def test_no_time_at_all(text):
    with pytest.raises(ValueError, match="no time at all"):
        Budget.parse(text)


def test_sizes_by_name_by_number_or_both():
    assert parse_size("small") == SIZES["small"]
    assert parse_size("d_model=96, n_heads=6") == Size(96, 4, 6, 128)
    assert parse_size("tiny,rows=8,dropout=0.3,learning_rate=1e-3") == Size(64, 2, 4, 64, 8, 0.3, 1e-3)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("huge", "'huge' in it is not understood. Write a preset .tiny, mini"),
        ("tiny,d_modl=3", "'d_modl=3'.*names are d_model, n_layers"),
        ("d_model=x", "'d_model=x'"),
        ("d_model=1=2", "'d_model=1=2'"),
        ("", "'' in it"),
        ("tiny,rows=0", "rows is 0"),
        ("learning_rate=-1", "learning_rate -1.0"),
    ],
)
def test_what_is_no_size(text, word):
    with pytest.raises(ValueError, match=word):
        parse_size(text)


def plan(budget, *, kind="gpt", recipe="gpt2", tokens=(10**6, 10**5), size=None, speed=None, vocab_size=512):
    asked = []

    def measured(model, candidate):
        asked.append(candidate)
        return speed(count_parameters(model))

    return make_plan(kind, recipe, vocab_size, tokens, Budget.parse(budget), size, 3, measured), asked


def fast(flops):
    """A machine that makes so many operations a second: 6 for each parameter and token."""
    return lambda parameters: flops / (6 * parameters)


def test_a_longer_budget_has_a_larger_model():
    names = []
    for budget in ("20s", "20m", "10h", "30d"):
        made, _ = plan(budget, speed=fast(2e10), tokens=(10**9, 10**8))
        names.append(next(name for name, size in SIZES.items() if size.d_model == made.size.d_model))
        ratio = made.steps * made.size.step_tokens / count_parameters(made.new_model())
        assert 4 < ratio < 100 or names[-1] == "tiny"
        assert f"chosen: {names[-1]}, nearest to 20 training tokens a parameter" in made.reasons
    assert names == ["tiny", "mini", "small", "medium"]


def test_speeds_are_measured_only_as_far_as_needed_and_not_for_steps():
    made, asked = plan("20s", speed=fast(1e9))
    assert asked == [SIZES["tiny"]]
    assert "tokens/s" in made.reasons[0]
    made, asked = plan("steps=3000")
    assert asked == [] and made.steps == 3000 and made.size.d_model == SIZES["mini"].d_model


def test_steps_fill_nine_tenths_of_the_time():
    made, _ = plan("100s", size=parse_size("tiny"), speed=lambda _: 20_480.0, tokens=(10**7, 10**5))
    assert made.steps == 900


def test_a_small_text_is_not_read_for_ever():
    made, _ = plan("10h", speed=fast(1e11), tokens=(30_000, 3000))
    assert made.steps * made.size.step_tokens <= planning.MAX_EPOCHS * 30_000
    assert "the text is read 40 times, and more would be learning it by heart" in made.reasons[-1]
    assert made.size.dropout == 0.2
    asked_for, _ = plan("steps=5000", size=SIZES["tiny"], tokens=(30_000, 3000))
    assert asked_for.steps == 5000 and "by heart" in asked_for.reasons[-1]


def test_a_size_whose_rows_the_text_cannot_fill_is_not_chosen():
    made, _ = plan("30d", speed=fast(1e13), tokens=(10**8, 200))
    assert made.size.context_length == 128


def test_a_size_that_the_memory_cannot_hold_is_not_chosen():
    def speed(parameters):
        if parameters > 10**6:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return 1e9

    made, _ = plan("1h", speed=speed, tokens=(10**12, 10**6))
    assert made.size.d_model == SIZES["mini"].d_model
    assert "too much for this memory without --accumulate" in made.reasons[2]
    with pytest.raises(torch.OutOfMemoryError):
        plan("1h", speed=speed, size=SIZES["small"])


@pytest.mark.parametrize(("steps", "dropout"), [(100, 0.0), (3000, 0.1), (9000, 0.2)])
def test_dropout_grows_with_the_times_that_the_text_is_read(steps, dropout):
    assert plan(f"steps={steps}", size=SIZES["tiny"])[0].size.dropout == dropout
    own = Size(64, 2, 4, 64, dropout=0.05)
    assert plan(f"steps={steps}", size=own)[0].size.dropout == 0.05


@pytest.mark.parametrize(
    ("kind", "recipe", "width", "rate"),
    [
        ("gpt", "gpt2", 768, 6e-4),
        ("gpt", "gpt2", 64, 5e-3),
        ("gpt", "modern", 64, 1.2e-2),
        ("bert", "gpt2", 64, 6.2e-3),
    ],
)
def test_rates_are_those_of_the_lessons_and_of_gpt2(kind, recipe, width, rate):
    made, _ = plan("steps=20", kind=kind, recipe=recipe, size=Size(width, 2, 4, 64))
    assert made.size.learning_rate == pytest.approx(rate)
    assert plan("steps=20", size=Size(learning_rate=0.1))[0].size.learning_rate == 0.1


def test_models_are_the_same_each_time_and_go_through_json():
    made, _ = plan("steps=20", size=Size(32, 2, 4, 16))
    again = Plan.from_dict(made.as_dict() | {"reasons": list(made.reasons)})
    assert again == made
    one, two = made.new_model(), again.new_model()
    assert isinstance(one, GPT) and one.config == two.config and one.config.tied
    assert all((p == q).all() for p, q in zip(one.parameters(), two.parameters(), strict=True))
    modern = plan("steps=20", recipe="modern", size=Size(32, 2, 4, 16))[0].new_model()
    assert modern.config.positions == "rotary" and not modern.config.tied
    bert = plan("steps=20", kind="bert", size=Size(32, 2, 4, 16))[0].new_model()
    assert isinstance(bert, BERTForPreTraining) and bert.next is None and bert.config.d_model == 32


def test_too_little_time_and_sizes_that_do_not_go_together():
    with pytest.raises(ValueError, match="In 2 s this machine makes 1 steps.*give more time, or a smaller --config"):
        plan("2s", speed=lambda _: 2000.0)
    with pytest.raises(ValueError, match="cannot be split among n_heads"):
        plan("steps=20", size=Size(30, 2, 4, 64))


def test_speed_leaves_the_first_step_out():
    import time

    steps = iter(range(1000))

    def step():
        time.sleep(0.2 if next(steps) == 0 else 0.005)
        return 10

    waited = []
    assert 300 < measure(step, seconds=0.1, wait=lambda: waited.append(1)) < 2000
    assert len(waited) > 2


def test_recipes_differ_in_optimizer_and_schedule():
    gpt2, modern = (plan("steps=100", recipe=r, size=Size(16, 2, 2, 8))[0] for r in ("gpt2", "modern"))
    bert = plan("steps=100", kind="bert", size=Size(16, 2, 2, 8))[0]
    kinds = [type(made.optimizer(made.new_model())).__name__ for made in (gpt2, modern, bert)]
    assert kinds == ["AdamW", "Optimizers", "Optimizers"]
    ends = [made.schedule()(99) for made in (gpt2, modern, bert)]
    assert ends == pytest.approx([0.1, 0, 0], abs=1e-12)
    assert [made.schedule()(25) for made in (gpt2, modern)] == [1, 1] and modern.schedule()(62) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("steps", "tokens", "every"), [(4, 4096, 1), (100, 4096, 25), (1000, 4096, 128), (10_000, 4096, 500), (2, 1, 1)]
)
def test_evaluations_cost_about_a_tenth(steps, tokens, every):
    made = Plan("gpt", "gpt2", 300, Size(16, 2, 2, 16, 8), steps, 0)
    assert made.evaluate_every(tokens) == every


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 60])
@pytest.mark.parametrize("recipe", ["gpt2", "modern"])
def test_any_number_of_steps_has_a_schedule(steps, recipe):
    factors = [Plan("gpt", recipe, 300, Size(), steps, 0).schedule()(step) for step in range(steps)]
    assert all(0 <= factor <= 1 for factor in factors) and max(factors) > 0.5
