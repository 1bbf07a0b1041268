"""Training: what is made small, by which optimizer, at what learning rate, in which loop.

`fit` is the loop. `make_optimizer`, the schedules and the objectives are what it is given; checkpoints are how it goes
on after a crash.
"""

from lessons_lib.training.checkpoints import (
    Checkpoint,
    DamagedCheckpointError,
    list_checkpoints,
    load_checkpoint,
    save_checkpoint,
)
from lessons_lib.training.history import History
from lessons_lib.training.loop import NotFiniteError, fit
from lessons_lib.training.masking import Masking
from lessons_lib.training.objectives import (
    Causal,
    Masked,
    causal_lm_loss,
    count_tokens,
    elbo_loss,
    language_model_loss,
    masked_lm_loss,
    next_token_loss,
    next_tokens,
    pretraining_loss,
    sequence_loss,
    translation_loss,
    vae_loss,
)
from lessons_lib.training.optimizers import make_optimizer, parameter_groups, parameter_roles
from lessons_lib.training.pairs import Pair, Rows, next_sentence_pair, packed_rows, pair_rows, single_rows
from lessons_lib.training.schedules import constant, warmup_cosine, warmup_stable_decay
from lessons_lib.training.streams import TokenStream, kept_stream, make_stream, packed_documents

__all__ = [
    "Causal",
    "Checkpoint",
    "DamagedCheckpointError",
    "History",
    "Masked",
    "Masking",
    "NotFiniteError",
    "Pair",
    "Rows",
    "TokenStream",
    "causal_lm_loss",
    "constant",
    "count_tokens",
    "elbo_loss",
    "fit",
    "kept_stream",
    "language_model_loss",
    "list_checkpoints",
    "load_checkpoint",
    "make_optimizer",
    "make_stream",
    "masked_lm_loss",
    "next_sentence_pair",
    "next_token_loss",
    "next_tokens",
    "packed_documents",
    "packed_rows",
    "pair_rows",
    "parameter_groups",
    "parameter_roles",
    "pretraining_loss",
    "save_checkpoint",
    "sequence_loss",
    "single_rows",
    "translation_loss",
    "vae_loss",
    "warmup_cosine",
    "warmup_stable_decay",
]
