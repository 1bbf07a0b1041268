"""The exercises of lesson 13, generating, in the lesson's order."""

from lessons_lib.exercises._decode_filters import TOP_K, TOP_P
from lessons_lib.exercises._decode_search import BEAM_STEP, FIND_THE_BUG
from lessons_lib.exercises._decode_speculative import PREDICT_TOKENS, SPECULATIVE_ACCEPT

EXERCISES = (FIND_THE_BUG, TOP_K, TOP_P, BEAM_STEP, PREDICT_TOKENS, SPECULATIVE_ACCEPT)
