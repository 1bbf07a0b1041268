"""Exercise of lesson 10 on scores: a mean in which rare classes count."""

import torch

from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ finetune.macro_f1


def macro_f1(predicted, true, n_classes):
    """The mean over the classes 0 … n_classes − 1 of their F1, which is 2 · right / (predicted + true).

    For a class, right counts the examples that are of it and predicted so, predicted those that are predicted so, and
    true those that are of it. A class that has neither counts 0.

    predicted, true: tensors of shape (examples,), the number of a class for each example
    """
    total = 0
    for label in range(n_classes):
        right = ((predicted == label) & (true == label)).sum()
        both = (predicted == label).sum() + (true == label).sum()
        total += 2 * right / both if both else 0
    return total / n_classes


def _counts(predicted, true, n_classes):
    """For each class how often it is right, predicted and true, as floats."""
    classes = torch.arange(n_classes)[:, None]
    found, there = predicted == classes, true == classes
    return [counted.sum(dim=1).float() for counted in (found & there, found, there)]


def _share(above, below):
    return torch.where(below > 0, above / below.clamp(min=1), torch.zeros_like(above))


def _f1s(predicted, true, n_classes):
    right, found, there = _counts(predicted, true, n_classes)
    return _share(2 * right, found + there)


def _accuracy(predicted, true, n_classes):
    return (predicted == true).float().mean()


def _weighted(predicted, true, n_classes):
    _, _, there = _counts(predicted, true, n_classes)
    return (_f1s(predicted, true, n_classes) * there).sum() / len(true)


def _f1_of_means(predicted, true, n_classes):
    precision, recall = _mean_precision(predicted, true, n_classes), _mean_recall(predicted, true, n_classes)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _mean_precision(predicted, true, n_classes):
    right, found, _ = _counts(predicted, true, n_classes)
    return _share(right, found).mean()


def _mean_recall(predicted, true, n_classes):
    right, _, there = _counts(predicted, true, n_classes)
    return _share(right, there).mean()


def _present_only(predicted, true, n_classes):
    _, found, there = _counts(predicted, true, n_classes)
    return _f1s(predicted, true, n_classes)[found + there > 0].mean()


def _true_only(predicted, true, n_classes):
    _, _, there = _counts(predicted, true, n_classes)
    return _f1s(predicted, true, n_classes)[there > 0].mean()


def _absent_is_one(predicted, true, n_classes):
    _, found, there = _counts(predicted, true, n_classes)
    return torch.where(found + there > 0, _f1s(predicted, true, n_classes), 1.0).mean()


def _summed(predicted, true, n_classes):
    return _f1s(predicted, true, n_classes).sum()


def _class_one(predicted, true, n_classes):
    return _f1s(predicted, true, n_classes)[1]


def _without_zero(predicted, true, n_classes):
    return _f1s(predicted, true, n_classes)[1:].mean()


def _each(predicted, true, n_classes):
    return _f1s(predicted, true, n_classes)


def _halved(predicted, true, n_classes):
    return _f1s(predicted, true, n_classes).mean() / 2


def _predictions(rng):
    yield (torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]), 2)
    yield (torch.tensor([0, 0, 0, 0]), torch.tensor([0, 0, 0, 1]), 2)
    yield (torch.tensor([0, 2]), torch.tensor([0, 2]), 3)
    yield (torch.tensor([0, 1, 1, 3]), torch.tensor([0, 1, 0, 0]), 5)
    for n, n_classes in ((8, 3), (20, 4), (60, 5)):
        true = rng.choice(n_classes, n, p=rng.dirichlet([0.7] * n_classes))
        predicted = rng.permuted(true) if n == 8 else true.copy()
        missed = rng.random(n) < 0.4
        predicted[missed] = rng.integers(0, n_classes, int(missed.sum()))
        yield (torch.tensor(predicted), torch.tensor(true), n_classes)


MACRO_F1 = Exercise(
    id="finetune.macro_f1",
    title="When classes are rare",
    minutes=8,
    difficulty=2,
    reference=macro_f1,
    inputs=_predictions,
    mistakes={
        "That is the accuracy, and F1 counted over all classes at once is the same. A rare class hardly shows in it.": (
            _accuracy
        ),
        "You weigh each class by how frequent it is. In the macro mean all classes count the same.": _weighted,
        "That is the F1 of the mean precision and the mean recall. Take the F1 of each class first, then the mean.": (
            _f1_of_means
        ),
        "That is the mean precision: of those predicted so, how many are.": _mean_precision,
        "That is the mean recall: of those that are, how many are predicted so.": _mean_recall,
        "A class that is neither predicted nor true is left out. It counts 0 here, so divide by n_classes.": (
            _present_only
        ),
        "A class that no example is of is left out, although predictions of it are wrong. Divide by n_classes.": (
            _true_only
        ),
        "A class that is neither predicted nor true counts 1 in yours. Here it counts 0.": _absent_is_one,
        "That is the sum over the classes; their mean is wanted.": _summed,
        "That is the F1 of class 1 alone.": _class_one,
        "Class 0 is a class too: the mean starts there.": _without_zero,
        "That is one number for each class. Their mean is wanted.": _each,
        "Half of what it should be: 2 · right above the line.": _halved,
    },
    properties=[
        (
            "weighs a class of one example as much as one of ninety-nine",
            lambda f: abs(float(f(torch.zeros(100).long(), torch.tensor([0] * 99 + [1]), 2)) - 99 / 199) < 1e-5,
        )
    ],
    hints=(
        "For one class: how many are predicted so, how many are so, and how many are both?",
        "Loop over range(n_classes), compute the F1 of each class, and mind the class where all three counts are 0.",
        "`right = ((predicted == label) & (true == label)).sum()`, below it the sum of the two other counts; add up, "
        "and divide by n_classes at the end.",
    ),
)
