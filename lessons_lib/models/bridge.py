"""The bridge to transformers, exact and in both directions: our BERT's and GPT's weights in theirs, and theirs in ours.

Nothing is computed here. Both sides have the same tensors under other names, so the results agree to rounding. GPT's
names and shapes are in bridge_gpt.py.
"""

import re
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lessons_lib.models.bert import BERT, BERTConfig
from lessons_lib.models.bert_heads import BERTClassifier, BERTForPreTraining, BERTSpanFinder, BERTTagger
from lessons_lib.models.bridge_gpt import gpt2_config, gpt2_name, gpt2_state, gpt_config, gpt_state
from lessons_lib.models.gpt import GPT

# Our name of a tensor → transformers' name, inside the encoder and in front of it.
_ENCODER = (
    (r"embeddings\.words\.", "embeddings.word_embeddings."),
    (r"embeddings\.places\.", "embeddings.position_embeddings."),
    (r"embeddings\.segments\.", "embeddings.token_type_embeddings."),
    (r"embeddings\.norm\.", "embeddings.LayerNorm."),
    (r"blocks\.(\d+)\.attention\.(query|key|value)\.", r"encoder.layer.\1.attention.self.\2."),
    (r"blocks\.(\d+)\.attention\.output\.", r"encoder.layer.\1.attention.output.dense."),
    (r"blocks\.(\d+)\.attention_norm\.", r"encoder.layer.\1.attention.output.LayerNorm."),
    (r"blocks\.(\d+)\.feed_forward\.widen\.", r"encoder.layer.\1.intermediate.dense."),
    (r"blocks\.(\d+)\.feed_forward\.narrow\.", r"encoder.layer.\1.output.dense."),
    (r"blocks\.(\d+)\.feed_forward_norm\.", r"encoder.layer.\1.output.LayerNorm."),
    (r"pooler\.", "pooler.dense."),
)
_HEADS = {
    "masked.transform.": "cls.predictions.transform.dense.",
    "masked.norm.": "cls.predictions.transform.LayerNorm.",
    "masked.output.": "cls.predictions.decoder.",
    "next.": "cls.seq_relationship.",
}


def their_names(model: nn.Module) -> dict[str, str]:
    """Our name → transformers' name, for every tensor of the model; in GPT-2, three of ours are parts of one."""
    if isinstance(model, GPT):
        return {name: gpt2_name(name) for name in model.state_dict()}
    classifier = "qa_outputs." if isinstance(model, BERTSpanFinder) else "classifier."
    return {name: _their_name(name, isinstance(model, BERT), classifier) for name in model.state_dict()}


def _their_name(name: str, bare: bool, classifier: str) -> str:
    if bare or name.startswith("encoder."):
        inside = name.removeprefix("encoder.")
        for pattern, replacement in _ENCODER:
            if re.match(pattern, inside):
                return ("" if bare else "bert.") + re.sub(pattern, replacement, inside)
    for ours, theirs in (*_HEADS.items(), ("classifier.", classifier)):
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    raise KeyError(f"{name} has no counterpart in transformers.")


def to_transformers(model: nn.Module) -> Any:
    """transformers' model of the same kind with the same weights, on the same device, in the same mode.

    BERT → BertModel; BERTForPreTraining → BertForPreTraining, or BertForMaskedLM without next-sentence head;
    BERTClassifier, BERTTagger and BERTSpanFinder → BertForSequenceClassification, …TokenClassification and
    …QuestionAnswering. The last two have no pooler there: it is left behind. GPT → GPT2LMHeadModel.

    Raises TypeError for another model, ValueError for a GPT with parts that GPT-2 does not have.
    """
    import transformers

    if isinstance(model, GPT):
        theirs = transformers.GPT2LMHeadModel(gpt2_config(model.config))
    elif isinstance(model, BERT):
        theirs = transformers.BertModel(_their_config(model), add_pooling_layer=model.pooler is not None)
    else:
        theirs = getattr(transformers, _their_class(model))(_their_config(model))
    theirs = _placed(theirs, like=model)
    if isinstance(model, GPT):
        theirs.load_state_dict(gpt2_state(model.state_dict()))
    else:
        _copy(model, theirs, drop="encoder.pooler." if isinstance(model, (BERTTagger, BERTSpanFinder)) else None)
    return theirs


def _placed(model: nn.Module, *, like: nn.Module) -> nn.Module:
    """The model on the device of the other, of its precision, in its mode."""
    first = next(like.parameters())
    return model.to(device=first.device, dtype=first.dtype).train(like.training)


def from_transformers(theirs: Any) -> nn.Module:
    """Our model with the weights of transformers' GPT2LMHeadModel, BertModel, BertForPreTraining, BertForMaskedLM or of
    a BERT's task model.

    On the same device, in the same mode. Raises TypeError for another class, ValueError for a configuration that our
    BERT or GPT does not have (another activation, cross-attention, no padding, a masked-word head that is not tied).
    """
    kind = type(theirs).__name__
    if kind not in _CLASSES:
        raise TypeError(f"There is no counterpart of {kind} here; there is one of {', '.join(_CLASSES)}.")
    if kind == "GPT2LMHeadModel":
        ours = _placed(GPT(gpt_config(theirs.config)), like=theirs)
        ours.load_state_dict(gpt_state(theirs.state_dict(), list(ours.state_dict())))
        return ours
    config = _our_config(theirs.config)
    labels = [theirs.config.id2label[i] for i in range(theirs.config.num_labels)]
    if kind == "BertModel":
        ours = BERT(config, pooler=theirs.pooler is not None)
    elif kind in ("BertForPreTraining", "BertForMaskedLM"):
        if not torch.equal(theirs.get_output_embeddings().weight, theirs.get_input_embeddings().weight):
            raise ValueError("This masked-word head has a table of its own; ours shares that of the embeddings.")
        ours = BERTForPreTraining(config, next_sentence=kind == "BertForPreTraining")
    elif kind == "BertForSequenceClassification":
        ours = BERTClassifier(BERT(config), labels, theirs.config.classifier_dropout)
    elif kind == "BertForTokenClassification":
        ours = BERTTagger(BERT(config, pooler=False), labels, theirs.config.classifier_dropout)
    else:
        ours = BERTSpanFinder(BERT(config, pooler=False))
    ours = _placed(ours, like=theirs)
    state = theirs.state_dict()
    ours.load_state_dict({mine: state[name] for mine, name in their_names(ours).items()})
    return ours


_CLASSES = (
    "BertModel",
    "BertForPreTraining",
    "BertForMaskedLM",
    "BertForSequenceClassification",
    "BertForTokenClassification",
    "BertForQuestionAnswering",
    "GPT2LMHeadModel",
)


def _their_class(model: nn.Module) -> str:
    if isinstance(model, BERTForPreTraining):
        return "BertForMaskedLM" if model.next is None else "BertForPreTraining"
    for ours, theirs in ((BERTClassifier, 3), (BERTTagger, 4), (BERTSpanFinder, 5)):
        if isinstance(model, ours):
            return _CLASSES[theirs]
    raise TypeError(f"{type(model).__name__} has no counterpart in transformers that the bridge knows.")


def _copy(model: nn.Module, theirs: Any, drop: str | None) -> None:
    names, state = their_names(model), model.state_dict()
    found = {names[name]: tensor for name, tensor in state.items() if not (drop and name.startswith(drop))}
    if "cls.predictions.decoder.bias" in found:  # transformers keeps this one under two names
        found["cls.predictions.bias"] = found["cls.predictions.decoder.bias"]
    theirs.load_state_dict(found)


def _their_config(model: nn.Module) -> Any:
    from transformers import BertConfig

    c = model.config
    labels = dict(enumerate(getattr(model, "labels", ("LABEL_0", "LABEL_1"))))
    dropout = model.dropout.p if isinstance(model, (BERTClassifier, BERTTagger)) else None
    return BertConfig(
        vocab_size=c.vocab_size,
        max_position_embeddings=c.context_length,
        type_vocab_size=c.n_segments,
        hidden_size=c.d_model,
        num_hidden_layers=c.n_layers,
        num_attention_heads=c.n_heads,
        intermediate_size=c.d_ff,
        hidden_dropout_prob=c.dropout,
        attention_probs_dropout_prob=c.attention_dropout,
        layer_norm_eps=c.norm_eps,
        pad_token_id=c.pad_id,
        classifier_dropout=dropout,
        id2label=labels,
        label2id={label: i for i, label in labels.items()},
    )


def _our_config(config: Any) -> BERTConfig:
    if config.hidden_act != "gelu":
        raise ValueError(f"This model's activation is {config.hidden_act!r}; our BERT has gelu only.")
    if config.is_decoder or getattr(config, "position_embedding_type", "absolute") != "absolute":
        raise ValueError("Our BERT is an encoder with absolute positions; this configuration asks for something else.")
    if config.pad_token_id is None:
        raise ValueError("This configuration has no padding; our BERT needs it: set config.pad_token_id.")
    return BERTConfig(
        vocab_size=config.vocab_size,
        context_length=config.max_position_embeddings,
        n_segments=config.type_vocab_size,
        d_model=config.hidden_size,
        n_layers=config.num_hidden_layers,
        n_heads=config.num_attention_heads,
        d_ff=config.intermediate_size,
        dropout=config.hidden_dropout_prob,
        attention_dropout=config.attention_probs_dropout_prob,
        norm_eps=config.layer_norm_eps,
        pad_id=config.pad_token_id,
    )


def export(model: nn.Module, tokenizer: Any, folder: str | Path) -> Path:
    """Write a folder that `AutoModel…from_pretrained` and `pipeline` open: the model, and the tokenizer of `to_hf`.

    A `BERTForPreTraining` is written as BertForMaskedLM, what "fill-mask" opens, without its next-sentence head; keep
    both heads with `to_transformers(model).save_pretrained(folder)`. A `GPT` is opened by "text-generation", and begins
    and ends its texts with the tokenizer's tokens for that, where it has them. Raises FileExistsError for a folder that
    holds anything, ValueError for a tokenizer of another size or padding, or a GPT with parts that GPT-2 does not have,
    TypeError for a model that is neither BERT nor GPT of ours.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder.name!r} is there and not empty: name another folder, or empty this one.")
    if not isinstance(model, (BERT, GPT)):
        _their_class(model)
    size, pad_id = model.config.vocab_size, getattr(model.config, "pad_id", None)
    if tokenizer.vocab_size != size:
        raise ValueError(f"The tokenizer has {tokenizer.vocab_size} tokens, the model {size}: they belong to others.")
    if isinstance(model, BERTForPreTraining) and model.next is not None:
        model = _without_next_sentence(model)
    theirs_tokenizer = tokenizer.to_hf()
    if pad_id is not None and theirs_tokenizer.pad_token_id not in (None, pad_id):
        raise ValueError(f"The tokenizer pads with {theirs_tokenizer.pad_token_id}, the model's pad_id is {pad_id}.")
    theirs_tokenizer.model_max_length = model.config.context_length
    theirs = to_transformers(model)
    if isinstance(model, GPT):
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            for settings in (theirs.config, theirs.generation_config):
                setattr(settings, name, getattr(theirs_tokenizer, name))
        half = max(1, model.config.context_length // 2)  # the other half is for what the text begins with
        theirs.generation_config.max_new_tokens = min(256, half)
    theirs.save_pretrained(folder)
    theirs_tokenizer.save_pretrained(folder)
    return folder


def _without_next_sentence(model: BERTForPreTraining) -> BERTForPreTraining:
    bare = BERTForPreTraining(model.config, next_sentence=False)
    kept = {name: tensor for name, tensor in model.state_dict().items() if name in bare.state_dict()}
    bare = _placed(bare, like=model)
    bare.load_state_dict(kept)
    return bare
