"""The references of lesson 14 are the library's functions, on random inputs, and its prediction comes true."""

import numpy as np
import pytest
import torch

from lessons_lib.exercises._tune_lora import lora_forward, merge
from lessons_lib.exercises._tune_mask import answer_targets
from lessons_lib.exercises._tune_preferences import FIRST_LOSS, dpo
from lessons_lib.models.gpt import GPT, GPTConfig
from lessons_lib.text.vocab import END, WordVocabulary
from lessons_lib.using.adapters import LoRALinear, merge_lora
from lessons_lib.using.chats import ChatFormat, Marked, Message, answer_rows, causal_rows, chat_vocabulary
from lessons_lib.using.preferences import dpo_loss, preferences, sequence_log_prob

SEEDS = pytest.mark.parametrize("seed", range(10))
FORM = ChatFormat.of(chat_vocabulary(WordVocabulary(["a", "b", "c"])))


@SEEDS
def test_answer_targets_is_answer_rows(seed):
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(["a", "b", "c"], int(rng.integers(1, 6)))) for _ in range(2 + seed % 4)]
    talk = [Message(("user", "assistant")[i % 2], text) for i, text in enumerate(texts)]
    (row,) = answer_rows(FORM, [talk]).targets.tolist()
    assert row == answer_targets(FORM.marked(talk).ids, FORM.assistant, END)


@SEEDS
def test_lora_forward_and_merge_are_the_librarys(seed):
    torch.manual_seed(seed)
    lora = LoRALinear(torch.nn.Linear(6, 4, bias=False), rank=1 + seed % 4, alpha=1.0 + seed)
    lora.B.data.normal_()
    x, parts = torch.randn(2, 3, 6), (lora.linear.weight, lora.A, lora.B, 1.0 + seed)
    torch.testing.assert_close(lora(x), lora_forward(x, *parts))
    merged = merge(*parts)
    plain = merge_lora(torch.nn.Sequential(lora))[0]
    torch.testing.assert_close(plain.weight, merged)


@SEEDS
def test_dpo_is_dpo_loss_and_begins_at_the_prediction(seed):
    generator = torch.Generator().manual_seed(seed)
    models = []
    for _ in range(2):
        model = GPT(GPTConfig(vocab_size=9, context_length=8, d_model=8, n_layers=1, n_heads=2, dropout=0.0)).eval()
        with torch.no_grad():
            for p in model.parameters():
                p.copy_(torch.randn(p.shape, generator=generator))
        models.append(model)
    sides = []
    for _ in range(2):
        answers = torch.randint(3, 9, (4, 3), generator=generator).tolist()
        sides.append(causal_rows([Marked([1, 4, *ids], [False, False, True, True, True]) for ids in answers]))
    pairs = preferences(models[0], *sides)
    with torch.no_grad():
        before, after = ([sequence_log_prob(model, side) for side in sides] for model in models)
        expected = dpo(after[0], after[1], before[0], before[1], 0.3)
        torch.testing.assert_close(dpo_loss(models[1], pairs, beta=0.3)[0], expected)
        assert float(FIRST_LOSS.expected_value()) == pytest.approx(dpo_loss(models[0], pairs)[0].item(), abs=0.005)
