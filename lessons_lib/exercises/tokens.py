"""The exercises of lesson 02, tokens, in the lesson's order."""

from lessons_lib.exercises._token_encode import ENCODE_WORD
from lessons_lib.exercises._token_merges import MERGE, PAIR_COUNTS
from lessons_lib.exercises._token_pieces import BITS_PER_BYTE, PREDICT_CHINESE, WORDPIECE

EXERCISES = (PAIR_COUNTS, MERGE, ENCODE_WORD, WORDPIECE, PREDICT_CHINESE, BITS_PER_BYTE)
