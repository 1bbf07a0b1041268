"""The exercises of lesson 05, self-attention by hand, in the lesson's order."""

from lessons_lib.exercises._attention_attend import ATTEND
from lessons_lib.exercises._attention_leak import FIND_THE_LEAK
from lessons_lib.exercises._attention_masks import CAUSAL_MASK, PADDING_MASK
from lessons_lib.exercises._attention_scores import PREDICT_SPREAD, SCORES

EXERCISES = (PREDICT_SPREAD, SCORES, CAUSAL_MASK, PADDING_MASK, ATTEND, FIND_THE_LEAK)
