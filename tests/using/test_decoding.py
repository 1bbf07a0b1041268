"""Greedy and beam search against enumeration of everything that tiny models can say."""

import itertools

import pytest
import torch

from lessons_lib.models.translator import Translator, TranslatorConfig, shift_right
from lessons_lib.text.vocab import BEGIN, END, PAD
from lessons_lib.using.decoding import beam_search, greedy, length_penalty

VOCAB, LONGEST = 6, 4  # PAD BEGIN END UNKNOWN and two words; four tokens can be written, END among them
WIDE = 3**3 * 4  # as many continuations as there can be: three open words, three times, and four at the end


def tiny(seed, vocab=VOCAB, **options):
    torch.manual_seed(seed)
    config = TranslatorConfig(vocab, vocab, context_length=12, d_model=8, n_layers=1, n_heads=2, d_ff=16, **options)
    model = Translator(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.0)  # sharper than a fresh model, so that sentences differ
    return model


def sources(n, seed=0, longest=5):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, VOCAB, (n, longest), generator=generator)
    for row, length in enumerate(torch.randint(1, longest + 1, (n,), generator=generator).tolist()):
        ids[row, length:] = PAD
    return ids


def log_probs(model, source, sentences):
    """The model's log-probability of each of some sentences of one length, by teacher forcing, without a cache."""
    target = torch.tensor(sentences)
    model.eval()
    with torch.no_grad():
        logits = model(source.expand(len(target), -1), shift_right(target))
        right = logits.log_softmax(-1).gather(-1, target[..., None])  # sentences seq 1
    return right.sum(dim=(1, 2)).tolist()


def everything(model, source, longest, alpha):
    """Every sentence that ends in END within `longest` tokens, the best first: (score, ids, log-probability)."""
    words = [i for i in range(VOCAB) if i not in (PAD, BEGIN, END)]
    found = []
    for n in range(longest):
        sentences = list(itertools.product(words, repeat=n))
        totals = log_probs(model, source, [[*ids, END] for ids in sentences])
        found += [(t / length_penalty(n + 1, alpha), ids, t) for ids, t in zip(sentences, totals, strict=True)]
    return sorted(found, reverse=True)


@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_full_beam_finds_what_enumeration_finds(seed, alpha):
    model, source = tiny(seed), sources(1, seed)
    truth = everything(model, source, LONGEST, alpha)
    (found,) = beam_search(model, source, width=WIDE, alpha=alpha, max_length=LONGEST, n_best=10)
    assert [h.ids for h in found] == [ids for _, ids, _ in truth[:10]]
    assert [h.score for h in found] == pytest.approx([score for score, _, _ in truth[:10]], abs=1e-4)
    assert [h.log_prob for h in found] == pytest.approx([total for _, _, total in truth[:10]], abs=1e-4)
    assert all(h.finished for h in found)


def test_a_full_beam_on_a_batch_of_unequal_sentences():
    model, batch = tiny(7), sources(5, 7)
    together = beam_search(model, batch, width=WIDE, max_length=3)
    for row, (found,) in zip(batch, together, strict=True):
        (_, ids, total), *_ = everything(model, row[None], 3, 0.0)
        assert found.ids == ids
        assert found.log_prob == pytest.approx(total, abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_width_one_is_greedy(seed):
    model, batch = tiny(seed), sources(6, seed)
    for alpha in (0.0, 1.0):
        narrow = [best for (best,) in beam_search(model, batch, width=1, alpha=alpha)]
        steps = greedy(model, batch)
        assert [h.ids for h in narrow] == [h.ids for h in steps]
        assert [h.finished for h in narrow] == [h.finished for h in steps]
        assert [h.log_prob for h in narrow] == pytest.approx([h.log_prob for h in steps], abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("search", [greedy, lambda model, source: [best for (best,) in beam_search(model, source)]])
def test_a_batch_says_what_each_says_alone(search, seed):
    model, batch = tiny(seed, vocab=VOCAB), sources(5, seed)
    alone = [search(model, row[row != PAD][None])[0] for row in batch]  # not even the padding is there
    together = search(model, batch)
    assert [h.ids for h in together] == [h.ids for h in alone]
    assert [h.log_prob for h in together] == pytest.approx([h.log_prob for h in alone], abs=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_greedy_takes_the_likeliest_token_at_every_step(seed):
    model, source = tiny(seed), sources(1, seed)
    model.eval()
    written = []
    for _ in range(6):
        with torch.no_grad():
            logits = model(source, torch.tensor([[BEGIN, *written]]))[0, -1]
        logits[[PAD, BEGIN]] = -torch.inf
        written.append(int(logits.argmax()))
        if written[-1] == END:
            break
    (found,) = greedy(model, source, max_length=6)
    assert list(found.ids) + [END] * found.finished == written
    assert found.log_prob == pytest.approx(log_probs(model, source, [written])[0], abs=1e-4)


def test_a_wider_beam_is_seldom_worse_and_a_full_one_never():
    model, batch = tiny(3), sources(10, 3)
    full = beam_search(model, batch, width=WIDE, max_length=LONGEST)
    for width in (1, 2, 4):
        for (best,), (true,) in zip(beam_search(model, batch, width=width, max_length=LONGEST), full, strict=True):
            assert not best.finished or best.log_prob <= true.log_prob + 1e-4


class Table:
    """A model that is a table: `rows[words so far]` are the probabilities of the next token, whatever the source."""

    class config:
        context_length = 10

    def __init__(self, rows):
        self.rows = rows

    class Cache:
        def __init__(self):
            self.seen = None

        def select(self, rows):
            self.seen = self.seen[rows]

    def new_cache(self):
        return self.Cache()

    def encode(self, source):
        return torch.zeros(*source.shape, 1)

    def decode(self, target_in, memory, source, *, cache=None):
        cache.seen = target_in if cache.seen is None else torch.cat([cache.seen, target_in], dim=1)
        end = [0.0, 0.0, 1.0, 0.0, 0.0, 0.0]
        rows = [self.rows.get(tuple(seen[1:]), end) for seen in cache.seen.tolist()]
        return torch.tensor(rows).log()[:, None]


# The likeliest first word, 4, leads to two halves; the other, 5, to a certain end.
GARDEN_PATH = Table({(): [0, 0, 0, 0, 0.6, 0.4], (4,): [0, 0, 0.35, 0.35, 0.3, 0.0], (5,): [0, 0, 1.0, 0, 0, 0]})
SOURCE = torch.tensor([[3]])


def test_beam_search_avoids_a_garden_path():
    assert greedy(GARDEN_PATH, SOURCE)[0].ids[0] == 4
    ((best, second),) = beam_search(GARDEN_PATH, SOURCE, width=2, n_best=2)
    assert best.ids == (5,) and best.log_prob == pytest.approx(torch.tensor(0.4).log().item())
    assert second.ids[0] == 4


def test_the_length_penalty_lets_a_longer_sentence_win():
    model = Table({(): [0, 0, 0.55, 0, 0.45, 0], (4,): [0, 0, 0, 0, 0, 1.0]})  # END at once, or "4 5"
    assert beam_search(model, SOURCE, width=3)[0][0].ids == ()
    ((best,),) = beam_search(model, SOURCE, width=3, alpha=2.0)
    assert best.ids == (4, 5)
    assert best.score == pytest.approx(best.log_prob / (8 / 6) ** 2)


def test_length_penalty():
    assert length_penalty(1, 0.6) == 1
    assert length_penalty(7, 1.0) == 2
    assert length_penalty(50, 0.0) == 1


def test_what_never_ends_is_cut_and_said_to_be_unfinished():
    model = Table({(4,) * n: [0, 0, 0.0, 0, 1.0, 0] for n in range(10)})
    for found in (greedy(model, SOURCE)[0], beam_search(model, SOURCE, width=3)[0][0]):
        assert found.ids == (4,) * 10 and not found.finished and found.log_prob == pytest.approx(0, abs=1e-6)
    assert greedy(model, SOURCE, max_length=3)[0].ids == (4, 4, 4)


def test_pad_and_begin_are_never_written():
    model = Table({(): [0.5, 0.3, 0.1, 0.0, 0.1, 0]})
    (found,) = greedy(model, SOURCE)
    assert found.ids in ((), (4,))
    assert not {PAD, BEGIN} & set(beam_search(model, SOURCE, width=4)[0][0].ids)


def test_a_source_of_padding_only_is_no_disaster():
    batch = torch.tensor([[4, 5, 3], [PAD, PAD, PAD]])
    for found in greedy(tiny(1), batch):
        assert found.log_prob < 0


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_read_without_dropout_and_left_in_its_mode(training):
    model, batch = tiny(2, dropout=0.5), sources(3)
    model.train(training)
    assert greedy(model, batch) == greedy(model, batch)
    assert beam_search(model, batch) == beam_search(model, batch)
    assert model.training is training
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize(
    "options",
    [{"width": 0}, {"n_best": 0}, {"width": 2, "n_best": 3}, {"alpha": -1.0}, {"max_length": 0}, {"max_length": 13}],
)
def test_settings_out_of_range(options):
    with pytest.raises(ValueError, match="is"):
        beam_search(tiny(0), SOURCE, **options)
