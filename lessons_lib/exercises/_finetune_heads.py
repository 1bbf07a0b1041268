"""Exercises of lesson 10 on heads: what an untrained one says, and how a trained one is tested."""

import torch

from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ finetune.predict_head

SAME, DIFFERENT, NONE = "the same label each time", "different labels", "no label, but an error"

PREDICT_HEAD = Exercise(
    id="finetune.predict_head",
    title="Predict: a head without training",
    minutes=1,
    difficulty=1,
    kind="value",
    reference=DIFFERENT,
    choices=(SAME, DIFFERENT, NONE),
    mistakes={
        "The encoder is the same ten times, and so is the vector that it hands over. What does the head do with it?": (
            SAME
        ),
        "Nothing is missing: the head has weights from the start. Where do they come from?": NONE,
    },
    explanation="The head's weights are drawn at random, and no training has told it which output means what. What it "
    "says depends on the seed, however good the encoder is. That is what transformers warns of with "
    '"newly initialized": such an output is no prediction.',
    hints=(
        "Which numbers differ between the ten models?",
        "The label is the largest of three products of the text's vector with the head's weights.",
        "Random weights give random products, and whichever is largest is a matter of luck.",
    ),
)


# ------------------------------------------------------------------ finetune.held_out_accuracy


def held_out_accuracy(model, ids, labels, n_train):
    """The accuracy of a fine-tuned classifier on the texts that it was not trained on, as a tensor with one number.

    It was trained on the first n_train texts; the rest is the test.

    model: a torch module, straight from training, with dropout; model(ids) are logits of shape (texts, classes)
    ids: a tensor of ids of shape (texts, seq)
    labels: a tensor of shape (texts,), the number of the right class of each text
    """
    model.eval()
    with torch.no_grad():
        predicted = model(ids[n_train:]).argmax(dim=1)
    return (predicted == labels[n_train:]).float().mean()


class _Given:  # a room of its own for the second function of this name
    def held_out_accuracy(model, ids, labels, n_train):
        """The accuracy of a fine-tuned classifier on the texts that it was not trained on, as a tensor with one number.

        It was trained on the first n_train texts; the rest is the test.

        model: a torch module, straight from training, with dropout; model(ids) are logits of shape (texts, classes)
        ids: a tensor of ids of shape (texts, seq)
        labels: a tensor of shape (texts,), the number of the right class of each text
        """
        predicted = model(ids).argmax(dim=1)
        return (predicted == labels).float().mean()


def _accuracy(model, ids, labels):
    with torch.no_grad():
        return (model(ids).argmax(dim=1) == labels).float().mean()


def _training_texts_too(model, ids, labels, n_train):
    return _accuracy(model.eval(), ids, labels)


def _with_dropout(model, ids, labels, n_train):
    return _accuracy(model, ids[n_train:], labels[n_train:])


def _training_texts(model, ids, labels, n_train):
    return _accuracy(model.eval(), ids[:n_train], labels[:n_train])


def _training_texts_with_dropout(model, ids, labels, n_train):
    return _accuracy(model, ids[:n_train], labels[:n_train])


def _one_short(model, ids, labels, n_train):
    return _accuracy(model.eval(), ids[n_train + 1 :], labels[n_train + 1 :])


def _with_gradients(model, ids, labels, n_train):
    model.eval()
    return (model(ids[n_train:]).argmax(dim=1) == labels[n_train:]).float().mean()


def _how_many(model, ids, labels, n_train):
    return _accuracy(model.eval(), ids[n_train:], labels[n_train:]) * len(labels[n_train:])


def _share_of_all(model, ids, labels, n_train):
    return _how_many(model, ids, labels, n_train) / len(labels)


def _errors(model, ids, labels, n_train):
    return 1 - _accuracy(model.eval(), ids[n_train:], labels[n_train:])


class Dropped(torch.nn.Module):
    """A classifier whose "dropout" drops the same numbers at each call, so that its results can be compared."""

    def __init__(self, table, head, kept):
        super().__init__()
        self.table, self.head, self.kept = table, head, kept
        self.gradients = None  # whether the last call kept track of them

    def forward(self, ids):
        self.gradients = torch.is_grad_enabled()
        x = self.table[ids].mean(dim=1)  # texts d_model
        return (2 * x * self.kept if self.training else x) @ self.head

    def __repr__(self):
        return f"<classifier in {'training' if self.training else 'eval'} mode>"


def classifier_and_texts(rng, n_train, n_test, d_model=8, classes=3, vocab=40):
    """A classifier that knows its training texts by heart, and is right on about half of the others."""

    def drawn(*shape):
        return torch.tensor(rng.normal(size=shape), dtype=torch.float32)

    kept = torch.tensor([i % 2 for i in range(d_model)], dtype=torch.float32)
    model = Dropped(drawn(vocab, d_model), drawn(d_model, classes), kept).eval()
    ids = torch.tensor(rng.integers(0, vocab, (n_train + n_test, 5)))
    labels = model(ids).argmax(dim=1)
    wrong = torch.tensor(rng.random(n_train + n_test) < 0.5)
    wrong[:n_train] = False
    wrong[n_train], wrong[n_train + 1] = True, False
    return (model.train(), ids, torch.where(wrong, (labels + 1) % classes, labels), n_train)


def _models(rng):
    for n_train, n_test in ((4, 3), (6, 5), (10, 20), (3, 30)):
        yield classifier_and_texts(rng, n_train, n_test)


def _no_gradients(f):
    import numpy as np

    model, *rest = classifier_and_texts(np.random.default_rng(5), 4, 6)
    f(model, *rest)
    return model.gradients is False


HELD_OUT_ACCURACY = Exercise(
    id="finetune.held_out_accuracy",
    title="Three faults in a test",
    minutes=8,
    difficulty=2,
    reference=held_out_accuracy,
    given=_Given.held_out_accuracy,
    inputs=_models,
    mistakes={
        "Dropout is off now. But the texts that the model was trained on are still in the test, and it may know them "
        "by heart: the result is too good.": _training_texts_too,
        "The right texts. But the model is as training left it, and drops half of its numbers: call `model.eval()` "
        "before you predict.": _with_dropout,
        "That is the accuracy on the training texts, `[:n_train]`. It says what was learned by heart.": _training_texts,
        "Those are the training texts, and with dropout on.": _training_texts_with_dropout,
        "The first n_train texts have the numbers 0 to n_train − 1: the test begins at n_train itself.": _one_short,
        "The number is right, but gradients are kept that nobody needs, and that takes memory: predict inside "
        "`with torch.no_grad():`.": _with_gradients,
        "That is how many are right. The accuracy is their share.": _how_many,
        "You divide by all texts. It is the share of the texts of the test.": _share_of_all,
        "That is the share of errors.": _errors,
    },
    properties=[("predicts without keeping gradients", _no_gradients)],
    hints=(
        "Which texts are tested? And in which mode is the model?",
        "Only ids[n_train:] and labels[n_train:] are new to the model. `model.eval()` switches dropout off, and "
        "`torch.no_grad()` gradients.",
        "`model.eval()`; then, inside `with torch.no_grad():`, `predicted = model(ids[n_train:]).argmax(dim=1)`.",
    ),
    explanation="All three are silent: the given code ran and returned a plausible number.",
)
