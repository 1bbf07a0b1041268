"""The exercises of lesson 03, from counting to learning, in the lesson's order."""

from lessons_lib.exercises._neural_gradient import LOGIT_GRADIENT
from lessons_lib.exercises._neural_losses import CROSS_ENTROPY, SOFTMAX
from lessons_lib.exercises._neural_steps import FIRST_LOSS, RELU_BACKWARD, SGD

EXERCISES = (SOFTMAX, CROSS_ENTROPY, LOGIT_GRADIENT, SGD, RELU_BACKWARD, FIRST_LOSS)
