"""The chain of lesson 07 in small: fit trains a translator, greedy and beam search read what it learned."""

import torch

from lessons_lib.models.translator import Translator, TranslatorConfig
from lessons_lib.text.vocab import END
from lessons_lib.training import fit, make_optimizer, translation_loss, warmup_cosine
from lessons_lib.using.decoding import beam_search, greedy


def reversed_pairs(step, n=32):
    """Three words, and the same three backwards."""
    source = torch.randint(4, 9, (n, 3), generator=torch.Generator().manual_seed(step))
    return source, torch.cat([source.flip(1), torch.full((n, 1), END)], dim=1)


def test_it_learns_to_write_backwards():
    torch.manual_seed(0)
    model = Translator(TranslatorConfig(9, 9, context_length=5, d_model=32, n_layers=1, n_heads=4, dropout=0.0))
    optimizer = make_optimizer(model, 5e-3)
    schedule = warmup_cosine(steps=250, warmup=20)
    fit(model, reversed_pairs, loss=translation_loss, steps=250, optimizer=optimizer, schedule=schedule, progress=False)
    source, _ = reversed_pairs(10**6, n=50)
    wanted = [tuple(row) for row in source.flip(1).tolist()]
    for found in (greedy(model, source), [best for (best,) in beam_search(model, source, width=3)]):
        assert sum(h.ids == ids for h, ids in zip(found, wanted, strict=True)) >= 48
