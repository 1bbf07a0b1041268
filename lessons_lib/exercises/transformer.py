"""The exercises of lesson 07, the Transformer, in the lesson's order."""

from lessons_lib.exercises._transformer_cross import CROSS_ATTENTION
from lessons_lib.exercises._transformer_parts import LAYER_NORM, PREDICT_PARAMETERS, SPLIT_HEADS
from lessons_lib.exercises._transformer_writing import BEAM, SHIFT_RIGHT

EXERCISES = (PREDICT_PARAMETERS, SPLIT_HEADS, LAYER_NORM, CROSS_ATTENTION, SHIFT_RIGHT, BEAM)
