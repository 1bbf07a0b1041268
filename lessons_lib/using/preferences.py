"""Learning from preferences: of two answers to one request the better one, and no reward model (DPO).

Rafailov et al. 2023, "Direct Preference Optimization: Your Language Model is Secretly a Reward Model".
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from lessons_lib.text.vocab import IGNORE
from lessons_lib.training.objectives import Causal
from lessons_lib.using.modes import reading


class Preferences(NamedTuple):
    """Pairs of answers as `fit` takes them: row i of `chosen` is preferred to row i of `rejected`.

    `chosen_before` and `rejected_before`, "pairs", are their log-probabilities under the frozen reference, in nats.
    """

    chosen: Causal
    rejected: Causal
    chosen_before: Tensor
    rejected_before: Tensor

    def select(self, rows: Int[Tensor, " kept"]) -> "Preferences":
        """These pairs only."""
        sides = (Causal(side.ids[rows], side.targets[rows]) for side in (self.chosen, self.rejected))
        return Preferences(*sides, self.chosen_before[rows], self.rejected_before[rows])


def sequence_log_prob(model: Any, rows: Causal) -> Float[Tensor, " batch"]:
    """The log-probability of each row's targets, in nats: their sum, over the places that have one.

    With the rows of `chats.answer_rows` that is the log-probability of an answer given its request. Raises ValueError
    for packed rows, where several texts share one.
    """
    if rows.mask is not None:
        raise ValueError("These rows are packed: several texts share one. Make them without `length`.")
    logits = model(rows.ids)  # batch seq vocab
    losses = F.cross_entropy(logits.float().transpose(1, 2), rows.targets, ignore_index=IGNORE, reduction="none")
    return -losses.sum(dim=1)


def preferences(reference: Any, chosen: Causal, rejected: Causal, *, size: int = 64) -> Preferences:
    """Pairs with what `reference`, the model before, says of them: it is asked once, here, and training needs it no
    more. `size` rows at a time. Raises ValueError where the two sides differ in number."""
    if len(chosen.ids) != len(rejected.ids):
        raise ValueError(f"{len(chosen.ids)} chosen answers and {len(rejected.ids)} rejected ones: they come in pairs.")
    device, before = next(reference.parameters()).device, []
    with reading(reference):
        for rows in (chosen, rejected):
            bounds = range(0, len(rows.ids), size)
            parts = [Causal(rows.ids[i : i + size], rows.targets[i : i + size], rows.mask) for i in bounds]
            placed = [part._replace(ids=part.ids.to(device), targets=part.targets.to(device)) for part in parts]
            before.append(torch.cat([sequence_log_prob(reference, part) for part in placed]).to(rows.ids.device))
    return Preferences(chosen, rejected, *before)


def reward_margin(model: Any, batch: Preferences, *, beta: float = 0.1) -> Float[Tensor, " pairs"]:
    """How much more reward the chosen answer gets than the rejected one, where β ln(q / q before) is the reward.

    Rafailov et al. 2023, equation 5; what depends on the request alone cancels. Raises ValueError for a beta that is
    not above 0.
    """
    if not beta > 0:
        raise ValueError(f"beta is {beta}: it must be above 0. The larger, the nearer the model stays to what it was.")
    gained = sequence_log_prob(model, batch.chosen) - batch.chosen_before
    return beta * (gained - (sequence_log_prob(model, batch.rejected) - batch.rejected_before))


def dpo_loss(model: Any, batch: Preferences, *, beta: float = 0.1) -> tuple[Float[Tensor, ""], int]:
    """For `fit`: the mean of −ln σ(`reward_margin`), in nats per pair, and how many pairs. Rafailov et al. 2023,
    equation 7. A model that is still the reference has ln 2."""
    margin = reward_margin(model, batch, beta=beta)
    return -F.logsigmoid(margin).mean(), len(margin)
