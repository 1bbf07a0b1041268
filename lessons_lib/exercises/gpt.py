"""The exercises of lesson 11, GPT the decoder, in the lesson's order."""

from lessons_lib.exercises._gpt_bug import FIND_THE_BUG
from lessons_lib.exercises._gpt_cache import KV_CACHE, PREDICT_CACHE
from lessons_lib.exercises._gpt_counting import COUNT_PARAMETERS
from lessons_lib.exercises._gpt_tying import TIE

EXERCISES = (TIE, COUNT_PARAMETERS, KV_CACHE, FIND_THE_BUG, PREDICT_CACHE)
