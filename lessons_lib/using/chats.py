"""Conversations as one text: whose turn it is stands in special tokens, and the loss counts the answers only.

    <begin> <user> Write a note … . <end> <assistant> Mei lost … . <end> <user> …

A chat model is a language model of such texts: it answers by going on after the last <assistant>, up to <end>.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from lessons_lib.text.vocab import BEGIN, END, IGNORE, UNKNOWN, WordVocabulary
from lessons_lib.text.words import split_words
from lessons_lib.training.objectives import Causal
from lessons_lib.training.packing import first_fit, padded, same_text
from lessons_lib.using.generating import generate
from lessons_lib.using.sampling import Sampling

USER, ASSISTANT = "<user>", "<assistant>"  # their tokens: no typed text is ever split into one of them


class Message(NamedTuple):
    """One turn of a conversation: who speaks, "user" or "assistant", and what."""

    role: str
    text: str


class Marked(NamedTuple):
    """A text as ids, and for each whether the model is to learn to write it; the first one is never asked for."""

    ids: list[int]
    asked: list[bool]


def chat_vocabulary(vocabulary: WordVocabulary, words: Iterable[str] = ()) -> WordVocabulary:
    """The vocabulary with the two roles, and `words` that it does not have, behind its own: the old ids stay."""
    new = [word for word in dict.fromkeys((USER, ASSISTANT, *words)) if word not in vocabulary]
    return WordVocabulary([*vocabulary.words, *new])


@dataclass(frozen=True)
class ChatFormat:
    """How a conversation becomes ids: `encode` and `decode` for what is said, and the four tokens that frame it.

    `decode` leaves special tokens out, so that what a model has said can always be said again.
    """

    encode: Callable[[str], list[int]]
    decode: Callable[[Sequence[int]], str]
    user: int
    assistant: int
    begin: int = BEGIN
    end: int = END

    @classmethod
    def of(cls, vocabulary: WordVocabulary, join: Callable[[Sequence[str]], str] = " ".join) -> "ChatFormat":
        """The format for a `chat_vocabulary`; `join` makes a text of words, as `Town.detokenize` does.

        Raises ValueError for a vocabulary without the roles; `encode` then raises it for a word that is not known.
        """
        if USER not in vocabulary or ASSISTANT not in vocabulary:
            raise ValueError(f"The vocabulary has no {USER} and {ASSISTANT}: chat_vocabulary(vocabulary) adds them.")

        def encode(text: str) -> list[int]:
            words = split_words(text)
            if strange := [word for word in words if word not in vocabulary]:
                raise ValueError(f"The model does not know the word {strange[0]!r}.")
            return vocabulary.encode(words)

        user, assistant = vocabulary.encode([USER, ASSISTANT])

        def decode(ids: Sequence[int]) -> str:
            said = [i for i in ids if i not in (user, assistant, UNKNOWN)]
            return join(vocabulary.decode(said, skip_special=True))

        return cls(encode, decode, user, assistant)

    def marked(self, messages: Sequence[Message]) -> Marked:
        """The conversation as ids; asked for is what the assistant says, and the <end> after it.

        Raises ValueError unless user and assistant take turns and the user begins, and for an empty message.
        """
        ids, asked = [self.begin], [False]
        for place, (role, text) in enumerate(messages):
            if role != ("user", "assistant")[place % 2]:
                raise ValueError(f"Message {place} is of role {role!r}: user and assistant take turns, the user first.")
            said = self.encode(text)
            if not said:
                raise ValueError(f"Message {place} is empty: a turn has at least one word.")
            answers = role == "assistant"
            ids += [self.assistant if answers else self.user, *said, self.end]
            asked += [False, *[answers] * (len(said) + 1)]
        if len(ids) == 1:
            raise ValueError("This conversation has no message.")
        return Marked(ids, asked)

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """The conversation as ids, up to the token after which the assistant speaks.

        Raises ValueError as `marked` does, and where the last message is not the user's.
        """
        if len(messages) % 2 == 0:
            raise ValueError("It is not the assistant's turn: the last message has to be the user's.")
        return [*self.marked(messages).ids, self.assistant]


def plain(ids: Sequence[int]) -> Marked:
    """A text of which every token is asked for, as in pre-training."""
    return Marked(list(ids), [True] * len(ids))


def causal_rows(texts: Sequence[Marked], *, answers_only: bool = True, length: int | None = None) -> Causal:
    """Texts as a GPT learns from them: a target at each place whose next token is asked for, IGNORE at the others.

    One text a row, the shorter ones padded; or, with `length`, as many in a row of that many places as fit, and none
    sees another. Without `answers_only`, every token is asked for. Raises ValueError where nothing is asked, and for a
    text that does not fit into a row.
    """
    if not texts:
        raise ValueError("There is no text: give at least one.")
    short = [len(text.ids) for text in texts if len(text.ids) < 2]
    if short:
        raise ValueError(f"A text of {short[0]} ids holds no next token; it needs at least two.")
    if answers_only and not any(any(text.asked[1:]) for text in texts):
        raise ValueError("Nothing is asked: no conversation has an answer.")
    inputs = [text.ids[:-1] for text in texts]
    targets = [
        [i if asked or not answers_only else IGNORE for i, asked in zip(text.ids[1:], text.asked[1:], strict=True)]
        for text in texts
    ]
    if length is None:
        asked_at = padded([[1] * len(ids) for ids in inputs]) > 0  # batch seq
        return Causal(padded(inputs), padded(targets).masked_fill(~asked_at, IGNORE))
    packed, right = first_fit(inputs, length), first_fit(targets, length).ids  # equal lengths are laid out alike
    return Causal(packed.ids, right.masked_fill(packed.owner == 0, IGNORE), same_text(packed.owner), packed.places)


def answer_rows(
    form: ChatFormat,
    conversations: Sequence[Sequence[Message]],
    *,
    answers_only: bool = True,
    length: int | None = None,
) -> Causal:
    """`causal_rows` of conversations: the loss counts the assistant's words and the <end> after them.

    What the user says is read and not learned. Ouyang et al. 2022 tune on such pairs of prompt and answer.
    """
    texts = [form.marked(conversation) for conversation in conversations]
    return causal_rows(texts, answers_only=answers_only, length=length)


def asked(request: str, answer: str) -> tuple[Message, Message]:
    """The shortest conversation: a request and its answer."""
    return Message("user", request), Message("assistant", answer)


def replies(
    model: Any,
    form: ChatFormat,
    conversations: Sequence[Sequence[Message]],
    *,
    sampling: Sampling = Sampling(),  # noqa: B008 (frozen)
    max_new_tokens: int = 40,
    generator: torch.Generator | None = None,
) -> list[str]:
    """What the model says next in each conversation, up to its <end>: decoded, without special tokens.

    Raises as `ChatFormat.prompt` and `generate` do.
    """
    prompts = [form.prompt(conversation) for conversation in conversations]
    how = {"sampling": sampling, "max_new_tokens": max_new_tokens, "generator": generator}
    return [form.decode(ids) for ids in generate(model, prompts, stop_ids=(form.end,), **how)]


def speaker(
    model: Any, form: ChatFormat, *, max_new_tokens: int = 40, seed: int = 0
) -> Callable[[Sequence[tuple[str, str]], float], str]:
    """A function from a conversation and a temperature to the model's answer, as `views.chat.ChatExplorer` asks.

    The same conversation has the same answer. Raises ValueError where the conversation no longer fits the context.
    """

    def reply(conversation: Sequence[tuple[str, str]], temperature: float) -> str:
        messages = [Message(*turn) for turn in conversation]
        how = {"max_new_tokens": max_new_tokens, "generator": torch.Generator().manual_seed(seed)}
        return replies(model, form, [messages], sampling=Sampling(temperature=temperature), **how)[0]

    return reply


def transformers_speaker(
    model: Any, tokenizer: Any, *, max_new_tokens: int = 60, seed: int = 0
) -> Callable[[Sequence[tuple[str, str]], float], str]:
    """The same for a chat model of transformers, in the format that its tokenizer brings (`chat_template`)."""

    def reply(conversation: Sequence[tuple[str, str]], temperature: float) -> str:
        turns = [{"role": role, "content": text} for role, text in conversation]
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        prompt = tokenizer(text, add_special_tokens=False)["input_ids"]
        how = {"sampling": Sampling(temperature=temperature), "generator": torch.Generator().manual_seed(seed)}
        (ids,) = generate(model, [prompt], stop_ids=(tokenizer.eos_token_id,), max_new_tokens=max_new_tokens, **how)
        return tokenizer.decode(ids, skip_special_tokens=True).strip()

    return reply
