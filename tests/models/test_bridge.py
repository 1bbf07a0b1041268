"""The bridge: transformers computes the same, forwards and backwards, and opens what we write."""

import pytest
import torch
import torch.nn.functional as F
import transformers
from transformers import BertConfig

from lessons_lib.assets import fetch
from lessons_lib.models.attention_lm import AttentionConfig, AttentionLM
from lessons_lib.models.bert import BERT, BERTConfig
from lessons_lib.models.bert_heads import BERTClassifier, BERTForPreTraining, BERTSpanFinder, BERTTagger
from lessons_lib.models.bridge import export, from_transformers, their_names, to_transformers
from lessons_lib.text.tokenizers import WordPieceTokenizer
from lessons_lib.text.vocab import WordVocabulary
from lessons_lib.training.objectives import Masked, masked_lm_loss, pretraining_loss
from lessons_lib.training.pairs import Rows

close = {"rtol": 1e-5, "atol": 1e-5}
LABELS = ("animal", "thing", "nobody")
KINDS = (
    "BertModel",
    "BertModel, no pooler",
    "BertForPreTraining",
    "BertForMaskedLM",
    "BertForSequenceClassification",
    "BertForTokenClassification",
    "BertForQuestionAnswering",
)


class Case:
    """A random configuration and a random batch for it: padded rows, two or more segments, labels of every kind."""

    def __init__(self, seed: int):
        draw = torch.Generator().manual_seed(seed)

        def pick(*choices):
            return choices[int(torch.randint(len(choices), (), generator=draw))]

        heads = pick(1, 2, 3, 4)
        self.config = c = BERTConfig(
            vocab_size=pick(11, 37, 60),
            context_length=pick(9, 16),
            n_segments=pick(1, 2, 3),
            d_model=heads * pick(3, 4, 8),
            n_layers=pick(1, 2, 3),
            n_heads=heads,
            d_ff=pick(5, 16, 33),
            dropout=pick(0.1, 0.3),
            attention_dropout=pick(0.0, 0.2),
            norm_eps=pick(1e-12, 1e-5),
            pad_id=pick(0, 0, 4),
        )
        batch, seq = pick(1, 2, 5), pick(4, 8, 9)
        lengths = torch.randint(2, seq + 1, (batch,), generator=draw)
        self.real = torch.arange(seq) < lengths[:, None]
        ids = torch.randint(5, c.vocab_size, (batch, seq), generator=draw)
        self.ids = ids.where(self.real, c.pad_id)
        self.segments = torch.randint(c.n_segments, (batch, seq), generator=draw)
        asked = (torch.rand(batch, seq, generator=draw) < 0.4) & self.real
        asked[:, 1] = True
        self.targets = torch.randint(1, c.vocab_size, (batch, seq), generator=draw).where(asked, 0)
        self.follows = torch.randint(2, (batch,), generator=draw)
        self.classes = torch.randint(3, (batch,), generator=draw)
        self.tags = torch.randint(3, (batch, seq), generator=draw).where(self.real, -100)
        self.span = torch.randint(2, (2, batch), generator=draw)
        self.direction = torch.randn(batch, seq, c.d_model, generator=draw)

    def their_config(self) -> BertConfig:
        c = self.config
        return BertConfig(
            vocab_size=c.vocab_size,
            hidden_size=c.d_model,
            num_hidden_layers=c.n_layers,
            num_attention_heads=c.n_heads,
            intermediate_size=c.d_ff,
            hidden_dropout_prob=c.dropout,
            attention_probs_dropout_prob=c.attention_dropout,
            max_position_embeddings=c.context_length,
            type_vocab_size=c.n_segments,
            layer_norm_eps=c.norm_eps,
            pad_token_id=c.pad_id,
            id2label=dict(enumerate(LABELS)),
            label2id={label: i for i, label in enumerate(LABELS)},
        )

    def ours(self, kind: str):
        encoder = BERT(self.config, pooler=kind in ("BertModel", "BertForSequenceClassification"))
        return {
            "BertForPreTraining": lambda: BERTForPreTraining(self.config),
            "BertForMaskedLM": lambda: BERTForPreTraining(self.config, next_sentence=False),
            "BertForSequenceClassification": lambda: BERTClassifier(encoder, LABELS, 0.2),
            "BertForTokenClassification": lambda: BERTTagger(encoder, LABELS, 0.2),
            "BertForQuestionAnswering": lambda: BERTSpanFinder(encoder),
        }.get(kind, lambda: encoder)()

    def theirs(self, kind: str):
        config, (kind, *without) = self.their_config(), kind.split(", ")
        if kind == "BertForQuestionAnswering":
            config.num_labels = 2
        return getattr(transformers, kind)(config, **({"add_pooling_layer": False} if without else {}))

    def our_results(self, kind: str, model) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The loss, and everything that is computed on the way there."""
        encoder = model if isinstance(model, BERT) else model.encoder
        layers = encoder(self.ids, self.segments).layers
        if isinstance(model, BERT):
            out = model(self.ids, self.segments)
            pooled = [out.pooled] if out.pooled is not None else []
            return (out.hidden * self.direction).mean() + sum(p.square().mean() for p in pooled), [*layers, *pooled]
        if isinstance(model, BERTForPreTraining):
            loss_of = pretraining_loss if model.next is not None else masked_lm_loss
            loss, n_tokens = loss_of(model, Masked(Rows(self.ids, self.segments, self.follows), self.targets))
            assert n_tokens == (self.targets != 0).sum()
            return loss, [*layers, *(logits for logits in model(self.ids, self.segments) if logits is not None)]
        logits = model(self.ids, self.segments)
        if isinstance(model, BERTClassifier):
            return F.cross_entropy(logits, self.classes), [*layers, logits]
        if isinstance(model, BERTTagger):
            return F.cross_entropy(logits.flatten(0, 1), self.tags.flatten()), [*layers, logits]
        ends = logits.unbind(-1)
        return sum(F.cross_entropy(end, at) for end, at in zip(ends, self.span, strict=True)) / 2, [*layers, *ends]

    def their_results(self, kind: str, model) -> tuple[torch.Tensor, list[torch.Tensor]]:
        labels = {
            "BertForPreTraining": {"labels": self.masked_labels, "next_sentence_label": self.follows},
            "BertForMaskedLM": {"labels": self.masked_labels},
            "BertForSequenceClassification": {"labels": self.classes},
            "BertForTokenClassification": {"labels": self.tags},
            "BertForQuestionAnswering": {"start_positions": self.span[0], "end_positions": self.span[1]},
        }.get(kind, {})
        out = model(
            input_ids=self.ids,
            token_type_ids=self.segments,
            attention_mask=self.real.long(),
            output_hidden_states=True,
            **labels,
        )
        names = (
            "pooler_output",
            "prediction_logits",
            "seq_relationship_logits",
            "logits",
            "start_logits",
            "end_logits",
        )
        found = [*out.hidden_states, *(out[name] for name in names if name in out and out[name] is not None)]
        if labels:
            return out.loss, found
        pooled = [out.pooler_output] if out.pooler_output is not None else []
        return (out.last_hidden_state * self.direction).mean() + sum(p.square().mean() for p in pooled), found

    @property
    def masked_labels(self) -> torch.Tensor:
        return self.targets.where(self.targets != 0, -100)


def shaken(model):
    """The model, in eval mode, with all of its numbers moved: biases and norms too."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def assert_same(case: Case, kind: str, ours, theirs) -> None:
    our_loss, our_found = case.our_results(kind, ours)
    their_loss, their_found = case.their_results(kind, theirs)
    torch.testing.assert_close(our_loss, their_loss, **close)
    assert len(our_found) == len(their_found) >= case.config.n_layers + 1
    for one, other in zip(our_found, their_found, strict=True):
        torch.testing.assert_close(one, other, **close)
    our_loss.backward()
    their_loss.backward()
    names, met = their_names(ours), set()
    for name, parameter in ours.named_parameters():
        other = theirs.get_parameter(names[name])
        met.add(id(other))
        assert parameter.grad is not None and other.grad is not None, name
        torch.testing.assert_close(parameter.grad, other.grad, **close, msg=lambda text, name=name: f"{name}: {text}")
    assert met == {id(p) for p in theirs.parameters()}


def assert_equal_state(one, other) -> None:
    state, wanted = one.state_dict(), other.state_dict()
    assert list(state) == list(wanted)
    assert all(torch.equal(state[name], wanted[name]) for name in state)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(12))
def test_everything_is_the_same_on_both_sides(seed, kind):
    case = Case(seed)
    torch.manual_seed(seed)
    ours = shaken(case.ours(kind))
    theirs = to_transformers(ours)
    assert type(theirs).__name__ == kind.split(",")[0]
    assert_same(case, kind, ours, theirs)
    back = from_transformers(theirs)
    assert type(back) is type(ours) and back.config == ours.config
    assert_equal_state(back, ours)

    theirs = shaken(case.theirs(kind))
    ours = from_transformers(theirs)
    assert ours.config == case.config
    assert_same(case, kind, ours, theirs)
    assert_equal_state(to_transformers(ours), theirs)


def test_the_cases_differ():
    cases = [Case(seed) for seed in range(12)]
    assert len({case.config for case in cases}) == 12
    assert any(case.config.pad_id for case in cases) and any(not case.real.all() for case in cases)
    assert {case.config.n_segments for case in cases} == {1, 2, 3}


@pytest.mark.parametrize("kind", KINDS)
def test_mode_dtype_and_labels_are_kept(kind):
    ours = Case(0).ours(kind).double().train()
    theirs = to_transformers(ours)
    assert theirs.training and all(p.dtype == torch.float64 for p in theirs.parameters())
    back = from_transformers(theirs)
    assert back.training and all(p.dtype == torch.float64 for p in back.parameters())
    assert not to_transformers(ours.eval()).training and not from_transformers(theirs.eval()).training
    assert not from_transformers(theirs).encoder.training if kind not in KINDS[:2] else True
    if "Token" in kind or "Sequence" in kind:
        assert [theirs.config.id2label[i] for i in range(3)] == list(LABELS)
        assert theirs.config.label2id == {"animal": 0, "thing": 1, "nobody": 2}
        assert back.labels == LABELS and back.dropout.p == ours.dropout.p == 0.2 == theirs.dropout.p
    if "ForPre" in kind or "Masked" in kind:
        assert theirs.get_output_embeddings().weight is theirs.get_input_embeddings().weight
        assert back.masked.output.weight is back.encoder.embeddings.words.weight


@pytest.mark.parametrize("kind", ["BertForTokenClassification", "BertForQuestionAnswering"])
def test_a_pooler_that_they_do_not_have_is_left_behind(kind):
    case = Case(1)
    encoder = BERT(case.config, pooler=True)
    ours = BERTTagger(encoder, LABELS) if "Token" in kind else BERTSpanFinder(encoder)
    theirs = to_transformers(ours.eval())
    assert theirs.bert.pooler is None
    torch.testing.assert_close(case.our_results(kind, ours)[0], case.their_results(kind, theirs)[0], **close)
    assert from_transformers(theirs).encoder.pooler is None


def small(**changes) -> BertConfig:
    sizes = {"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    return BertConfig(**{**sizes, "intermediate_size": 8, "max_position_embeddings": 8} | changes)


def taken(kind: str = "BertModel", **changes):
    return from_transformers(shaken(getattr(transformers, kind)(small(**changes))))


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ValueError, "activation is 'relu'.*gelu only", lambda: taken(hidden_act="relu")),
        (ValueError, "activation is 'gelu_new'", lambda: taken(hidden_act="gelu_new")),
        (ValueError, "encoder with absolute positions", lambda: taken(is_decoder=True)),
        (ValueError, "no padding.*pad_token_id", lambda: taken(pad_token_id=None)),
        (ValueError, "a table of its own", lambda: taken("BertForMaskedLM", tie_word_embeddings=False)),
        (ValueError, "at least two labels", lambda: taken("BertForSequenceClassification", num_labels=1)),
        (TypeError, "no counterpart of BertForNext.*BertForMaskedLM", lambda: taken("BertForNextSentencePrediction")),
        (TypeError, "no counterpart of Linear", lambda: from_transformers(torch.nn.Linear(2, 2))),
        (TypeError, "Linear has no counterpart", lambda: to_transformers(torch.nn.Linear(2, 2))),
        (TypeError, "AttentionLM has no counterpart", lambda: to_transformers(AttentionLM(AttentionConfig(9)))),
    ],
)  # fmt: skip
def test_what_has_no_counterpart_is_named(error, message, call):
    with pytest.raises(error, match=message):
        call()


# --- A real model


def test_minilm_computes_the_same():
    folder = fetch("minilm", progress=False)
    theirs = transformers.BertModel.from_pretrained(folder)
    ours, tokenizer = from_transformers(theirs), transformers.AutoTokenizer.from_pretrained(folder)
    assert (ours.config.d_model, ours.config.n_layers, ours.config.n_heads) == (384, 6, 12) and not ours.training
    texts = ["A cat.", "The town hall opens at nine, and closes when the last visitor has left.", "Why?", "It rains."]
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    out = ours(batch["input_ids"])  # the mask is found by itself
    wanted = theirs(**batch, output_hidden_states=True)
    real = batch["attention_mask"].bool()
    assert not real.all() and len(out.layers) == 7
    for layer, other in zip(out.layers, wanted.hidden_states, strict=True):
        torch.testing.assert_close(layer[real], other[real], **close)
    torch.testing.assert_close(out.pooled, wanted.pooler_output, **close)
    direction = torch.randn(out.hidden[real].shape, generator=torch.Generator().manual_seed(0))
    (out.hidden[real] * direction).mean().backward()
    (wanted.last_hidden_state[real] * direction).mean().backward()
    names = their_names(ours)
    for name, parameter in ours.named_parameters():
        other = theirs.get_parameter(names[name])
        if not name.startswith("pooler"):
            torch.testing.assert_close(parameter.grad, other.grad, **close)
    assert ours.embeddings.words.weight.grad.abs().sum() > 0
    assert_equal_state(to_transformers(ours), theirs)


# --- What is written opens


WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "The", "the", "cat", "Cat", "sat", "##s", "on", "mat", ".", "é"]
CASED = WordPieceTokenizer(WORDS, lowercase=False)
TEXTS = ["The [MASK] sat on the mat.", "the Cats [MASK] .", "the é zebra CAT [MASK]"]


def written(kind=BERTForPreTraining, **changes):
    torch.manual_seed(0)
    sizes = {"vocab_size": len(WORDS), "context_length": 20, "d_model": 16, "n_layers": 2, "n_heads": 2}
    config = BERTConfig(**sizes | changes)
    if kind is BERTForPreTraining:
        return shaken(BERTForPreTraining(config))
    return shaken(kind(BERT(config), ["Anna", "Ben", "Cleo"]))


def test_a_masked_language_model_opens_and_guesses_the_same(tmp_path, silence):
    ours = written()
    folder = export(ours, CASED, tmp_path / "bert")
    assert folder == tmp_path / "bert" and (folder / "model.safetensors").is_file()
    theirs = transformers.AutoModelForMaskedLM.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    assert type(theirs).__name__ == "BertForMaskedLM" and not theirs.training
    assert tokenizer.model_max_length == 20
    guess = transformers.pipeline("fill-mask", model=str(folder), top_k=4)
    for text in TEXTS:
        ids = CASED.encode(text, add_special_tokens=True)
        assert tokenizer(text)["input_ids"] == ids
        logits = ours(torch.tensor([ids])).token_logits
        torch.testing.assert_close(theirs(**tokenizer(text, return_tensors="pt")).logits, logits, **close)
        best = logits[0, ids.index(4)].softmax(-1).topk(4)
        found = guess(text)
        assert [answer["token"] for answer in found] == best.indices.tolist()
        assert [answer["token_str"] for answer in found] == [WORDS[i] for i in best.indices]
        assert [answer["score"] for answer in found] == pytest.approx(best.values.tolist(), abs=1e-5)
    padded = tokenizer(TEXTS, padding=True, return_tensors="pt")
    real = padded["attention_mask"].bool()
    assert not real.all() and torch.equal(real, padded["input_ids"] != 0)
    torch.testing.assert_close(theirs(**padded).logits[real], ours(padded["input_ids"]).token_logits[real], **close)


def test_a_masked_language_model_of_words_opens_and_guesses_the_same(tmp_path, silence):
    vocabulary = WordVocabulary(["the", "cat", "sat", ".", "[MASK]"])
    ours = written(vocab_size=len(vocabulary))
    guess = transformers.pipeline("fill-mask", model=str(export(ours, vocabulary, tmp_path)), top_k=4)
    ids = vocabulary.encode(["the", "[MASK]", "sat", "down", "."], begin=True)
    best = ours(torch.tensor([ids])).token_logits[0, 2].softmax(-1).topk(4)
    found = guess("the [MASK] sat down.")
    assert [answer["token"] for answer in found] == best.indices.tolist()
    assert [answer["token_str"].strip() for answer in found] == list(vocabulary.decode(best.indices))
    assert [answer["score"] for answer in found] == pytest.approx(best.values.tolist(), abs=1e-5)


def test_a_classifier_opens_with_its_labels(tmp_path, silence):
    ours = written(BERTClassifier)
    classify = transformers.pipeline("text-classification", model=str(export(ours, CASED, tmp_path)), top_k=None)
    for text, answers in zip(TEXTS, classify(TEXTS), strict=True):
        probs = ours(torch.tensor([CASED.encode(text, add_special_tokens=True)]))[0].softmax(-1)
        found = {answer["label"]: answer["score"] for answer in answers}
        assert found == pytest.approx(dict(zip(("Anna", "Ben", "Cleo"), probs.tolist(), strict=True)), abs=1e-5)


def test_a_tagger_opens_with_its_labels(tmp_path, silence):
    ours = written(BERTTagger)
    tag = transformers.pipeline("token-classification", model=str(export(ours, CASED, tmp_path)), ignore_labels=[])
    ids = CASED.encode("The Cats sat.", add_special_tokens=True)
    probs = ours(torch.tensor([ids]))[0, 1:-1].softmax(-1)
    found = tag("The Cats sat.")
    assert [one["word"] for one in found] == ["The", "Cat", "##s", "sat", "."]
    assert [one["entity"] for one in found] == [ours.labels[i] for i in probs.argmax(-1)]
    assert [float(one["score"]) for one in found] == pytest.approx(probs.amax(-1).tolist(), abs=1e-5)


def test_the_encoder_alone_can_be_written(tmp_path, silence):
    ours = written().encoder
    theirs = transformers.AutoModel.from_pretrained(export(ours, CASED, tmp_path))
    ids = torch.tensor([CASED.encode(TEXTS[0], add_special_tokens=True)])
    torch.testing.assert_close(theirs(ids).pooler_output, ours(ids).pooled, **close)


def test_both_heads_can_be_kept(tmp_path):
    ours = written()
    to_transformers(ours).save_pretrained(tmp_path)
    assert_equal_state(from_transformers(transformers.BertForPreTraining.from_pretrained(tmp_path)), ours)


def test_writing_leaves_the_model_as_it_was(tmp_path):
    ours = written().train()
    before = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    export(ours, CASED, tmp_path)
    assert ours.training and ours.next is not None
    assert all(torch.equal(tensor, before[name]) for name, tensor in ours.state_dict().items())


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="not empty: name another folder"):
        export(written(), CASED, tmp_path)
    with pytest.raises(FileExistsError, match="'mine.txt' is there"):
        export(written(), CASED, tmp_path / "mine.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("error", "message", "model"),
    [
        (ValueError, "tokenizer has 15 tokens, the model 16", lambda: written(vocab_size=16)),
        (ValueError, "pads with 0, the model's pad_id is 3", lambda: written(pad_id=3)),
        (TypeError, "Linear has no counterpart", lambda: torch.nn.Linear(2, 2)),
    ],
)
def test_what_does_not_belong_together_is_not_written(tmp_path, error, message, model):
    with pytest.raises(error, match=message):
        export(model(), CASED, tmp_path / "new")
    assert not (tmp_path / "new").exists()
