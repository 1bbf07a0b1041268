"""What every notebook opens with: start, pick, expect."""

import math
import random

import numpy as np
import pytest
import torch

import lessons_lib
from lessons_lib.course import LESSONS, find_lesson
from lessons_lib.lesson import Lesson, expect, start


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("LESSONS_BUDGET", "LESSONS_MAX_STEPS"):
        monkeypatch.delenv(name, raising=False)


def test_start_prints_one_stable_line_and_seeds_everything(monkeypatch, capsys):
    monkeypatch.setenv("LESSONS_BUDGET", "cpu")
    lesson = start("05")
    first = (random.random(), np.random.rand(), torch.rand(1).item())
    start(5)
    assert (random.random(), np.random.rand(), torch.rand(1).item()) == first
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["Lesson 05 · Self-attention by hand · cpu budget · seed 5"] * 2
    assert lesson.seed == 5


def test_generators_are_seeded_and_differ_by_offset():
    lesson = Lesson("05", "", 5, "cpu", "cpu")
    assert lesson.generator().random() == lesson.generator().random()
    assert lesson.generator(1).random() != lesson.generator().random()


@pytest.mark.parametrize(("budget", "value"), [("cpu", 1), ("gpu", 2)])
def test_pick_follows_the_budget(monkeypatch, budget, value):
    monkeypatch.setenv("LESSONS_BUDGET", budget)
    assert start("01").pick(cpu=1, gpu=2) == value


def test_the_budget_follows_the_machine_when_nothing_is_set():
    assert start("01").budget == ("gpu" if torch.cuda.is_available() else "cpu")


def test_max_steps_cuts_loops_and_stops_judging(monkeypatch, capsys):
    monkeypatch.setenv("LESSONS_MAX_STEPS", "2")
    lesson = start("01")
    assert (lesson.steps(500), lesson.steps(1)) == (2, 1)
    expect("loss", 99.0, 0, 1)
    assert "not judged" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [("LESSONS_BUDGET", "tpu", "cpu, gpu"), ("LESSONS_MAX_STEPS", "0", "above 0"), ("LESSONS_MAX_STEPS", "x", "whole")],
)
def test_a_bad_setting_says_what_to_set(monkeypatch, variable, value, says):
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=says):
        start("01")


def test_an_unknown_lesson_is_named():
    with pytest.raises(ValueError, match="'42'.*00 to 19"):
        start("42")


def test_expect_prints_the_same_line_for_every_value_inside(capsys):
    expect("validation loss", 1.2, 1.1, 1.25)
    expect("validation loss", 1.1, 1.1, 1.25)
    assert capsys.readouterr().out.splitlines() == ["validation loss is inside [1.1, 1.25]"] * 2


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (1.0, "= 1 is below .*Restart"),
        (2.0, "= 2 is above"),
        (math.nan, "learning rate"),
        (math.inf, "not a number in"),
    ],
)
def test_expect_raises_with_the_value_and_a_likely_cause(value, says):
    with pytest.raises(AssertionError, match=says):
        expect("loss", value, 1.1, 1.25)


@pytest.mark.parametrize(("low", "high"), [(2, 1), (math.nan, 1), (0, math.inf)])
def test_expect_refuses_bounds_that_bound_nothing(low, high):
    with pytest.raises(ValueError, match="finite bounds"):
        expect("loss", 1.0, low, high)


def test_reference_runs_are_read_by_lesson_and_name():
    run = Lesson("00", "", 0, "cpu", "cpu").reference("reading_more")
    assert len(run["stories"]) == len(run["loss"]) > 3


@pytest.mark.parametrize(("number", "says"), [("00", "reading_more"), ("19", "none")])
def test_an_unknown_reference_run_says_which_there_are(number, says):
    with pytest.raises(KeyError, match=f"'nothing' of lesson {number}.*{says}"):
        Lesson(number, "", 0, "cpu", "cpu").reference("nothing")


def test_the_package_offers_its_names_lazily():
    assert lessons_lib.start is start
    with pytest.raises(AttributeError, match="offers check, expect"):
        lessons_lib.nothing  # noqa: B018
    assert "show_source" in dir(lessons_lib)


def test_lessons_are_numbered_in_order_with_distinct_files():
    assert [lesson.number for lesson in LESSONS] == [f"{i:02d}" for i in range(20)]
    assert len({lesson.file for lesson in LESSONS}) == 20
    assert find_lesson(" 7 ") is LESSONS[7]
