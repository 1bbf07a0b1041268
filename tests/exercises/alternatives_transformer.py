"""Correct solutions to the exercises of lesson 07, written in other ways than the reference."""

import heapq
import math

import torch
import torch.nn.functional as F


def norm_torch(x, weight, bias, eps):
    return F.layer_norm(x, weight.shape, weight, bias, eps)


def norm_loops(x, weight, bias, eps):
    out = torch.empty_like(x)
    for b, sentence in enumerate(x):
        for t, v in enumerate(sentence):
            mean = sum(v) / len(v)
            variance = sum((a - mean) ** 2 for a in v) / len(v)
            out[b, t] = (v - mean) / math.sqrt(variance + eps) * weight + bias
    return out


def norm_var(x, weight, bias, eps):
    variance, mean = torch.var_mean(x, dim=2, correction=0, keepdim=True)
    return torch.addcmul(bias, weight, (x - mean) * torch.rsqrt(variance + eps))


def split_view(x, n_heads):
    return x.unflatten(-1, (n_heads, -1)).permute(0, 2, 1, 3).contiguous()


def split_chunks(x, n_heads):
    return torch.stack(x.chunk(n_heads, dim=-1), dim=1)


def cross_each_head(x, memory, w_q, w_k, w_v, n_heads):
    d = x.shape[1] // n_heads
    heads = []
    for i in range(n_heads):
        part = slice(i * d, (i + 1) * d)
        q, k, v = x @ w_q[:, part], memory @ w_k[:, part], memory @ w_v[:, part]
        heads.append((q @ k.T / d**0.5).softmax(dim=1) @ v)
    return torch.cat(heads, dim=1)


def cross_einsum(x, memory, w_q, w_k, w_v, n_heads):
    q, k, v = (y.unflatten(1, (n_heads, -1)) for y in (x @ w_q, memory @ w_k, memory @ w_v))
    weights = (torch.einsum("thd,shd->hts", q, k) / q.shape[-1] ** 0.5).softmax(-1)
    return torch.einsum("hts,shd->thd", weights, v).flatten(1)


def shift_in_place(target):
    out = torch.full_like(target, 1)
    out[:, 1:] = target[:, :-1]
    return out


def shift_pad(target):
    return F.pad(target, (1, -1), value=1)


def shift_lists(target):
    return torch.tensor([[1, *row[:-1]] for row in target.tolist()])


def beam_heap(q, width, alpha):
    going, ended = {(): 0.0}, {}
    while going:
        grown = {(*s, w): score + math.log(p) for s, score in going.items() for w, p in q[s].items()}
        kept = heapq.nlargest(width, grown.items(), key=lambda item: item[1])
        ended |= {s: score for s, score in kept if s[-1] == "<end>"}
        going = {s: score for s, score in kept if s[-1] != "<end>"}
    best = max(ended, key=lambda s: ended[s] / len(s) ** alpha)
    return best[:-1]


def beam_recursive(q, width, alpha):
    def search(rows, best):
        if not rows:
            return best[1]
        grown = sorted(((-math.log(q[s][w]) + cost, (*s, w)) for cost, s in rows for w in q[s]), key=lambda r: r[0])
        grown = grown[:width]
        for cost, s in grown:
            if s[-1] == "<end>" and cost / len(s) ** alpha < best[0]:
                best = (cost / len(s) ** alpha, s[:-1])
        return search([(c, s) for c, s in grown if s[-1] != "<end>"], best)

    return search([(0.0, ())], (math.inf, None))


ALTERNATIVES = {
    "transformer.predict_parameters": ["16640", " 16640 "],
    "transformer.layer_norm": [norm_torch, norm_loops, norm_var],
    "transformer.split_heads": [split_view, split_chunks],
    "transformer.cross_attention": [cross_each_head, cross_einsum],
    "transformer.shift_right": [shift_in_place, shift_pad, shift_lists],
    "transformer.beam": [beam_heap, beam_recursive],
}
