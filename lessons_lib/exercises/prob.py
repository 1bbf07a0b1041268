"""The exercises of lesson 01, the probability of a sentence, in the lesson's order."""

from lessons_lib.exercises._prob_perplexity import PERPLEXITY
from lessons_lib.exercises._prob_sentences import BIGRAM_COUNTS, CHAIN_RULE
from lessons_lib.exercises._prob_words import ADD_K, PREDICT_UNSEEN, SAMPLE

EXERCISES = (CHAIN_RULE, BIGRAM_COUNTS, SAMPLE, PERPLEXITY, PREDICT_UNSEEN, ADD_K)
