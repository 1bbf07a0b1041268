"""The exercises of lesson 12, pre-training GPT, in the lesson's order."""

from lessons_lib.exercises._pretrain_accumulate import ACCUMULATE
from lessons_lib.exercises._pretrain_clip import CLIP
from lessons_lib.exercises._pretrain_flops import FLOPS, HALF_THE_LOSS
from lessons_lib.exercises._pretrain_schedule import LR_SCHEDULE
from lessons_lib.exercises._pretrain_targets import SHIFT_TARGETS

EXERCISES = (SHIFT_TARGETS, LR_SCHEDULE, CLIP, ACCUMULATE, FLOPS, HALF_THE_LOSS)
