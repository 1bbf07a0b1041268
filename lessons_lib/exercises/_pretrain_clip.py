"""Exercise of lesson 12: how long a gradient may be."""

import torch

from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ pretrain.clip


def clip(gradients, longest):
    """The gradients of all tensors of a model, shortened together to the length `longest` where they are longer.

    The length is that of all their numbers in one vector: the root of the sum of all squares.

    gradients: a list of float tensors
    returns: the list of shortened gradients, and the length that they had
    """
    length = torch.sqrt(sum((gradient**2).sum() for gradient in gradients))
    factor = (longest / length).clamp(max=1.0)
    return [gradient * factor for gradient in gradients], length


def _length(gradients):
    return torch.sqrt(sum((gradient**2).sum() for gradient in gradients))


def _shortened(gradients, factor):
    return [gradient * factor for gradient in gradients]


def _each_alone(gradients, longest):
    lengths = [gradient.norm() for gradient in gradients]
    pairs = zip(gradients, lengths, strict=True)
    return [g * min(1.0, longest / float(n)) if n > 0 else g for g, n in pairs], _length(gradients)


def _each_number(gradients, longest):
    return [gradient.clamp(-longest, longest) for gradient in gradients], _length(gradients)


def _always(gradients, longest):
    length = _length(gradients)
    return _shortened(gradients, longest / length if length > 0 else 1.0), length


def _lengthened(gradients, longest):
    length = _length(gradients)
    return _shortened(gradients, longest / length if 0 < length < longest else 1.0), length


def _to_length_one(gradients, longest):
    length = _length(gradients)
    return _shortened(gradients, 1 / length if length > longest else 1.0), length


def _squared(gradients, longest):
    length = _length(gradients) ** 2
    return _shortened(gradients, longest / length if length > longest else 1.0), length


def _sum_of_lengths(gradients, longest):
    length = sum(gradient.norm() for gradient in gradients)
    return _shortened(gradients, longest / length if length > longest else 1.0), length


def _largest_length(gradients, longest):
    length = torch.stack([gradient.norm() for gradient in gradients]).max()
    return _shortened(gradients, longest / length if length > longest else 1.0), length


def _largest_number(gradients, longest):
    length = torch.stack([gradient.abs().max() for gradient in gradients]).max()
    return _shortened(gradients, longest / length if length > longest else 1.0), length


def _root_mean_square(gradients, longest):
    length = _length(gradients) / sum(gradient.numel() for gradient in gradients) ** 0.5
    return _shortened(gradients, longest / length if length > longest else 1.0), length


def _length_after(gradients, longest):
    found, _ = clip(gradients, longest)
    return found, _length(found)


def _dropped(gradients, longest):
    length = _length(gradients)
    return _shortened(gradients, 0.0 if length > longest else 1.0), length


def _gradients_only(gradients, longest):
    return clip(gradients, longest)[0]


def _in_place(gradients, longest):
    length = _length(gradients)
    for gradient in gradients:
        gradient *= longest / length if length > longest else 1.0
    return gradients, length


def _clip_inputs(rng):
    yield ([torch.tensor([3.0, 4.0])], 1.0)
    yield ([torch.tensor([3.0]), torch.tensor([[0.0, -4.0]])], 2.5)
    yield ([torch.tensor([0.3, -0.4]), torch.tensor([0.0])], 1.0)
    yield ([torch.zeros(2, 2), torch.zeros(3)], 1.0)
    yield ([torch.tensor([0.6, -0.8])], 1.0)
    for sizes, scale, longest in ((((2, 3), (4,)), 3.0, 1.5), (((3,), (2, 2), (1,)), 0.05, 0.9), (((5,),), 9.0, 4.0)):
        yield ([torch.tensor(rng.normal(0, scale, size), dtype=torch.float32) for size in sizes], longest)


def _direction(f):
    before = [torch.tensor([30.0, -40.0]), torch.tensor([[1.0], [2.0]])]
    after, _ = f([g.clone() for g in before], 1.0)
    flat, was = torch.cat([g.flatten() for g in after]), torch.cat([g.flatten() for g in before])
    return torch.allclose(flat / flat.norm(), was / was.norm(), atol=1e-6)


CLIP = Exercise(
    id="pretrain.clip",
    title="Shorten, and keep the direction",
    minutes=6,
    difficulty=2,
    reference=clip,
    inputs=_clip_inputs,
    rtol=1e-5,
    mistakes={
        "You shortened each tensor by itself: that turns the gradient as a whole. One factor serves all.": _each_alone,
        "You cut off single numbers: the gradient then points somewhere else. One factor serves all.": _each_number,
        "Gradients that are short already are stretched to the limit. They should stay as they are.": _always,
        "The condition is the wrong way round: short gradients are stretched, and long ones stay.": _lengthened,
        "Long gradients come out with the length 1. They should have the length `longest`.": _to_length_one,
        "That is the square of the length: a root is missing.": _squared,
        "You added the lengths of the tensors. Lengths do not add: squares do, and the root comes last.": (
            _sum_of_lengths
        ),
        "You took the length of the longest tensor. The length is that of all numbers together.": _largest_length,
        "You took the largest number for the length.": _largest_number,
        "That is the root of the mean of the squares. The length is the root of their sum.": _root_mean_square,
        "The length that comes back is that of the shortened gradients. Wanted is the one that they had.": (
            _length_after
        ),
        "Long gradients become 0. They should be shortened.": _dropped,
        "The length is missing: return both, the gradients and the length that they had.": _gradients_only,
        "You changed the tensors that you were given. Return new ones, and leave the input as it was.": _in_place,
    },
    properties=[("keeps the direction", _direction)],
    hints=(
        "First the length: one number for all tensors together.",
        "Square every number, add all up over all tensors, and take the root. If that is above `longest`, by what must "
        "everything be multiplied?",
        "By longest / length, or by 1 where that is above 1: the same factor for every tensor.",
    ),
)
