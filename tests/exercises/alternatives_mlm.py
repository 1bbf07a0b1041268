"""Correct solutions to the exercises of lesson 09, written in other ways than the reference."""

import torch
import torch.nn.functional as F


def mask_copy(ids, special, draw, fate, other, mask_id):
    chosen = (draw < 0.15) & torch.logical_not(special)
    seen, targets = ids.clone(), torch.zeros_like(ids)
    targets[chosen] = ids[chosen]
    seen[chosen & (fate < 0.9)] = other[chosen & (fate < 0.9)]
    seen[chosen & (fate < 0.8)] = mask_id
    return seen, targets


def mask_loops(ids, special, draw, fate, other, mask_id):
    seen, targets = ids.tolist(), [[0] * ids.shape[1] for _ in ids]
    for row in range(len(ids)):
        for place, token in enumerate(ids[row].tolist()):
            if special[row, place] or draw[row, place] >= 0.15:
                continue
            targets[row][place] = token
            if fate[row, place] < 0.8:
                seen[row][place] = mask_id
            elif fate[row, place] < 0.8 + 0.1:
                seen[row][place] = other[row, place].item()
    return torch.tensor(seen), torch.tensor(targets)


def mask_arithmetic(ids, special, draw, fate, other, mask_id):
    chosen = (draw < 0.15).masked_fill(special, False)
    kind = torch.bucketize(fate, torch.tensor([0.8, 0.9], dtype=fate.dtype), right=True)  # 0, 1 or 2
    options = torch.stack([torch.full_like(ids, mask_id), other, ids])
    seen = options.gather(0, kind[None])[0]
    return seen * chosen + ids * ~chosen, ids * chosen


def loss_ignore(logits, targets):
    return F.cross_entropy(logits.transpose(1, 2), targets, ignore_index=0)


def loss_by_hand(logits, targets):
    real = (targets > 0).double()
    log_probs = logits.double() - logits.double().logsumexp(dim=-1, keepdim=True)
    picked = torch.einsum("bsv,bsv->bs", log_probs, F.one_hot(targets, logits.shape[-1]).double())
    return -(picked * real).sum() / real.sum()


def loss_loops(logits, targets):
    terms = []
    for row, answers in zip(logits, targets, strict=True):
        for scores, answer in zip(row, answers, strict=True):
            if answer:
                terms.append(torch.logsumexp(scores, dim=0) - scores[answer])
    return float(sum(terms) / len(terms))


def pair_without(documents, index, cut, follows, other, other_cut):
    elsewhere = documents[:index] + documents[index + 1 :]
    second = documents[index][cut:] if follows else elsewhere[other][other_cut:]
    return documents[index][:cut], second, int(not follows)


def pair_loops(documents, index, cut, follows, other, other_cut):
    numbers = [d for d in range(len(documents)) if d != index]
    source, start = (index, cut) if follows else (numbers[other], other_cut)
    first = [s for place, s in enumerate(documents[index]) if place < cut]
    second = [s for place, s in enumerate(documents[source]) if place >= start]
    return [first, second, 0 if follows else 1]


def fill_places(logits, ids, mask_id):
    place = (ids == mask_id).int().argmax(dim=1)
    best = logits[torch.arange(len(ids)), place].argmax(dim=1)
    return best * (ids == mask_id).any(dim=1)


def fill_loops(logits, ids, mask_id):
    best = []
    for scores, row in zip(logits, ids.tolist(), strict=True):
        best.append(int(scores[row.index(mask_id)].argmax()) if mask_id in row else 0)
    return torch.tensor(best)


def fill_hidden(logits, ids, mask_id):
    at_mask = ids == mask_id
    scores = logits.masked_fill(~at_mask[:, :, None], -torch.inf).flatten(start_dim=1)
    return torch.where(at_mask.any(dim=1), scores.argmax(dim=1) % logits.shape[2], 0)


def fill_sum(logits, ids, mask_id):
    return (logits.argmax(dim=-1) * (ids == mask_id)).sum(dim=1)


ALTERNATIVES = {
    "mlm.count_the_masks": ["135", " 135 "],
    "mlm.mask_tokens": [mask_copy, mask_loops, mask_arithmetic],
    "mlm.loss": [loss_ignore, loss_by_hand, loss_loops],
    "mlm.nsp_pairs": [pair_without, pair_loops],
    "mlm.find_the_bug": [fill_places, fill_loops, fill_hidden, fill_sum],
}
