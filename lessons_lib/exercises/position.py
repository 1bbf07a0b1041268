"""The exercises of lesson 06, positions, in the lesson's order."""

from lessons_lib.exercises._position_alibi import ALIBI
from lessons_lib.exercises._position_relative import FIND_THE_BUG, ROTARY
from lessons_lib.exercises._position_waves import PREDICT_BLIND, SHIFT_IS_ROTATION, SINUSOIDAL

EXERCISES = (PREDICT_BLIND, SINUSOIDAL, SHIFT_IS_ROTATION, ROTARY, FIND_THE_BUG, ALIBI)
