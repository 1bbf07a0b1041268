"""GPT's half of the bridge: its configuration and its tensors, as transformers' GPT-2 has them, and back.

Two things differ beside the names. GPT-2 keeps its matrices the other way round (inputs in rows, outputs in columns),
and makes queries, keys and values with one matrix, three times as wide.
"""

import re
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from lessons_lib.models.gpt import GPTConfig

GPT2_VOCABULARY = 50_257  # its last token is <|endoftext|>
THEIR_ACTIVATIONS = {"gelu_tanh": "gelu_new", "gelu": "gelu", "relu": "relu", "silu": "silu"}
OUR_ACTIVATIONS = {theirs: ours for ours, theirs in THEIR_ACTIVATIONS.items()} | {"gelu_pytorch_tanh": "gelu_tanh"}
_FIXED = ("positions", "norm", "activation", "gated", "qk_norm", "bias")
_FUSED = ("query", "key", "value")  # in this order, in one matrix
_NAMES = (
    (r"words\.", "transformer.wte."),
    (r"places\.", "transformer.wpe."),
    (r"blocks\.(\d+)\.attention_norm\.", r"transformer.h.\1.ln_1."),
    (r"blocks\.(\d+)\.attention\.(query|key|value)\.", r"transformer.h.\1.attn.c_attn."),
    (r"blocks\.(\d+)\.attention\.output\.", r"transformer.h.\1.attn.c_proj."),
    (r"blocks\.(\d+)\.feed_forward_norm\.", r"transformer.h.\1.ln_2."),
    (r"blocks\.(\d+)\.feed_forward\.widen\.", r"transformer.h.\1.mlp.c_fc."),
    (r"blocks\.(\d+)\.feed_forward\.narrow\.", r"transformer.h.\1.mlp.c_proj."),
    (r"norm\.", "transformer.ln_f."),
    (r"output\.", "lm_head."),
)


def gpt2_name(name: str) -> str:
    """transformers' name of a tensor of ours; those of queries, keys and values are parts of one, c_attn."""
    for pattern, replacement in _NAMES:
        if re.match(pattern, name):
            return re.sub("^" + pattern, replacement, name)
    raise KeyError(f"{name} has no counterpart in transformers' GPT-2.")


def gpt2_state(ours: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our tensors, or gradients by the same names, as transformers' GPT-2 has them."""
    found: dict[str, list[Tensor]] = {}
    for name, tensor in ours.items():
        found.setdefault(gpt2_name(name), []).append(tensor.mT if _turned(name, tensor) else tensor)
    return {name: torch.cat(parts, dim=-1).contiguous() for name, parts in found.items()}


def gpt_state(theirs: dict[str, Tensor], names: list[str]) -> dict[str, Tensor]:
    """The tensors of these names of ours, out of transformers' GPT-2: the inverse of `gpt2_state`."""
    found = {}
    for name in names:
        tensor, kind = theirs[gpt2_name(name)], name.split(".")[-2]
        if kind in _FUSED:
            tensor = tensor.chunk(3, dim=-1)[_FUSED.index(kind)]
        found[name] = tensor.mT if _turned(name, tensor) else tensor
    return found


def _turned(name: str, tensor: Tensor) -> bool:
    """Whether the two sides keep this tensor transposed: the matrices inside the blocks."""
    return name.startswith("blocks.") and tensor.ndim == 2


def gpt2_config(c: GPTConfig) -> Any:
    """transformers' GPT2Config of the same model. Raises ValueError for what GPT-2 does not have.

    Where the vocabulary has GPT-2's size, its last token begins and ends texts; else no token does, and `export` asks
    the tokenizer.
    """
    from transformers import GPT2Config

    plain = replace(GPTConfig(), activation=c.activation if c.activation in THEIR_ACTIVATIONS else "gelu_tanh")
    others = [name for name in _FIXED if getattr(c, name) != getattr(plain, name)]
    if others:
        told = ", ".join(f"{name}={getattr(c, name)!r}" for name in others)
        raise ValueError(
            f"transformers' GPT-2 does not have {told}. It has learned positions, LayerNorm, a plain feed-forward part "
            f"with {', '.join(THEIR_ACTIVATIONS)}, and biases: build the model with GPTConfig's defaults for these."
        )
    end = c.vocab_size - 1 if c.vocab_size == GPT2_VOCABULARY else None
    return GPT2Config(
        vocab_size=c.vocab_size,
        n_positions=c.context_length,
        n_embd=c.d_model,
        n_layer=c.n_layers,
        n_head=c.n_heads,
        n_inner=c.d_ff,
        activation_function=THEIR_ACTIVATIONS[c.activation],
        resid_pdrop=c.dropout,
        embd_pdrop=c.dropout,
        attn_pdrop=c.dropout,
        layer_norm_epsilon=c.norm_eps,
        tie_word_embeddings=c.tied,
        bos_token_id=end,
        eos_token_id=end,
    )


def gpt_config(config: Any) -> GPTConfig:
    """Our GPTConfig of the same model. Raises ValueError for a configuration that our GPT does not have."""
    if config.activation_function not in OUR_ACTIVATIONS:
        raise ValueError(
            f"This model's activation is {config.activation_function!r}; our GPT has {', '.join(OUR_ACTIVATIONS)}."
        )
    dropouts = {name: getattr(config, name) for name in ("resid_pdrop", "embd_pdrop", "attn_pdrop")}
    if len(set(dropouts.values())) > 1:
        raise ValueError(f"Our GPT has one dropout for all; this configuration has {dropouts}: make them equal.")
    if config.add_cross_attention:
        raise ValueError("Our GPT has no cross-attention; this configuration asks for one.")
    if not config.scale_attn_weights or config.scale_attn_by_inverse_layer_idx:
        raise ValueError("Our GPT divides scores by the root of d_head and by nothing else; this one does not.")
    return GPTConfig(
        vocab_size=config.vocab_size,
        context_length=config.n_positions,
        d_model=config.n_embd,
        n_layers=config.n_layer,
        n_heads=config.n_head,
        d_ff=config.n_inner,
        dropout=config.resid_pdrop,
        norm_eps=config.layer_norm_epsilon,
        activation=OUR_ACTIVATIONS[config.activation_function],
        tied=config.tie_word_embeddings,
    )
