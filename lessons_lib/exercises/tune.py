"""The exercises of lesson 14, from completing to answering, in the lesson's order."""

from lessons_lib.exercises._tune_lora import LORA_FORWARD, MERGE
from lessons_lib.exercises._tune_mask import LOSS_MASK
from lessons_lib.exercises._tune_preferences import DPO_LOSS, FIRST_LOSS

EXERCISES = (LOSS_MASK, LORA_FORWARD, MERGE, FIRST_LOSS, DPO_LOSS)
