"""The labelled sets of one Town, made when they are first asked for."""

from functools import cached_property

from lessons_lib.text.town.plots import Limits, Plot
from lessons_lib.text.town.tasks import entities, questions, reviews
from lessons_lib.text.town.tasks.entities import Tagged
from lessons_lib.text.town.tasks.instructions import Instruction, Instructions
from lessons_lib.text.town.tasks.questions import Bank, Question
from lessons_lib.text.town.tasks.reviews import Review
from lessons_lib.text.town.tasks.summaries import Summaries, Summary
from lessons_lib.text.town.world import World


class Tasks:
    """All labelled sets of the Town that has this world, these plots and these limits."""

    def __init__(self, world: World, plots: tuple[Plot, ...], limits: Limits | None = None):
        self.world, self.plots, self.limits = world, plots, limits

    @cached_property
    def review_plots(self) -> tuple[Plot, ...]:
        return reviews.review_plots(self.world, self.limits)

    @cached_property
    def bank(self) -> Bank:
        return questions.Bank(self.plots)

    @cached_property
    def summarising(self) -> Summaries:
        return Summaries(self.plots)

    @cached_property
    def instructing(self) -> Instructions:
        return Instructions(self.plots)

    def reviews(self, n: int, seed: int, split: str) -> list[Review]:
        return reviews.draw_reviews(self.review_plots, n, seed, split)

    def review_label(self, text: str) -> str | None:
        return reviews.read_label(self.review_plots, text)

    def entities(self, n: int, seed: int, split: str) -> list[Tagged]:
        return entities.draw_entities(self.plots, self.world, n, seed, split)

    def questions(self, n: int, seed: int, split: str) -> list[Question]:
        return self.bank.draw(n, seed, split)

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """Every word and punctuation mark of the reviews and the questions."""
        return frozenset().union(self.bank.vocabulary, *(plot.vocabulary for plot in self.review_plots))

    def summaries(self, n: int, seed: int, split: str) -> list[Summary]:
        return self.summarising.draw(n, seed, split)

    def instructions(self, n: int, seed: int, split: str) -> list[Instruction]:
        return self.instructing.draw(n, seed, split)

    @cached_property
    def request_vocabulary(self) -> frozenset[str]:
        """Every word and punctuation mark of the summaries and the instructions, and of what asks for them."""
        return self.summarising.vocabulary | self.instructing.vocabulary
