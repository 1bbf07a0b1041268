"""The Town: the world whose truth is known. Tables (world) → choices (plots) → stories (generate), exact facts (exact),
and the way back from a text to its choices (parse)."""

from lessons_lib.text.town.generate import Story
from lessons_lib.text.town.town import Town
from lessons_lib.text.town.world import TownError, World
from lessons_lib.text.words import END

__all__ = ["END", "Story", "Town", "TownError", "World"]
