"""The Town: the world whose truth is known. Tables (world) → choices (plots) → stories (generate), exact facts (exact),
the way back from a text to its choices (parse), and what hidden words must have been (masked)."""

from lessons_lib.text.town.generate import Story
from lessons_lib.text.town.masked import MaskedEntropy, Posterior, hide, masked_entropy
from lessons_lib.text.town.town import Town
from lessons_lib.text.town.world import TownError, World
from lessons_lib.text.words import END

__all__ = [
    "END",
    "MaskedEntropy",
    "Posterior",
    "Story",
    "Town",
    "TownError",
    "World",
    "hide",
    "masked_entropy",
]
