"""Correct solutions to the exercises of lesson 14, written in other ways than the reference."""

import torch
import torch.nn.functional as F


def targets_by_turns(ids, assistant, end):
    targets = [-100] * (len(ids) - 1)
    for start in (place for place, token in enumerate(ids) if token == assistant):
        stop = ids.index(end, start) if end in ids[start:] else len(ids) - 1
        for place in range(start, stop):
            targets[place] = ids[place + 1]
    return targets


def targets_backwards(ids, assistant, end):
    def inside(place):
        """Whether the last role token at or before this place is the assistant's, and no end came since."""
        for token in reversed(ids[: place + 1]):
            if token == assistant:
                return True
            if token == end:
                return False
        return False

    return [ids[place + 1] if inside(place) else -100 for place in range(len(ids) - 1)]


def lora_merged(x, W, A, B, alpha):
    return x @ (W + alpha / A.shape[0] * B @ A).T


def lora_einsum(x, W, A, B, alpha):
    low = torch.einsum("bsi,ri->bsr", x, A)
    return torch.einsum("bsi,oi->bso", x, W) + torch.einsum("bsr,or->bso", low, B) * alpha / len(A)


def lora_linear(x, W, A, B, alpha):
    return F.linear(x, W).add(F.linear(F.linear(x, A), B), alpha=alpha / B.shape[1])


def merge_loops(W, A, B, alpha):
    merged = W.clone()
    for r in range(A.shape[0]):
        merged += alpha / A.shape[0] * torch.outer(B[:, r], A[r])
    return merged


def merge_addmm(W, A, B, alpha):
    return torch.addmm(W.double(), B.double(), A.double(), alpha=alpha / B.shape[1])


def dpo_softplus(chosen, rejected, chosen_before, rejected_before, beta):
    return F.softplus(beta * (rejected - rejected_before - chosen + chosen_before)).mean()


def dpo_softmax(chosen, rejected, chosen_before, rejected_before, beta):
    rewards = beta * torch.stack([chosen - chosen_before, rejected - rejected_before], dim=1).double()
    return F.cross_entropy(rewards, torch.zeros(len(chosen), dtype=torch.long))


def dpo_loops(chosen, rejected, chosen_before, rejected_before, beta):
    total = 0.0
    for c, r, cb, rb in zip(chosen, rejected, chosen_before, rejected_before, strict=True):
        margin = beta * ((c - r) - (cb - rb)).double()
        total += torch.logaddexp(torch.zeros(()).double(), -margin).item()
    return total / len(chosen)


ALTERNATIVES = {
    "tune.loss_mask": [targets_by_turns, targets_backwards],
    "tune.lora_forward": [lora_merged, lora_einsum, lora_linear],
    "tune.merge": [merge_loops, merge_addmm],
    "tune.dpo_loss": [dpo_softplus, dpo_softmax, dpo_loops],
}
