"""Labelled sets from the Town, for fine-tuning: reviews with their label, passages with the names in them marked, and
questions with the place of their answer. The labels come from how the texts were made, so they are true.

The sets draw from streams of random numbers of their own: the stories that a model met in pre-training, whatever the
seed, are not those that it is tested on here, except by chance.
"""

from lessons_lib.text.town.tasks.entities import HELD_OUT_NAMES, Entity, Tagged, read_tags
from lessons_lib.text.town.tasks.questions import Question
from lessons_lib.text.town.tasks.reviews import LABELS, Review
from lessons_lib.text.town.tasks.sets import Tasks

__all__ = ["HELD_OUT_NAMES", "LABELS", "Entity", "Question", "Review", "Tagged", "Tasks", "read_tags"]
