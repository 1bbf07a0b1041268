"""BERT's heads: the two that it is pre-trained with, and those that fine-tuning puts in their place.

Each model here holds the encoder as `encoder`. Devlin et al. 2019, sections 3.1 and 3.2.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from lessons_lib.models.bert import BERT, BERTConfig, initialise
from lessons_lib.models.checks import check_share
from lessons_lib.models.layers import LayerNorm


class MaskedHead(nn.Module):
    """Logits of the token at a place, from its vector: a linear map, GELU, LayerNorm, and the embedding table again."""

    def __init__(self, config: BERTConfig, table: nn.Embedding):
        super().__init__()
        self.transform = nn.Linear(config.d_model, config.d_model)
        self.norm = LayerNorm(config.d_model, config.norm_eps)
        self.output = nn.Linear(config.d_model, config.vocab_size)
        self.apply(initialise)
        self.output.weight = table.weight  # tied: Press & Wolf 2017

    def forward(self, hidden: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch vocab"]:
        return self.output(self.norm(F.gelu(self.transform(hidden))))


class PreTrainingOutput(NamedTuple):
    """`token_logits` at every place (batch seq vocab) or at those asked for (n vocab); `next_logits` (batch 2) or None.

    Class 0 of `next_logits` says that the second segment followed the first, class 1 that it did not: transformers'
    order.
    """

    token_logits: Tensor
    next_logits: Tensor | None


class BERTForPreTraining(nn.Module):
    """The encoder with the masked-word head and, unless `next_sentence=False`, pooler and next-sentence head."""

    def __init__(self, config: BERTConfig, *, next_sentence: bool = True):
        super().__init__()
        self.config = config
        self.encoder = BERT(config, pooler=next_sentence)
        self.masked = MaskedHead(config, self.encoder.embeddings.words)
        self.next = nn.Linear(config.d_model, 2) if next_sentence else None
        if self.next is not None:
            initialise(self.next)

    def forward(
        self,
        ids: Int[Tensor, "batch seq"],
        segments: Int[Tensor, "batch seq"] | None = None,
        mask: Bool[Tensor, "batch seq"] | Bool[Tensor, "batch seq seq"] | None = None,
        *,
        places: Int[Tensor, "#batch seq"] | None = None,
        at: Bool[Tensor, "batch seq"] | None = None,
    ) -> PreTrainingOutput:
        """With `at`, the masked-word head works at these places only, row by row: masks are few, a vocabulary is wide.

        Raises ValueError for an `at` that is not one truth value for each id; the rest as in `BERT`.
        """
        if at is not None and (at.shape != ids.shape or at.dtype != torch.bool):
            raise ValueError(f"at is {at.dtype} of shape {tuple(at.shape)}; ids ask for bool, {tuple(ids.shape)}.")
        out = self.encoder(ids, segments, mask, places=places)
        hidden = out.hidden if at is None else out.hidden[at]  # n d_model
        next_logits = self.next(out.pooled) if self.next is not None else None
        return PreTrainingOutput(self.masked(hidden), next_logits)


class _TaskModel(nn.Module):
    """An encoder, dropout, and one linear layer that has not been trained yet; `labels` name its outputs."""

    def __init__(self, encoder: BERT, labels: Sequence[str], dropout: float | None):
        super().__init__()
        if isinstance(labels, (str, int)):
            raise TypeError(f'labels are the names of the classes, as a list: ["yes", "no"], not {labels!r}.')
        labels = tuple(labels)
        if len(labels) < 2 or len(set(labels)) < len(labels):
            raise ValueError(f"A head needs at least two labels, all different; these are {labels}.")
        dropout = encoder.config.dropout if dropout is None else dropout
        check_share("dropout", dropout)
        self.config, self.labels, self.encoder = encoder.config, labels, encoder
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(encoder.config.d_model, len(labels))
        initialise(self.classifier)


class BERTClassifier(_TaskModel):
    """One label for a whole text, from the pooled vector of its first token.

    Raises ValueError for an encoder without a pooler.
    """

    def __init__(self, encoder: BERT, labels: Sequence[str], dropout: float | None = None):
        if encoder.pooler is None:
            raise ValueError("A classifier needs the pooled vector: make the encoder with pooler=True.")
        super().__init__(encoder, labels, dropout)

    def forward(
        self,
        ids: Int[Tensor, "batch seq"],
        segments: Int[Tensor, "batch seq"] | None = None,
        mask: Bool[Tensor, "batch seq"] | None = None,
    ) -> Float[Tensor, "batch labels"]:
        return self.classifier(self.dropout(self.encoder(ids, segments, mask).pooled))


class BERTTagger(_TaskModel):
    """One label for each token, from its own vector."""

    def __init__(self, encoder: BERT, labels: Sequence[str], dropout: float | None = None):
        super().__init__(encoder, labels, dropout)

    def forward(
        self,
        ids: Int[Tensor, "batch seq"],
        segments: Int[Tensor, "batch seq"] | None = None,
        mask: Bool[Tensor, "batch seq"] | None = None,
    ) -> Float[Tensor, "batch seq labels"]:
        return self.classifier(self.dropout(self.encoder(ids, segments, mask).hidden))


class BERTSpanFinder(_TaskModel):
    """Where an answer starts and where it ends: two scores for each token, each a softmax over the places."""

    def __init__(self, encoder: BERT):
        super().__init__(encoder, ("start", "end"), 0.0)  # no dropout here, as in Devlin et al.'s own program

    def forward(
        self,
        ids: Int[Tensor, "batch seq"],
        segments: Int[Tensor, "batch seq"] | None = None,
        mask: Bool[Tensor, "batch seq"] | None = None,
    ) -> Float[Tensor, "batch seq 2"]:
        return self.classifier(self.encoder(ids, segments, mask).hidden)
