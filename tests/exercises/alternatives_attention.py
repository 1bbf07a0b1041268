"""Correct solutions to the exercises of lesson 05, written in other ways than the reference."""

import torch
import torch.nn.functional as F


def scores_loops(q, k):
    table = torch.zeros(len(q), len(k))
    for i, query in enumerate(q):
        for j, key in enumerate(k):
            table[i, j] = (query * key).sum() / len(query) ** 0.5
    return table


def scores_einsum(q, k):
    return torch.einsum("id,jd->ij", q, k) * q.size(-1) ** -0.5


def scores_scaled_first(q, k):
    return torch.matmul(q / q.shape[-1] ** 0.5, k.transpose(0, 1))


def scores_double(q, k):
    return (q.double() @ k.double().mT) / torch.tensor(k.shape[1]).sqrt()


def causal_by_places(n):
    places = torch.arange(n)
    return places[:, None] >= places[None, :]


def causal_by_lists(n):
    return torch.tensor([[j <= i for j in range(n)] for i in range(n)])


def causal_not_ahead(n):
    return ~torch.triu(torch.ones(n, n), diagonal=1).bool()


def padding_unsqueeze(ids):
    return ids.ne(0).unsqueeze(1)


def padding_lists(ids):
    return torch.tensor([[[i != 0 for i in row]] for row in ids.tolist()])


def padding_bool(ids):
    return ids.bool().reshape(len(ids), 1, -1)


def attend_torch(q, k, v, mask):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def attend_loops(q, k, v, mask):
    mask = mask.expand(q.shape[0], q.shape[1], k.shape[1])
    out = torch.zeros(*q.shape[:2], v.shape[2])
    for b in range(q.shape[0]):
        for i in range(q.shape[1]):
            seen = mask[b, i].nonzero()[:, 0]
            if len(seen):
                scores = torch.stack([q[b, i].dot(k[b, j]) for j in seen]) / q.shape[2] ** 0.5
                out[b, i] = sum(w * v[b, j] for w, j in zip(scores.softmax(0), seen, strict=True))
    return out


def attend_einsum(q, k, v, mask):
    scores = torch.einsum("bqd,bkd->bqk", q, k) * q.size(-1) ** -0.5
    scores = torch.where(mask, scores, torch.tensor(-1e30))
    weights = torch.exp(scores - scores.amax(-1, keepdim=True)) * mask
    total = weights.sum(-1, keepdim=True)
    return torch.einsum("bqk,bkd->bqd", weights / torch.where(total == 0, 1, total), v)


def leak_layer_by_word(x, w_q, w_k, w_v):
    rows = []
    for t in range(len(x)):
        seen = torch.stack([row - row.mean() for row in x[: t + 1]])
        weights = ((seen[-1] @ w_q) @ (seen @ w_k).T / w_q.shape[1] ** 0.5).softmax(0)
        rows.append(weights @ (seen @ w_v))
    return torch.stack(rows)


def leak_torch(x, w_q, w_k, w_v):
    x = (x.T - x.mean(1)).T
    return F.scaled_dot_product_attention(*(y[None] for y in (x @ w_q, x @ w_k, x @ w_v)), is_causal=True)[0]


ALTERNATIVES = {
    "attention.predict_spread": ["16", " 16 "],
    "attention.scores": [scores_loops, scores_einsum, scores_scaled_first, scores_double],
    "attention.causal_mask": [causal_by_places, causal_by_lists, causal_not_ahead],
    "attention.padding_mask": [padding_unsqueeze, padding_lists, padding_bool],
    "attention.attend": [attend_torch, attend_loops, attend_einsum],
    "attention.find_the_leak": [leak_layer_by_word, leak_torch],
}
