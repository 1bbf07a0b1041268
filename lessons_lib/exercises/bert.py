"""The exercises of lesson 08, BERT's encoder, in the lesson's order."""

from lessons_lib.exercises._bert_counting import COUNT_PARAMETERS
from lessons_lib.exercises._bert_padding import FIND_THE_BUG
from lessons_lib.exercises._bert_rows import POOL, SEGMENTS

EXERCISES = (COUNT_PARAMETERS, SEGMENTS, POOL, FIND_THE_BUG)
