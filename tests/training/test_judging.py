"""The numbers and lines by which `lessons train` judges a model."""

import math

import pytest
import torch

from lessons_lib.models.gpt import GPT
from lessons_lib.text.corpora import Corpus
from lessons_lib.training import History
from lessons_lib.training.judging import in_words, judge, log_lines, samples
from lessons_lib.training.planning import Size, build
from lessons_lib.training.preparing import prepare

DOCUMENTS = tuple(f"The {n} bears saw a naïve kite in park {n}. Then they went home." for n in range(40))


@pytest.fixture(scope="module", params=["gpt", "bert"])
def judged(request, tmp_path_factory):
    material = prepare(request.param, Corpus("bears", DOCUMENTS, "made up"), tmp_path_factory.mktemp("data"))
    model = build(request.param, "gpt2", material.tokenizer.vocab_size, Size(16, 2, 2, 16), 0).eval()
    return model, material.batches(16, 4, seed=0)


def test_a_model_that_knows_nothing_pays_the_log_of_the_vocabulary(judged):
    """An untrained GPT gives every token about the same probability, so its loss and bits are known."""
    model, batches = judged
    with torch.no_grad():
        scores = judge(model, batches)
        assert scores == judge(model, batches)
    vocab_size = batches.material.tokenizer.vocab_size
    assert scores["loss"] == pytest.approx(math.log(vocab_size), rel=0.2)
    if "bits per byte" in scores:
        tokens = len(batches.material.held_out_ids) - 1
        n_bytes = sum(len(text.encode()) for text in batches.material.held_out)
        assert scores["bits per byte"] == pytest.approx(scores["loss"] * tokens / math.log(2) / n_bytes, rel=1e-6)
    else:
        assert 0 <= scores["guessed"] < 0.2


def test_the_loss_is_that_of_the_held_out_text_token_by_token(judged):
    model, batches = judged
    if not isinstance(model, GPT):
        return
    ids = torch.from_numpy(batches.material.held_out_ids.astype("int64"))[None, : 2 * 16 + 1]
    with torch.no_grad():
        nats = [
            -model(ids[:, a : a + 16]).log_softmax(-1)[0, torch.arange(16), ids[0, a + 1 : a + 17]] for a in (0, 16)
        ]
        first = next(batches.evaluation())
        logits = model(first.ids[:2]).log_softmax(-1)
    found = -logits.gather(-1, first.targets[:2, :, None])[..., 0]
    torch.testing.assert_close(found, torch.stack(nats))


def test_samples_are_there_to_read(judged):
    model, batches = judged
    asked = []

    def write(model, prompts, end_id):
        asked.extend(prompts)
        return [prompt[1:4] for prompt in prompts]

    lines = list(samples(model, batches, write))
    if isinstance(model, GPT):
        assert len(lines) == len(asked) == len(batches.material.held_out[:3])
        assert lines[0].startswith("sample   The") and "▸The" in lines[0]
        return
    assert lines[0].startswith("sample   ") and lines[0].count("___") == len(lines) - 1 > 0
    assert all(line.startswith("  gap    ") and line.count("%") == 2 for line in lines[1:])


def test_a_line_for_each_evaluation():
    history = History(planned=4, steps=[0, 1, 2, 3], losses=[4.0, 2.0, 1.0, 3.0], seconds=[0.5, 1.0, 1.5, 2.0])
    history.evaluation_steps = [2, 4]
    history.evaluations = [{"loss": 3.5, "bits per byte": 1.25}, {"loss": 2.5, "guessed": 0.125}]
    first, second = log_lines(history, 1000)
    assert first.split(" · ")[1:] == [
        "        2,000 tokens", "    2,000 tokens/s", "training 3.000",
        "held out 3.500 nats per token, 1.250 bits per byte",
    ]  # fmt: skip
    assert "training 2.000" in second and second.endswith(in_words(history.evaluations[1]))
    assert in_words(history.evaluations[1]) == "2.500 nats per token, 12.5% guessed"
