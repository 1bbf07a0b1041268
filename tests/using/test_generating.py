"""Writing with our GPT and transformers' models: against recomputing everything, enumeration, and `generate` there."""

import itertools

import pytest
import torch

from lessons_lib.text.vocab import END
from lessons_lib.using.decoding import length_penalty
from lessons_lib.using.generating import beam, generate, log_probs, stream
from lessons_lib.using.sampling import Sampling
from tests.using.causal_samples import GREEDY, MODELS, PLACES, VOCAB, gpt2, llama, logits_of, ours

PROMPTS = [[1, 5, 6], [1], [1, 7, 8, 9, 10, 11, 4], [1, 12]]


@pytest.fixture(params=MODELS)
def make(request):
    return MODELS[request.param]


def recomputed(model, prompt, n, stop_ids=()):
    """Greedy, with the whole text read anew for every token and one text at a time."""
    text = list(prompt)
    while len(text) < len(prompt) + n and len(text) <= PLACES:
        token = int(logits_of(model, text)[-1].argmax())
        if token in stop_ids:
            break
        text.append(token)
    return text[len(prompt) :]


@pytest.mark.parametrize(("seed", "n"), [(0, 1), (1, 40)])  # 40: until the context is full, one text after the other
def test_a_batch_of_unequal_prompts_is_what_each_gets_alone_without_a_cache(make, seed, n):
    model = make(seed)
    wanted = [recomputed(model, prompt, n) for prompt in PROMPTS]
    assert generate(model, PROMPTS, sampling=GREEDY, max_new_tokens=n) == wanted
    assert [generate(model, [p], sampling=GREEDY, max_new_tokens=n)[0] for p in PROMPTS] == wanted
    if n == 40:
        assert [len(p) + len(w) for p, w in zip(PROMPTS, wanted, strict=True)] == [PLACES + 1] * 4


@pytest.mark.parametrize("seed", range(1))
def test_stop_tokens_end_a_text_and_are_left_out(make, seed):
    model, stops = make(seed), (2, 3, 5, 8, 11)
    wanted = [recomputed(model, prompt, 12, stops) for prompt in PROMPTS]
    assert generate(model, PROMPTS, sampling=GREEDY, max_new_tokens=12, stop_ids=stops) == wanted


def test_it_is_what_transformers_generates():
    for model in (gpt2(3), llama(3)):
        prompt, how = [1, 5, 6], {"max_new_tokens": 10, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
        theirs = model.generate(torch.tensor([prompt]), attention_mask=torch.ones(1, 3, dtype=torch.long), **how)
        assert generate(model, [prompt], sampling=GREEDY, max_new_tokens=10) == [theirs[0, 3:].tolist()]


def test_a_repetition_penalty_reads_the_text_and_not_the_padding(make):
    how = Sampling(temperature=0, repetition_penalty=1.8)
    model = make(2)
    alone = [generate(model, [prompt], sampling=how, max_new_tokens=8)[0] for prompt in PROMPTS]
    assert generate(model, PROMPTS, sampling=how, max_new_tokens=8) == alone
    plain = generate(model, PROMPTS, sampling=GREEDY, max_new_tokens=8)
    assert sum(len(set(a)) for a in alone) > sum(len(set(a)) for a in plain)


def test_drawn_texts_follow_the_models_distribution():
    model, n = ours(1), 3000
    how = Sampling(temperature=1.3, top_k=3)
    drawn = generate(model, [[1, 5]] * n, sampling=how, max_new_tokens=2, generator=torch.Generator().manual_seed(3))
    first = how.probabilities(logits_of(model, [1, 5])[-1:])[0]
    statistic, cells = 0.0, 0
    for a in first.nonzero()[:, 0].tolist():
        second = how.probabilities(logits_of(model, [1, 5, a])[-1:])[0]
        for b in second.nonzero()[:, 0].tolist():
            expected = n * float(first[a] * second[b])
            statistic += (drawn.count([a, b]) - expected) ** 2 / expected
            cells += 1
    assert cells == 9 and statistic < 26.1  # 8 degrees of freedom: p = 0.001


def test_a_generator_makes_it_repeatable_and_a_stream_is_the_same_text(make):
    model = make()

    def dice():
        return torch.Generator().manual_seed(11)

    (whole,) = generate(model, [[1, 4]], max_new_tokens=9, generator=dice())
    tokens = stream(model, [1, 4], max_new_tokens=9, generator=dice())
    assert next(tokens) == whole[0]
    assert list(tokens) == whole[1:]
    assert whole != generate(model, [[1, 4]], max_new_tokens=9, generator=dice().manual_seed(12))[0]


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_read_without_dropout_and_left_in_its_mode(training):
    model = ours().train(training)
    tokens = stream(model, [1, 4], sampling=GREEDY, max_new_tokens=5)
    first = next(tokens)
    assert model.training is training and torch.is_grad_enabled()  # between two tokens the caller may train
    assert [first, *tokens] == recomputed(ours(), [1, 4], 5)
    assert beam(model, [1, 4], max_new_tokens=4) == beam(ours(), [1, 4], max_new_tokens=4)
    assert log_probs(model, [1, 4, 5]) == log_probs(ours(), [1, 4, 5])
    assert model.training is training


def test_a_stream_checks_before_its_first_token():
    with pytest.raises(ValueError, match="is empty"):
        stream(ours(), [])


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(1))
def test_a_full_beam_finds_what_enumeration_finds(make, seed, alpha):
    model, prompt = make(seed), [1, 5]
    words = [i for i in range(VOCAB) if i != END]
    truth = []
    for n in range(3):
        sentences = list(itertools.product(words, repeat=n))
        table = logits_of(model, [[*prompt, *ids] for ids in sentences]).log_softmax(-1)[:, 1:]
        right = table.gather(2, torch.tensor([[*ids, END] for ids in sentences])[..., None])
        totals = (right.sum(dim=(1, 2)) / length_penalty(n + 1, alpha)).tolist()
        truth += zip(totals, sentences, strict=True)
    truth.sort(reverse=True)
    found = beam(model, prompt, width=200, max_new_tokens=3, stop_ids=[END], alpha=alpha, n_best=5)
    assert [h.ids for h in found] == [ids for _, ids in truth[:5]]
    assert [h.score for h in found] == pytest.approx([score for score, _ in truth[:5]], abs=1e-4)


def test_a_beam_of_width_one_is_greedy_until_the_context_is_full(make):
    model = make()
    (found,) = beam(model, [1, 5], width=1, max_new_tokens=40)
    assert list(found.ids) == recomputed(model, [1, 5], 40)
    assert not found.finished and found.log_prob < 0


def test_a_wider_beam_finds_no_less_likely_text_than_greedy():
    for seed in range(4):
        model = ours(seed)
        greedy, wide = (beam(model, [1], width=width, max_new_tokens=6)[0] for width in (1, 60))
        assert wide.log_prob >= greedy.log_prob - 1e-5


def test_log_probs_are_those_of_the_model(make):
    model, ids = make(), [1, 5, 6, 2, 9]
    table = logits_of(model, ids).log_softmax(-1)
    seen = log_probs(model, ids, n_best=3)
    assert [token.id for token in seen] == ids[1:]
    for place, token in enumerate(seen):
        assert token.log_prob == pytest.approx(float(table[place, token.id]), abs=1e-5)
        assert token.rank == int((table[place] > table[place, token.id]).sum())
        assert token.entropy == pytest.approx(-float((table[place].exp() * table[place]).sum()), abs=1e-4)
        assert [i for i, _ in token.best] == table[place].topk(3).indices.tolist()
        assert [p for _, p in token.best] == pytest.approx(table[place].topk(3).values.tolist(), abs=1e-5)
    assert len(log_probs(model, ids, n_best=100)[0].best) == VOCAB


@pytest.mark.parametrize(
    ("prompts", "error", "said"),
    [
        ([[1], []], ValueError, "Prompt 1 is empty"),
        ([[1] * (PLACES + 1)], ValueError, f"{PLACES + 1} tokens and the model reads at most {PLACES}"),
        ([[1, VOCAB]], ValueError, f"token id {VOCAB}, outside"),
        ([[1, -1]], ValueError, "token id -1, outside"),
        (["a text"], TypeError, "encode the text first"),
        ("a text", TypeError, "encode the text first"),
        ([1, 2], TypeError, "one list for each text"),
        (torch.tensor([[1, 2]]), TypeError, "tolist"),
    ],
)
def test_bad_prompts(make, prompts, error, said, unchecked):
    with pytest.raises(error, match=said):
        generate(make(), prompts)


def test_other_bad_input(unchecked):
    with pytest.raises(ValueError, match="max_new_tokens must be"):
        generate(ours(), [[1]], max_new_tokens=0)
    with pytest.raises(ValueError, match="max_new_tokens must be"):
        beam(ours(), [1], max_new_tokens=0)
    with pytest.raises(ValueError, match="n_best 3"):
        beam(ours(), [1], width=2, n_best=3)
    with pytest.raises(ValueError, match="text of one token"):
        log_probs(ours(), [1])
    with pytest.raises(ValueError, match="reads at most"):
        log_probs(ours(), [1] * (PLACES + 1))
    with pytest.raises(TypeError, match="Linear is no causal model"):
        generate(torch.nn.Linear(2, 2), [[1]])
    with pytest.raises(TypeError, match="str is no causal model"):
        generate("gpt2", [[1]])


def test_no_prompt_no_text():
    assert generate(ours(), []) == []


def test_a_prompt_that_fills_the_context_gets_one_token():
    (new,) = generate(ours(), [[1] * PLACES], sampling=GREEDY)
    assert new == recomputed(ours(), [1] * PLACES, 5) and len(new) == 1
