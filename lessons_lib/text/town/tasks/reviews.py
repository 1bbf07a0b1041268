"""Reviews: short texts for or against something in the Town, made of tables and plots as the stories are."""

from dataclasses import dataclass, field
from functools import cached_property

from lessons_lib.paths import data_folder
from lessons_lib.text.town.generate import Story, sample
from lessons_lib.text.town.parse import Reader
from lessons_lib.text.town.plots import Limits, Plot, compile_plots
from lessons_lib.text.town.world import TownError, World
from lessons_lib.text.words import split_words

LABELS = ("negative", "mixed", "positive")
_TASK = 10


@dataclass(frozen=True)
class Review:
    """A review.

    text: plain English. label: one of LABELS, and a function of the text, so a classifier can be right every time.
    log_prob: the exact natural log-probability of the text among all reviews. about: the id of its plot in
    data/town/tasks/reviews/plots.toml. words: its words and punctuation marks, capitals kept.
    """

    text: str
    label: str
    about: str
    log_prob: float = field(compare=False)

    @cached_property
    def words(self) -> tuple[str, ...]:
        return tuple(split_words(self.text))


def review_plots(world: World, limits: Limits | None = None) -> tuple[Plot, ...]:
    """The plots of reviews, told with the tables of `world` and those of data/town/tasks/reviews.

    Raises TownError when a table that they need is missing, or when `world` has one of the reviews' own.
    """
    own = World.load(data_folder() / "town" / "tasks" / "reviews")
    if twice := sorted(world.tables.keys() & own.tables.keys()):
        raise TownError(f"tasks/reviews: table {twice[0]!r} is one of the Town's already; rename it in one of the two.")
    return compile_plots(World({**world.tables, **own.tables}, own.plots, f"tasks/reviews/{own.plots_file}"), limits)


def draw_reviews(plots: tuple[Plot, ...], n: int, seed: int, split: str) -> list[Review]:
    """`n` independent reviews from the stream of (seed, split)."""
    return [as_review(story) for story in sample(plots, n, seed, split, (_TASK,))]


def as_review(story: Story) -> Review:
    """A text of the review plots as a review."""
    return Review(story.text, _label(story._plot, story._values), story.plot, story.log_prob)


def read_label(plots: tuple[Plot, ...], text: str) -> str | None:
    """The label of a text, by reading it back; None when no review has its words."""
    words = split_words(text)
    found = (derivation for plot in plots for derivation in Reader(plot).derivations(words))
    return next((_label(derivation.plot, derivation.values) for derivation in found), None)


def _label(plot: Plot, values: tuple[int, ...]) -> str:
    (slot,) = plot.facts["label"].slots
    named = {choice.name: value for choice, value in zip(plot.choices, values, strict=True)}
    return slot.strings[slot.variable.evaluate(named)]
