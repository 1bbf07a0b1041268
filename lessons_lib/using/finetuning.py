"""Fine-tuning BERT: the losses of its three tasks in the form that `fit` takes, what stays frozen, and at what rate.

The rows come from `using.examples`; a fine-tuned model is read with `using.predicting`.
"""

import re
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Optimizer

from lessons_lib.text.vocab import IGNORE
from lessons_lib.training.objectives import count_tokens, sequence_loss
from lessons_lib.training.optimizers import make_optimizer
from lessons_lib.training.pairs import Rows
from lessons_lib.using.examples import NO_WORD, QuestionRows, TaggedRows

BETAS = (0.9, 0.999)  # AdamW's, as in Devlin et al. 2019, appendix A.2


def classification_loss(model: Any, rows: Rows) -> tuple[Float[Tensor, ""], int]:
    """For `fit`: the mean of −ln of the right label's probability, in nats per text, and how many texts there are."""
    labels = _given(rows.labels, "labels", "encode_texts")
    return sequence_loss(model(rows.ids, rows.segments)[:, None], labels[:, None], ignore=IGNORE), len(labels)


def tagging_loss(model: Any, rows: TaggedRows) -> tuple[Float[Tensor, ""], int]:
    """For `fit`: the mean of −ln of the right tag's probability over the words, at their first pieces; how many."""
    labels = _given(rows.labels, "tags", "encode_tagged")
    return sequence_loss(model(rows.ids), labels, ignore=IGNORE), count_tokens(labels, IGNORE)


def span_loss(model: Any, rows: QuestionRows) -> tuple[Float[Tensor, ""], int]:
    """For `fit`: the mean of −ln of the right start's and the right end's probability; two a question.

    The softmax runs over the places of the context only, so that padding and question take no part.
    """
    starts, ends = _given(rows.starts, "answers", "encode_questions"), _given(rows.ends, "answers", "encode_questions")
    scores = model(rows.ids, rows.segments).transpose(1, 2)  # batch 2 seq
    scores = scores.masked_fill((rows.words == NO_WORD)[:, None], -torch.inf)
    return sequence_loss(scores, torch.stack([starts, ends], dim=1), ignore=IGNORE), 2 * len(starts)


def freeze(model: nn.Module, *, pooler: bool = True) -> int:
    """Let training leave the encoder as it is; returns how many parameters are left to train.

    With `pooler=False` the pooler, which a pre-training without next-sentence prediction has not trained, learns with
    the head. Make the optimizer after this. Raises TypeError for a model without an encoder.
    """
    _encoder(model).requires_grad_(False)
    if not pooler and model.encoder.pooler is not None:
        model.encoder.pooler.requires_grad_(True)
    return _trainable(model)


def unfreeze(model: nn.Module) -> int:
    """Let training change the encoder again; returns how many parameters there are to train."""
    _encoder(model).requires_grad_(True)
    return _trainable(model)


def finetuning_optimizer(
    model: nn.Module,
    learning_rate: float = 5e-5,
    *,
    head_factor: float = 1.0,
    layer_decay: float = 1.0,
    weight_decay: float = 0.01,
) -> Optimizer:
    """AdamW in which the head may learn faster and the lower layers slower: discriminative fine-tuning.

    The last block and the pooler have `learning_rate`, each block below it `layer_decay` times the rate of the one
    above, the embeddings once more; Howard and Ruder 2018 ("ULMFiT", section 3.2) divide by 2.6. The head has
    `head_factor` times `learning_rate`. Weight decay is that of `parameter_groups`. Frozen parameters are left out; a
    schedule multiplies every rate. Raises ValueError for settings out of range, TypeError for a model without an
    encoder.
    """
    if not head_factor > 0 or not 0 < layer_decay <= 1:
        raise ValueError(
            f"head_factor is {head_factor} and layer_decay {layer_decay}: the first must be above 0, the second "
            "above 0 and at most 1."
        )
    n_layers = len(_encoder(model).blocks)
    optimizer = make_optimizer(model, learning_rate, weight_decay, betas=BETAS)
    groups: dict[tuple[int, float], dict] = {}
    for group in optimizer.param_groups:
        for name, parameter in zip(group["param_names"], group["params"], strict=True):
            below = _below(name, n_layers)
            factor = head_factor if below < 0 else layer_decay**below
            same = {key: value for key, value in group.items() if key not in ("params", "param_names")}
            new = {**same, "lr": learning_rate * factor, "params": []}
            groups.setdefault((below, group["weight_decay"]), new)["params"].append((name, parameter))
    optimizer.param_groups.clear()
    for key in sorted(groups):  # the head first
        optimizer.add_param_group(groups[key])
    return optimizer


def _below(name: str, n_layers: int) -> int:
    """How many blocks a parameter is below the last one: −1 for the head, `n_layers` for the embeddings."""
    if not name.startswith("encoder."):
        return -1
    block = re.match(r"encoder\.blocks\.(\d+)\.", name)
    if block:
        return n_layers - 1 - int(block[1])
    return n_layers if name.startswith("encoder.embeddings.") else 0


def _encoder(model: nn.Module) -> nn.Module:
    if not isinstance(getattr(model, "encoder", None), nn.Module):
        raise TypeError(f"{type(model).__name__} has no encoder: make a BERTClassifier, BERTTagger or BERTSpanFinder.")
    return model.encoder


def _trainable(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def _given(labels: Tensor | None, what: str, maker: str) -> Tensor:
    if labels is None:
        raise ValueError(f"These rows have no {what}: give them to {maker}.")
    return labels
