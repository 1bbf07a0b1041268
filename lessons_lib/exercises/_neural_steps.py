"""Exercises of lesson 03 on training: the first loss, the way back through ReLU, and gradient descent."""

import math

import torch

from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ neural.first_loss


# The Town's words with the four symbols of `WordVocabulary`; a test compares it with the Town's tables.
VOCAB_SIZE = 576

FIRST_LOSS = Exercise(
    id="neural.first_loss",
    title="Predict: the first loss",
    minutes=2,
    difficulty=1,
    kind="value",
    reference=math.log(VOCAB_SIZE),
    inputs=None,
    rtol=0.02,
    mistakes={
        "That is the number of words, which is the perplexity of such a model. The loss is its logarithm.": (
            float(VOCAB_SIZE)
        ),
        "That is in bits. In nats it is the natural logarithm.": math.log2(VOCAB_SIZE),
        "That is the probability of a word. The loss is −ln of it.": 1 / VOCAB_SIZE,
        "A loss of 0 is certainty about every word. It has seen none.": 0.0,
        "The sign: −ln of a probability is above 0.": -math.log(VOCAB_SIZE),
    },
    explanation="All words equally likely: −ln(1/|V|) = ln |V|. A first loss far above it says that the network begins "
    "with strong and wrong opinions.",
    hints=(
        "What probability does a model give to each word, if it finds all of them equally likely?",
        "1/|V|, and the loss is −ln of the probability of the right word, whichever it is.",
        "−ln(1/|V|) = ln |V|: `math.log(len(vocab))`.",
    ),
)


# ------------------------------------------------------------------ neural.relu_backward


def relu_backward(upstream, x):
    """The gradient of the loss with respect to x, where y = relu(x), by the chain rule. At 0 the slope counts as 0.

    upstream: the gradient with respect to y, a float tensor of any shape
    x: what went into the ReLU, of the same shape
    """
    return upstream * (x > 0)


def _clamped_gradient(upstream, x):
    return upstream.clamp(min=0)


def _times_the_value(upstream, x):
    return upstream * x.clamp(min=0)


def _mask_only(upstream, x):
    return (x > 0).to(upstream.dtype)


def _slope_one_at_zero(upstream, x):
    return upstream * (x >= 0)


def _closed_when_open(upstream, x):
    return upstream * (x <= 0)


def _by_its_own_sign(upstream, x):
    return upstream * (x > 0) * (upstream > 0)


def _not_zero(upstream, x):
    return upstream * (x != 0)


def _unchanged(upstream, x):
    return upstream.clone()


def _times_x(upstream, x):
    return upstream * x


def _relu_inputs(rng):
    yield (torch.tensor([5.0, -3.0, 2.0]), torch.tensor([0.5, 0.5, -1.5]))
    yield (torch.tensor([1.0, -1.0, 4.0, -4.0]), torch.tensor([0.0, -0.0, 0.0, 1e-6]))
    for shape in ((3, 4), (2, 3, 2)):
        pair = rng.normal(0, 1, (2, *shape))
        yield (torch.tensor(pair[0], dtype=torch.float32), torch.tensor(pair[1], dtype=torch.float32))


RELU_BACKWARD = Exercise(
    id="neural.relu_backward",
    title="Back through a ReLU",
    minutes=5,
    difficulty=1,
    reference=relu_backward,
    inputs=_relu_inputs,
    mistakes={
        "You applied ReLU to the gradient. A gradient may well be negative; what decides is the sign of x.": (
            _clamped_gradient
        ),
        "You multiply by relu(x). The slope of ReLU is 1 or 0, not the value.": _times_the_value,
        "That is ReLU's own slope. The chain rule multiplies it by what comes from above, `upstream`.": _mask_only,
        "At exactly 0 your slope is 1. PyTorch, and this exercise, take 0 there.": _slope_one_at_zero,
        "The gate is the wrong way round: the gradient passes where x was above 0.": _closed_when_open,
        "The sign of x alone decides. You also drop negative gradients.": _by_its_own_sign,
        "For negative x, ReLU is flat: its slope there is 0.": _not_zero,
        "Nothing is stopped yet: where x was below 0, the output did not depend on x.": _unchanged,
        "You multiply by x. The slope of ReLU is 1 or 0.": _times_x,
    },
    hints=(
        "If x moves a little, does relu(x) move? Ask it for a positive and for a negative x.",
        "The slope is 1 where x > 0 and 0 elsewhere. The chain rule says: times `upstream`.",
        "A tensor of truth values, such as `x > 0`, multiplies like 1 and 0.",
    ),
)


# ------------------------------------------------------------------ neural.sgd


def sgd(loss, start, learning_rate, steps):
    """The point that gradient descent reaches from start. The gradient comes from autograd.

    loss: a function that takes a tensor of the shape of start and returns a tensor with one number
    start: a float tensor; it is not changed
    steps: how many steps to take
    """
    point = start.clone().requires_grad_()
    for _ in range(steps):
        loss(point).backward()
        with torch.no_grad():
            point -= learning_rate * point.grad
        point.grad = None
    return point.detach()


class _Given:
    """Holds the code that the learner starts from, so that it can have the same name as the reference."""

    def sgd(loss, start, learning_rate, steps):
        """The point that gradient descent reaches from start. The gradient comes from autograd.

        loss: a function that takes a tensor of the shape of start and returns a tensor with one number
        start: a float tensor; it is not changed
        steps: how many steps to take
        """
        point = start.clone().requires_grad_()
        for _ in range(steps):
            loss(point).backward()
            with torch.no_grad():
                point -= learning_rate * point.grad
        return point.detach()


def _slope(loss, point):
    point = point.detach().clone().requires_grad_()
    return torch.autograd.grad(loss(point), point)[0]


def _descend(loss, start, learning_rate, steps, sign=-1):
    point = start.clone()
    for _ in range(steps):
        point = point + sign * learning_rate * _slope(loss, point)
    return point


def _climb(loss, start, learning_rate, steps):
    return _descend(loss, start, learning_rate, steps, sign=1)


def _stays(loss, start, learning_rate, steps):
    return start.clone()


def _one_step(loss, start, learning_rate, steps):
    return _descend(loss, start, learning_rate, min(steps, 1))


def _one_step_less(loss, start, learning_rate, steps):
    return _descend(loss, start, learning_rate, max(steps - 1, 0))


def _first_gradient(loss, start, learning_rate, steps):
    return start - steps * learning_rate * _slope(loss, start)


def _from_the_start(loss, start, learning_rate, steps):
    point = start.clone()
    for _ in range(steps):
        point = start - learning_rate * _slope(loss, point)
    return point


def _no_rate(loss, start, learning_rate, steps):
    return _descend(loss, start, 1.0, steps)


def _signs(loss, start, learning_rate, steps):
    point = start.clone()
    for _ in range(steps):
        point = point - learning_rate * _slope(loss, point).sign()
    return point


def _average_gradient(loss, start, learning_rate, steps):
    point, total = start.clone(), torch.zeros_like(start)
    for step in range(steps):
        total = total + _slope(loss, point)
        point = point - learning_rate * total / (step + 1)
    return point


def bowl(x):
    """A loss to descend: smallest, 0, at x = 1."""
    return ((x - 1) ** 2).sum()


def valley(x):
    """A loss to descend: flat along the first axis of x, steep along the others."""
    return (x[0] ** 2).sum() / 20 + (x[1:] ** 4).sum()


def _sgd_inputs(rng):
    yield (bowl, torch.tensor([3.0]), 0.1, 2)
    yield (bowl, torch.tensor([3.0, -1.0]), 0.1, 1)
    yield (valley, torch.tensor([2.0, 1.0]), 0.05, 5)
    for steps in (3, 8):
        start = torch.tensor(rng.uniform(-1, 1, (2, 3)), dtype=torch.float32)
        yield (bowl, start, 0.15, steps)
        yield (valley, start, 0.1, steps)


def _plain_result(f):
    return not f(bowl, torch.tensor([3.0]), 0.1, 1).requires_grad


SGD = Exercise(
    id="neural.sgd",
    title="A bug in the descent",
    minutes=6,
    difficulty=2,
    reference=sgd,
    given=_Given.sgd,
    inputs=_sgd_inputs,
    mistakes={
        "It never moves. The gradient must be cleared after the step has used it, not before.": _stays,
        "Now it climbs: the gradient points uphill, so the step goes against it.": _climb,
        "It takes one step only.": _one_step,
        "It takes one step too few.": _one_step_less,
        "You compute the gradient at the start only. After each step it is another.": _first_gradient,
        "Every step begins at the start again. A step begins where the last one ended.": _from_the_start,
        "The learning rate does nothing.": _no_rate,
        "You step by the sign of the gradient. Its size counts too.": _signs,
        "You average the gradients of all steps so far. Only the newest belongs to the place you are at.": (
            _average_gradient
        ),
    },
    properties=[("returns a plain tensor, without a gradient of its own", _plain_result)],
    seconds=60.0,  # the first use of torch.optim loads a good part of PyTorch
    hints=(
        "Take two steps by hand, print `point.grad` in each, and compare with the slope at that point.",
        "`backward` adds to what stands in `.grad`. So the second step uses the first gradient again.",
        "After the update: `point.grad = None`.",
    ),
)
