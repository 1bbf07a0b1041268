"""Exercise of lesson 12: how large a step may be at this time of the training."""

import math

from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ pretrain.lr_schedule


def learning_rate(step, steps, warmup, peak, final):
    """The learning rate of a step: a straight rise, then half a cosine down.

    Steps count from 0 to steps − 1. In the first warmup steps it rises by equal amounts, from peak / (warmup + 1) at
    step 0, to peak at step warmup. From there it falls along half a cosine, to final at the last step.

    returns: one number
    """
    if step in range(warmup):
        return peak * (step + 1) / (warmup + 1)
    done = (step - warmup) / (steps - 1 - warmup)
    return final + (peak - final) * (1 + math.cos(math.pi * done)) / 2


def _rise(step, warmup, peak):
    return peak * (step + 1) / (warmup + 1)


def _fall(done, peak, final):
    return final + (peak - final) * (1 + math.cos(math.pi * done)) / 2


def _done(step, steps, warmup):
    return (step - warmup) / (steps - 1 - warmup)


def _from_zero(step, steps, warmup, peak, final):
    return peak * step / warmup if step < warmup else learning_rate(step, steps, warmup, peak, final)


def _peak_too_soon(step, steps, warmup, peak, final):
    return peak * (step + 1) / warmup if step < warmup else learning_rate(step, steps, warmup, peak, final)


def _no_warmup(step, steps, warmup, peak, final):
    return _fall(step / (steps - 1), peak, final)


def _counted_from_start(step, steps, warmup, peak, final):
    return _rise(step, warmup, peak) if step < warmup else _fall(step / (steps - 1), peak, final)


def _never_there(step, steps, warmup, peak, final):
    return _rise(step, warmup, peak) if step < warmup else _fall((step - warmup) / (steps - warmup), peak, final)


def _to_zero(step, steps, warmup, peak, final):
    return learning_rate(step, steps, warmup, peak, 0.0)


def _final_added(step, steps, warmup, peak, final):
    if step < warmup:
        return _rise(step, warmup, peak)
    return final + peak * (1 + math.cos(math.pi * _done(step, steps, warmup))) / 2


def _final_is_a_share(step, steps, warmup, peak, final):
    return learning_rate(step, steps, warmup, peak, final * peak)


def _quarter(step, steps, warmup, peak, final):
    if step < warmup:
        return _rise(step, warmup, peak)
    return final + (peak - final) * math.cos(math.pi / 2 * _done(step, steps, warmup))


def _line(step, steps, warmup, peak, final):
    if step < warmup:
        return _rise(step, warmup, peak)
    return peak + (final - peak) * _done(step, steps, warmup)


def _whole_cosine(step, steps, warmup, peak, final):
    if step < warmup:
        return _rise(step, warmup, peak)
    return _fall(2 * _done(step, steps, warmup), peak, final)


def _not_halved(step, steps, warmup, peak, final):
    if step < warmup:
        return _rise(step, warmup, peak)
    return final + (peak - final) * (1 + math.cos(math.pi * _done(step, steps, warmup)))


def _rising(step, steps, warmup, peak, final):
    if step < warmup:
        return _rise(step, warmup, peak)
    return _fall(1 - _done(step, steps, warmup), peak, final)


def _degrees(step, steps, warmup, peak, final):
    if step < warmup:
        return _rise(step, warmup, peak)
    return final + (peak - final) * (1 + math.cos(180 * _done(step, steps, warmup))) / 2


def _factor(step, steps, warmup, peak, final):
    return learning_rate(step, steps, warmup, peak, final) / peak


def _schedule_inputs(rng):
    for step in (0, 2, 4, 7, 9):
        yield (step, 10, 4, 1.0, 0.1)
    for step in (0, 3, 11):
        yield (step, 12, 0, 0.5, 0.0)
    for step in (0, 19, 20, 21, 57, 99):
        yield (step, 100, 20, round(float(rng.uniform(1e-3, 1e-2)), 4), 1e-4)


LR_SCHEDULE = Exercise(
    id="pretrain.lr_schedule",
    title="Up a line, down a cosine",
    minutes=8,
    difficulty=2,
    reference=learning_rate,
    inputs=_schedule_inputs,
    rtol=1e-6,
    mistakes={
        "The first step has the learning rate 0, and teaches nothing. The rise begins at peak / (warmup + 1).": (
            _from_zero
        ),
        "The peak comes one step too soon: it belongs to step warmup. Each step of the rise is peak / (warmup + 1).": (
            _peak_too_soon
        ),
        "There is no rise: the first warmup steps should grow in a straight line.": _no_warmup,
        "The cosine should begin at step warmup, from the peak. You let it begin at step 0.": _counted_from_start,
        "It never reaches final: the last step is steps − 1, so the fall takes steps − 1 − warmup steps.": _never_there,
        "It falls to 0. It should fall to final.": _to_zero,
        "At the top it is peak + final. What falls is the difference, peak − final.": _final_added,
        "final is a learning rate here, not a share of the peak.": _final_is_a_share,
        "That is a quarter of a cosine's wave, cos from 0 to π/2: it falls steepest at the end. Half a wave, from 0 to "
        "π, falls steepest in the middle.": _quarter,
        "It falls in a straight line.": _line,
        "That is a whole wave: down, and up again. Half of one: the angle runs from 0 to π.": _whole_cosine,
        "1 + cos runs from 2 down to 0. Halve it.": _not_halved,
        "The fall is a rise: at step warmup the cosine should be 1, and −1 at the last step.": _rising,
        "math.cos takes radians: half a wave is π.": _degrees,
        "That is the factor by which the peak is multiplied. The learning rate itself is wanted.": _factor,
    },
    explanation="The library's `warmup_cosine` returns the factor on the peak, with final as a share of it.",
    hints=(
        "Two cases: before step warmup, and from there on. Write the first, and check that it would be peak at warmup.",
        "For the second, a number that goes from 0 at step warmup to 1 at step steps − 1: the share of the fall that "
        "is done.",
        "final + (peak − final) · (1 + cos(π · done)) / 2.",
    ),
)
