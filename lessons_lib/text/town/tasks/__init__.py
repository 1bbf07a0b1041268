"""Labelled sets from the Town, for fine-tuning: reviews with their label, passages with the names in them marked,
questions with the place of their answer, summaries with the facts they tell, and instructions with the constraints they
set. The labels come from how the texts were made, so they are true.

The sets draw from streams of random numbers of their own: the stories that a model met in pre-training, whatever the
seed, are not those that it is tested on here, except by chance.
"""

from lessons_lib.text.town.tasks.entities import HELD_OUT_NAMES, Entity, Tagged, read_tags
from lessons_lib.text.town.tasks.instructions import CONSTRAINTS, Constraint, Instruction
from lessons_lib.text.town.tasks.questions import Question
from lessons_lib.text.town.tasks.reviews import LABELS, Review
from lessons_lib.text.town.tasks.sets import Tasks
from lessons_lib.text.town.tasks.summaries import Summary

__all__ = [
    "CONSTRAINTS",
    "HELD_OUT_NAMES",
    "LABELS",
    "Constraint",
    "Entity",
    "Instruction",
    "Question",
    "Review",
    "Summary",
    "Tagged",
    "Tasks",
    "read_tags",
]
