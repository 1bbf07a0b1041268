"""Exercises of lesson 11 on the key-value cache: one step with it, and how much memory it takes."""

import torch

from lessons_lib.exercises._attention_scores import drawn
from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ gpt.kv_cache


def cached_step(x, k_past, v_past, w_q, w_k, w_v):
    """Causal self-attention with one head, for one new token; the keys and values of those before it are at hand.

    x: a tensor of shape (d_model,), the new token's vector
    k_past, v_past: tensors of shape (past, d_head); past may be 0
    w_q, w_k, w_v: tensors of shape (d_model, d_head)
    returns: what the token gathers, shape (d_head,), then all keys and all values, shape (past + 1, d_head) each
    """
    k = torch.cat([k_past, (x @ w_k)[None]])
    v = torch.cat([v_past, (x @ w_v)[None]])
    scores = (x @ w_q)[None] @ k.T / k.shape[1] ** 0.5
    weights = scores.softmax(dim=1)
    return (weights @ v).flatten(), k, v


def _step(x, k_past, v_past, w_q, w_k, w_v, *, scale=True, k_new=None, first=False):
    new = [(x @ w)[None] for w in (k_new if k_new is not None else w_k, w_v)]
    parts = [(past, one) if not first else (one, past) for past, one in zip((k_past, v_past), new, strict=True)]
    k, v = (torch.cat(part) for part in parts)
    scores = k @ (x @ w_q) / (k.shape[1] ** 0.5 if scale else 1)
    return scores.softmax(dim=0) @ v, k, v


def _no_scale(*given):
    return _step(*given, scale=False)


def _wide_scale(x, k_past, v_past, w_q, w_k, w_v):
    w = w_q * (w_q.shape[1] / len(x)) ** 0.5
    return _step(x, k_past, v_past, w, w_k, w_v)


def _new_first(*given):
    return _step(*given, first=True)


def _past_only(x, k_past, v_past, w_q, w_k, w_v):
    _, k, v = cached_step(x, k_past, v_past, w_q, w_k, w_v)
    scores = k_past @ (x @ w_q) / k.shape[1] ** 0.5
    return scores.softmax(dim=0) @ v_past, k, v


def _new_only(x, k_past, v_past, w_q, w_k, w_v):
    _, k, v = cached_step(x, k_past, v_past, w_q, w_k, w_v)
    return x @ w_v, k, v


def _nothing_kept(x, k_past, v_past, w_q, w_k, w_v):
    return cached_step(x, k_past, v_past, w_q, w_k, w_v)[0], k_past, v_past


def _new_returned(x, k_past, v_past, w_q, w_k, w_v):
    return cached_step(x, k_past, v_past, w_q, w_k, w_v)[0], (x @ w_k)[None], (x @ w_v)[None]


def _output_alone(*given):
    return cached_step(*given)[0]


def _values_first(*given):
    out, k, v = cached_step(*given)
    return out, v, k


def _keys_are_queries(x, k_past, v_past, w_q, w_k, w_v):
    return _step(x, k_past, v_past, w_q, w_k, w_v, k_new=w_q)


def _keys_are_values(x, k_past, v_past, w_q, w_k, w_v):
    _, k, v = cached_step(x, k_past, v_past, w_q, w_k, w_v)
    return (k @ (x @ w_q) / k.shape[1] ** 0.5).softmax(dim=0) @ k, k, v


def _no_softmax(x, k_past, v_past, w_q, w_k, w_v):
    _, k, v = cached_step(x, k_past, v_past, w_q, w_k, w_v)
    return (k @ (x @ w_q) / k.shape[1] ** 0.5) @ v, k, v


def _with_axis(*given):
    out, k, v = cached_step(*given)
    return out[None], k, v


def _step_inputs(rng):
    yield (
        torch.tensor([1.0, 2.0]),
        torch.tensor([[1.0, 0.0]]),
        torch.tensor([[4.0, 0.0]]),
        torch.eye(2),
        torch.eye(2),
        torch.tensor([[0.0, 1.0], [1.0, 0.0]]),
    )
    for past, d_model, d_head in ((3, 4, 2), (0, 4, 3), (6, 3, 5)):
        yield (
            drawn(rng, d_model),
            *(drawn(rng, past, d_head) for _ in range(2)),
            *(drawn(rng, d_model, d_head) for _ in range(3)),
        )


def _as_without(f):
    generator = torch.Generator().manual_seed(3)
    x, maps = torch.randn(5, 4, generator=generator), torch.randn(3, 4, 4, generator=generator)
    q, k, v = (x @ w for w in maps)
    whole = torch.nn.functional.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True)[0]
    kept = (torch.zeros(0, 4), torch.zeros(0, 4))
    for token, expected in zip(x, whole, strict=True):
        out, *kept = f(token, *kept, *maps)
        if not torch.allclose(torch.as_tensor(out), expected, atol=1e-4):
            return False
    return True


KV_CACHE = Exercise(
    id="gpt.kv_cache",
    title="One step with a cache",
    minutes=8,
    difficulty=2,
    reference=cached_step,
    inputs=_step_inputs,
    rtol=1e-4,
    atol=1e-5,
    mistakes={
        "You forgot to divide the scores by √d_head.": _no_scale,
        "The scores are divided by √d_model. It is the width of the keys that counts: √d_head.": _wide_scale,
        "The new token's key and value stand before those of the past. They belong at the end.": _new_first,
        "The new token looks at the past alone. It may look at itself too.": _past_only,
        "The new token looks at itself alone. What was the cache for?": _new_only,
        "The output is right, but the keys and values returned are the old ones: at the next step, this token would be "
        "missing.": _nothing_kept,
        "The output is right, but the keys and values returned are the new token's alone: the past would be lost.": (
            _new_returned
        ),
        "That is the output alone. The next step needs the keys and values too: return all three.": _output_alone,
        "Keys and values are exchanged in what is returned: first the output, then the keys, then the values.": (
            _values_first
        ),
        "The new token's key was made with w_q. Keys are made with w_k.": _keys_are_queries,
        "The weights average the keys. What is averaged are the values.": _keys_are_values,
        "Those are scores, not weights yet: a softmax over the keys is missing.": _no_softmax,
        "The numbers are right, and the output has one axis too many: it is a single vector, of shape (d_head,).": (
            _with_axis
        ),
    },
    properties=[("gives, token by token, what a pass over the whole text gives", _as_without)],
    hints=(
        "The past needs nothing computed. Make three vectors for the new token: its query, its key and its value.",
        "Append the key to k_past and the value to v_past. The query then meets all keys, its own among them; there is "
        "no future yet to be masked.",
        "`k = torch.cat([k_past, (x @ w_k)[None]])`, so v; scores `q @ k.T / √d_head`, their softmax, and `@ v`.",
    ),
)

# ------------------------------------------------------------------ gpt.predict_cache

PREDICT_CACHE = Exercise(
    id="gpt.predict_cache",
    title="Predict: how large is the cache?",
    minutes=3,
    difficulty=1,
    kind="value",
    reference="75",
    choices=("6", "75", "906"),
    mistakes={
        "That is one block's. Every block has keys and values of its own.": "6",
        "You multiplied by the number of heads. They share out the width: together their keys have 768 numbers.": "906",
    },
    explanation="2 (keys and values) × 12 blocks × 1024 tokens × 768 numbers × 4 bytes = 75,497,472 bytes.",
    hints=(
        "For each token and each block it holds one key and one value. How many numbers are these, all heads together?",
        "Keys and values of all heads are as wide as the model: 768 numbers each, of 4 bytes.",
        "2 · 12 · 1024 · 768 · 4 bytes; a megabyte is a million bytes.",
    ),
)
