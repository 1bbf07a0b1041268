"""The exercises of lesson 09, pre-training BERT, in the lesson's order."""

from lessons_lib.exercises._mlm_guess import FIND_THE_BUG
from lessons_lib.exercises._mlm_loss import LOSS
from lessons_lib.exercises._mlm_masking import COUNT_THE_MASKS, MASK_TOKENS
from lessons_lib.exercises._mlm_pairs import NSP_PAIRS

EXERCISES = (COUNT_THE_MASKS, MASK_TOKENS, LOSS, NSP_PAIRS, FIND_THE_BUG)
