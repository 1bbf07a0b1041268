"""The Town: a small invented world whose language is known exactly."""

import math
from collections.abc import Iterable, Sequence
from functools import cached_property

from lessons_lib.paths import data_folder
from lessons_lib.text.town import exact, generate, masked
from lessons_lib.text.town.generate import Story, check_request
from lessons_lib.text.town.masked import Posterior
from lessons_lib.text.town.parse import Derivation, Reader, Trace
from lessons_lib.text.town.plots import Limits, Plot, compile_plots
from lessons_lib.text.town.tasks import Instruction, Question, Review, Summary, Tagged, Tasks
from lessons_lib.text.town.translate import Grammar, Pair, default_grammar
from lessons_lib.text.town.translate import pairs as draw_pairs
from lessons_lib.text.town.world import World
from lessons_lib.text.words import END, split_words

_JOINS_LEFT = frozenset(".,!?;:")


class Town:
    """People, places, things and what happens to them, drawn from tables with explicit weights, and told as stories.

    Because every choice is counted and every text gives its choices back, the log-probability of each story and the
    entropy of the language are known exactly: no model of the Town's stories can have a lower loss.

    world: tables and plots other than the course's own (`World.load(folder)`). Raises TownError, naming the file and
    the entry, for tables that cannot be used.
    """

    def __init__(self, world: World | None = None, *, limits: Limits | None = None):
        self._own_world = world is not None
        self.world = world if world is not None else World.load()
        self.plots: tuple[Plot, ...] = compile_plots(self.world, limits)
        self._tasks = Tasks(self.world, self.plots, limits)

    @classmethod
    def notes(cls) -> "Town":
        """A Town that tells notes of two sentences in place of stories, with the same people, places and things.

        Its language is small enough that a small BERT learns all of it; what this class says of stories holds for them.
        """
        own = World.load(data_folder() / "town" / "notes")
        return cls(World(World.load().tables, own.plots, f"notes/{own.plots_file}"))

    @classmethod
    def reduced(cls, entries: int = 2, phrases: int = 1, offset: int = 0, world: World | None = None) -> "Town":
        """The same code and every plot, but each draw keeps only a few entries of its table and each sentence a few of
        its phrases, beginning at `offset`: small enough that every story can be listed."""
        if entries < 1 or phrases < 1:
            raise ValueError(f"A reduced Town keeps at least one entry and one phrase, not {entries} and {phrases}.")
        return cls(world, limits=Limits(entries, phrases, offset))

    def stories(self, n: int, seed: int = 0, split: str = "train") -> list[Story]:
        """`n` stories, independent draws of the language.

        The splits "train", "valid" and "test" are separate random streams of the same seed, so they are independent
        draws of one language, not a partition of its texts. The language is so large that this hardly matters: of
        40,000 held-out stories of seed 0, one also occurs among the first 20,000 training stories. The first k stories
        of a stream are the same whatever n is, and the same on every machine.

        Raises ValueError for a negative n, a negative seed or an unknown split.
        """
        check_request(n, seed, split, "stories")
        return generate.sample(self.plots, n, seed, split)

    def pairs(self, n: int, seed: int = 0, split: str = "train", language: str = "fr") -> list[Pair]:
        """`n` English sentences about the Town with their French ("fr") or Chinese ("zh") translation and the true word
        alignment; no sentence of one split is in another (see `translate.pairs`)."""
        return draw_pairs(n, seed, split, language, self._translations)

    def reviews(self, n: int, seed: int = 0, split: str = "train") -> list[Review]:
        """`n` reviews of things in the Town, each with its true label: "negative", "mixed" or "positive".

        Splits, seeds and errors are those of `stories`; the random numbers are others. The label is a function of the
        text, though not of the words without their order (the rules are in data/town/tasks/reviews/plots.toml).
        """
        check_request(n, seed, split, "reviews")
        return self._tasks.reviews(n, seed, split)

    def review_label(self, text: str) -> str | None:
        """The true label of a review, by reading it back; None for a text that is no review of the Town."""
        return self._tasks.review_label(text)

    def entities(self, n: int, seed: int = 0, split: str = "train") -> list[Tagged]:
        """`n` passages of new stories, one to three sentences each, with a BIO tag for each word.

        No passage of "train" or "valid" has any of `tasks.HELD_OUT_NAMES`; every passage of "test" has at least one.
        Splits, seeds and errors are those of `stories`, and ValueError also when this Town tells no such passage.
        """
        check_request(n, seed, split, "passages")
        return self._tasks.entities(n, seed, split)

    def questions(self, n: int, seed: int = 0, split: str = "train") -> list[Question]:
        """`n` questions, each about a new story, whose answer is a span of the story's words.

        Splits, seeds and errors are those of `stories`, and ValueError also when no plot of this Town has questions.
        """
        check_request(n, seed, split, "questions")
        return self._tasks.questions(n, seed, split)

    def task_vocabulary(self) -> tuple[str, ...]:
        """The words of `reviews` and `questions` that no story contains, sorted."""
        return tuple(sorted(self._tasks.vocabulary - set(self._vocabulary)))

    def summaries(self, n: int, seed: int = 0, split: str = "train") -> list[Summary]:
        """`n` new stories, each with a summary in one sentence that tells some of its facts; for `Town.notes()`.

        Splits, seeds and errors are those of `stories`, and ValueError also when no plot of this Town has summaries.
        """
        check_request(n, seed, split, "summaries")
        return self._tasks.summaries(n, seed, split)

    def instructions(self, n: int, seed: int = 0, split: str = "train") -> list[Instruction]:
        """`n` instructions to write a story, each with its constraints and a story that meets them; for `Town.notes()`.

        Splits, seeds and errors are those of `stories`, and ValueError also when no plot of this Town has instructions.
        """
        check_request(n, seed, split, "instructions")
        return self._tasks.instructions(n, seed, split)

    def request_vocabulary(self) -> tuple[str, ...]:
        """The words of `summaries`, `instructions` and what asks for them that no story contains, sorted."""
        return tuple(sorted(self._tasks.request_vocabulary - set(self._vocabulary)))

    def every_story(self) -> list[Story]:
        """All stories, plot by plot: for reduced Towns (the full one tells more than could ever be listed)."""
        stories: list[Story] = []
        for plot in self.plots:
            values = generate.enumerate_values(plot)
            texts, log_probs = generate.render(plot, values), generate.log_probability(plot, values)
            told = zip(texts.tolist(), log_probs.tolist(), values.tolist(), strict=True)
            stories += [Story(text, log_prob, plot, tuple(row)) for text, log_prob, row in told]
        return stories

    def entropy(self) -> float:
        """The exact entropy of one story, in nats."""
        return self._entropy

    def expected_words(self) -> float:
        """The exact expected number of words and punctuation marks of a story, plus one for the end symbol."""
        return self._expected_words

    def entropy_rate(self) -> float:
        """Nats per word: the lowest cross-entropy per token that any model of `words + (END,)` can reach."""
        return self._entropy / self._expected_words

    def log_prob(self, text: str) -> float:
        """The exact natural log-probability of a text, by reading it back; -inf when the Town cannot tell it."""
        found = self.derivations(text)
        if not found:
            return -math.inf
        best = max(derivation.log_prob for derivation in found)
        return best + math.log(sum(math.exp(derivation.log_prob - best) for derivation in found))

    def derivations(self, text: str) -> list[Derivation]:
        """All ways in which the Town tells the text: one for a story of the Town, none for any other text."""
        words = self._canonical(text)
        return [] if words is None else [d for reader in self._readers for d in reader.derivations(words)]

    def explain(self, text: str) -> str:
        """One sentence: how probable the text is, or at which word it stops being a story that the Town tells."""
        log_prob = self.log_prob(text)
        if log_prob > -math.inf:
            once = f"once in {math.exp(-log_prob):.2g} stories"
            return f"The Town tells this story with log-probability {log_prob:.3f}: {once}."
        words, trace = self.tokenize(text), Trace()
        if any(reader.derivations(words, trace) for reader in self._readers):
            return f"The Town tells these words, but with this spacing: {self.detokenize(words)!r}"
        at, expected = trace.position, _listed(trace.expected)
        if at == len(words):
            return f"The Town could tell these {at} words, but the story does not end here; next comes {expected}."
        before = f" after {self.detokenize(words[max(0, at - 4) : at])!r}" if at else ""
        return f"The Town cannot tell word {at + 1}, {words[at]!r}:{before or ' there'} comes {expected}."

    def posterior(self, words: Sequence[str | None]) -> Posterior:
        """The exact distribution of each hidden word (None) of a text given the visible words and the text's length.

        words: the words and punctuation marks of a text, as `Story.words` or `tokenize` give them, END not among
        them. The time it takes grows with the number of ways to choose the phrases that the visible words leave open.
        Raises ValueError when nothing is hidden, for anything but words, or when no story fits the visible words;
        then it says up to which place they could be told.
        """
        if isinstance(words, str) or not isinstance(words, Sequence):
            raise ValueError(f"Give a sequence of words, with None for a hidden one, not {type(words).__name__}.")
        if odd := [word for word in words if word is not None and not isinstance(word, str)]:
            raise ValueError(f"A word is a string, or None where it is hidden, not {odd[0]!r}.")
        if END in words:
            raise ValueError(f"{END!r} is not part of the text here; leave it out.")
        if None not in words:
            raise ValueError("No word is hidden: put None in the place of each hidden word.")
        found = masked.posterior(self._readers, words)
        if found is None:
            raise ValueError(self._misfit(words))
        return found

    def vocabulary(self) -> tuple[str, ...]:
        """Every word and punctuation mark that some story contains, sorted; END is not among them."""
        return self._vocabulary

    @staticmethod
    def tokenize(text: str) -> tuple[str, ...]:
        """The words and punctuation marks of a text."""
        return tuple(split_words(text))

    @staticmethod
    def detokenize(words: Iterable[str]) -> str:
        """Plain text for words: the exact inverse of `tokenize` on the Town's stories. An END is left out.

        Double quotes open and close in turn; other marks join the word before them.
        """
        text, quoted, glued = "", False, True
        for word in words:
            if word == END:
                continue
            closing = word == '"' and quoted
            text += word if glued or closing or word in _JOINS_LEFT else f" {word}"
            glued = word == '"' and not quoted
            quoted ^= word == '"'
        return text

    def _misfit(self, words: Sequence[str | None]) -> str:
        """Up to which word a text with hidden words, which no story fits, could be a story."""
        trace = Trace()
        for reader in self._readers:
            for _ in reader.boxes(words, trace):
                return "No story fits the visible words: each could be there, but not all of them together."
        at, shown = trace.position, ["___" if word is None else word for word in words]
        if at == len(words):
            return f"No story fits: after these {at} words it does not end; next comes {_listed(trace.expected)}."
        before = f" after {self.detokenize(shown[max(0, at - 4) : at])!r}" if at else " there"
        return f"No story fits: word {at + 1} is {shown[at]!r}, but{before} comes {_listed(trace.expected)}."

    @cached_property
    def _translations(self) -> Grammar:
        return Grammar(self.world) if self._own_world else default_grammar()

    def _canonical(self, text: str) -> tuple[str, ...] | None:
        words = self.tokenize(text)
        return words if words and self.detokenize(words) == text else None

    @cached_property
    def _readers(self) -> tuple[Reader, ...]:
        return tuple(Reader(plot) for plot in self.plots)

    @cached_property
    def _entropy(self) -> float:
        return exact.entropy(self.plots)

    @cached_property
    def _expected_words(self) -> float:
        return exact.expected_words(self.plots) + 1

    @cached_property
    def _vocabulary(self) -> tuple[str, ...]:
        return tuple(sorted(frozenset().union(*(plot.vocabulary for plot in self.plots))))


def _listed(words: set[str], most: int = 6) -> str:
    shown = [f"{word!r}" for word in sorted(words)[:most]]
    return " or ".join(shown) + (f" or {len(words) - most} others" if len(words) > most else "")
