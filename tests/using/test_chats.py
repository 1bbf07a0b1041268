"""Conversations as rows: what is asked for, what is not, several in a row, and texts that try to be special."""

import pytest
import torch

from lessons_lib.models.gpt import GPT, GPTConfig
from lessons_lib.text.town import Town
from lessons_lib.text.vocab import BEGIN, END, IGNORE, PAD, WordVocabulary
from lessons_lib.training.objectives import causal_lm_loss
from lessons_lib.using.chats import (
    ASSISTANT,
    USER,
    ChatFormat,
    Message,
    answer_rows,
    asked,
    causal_rows,
    chat_vocabulary,
    plain,
    replies,
    speaker,
    transformers_speaker,
)
from lessons_lib.using.sampling import Sampling


def cut(text):
    return tuple(text.split())


OLD = WordVocabulary(cut("a red hat . Mei lost"))
WORDS = chat_vocabulary(OLD, ["write", "red", "of", "write"])
FORM = ChatFormat.of(WORDS)
U, A = WORDS.encode([USER, ASSISTANT])
TALK = [
    Message("user", "write of a hat"),
    Message("assistant", "Mei lost a hat."),
    Message("user", "red"),
    Message("assistant", "a red hat."),
]


def tiny():
    torch.manual_seed(0)
    return GPT(GPTConfig.modern(vocab_size=len(WORDS), context_length=48, d_model=16, n_layers=2, n_heads=2))


def words(ids):
    return WORDS.decode([i for i in ids if i >= 0])


def test_old_ids_stay_and_new_words_come_once():
    assert WORDS.words[: len(OLD)] == OLD.words
    assert WORDS.words[len(OLD) :] == (USER, ASSISTANT, "write", "of")
    assert len(chat_vocabulary(WORDS)) == len(WORDS)


def test_a_conversation_is_one_text_and_only_answers_are_asked_for():
    text = FORM.marked(TALK)
    assert words(text.ids) == cut(
        "<begin> <user> write of a hat <end> <assistant> Mei lost a hat . <end> "
        "<user> red <end> <assistant> a red hat . <end>"
    )
    answers = [i for i, wanted in zip(text.ids, text.asked, strict=True) if wanted]
    assert words(answers) == cut("Mei lost a hat . <end> a red hat . <end>")
    assert text.asked[0] is False


def test_rows_ask_at_the_place_before_each_word_of_an_answer():
    rows = answer_rows(FORM, [TALK[:2], [Message("user", "hat"), Message("assistant", "Mei")]])
    assert rows.mask is None and rows.ids.shape == rows.targets.shape == (2, 13)
    first, second = rows.targets.tolist()
    assert rows.ids[0].tolist() == FORM.marked(TALK[:2]).ids[:-1]
    assert first[:7] == [IGNORE] * 7 and words(first[7:]) == ("Mei", "lost", "a", "hat", ".", "<end>")
    assert rows.ids[0, 7] == A, "the first word is asked for where the assistant begins"
    assert [t for t in second if t != IGNORE] == [*WORDS.encode(["Mei"]), END]
    assert rows.ids[1, 6:].tolist() == [PAD] * 7
    everything = answer_rows(FORM, [TALK[:2]], answers_only=False)
    assert everything.targets.tolist() == [FORM.marked(TALK[:2]).ids[1:]]


def test_packed_conversations_have_the_same_loss_and_gradient():
    talks = [TALK, TALK[:2], [Message("user", "hat"), Message("assistant", "Mei")], asked("red hat", "a hat.")]
    single, packed = answer_rows(FORM, talks), answer_rows(FORM, talks, length=34)
    assert len(packed.ids) == 2 and packed.ids.shape == (2, 34)
    assert sorted(t for t in packed.targets.flatten().tolist() if t != IGNORE) == sorted(
        t for t in single.targets.flatten().tolist() if t != IGNORE
    )
    grads = []
    for rows in (single, packed):
        model = tiny()
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(1)))
        loss, n = causal_lm_loss(model, rows)
        loss.backward()
        grads.append((loss.detach(), n, model.blocks[0].attention.query.weight.grad))
    assert grads[0][1] == grads[1][1]
    torch.testing.assert_close(grads[0][0], grads[1][0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(grads[0][2], grads[1][2], rtol=1e-4, atol=1e-6)


def test_plain_texts_among_conversations():
    note = plain(WORDS.encode(cut("Mei lost a hat ."), begin=True, end=True))
    rows = causal_rows([note, FORM.marked(TALK[:2])])
    assert words(rows.targets[0].tolist()) == ("Mei", "lost", "a", "hat", ".", "<end>")
    assert rows.targets[0, 6:].tolist() == [IGNORE] * 7
    assert rows.targets[1, :7].tolist() == [IGNORE] * 7


def test_a_prompt_ends_where_the_assistant_begins():
    assert FORM.prompt(TALK[:3]) == [*FORM.marked(TALK[:3]).ids, A]
    assert FORM.prompt(TALK[:1])[:2] == [BEGIN, U]


@pytest.mark.parametrize("text", [ASSISTANT, f"hat {USER} red", "<end>", "<begin> hat", "<unknown>", "<pad>"])
def test_typed_text_never_becomes_a_special_token(text):
    with pytest.raises(ValueError, match="does not know the word '<'"):
        FORM.marked([Message("user", text)])
    open_words = chat_vocabulary(OLD, ["<", ">", "user", "assistant", "begin", "end", "unknown", "pad"])
    typed = ChatFormat.of(open_words).marked([Message("user", text)]).ids
    special = open_words.encode([USER, ASSISTANT])
    assert [i for i in typed if i in (*special, BEGIN, END, PAD)] == [BEGIN, special[0], END]


def test_what_a_model_has_said_can_be_said_again():
    everything = FORM.decode(range(len(WORDS)))
    assert everything == "", "it stops at <end>"
    said = FORM.decode([i for i in range(len(WORDS)) if i != END])
    assert said == " ".join((*WORDS.words[4 : len(OLD)], "write", "of"))
    assert FORM.decode(FORM.encode(said)) == said


def test_replies_stop_at_the_end_and_go_on_from_the_conversation():
    class Parrot(torch.nn.Module):
        """Answers "a red hat ." whatever is asked, and then goes on with what it may not say."""

        config = type("Config", (), {"context_length": 40, "vocab_size": len(WORDS)})

        def new_cache(self):
            cache = type("Cache", (), {"__len__": lambda s: s.n, "select": lambda s, rows: None})()
            cache.n = 0
            return cache

        def forward(self, ids, mask=None, places=None, cache=None):
            cache.n += ids.shape[1]
            follows = {A: "a", "a": "red", "red": "hat", "hat": ".", ".": None}
            named = {WORDS.encode([k])[0] if isinstance(k, str) else k: v for k, v in follows.items()}
            logits = torch.zeros(*ids.shape, len(WORDS))
            for row, last in enumerate(ids[:, -1].tolist()):
                word = named.get(last)
                logits[row, -1, END if word is None else WORDS.encode([word])[0]] = 50.0
            return logits

    said = replies(Parrot(), FORM, [TALK[:1], TALK[:3]], sampling=Sampling(temperature=0.0))
    assert said == ["a red hat .", "a red hat ."]


def test_replies_of_a_model_are_repeatable_and_of_the_length_asked():
    model, many = tiny().eval(), [TALK[:1]] * 8
    one, two = (
        replies(model, FORM, many, max_new_tokens=5, generator=torch.Generator().manual_seed(3)) for _ in range(2)
    )
    assert one == two and len(set(one)) > 1
    assert all(len(text.split()) <= 5 for text in one)


def test_the_towns_requests_are_all_known():
    town = Town.notes()
    form = ChatFormat.of(chat_vocabulary(WordVocabulary(town.vocabulary()), town.request_vocabulary()), town.detokenize)
    for example in town.instructions(300):
        assert form.decode(form.encode(example.text)) == example.text
        assert form.decode(form.encode(example.note)) == example.note
    for example in town.summaries(300):
        text = form.marked(asked(example.request, example.text))
        assert len(text.ids) < 64
        assert form.decode(form.encode(example.request)) == example.request


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([], "no message"),
        ([Message("assistant", "hat")], "Message 0 is of role 'assistant'"),
        ([Message("user", "hat"), Message("user", "hat")], "Message 1 is of role 'user': user and assistant take"),
        ([Message("system", "hat")], "Message 0 is of role 'system'"),
        ([Message("user", "  ")], "Message 0 is empty"),
        ([Message("user", "a zebra")], "does not know the word 'zebra'"),
    ],
)
def test_bad_conversations(messages, message):
    with pytest.raises(ValueError, match=message):
        FORM.marked(messages)


def test_bad_requests():
    with pytest.raises(ValueError, match="not the assistant's turn"):
        FORM.prompt(TALK[:2])
    with pytest.raises(ValueError, match=r"chat_vocabulary\(vocabulary\) adds them"):
        ChatFormat.of(OLD)
    with pytest.raises(ValueError, match="Nothing is asked: no conversation has an answer"):
        answer_rows(FORM, [TALK[:1]])
    with pytest.raises(ValueError, match="There is no text"):
        answer_rows(FORM, [])
    with pytest.raises(ValueError, match="holds no next token"):
        causal_rows([plain([BEGIN])])
    with pytest.raises(ValueError, match="does not fit into 8"):
        answer_rows(FORM, [TALK], length=8)


# --- what the explorer asks


def test_a_speaker_answers_alike_and_says_what_it_does_not_know():
    reply = speaker(tiny().eval(), FORM, max_new_tokens=4)
    said = reply([("user", "write of a hat")], 1.0)
    assert said == reply([("user", "write of a hat")], 1.0) and 0 < len(said.split()) <= 4
    assert (
        reply([("user", "red")], 0.0)
        == replies(
            tiny().eval(), FORM, [[Message("user", "red")]], sampling=Sampling(temperature=0.0), max_new_tokens=4
        ).pop()
    )
    with pytest.raises(ValueError, match="does not know the word 'zebra'"):
        reply([("user", "zebra")], 1.0)
    with pytest.raises(ValueError, match="context_length"):
        reply([("user", "red " * 60)], 1.0)


def test_a_model_of_transformers_speaks_in_its_own_format():
    from transformers import LlamaConfig, LlamaForCausalLM

    asked_for = []

    class Tokenizer:
        """Characters, and a template that names the roles."""

        eos_token_id = 0

        def apply_chat_template(self, turns, tokenize, add_generation_prompt):
            assert tokenize is False and add_generation_prompt is True
            return "".join(f"[{turn['role']}]{turn['content']}" for turn in turns) + "[assistant]"

        def __call__(self, text, add_special_tokens):
            assert add_special_tokens is False, "the template has them already"
            asked_for.append(text)
            return {"input_ids": [ord(c) % 60 + 1 for c in text]}

        def decode(self, ids, skip_special_tokens):
            return " " + "".join(chr(60 + i) for i in ids)

    torch.manual_seed(0)
    sizes = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    model = LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=2, num_key_value_heads=2, pad_token_id=0))
    said = transformers_speaker(model, Tokenizer(), max_new_tokens=5)([("user", "hi"), ("assistant", "ho")], 1.0)
    assert asked_for == ["[user]hi[assistant]ho[assistant]"]
    assert 0 < len(said) <= 5 and said == said.strip()
