"""Correct solutions to the exercises of lesson 06, written in other ways than the reference."""

import math

import torch

from lessons_lib.models import positions as library


def waves_loops(n, d):
    rows = []
    for t in range(n):
        row = []
        for j in range(d):
            angle = t / 10000 ** (2 * (j // 2) / d)
            row.append(math.cos(angle) if j % 2 else math.sin(angle))
        rows.append(row)
    return torch.tensor(rows)


def waves_stacked(n, d):
    speeds = torch.exp(torch.arange(0, d, 2) * (-math.log(10000.0) / d))
    angles = torch.outer(torch.arange(n).float(), speeds)
    return torch.stack((angles.sin(), angles.cos()), dim=2).reshape(n, d)


def waves_phase(n, d):
    j = torch.arange(d)
    return torch.sin(torch.arange(n)[:, None] / 10000.0 ** ((j - j % 2) / d) + (j % 2) * math.pi / 2)


def shift_blocks(shift, d):
    blocks = []
    for i in range(d // 2):
        a = torch.tensor(shift / 10000 ** (2 * i / d))
        blocks.append(torch.stack([torch.stack([a.cos(), a.sin()]), torch.stack([-a.sin(), a.cos()])]))
    return torch.block_diag(*blocks)


def shift_exponential(shift, d):
    turn = torch.zeros(d, d, dtype=torch.float64)
    for i in range(0, d, 2):
        turn[i, i + 1], turn[i + 1, i] = 10000 ** (-i / d), -(10000 ** (-i / d))
    return torch.linalg.matrix_exp(shift * turn)


def rotary_complex(x, positions):
    angles = torch.outer(positions.float(), 10000.0 ** (-torch.arange(0, x.shape[1], 2) / x.shape[1]))
    turned = torch.view_as_complex(x.reshape(len(x), -1, 2).contiguous()) * torch.polar(
        torch.ones(angles.shape), angles
    )
    return torch.view_as_real(turned).flatten(1)


def rotary_matrices(x, positions):
    # The library's shift matrix acts on (sine, cosine) and turns the other way round from (a, b).
    return torch.stack([library.shift_matrix(-int(t), x.shape[1]) @ row for row, t in zip(x, positions, strict=True)])


def rotary_mates(x, positions):
    mates = torch.stack([-x[:, 1::2], x[:, 0::2]], dim=-1).flatten(1)
    angles = positions[:, None] / 10000 ** (torch.arange(0, x.shape[1], 2) / x.shape[1]).repeat_interleave(2)
    return x * angles.cos() + mates * angles.sin()


def steps_at_once(q, k):
    places = torch.arange(len(q))
    return (library.rotate(q, places) @ library.rotate(k, places).T).tril()


def steps_by_distance(q, k):
    scores = torch.zeros(len(q), len(q))
    for t in range(len(q)):
        for s in range(t + 1):
            scores[t, s] = rotary_mates(q[t : t + 1], torch.tensor([t - s]))[0] @ k[s]
    return scores


def alibi_library(n_heads, n):
    return library.alibi_bias(n_heads, n)


def alibi_loops(n_heads, n):
    bias = torch.zeros(n_heads, n, n)
    ratio = slope = 2 ** (-8 / n_heads)
    for head in range(n_heads):
        for i in range(n):
            for j in range(n):
                bias[head, i, j] = -slope * abs(i - j)
        slope *= ratio
    return bias


ALTERNATIVES = {
    "position.predict_blind": ["1 in 8", " 1 in 8 "],
    "position.sinusoidal": [waves_loops, waves_stacked, waves_phase],
    "position.shift_is_rotation": [shift_blocks, shift_exponential],
    "position.rotary": [rotary_complex, rotary_matrices, rotary_mates],
    "position.find_the_bug": [steps_at_once, steps_by_distance],
    "position.alibi": [alibi_library, alibi_loops],
}
