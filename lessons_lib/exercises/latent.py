"""Exercises of lesson 04: autoencoders, what they are trained on, and what they are trained for."""

from lessons_lib.exercises._latent_codes import KL_GAUSSIAN, REPARAMETERIZE
from lessons_lib.exercises._latent_objectives import CORRUPT, ELBO, PREDICT_COLLAPSE

EXERCISES = (CORRUPT, KL_GAUSSIAN, REPARAMETERIZE, ELBO, PREDICT_COLLAPSE)
