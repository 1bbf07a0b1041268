"""Correct solutions to the exercises of lesson 12, written in other ways than the reference."""

import math
from itertools import pairwise

import torch


def shift_loops(ids, documents):
    rows = []
    for row, numbers in zip(ids.tolist(), documents.tolist(), strict=True):
        asked = [a == b and b > 0 for a, b in pairwise(numbers)]
        rows.append([token if ask else -100 for token, ask in zip(row[1:], asked, strict=True)])
    return ids[:, :-1].clone(), torch.tensor(rows)


def shift_masked(ids, documents):
    targets = ids[:, 1:].clone()
    targets[documents.diff(dim=1) != 0] = -100
    targets[documents[:, 1:] == 0] = -100
    return [ids.narrow(1, 0, ids.shape[1] - 1), targets]


def shift_filled(ids, documents):
    step = documents[:, 1:] - documents[:, :-1]
    return ids[:, :-1], ids[:, 1:].masked_fill((step != 0) | (documents[:, :-1] == 0), -100)


def accumulate_sums(weights, loss, batches):
    gradient, total = torch.zeros_like(weights), 0
    for batch in batches:
        point = weights.detach().clone().requires_grad_(True)
        mean, n = loss(point, batch)
        mean.backward()
        gradient += n * point.grad
        total += n
    return gradient / total


def accumulate_shares(weights, loss, batches):
    point = weights.clone().requires_grad_()
    counts = [loss(weights, batch)[1] for batch in batches]
    for batch, n in zip(batches, counts, strict=True):
        (loss(point, batch)[0] * (n / sum(counts))).backward()
    return point.grad


def accumulate_at_once(weights, loss, batches):
    point = weights.clone().requires_grad_()
    terms = [loss(point, batch) for batch in batches]
    mean = sum(each * n for each, n in terms) / sum(n for _, n in terms)
    return torch.autograd.grad(mean, point)[0]


def rate_min(step, steps, warmup, peak, final):
    done = max(0.0, (step - warmup) / (steps - 1 - warmup))
    wave = 0.5 + 0.5 * math.cos(done * math.pi)
    return min((step + 1) / (warmup + 1), 1.0) * ((1 - wave) * final + wave * peak)


def rate_squared(step, steps, warmup, peak, final):
    if step >= warmup:
        angle = math.pi / 2 * (step - warmup) / (steps - warmup - 1)
        return peak * math.cos(angle) ** 2 + final * math.sin(angle) ** 2
    slope = peak / (warmup + 1)
    return slope + step * slope


def clip_flat(gradients, longest):
    length = torch.cat([gradient.flatten() for gradient in gradients]).norm()
    factor = (longest / length.clamp(min=1e-30)).clamp(max=1.0)
    return [factor * gradient for gradient in gradients], length.item()


def clip_torch(gradients, longest):
    length = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients]))
    return tuple(g / max(1.0, float(length) / longest) for g in gradients), length


def clip_loops(gradients, longest):
    total = 0.0
    for gradient in gradients:
        for number in gradient.flatten().tolist():
            total += number * number
    length = math.sqrt(total)
    if length <= longest:
        return [gradient.clone() for gradient in gradients], length
    return [gradient.mul(longest).div(length) for gradient in gradients], length


def flops_parts(vocab_size, context_length, d_model, n_layers, d_ff, n_tokens):
    block = 8 * d_model**2 + 4 * d_model * d_ff + 4 * context_length * d_model
    forward = n_layers * block + 2 * vocab_size * d_model
    backward = 2 * forward
    return (forward + backward) * n_tokens


def flops_six(vocab_size, context_length, d_model, n_layers, d_ff, n_tokens):
    weights = d_model * vocab_size + sum(4 * d_model**2 + d_model * d_ff * 2 for _ in range(n_layers))
    return n_tokens * (6 * weights + 12 * n_layers * context_length * d_model)


ALTERNATIVES = {
    "pretrain.shift_targets": [shift_loops, shift_masked, shift_filled],
    "pretrain.lr_schedule": [rate_min, rate_squared],
    "pretrain.clip": [clip_flat, clip_torch, clip_loops],
    "pretrain.accumulate": [accumulate_sums, accumulate_shares, accumulate_at_once],
    "pretrain.half_the_loss": ["9,000 times", " 9,000 Times "],
    "pretrain.flops": [flops_parts, flops_six],
}
