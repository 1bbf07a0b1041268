"""How `lessons train` judges a model: numbers on the held-out text, lines of a log, and samples to read."""

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import nn

from lessons_lib.text.vocab import IGNORE, PAD
from lessons_lib.training.history import History
from lessons_lib.training.objectives import Causal, Masked, causal_lm_loss, sequence_loss
from lessons_lib.training.preparing import Batches, Material

Write = Callable[[nn.Module, Sequence[Sequence[int]], int], list[list[int]]]  # (model, prompts, end_id) → new ids


def judge(model: nn.Module, batches: Batches) -> dict[str, float]:
    """ "loss", in nats per token of the held-out text; for GPT also "bits per byte", for BERT "guessed", the share of
    the hidden tokens that its likeliest guess is right about."""
    device = next(model.parameters()).device
    nats, tokens, extra = 0.0, 0, 0
    for batch in batches.evaluation():
        loss, count, more = (_causal if isinstance(batch, Causal) else _masked)(model, _moved(batch, device), batches)
        nats, tokens, extra = nats + loss * count, tokens + count, extra + more
    if batches.material.kind == "gpt":
        return {"loss": nats / tokens, "bits per byte": nats / math.log(2) / max(1, extra)}
    return {"loss": nats / tokens, "guessed": extra / tokens}


def _causal(model: nn.Module, batch: Causal, batches: Batches) -> tuple[float, int, int]:
    """Mean loss, tokens, and bytes of text that the tokens stand for."""
    loss, count = causal_lm_loss(model, batch)
    return loss.item(), count, int(batches.material.token_bytes[batch.targets[batch.targets != IGNORE].cpu()].sum())


def _masked(model: nn.Module, batch: Masked, batches: Batches) -> tuple[float, int, int]:
    """Mean loss, hidden tokens, and how many of them were guessed."""
    rows, at = batch.rows, batch.targets != PAD
    logits, wanted = model(rows.ids, rows.segments, at=at).token_logits, batch.targets[at]
    loss = sequence_loss(logits[None], wanted[None])
    return loss.item(), len(wanted), int((logits.argmax(dim=-1) == wanted).sum())


def _moved(batch: Causal | Masked, device: torch.device) -> Causal | Masked:
    from accelerate.utils import send_to_device

    return batch if device.type == "cpu" else send_to_device(batch, device)


def log_lines(history: History, step_tokens: int) -> Iterator[str]:
    """A line for each evaluation: step, tokens read and speed so far, training loss since the last one, scores.

    `step_tokens` are the tokens that a step reads; BERT is asked about some of them only.
    """
    before = 0
    for step, scores in zip(history.evaluation_steps, history.evaluations, strict=True):
        recent, seconds = history.losses[before:step], max(history.seconds[step - 1], 1e-9)
        yield (
            f"step {step:>7,} · {step * step_tokens:>13,} tokens · {step * step_tokens / seconds:>9,.0f} tokens/s · "
            f"training {sum(recent) / len(recent):.3f} · held out {in_words(scores)}"
        )
        before = step


def in_words(scores: dict[str, float]) -> str:
    """The numbers of `judge`, to be read."""
    words = f"{scores['loss']:.3f} nats per token"
    if "guessed" in scores:
        return f"{words}, {scores['guessed']:.1%} guessed"
    return f"{words}, {scores['bits per byte']:.3f} bits per byte"


def samples(model: nn.Module, batches: Batches, write: Write) -> Iterator[str]:
    """Lines to read: for GPT how it goes on from held-out beginnings, for BERT what it puts into gaps."""
    return _continuations(model, batches.material, write) if batches.material.kind == "gpt" else _gaps(model, batches)


def _continuations(model: nn.Module, material: Material, write: Write) -> Iterator[str]:
    tokenizer, end = material.tokenizer, material.end_id
    openings = [tokenizer.encode(text)[:8] for text in material.held_out[:3]]
    written = write(model, [[end, *ids] for ids in openings], end)
    for opening, new in zip(openings, written, strict=True):
        yield f"sample   {_one_line(tokenizer.decode(opening))}▸{_one_line(tokenizer.decode(new))}"


def _gaps(model: nn.Module, batches: Batches) -> Iterator[str]:
    material, device = batches.material, next(model.parameters()).device
    batch = _moved(next(batches.evaluation()), device)
    ids, targets = (tensor[:1, :32] for tensor in (batch.rows.ids, batch.targets))
    at, vocabulary = targets != PAD, material.tokenizer.vocabulary
    seen = torch.where(at, material.id_of("[MASK]"), ids)
    with torch.no_grad():
        best = model(seen, at=at).token_logits.softmax(dim=-1).topk(2)
    yield f"sample   {_one_line(material.tokenizer.decode(seen[0, 1:].tolist())).replace('[MASK]', '___')}"
    for found, shares, wanted in zip(best.indices.tolist(), best.values.tolist(), targets[at].tolist(), strict=True):
        guesses = ", ".join(f"{vocabulary[i]} {share:.0%}" for i, share in zip(found, shares, strict=True))
        yield f"  gap    {vocabulary[wanted]}: {guesses}"


def _one_line(text: str) -> str:
    return text.replace("\n", "⏎")
