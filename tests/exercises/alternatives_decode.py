"""Correct solutions to the exercises of lesson 13, written in other ways than the reference."""

import math

import torch


def top_k_sorted(logits, k):
    least = logits.sort(dim=-1, descending=True).values[..., k - 1 : k]
    return torch.where(logits >= least, logits, torch.tensor(-math.inf, dtype=logits.dtype))


def top_k_loops(logits, k):
    rows = []
    for row in logits.tolist():
        least = sorted(row)[-k]
        rows.append([value if value >= least else -math.inf for value in row])
    return torch.tensor(rows)


def top_k_counted(logits, k):
    likelier = (logits[:, None, :] > logits[:, :, None]).sum(dim=-1)
    return logits.double().masked_fill(likelier >= k, float("-inf"))


def top_p_loops(q, p):
    rows = []
    for row in q.tolist():
        kept, total = [0.0] * len(row), 0.0
        for token in sorted(range(len(row)), key=lambda token: -row[token]):
            if total >= p:
                break
            kept[token] = row[token]
            total += row[token]
        rows.append([share / sum(kept) for share in kept])
    return torch.tensor(rows)


def top_p_masked(q, p):
    order = (-q).argsort(dim=-1)
    ordered = q.gather(-1, order)
    cut = ordered.cumsum(-1) >= p
    cut = torch.cat([torch.zeros_like(cut[:, :1]), cut[:, :-1]], dim=-1)
    logits = q.log().masked_fill(cut.gather(-1, order.argsort(dim=-1)), -math.inf)
    return logits.softmax(dim=-1)


def beam_loops(scores, log_probs, width):
    every = [
        (score + log_prob, text, token)
        for text, score in enumerate(scores.tolist())
        for token, log_prob in enumerate(log_probs[text].tolist())
    ]
    best = sorted(every, reverse=True)[:width]
    return tuple(torch.tensor([one[i] for one in best]) for i in range(3))


def beam_sorted(scores, log_probs, width):
    total = log_probs + scores.reshape(-1, 1)
    values, index = total.reshape(-1).sort(descending=True)
    where = index[:width]
    return [values[:width], where.div(total.size(1), rounding_mode="floor"), where.remainder(total.size(1))]


def next_loops(logits, lengths):
    return torch.tensor([int(row[n - 1].argmax()) for row, n in zip(logits, lengths.tolist(), strict=True)])


def next_gather(logits, lengths):
    every = logits.argmax(dim=-1)
    return every.gather(1, (lengths - 1)[:, None]).squeeze(1)


def accept_vectors(p, q, tokens, uniform):
    index = torch.tensor(tokens)[:, None]
    ratio = (p[:-1].gather(1, index) / q.gather(1, index))[:, 0]
    kept = int((torch.tensor(uniform, dtype=ratio.dtype) < ratio).cumprod(0).sum())
    if kept == len(tokens):
        return kept, p[-1]
    left = torch.relu(p[kept] - q[kept])
    return kept, left / left.sum()


def accept_while(p, q, tokens, uniform):
    kept = 0
    while kept < len(tokens) and uniform[kept] < float(p[kept, tokens[kept]]) / float(q[kept, tokens[kept]]):
        kept += 1
    if kept < len(tokens):
        left = torch.maximum(p[kept] - q[kept], torch.zeros_like(p[kept]))
        return kept, left.div(left.sum())
    return kept, p[kept]


ALTERNATIVES = {
    "decode.find_the_bug": [next_loops, next_gather],
    "decode.top_k": [top_k_sorted, top_k_loops, top_k_counted],
    "decode.top_p": [top_p_loops, top_p_masked],
    "decode.beam_step": [beam_loops, beam_sorted],
    "decode.predict_tokens": ["3.36", " 3.36 "],
    "decode.speculative_accept": [accept_vectors, accept_while],
}
