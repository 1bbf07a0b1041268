"""Exercises of lesson 10, fine-tuning BERT, in the lesson's order."""

from lessons_lib.exercises._finetune_classes import MACRO_F1
from lessons_lib.exercises._finetune_entities import ENTITY_F1
from lessons_lib.exercises._finetune_heads import HELD_OUT_ACCURACY, PREDICT_HEAD
from lessons_lib.exercises._finetune_labels import ALIGN_LABELS
from lessons_lib.exercises._finetune_spans import BEST_SPAN

EXERCISES = (PREDICT_HEAD, HELD_OUT_ACCURACY, MACRO_F1, ALIGN_LABELS, ENTITY_F1, BEST_SPAN)
