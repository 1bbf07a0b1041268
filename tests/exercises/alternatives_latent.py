"""Correct answers to the exercises of lesson 04, written in other ways."""

import math

import torch
from torch.distributions import Normal, kl_divergence

from lessons_lib.exercises._latent_objectives import SAME
from lessons_lib.models.variational import kl_to_standard_normal


def kl_library(mean, log_variance):
    return kl_to_standard_normal(mean, log_variance).sum(-1)


def kl_torch(mean, log_variance):
    normal = Normal(mean, (log_variance / 2).exp())
    return kl_divergence(normal, Normal(torch.zeros_like(mean), torch.ones_like(mean))).sum(1)


def kl_loops(mean, log_variance):
    totals = []
    for m_row, v_row in zip(mean.tolist(), log_variance.tolist(), strict=True):
        pairs = zip(m_row, v_row, strict=True)
        totals.append(sum(0.5 * (m * m + math.exp(v) - 1 - v) for m, v in pairs))
    return torch.tensor(totals)


def draw_by_sigma(mean, log_variance, noise):
    sigma = torch.sqrt(torch.exp(log_variance))
    return sigma * noise + mean


def draw_addcmul(mean, log_variance, noise):
    return torch.addcmul(mean, torch.exp(0.5 * log_variance), noise)


def corrupt_where(ids, rate, chance, replacement):
    return torch.where((chance < rate) & (ids > 3), replacement, ids)


def corrupt_fill(ids, rate, chance, replacement):
    return ids.masked_fill((ids >= 4) & (chance < rate), replacement)


def corrupt_loops(ids, rate, chance, replacement):
    rows = zip(ids.tolist(), chance.tolist(), strict=True)
    return torch.tensor([[replacement if w > 3 and c < rate else w for w, c in zip(*row, strict=True)] for row in rows])


def elbo_sums(log_q, is_token, kl):
    return (log_q[is_token].sum() - kl.sum()) / len(kl)


def elbo_where(log_q, is_token, kl):
    kept = torch.where(is_token, log_q, torch.zeros_like(log_q))
    return kept.sum(1).mean() - kl.sum(1).mean()


ALTERNATIVES = {
    "latent.kl_gaussian": [kl_library, kl_torch, kl_loops],
    "latent.reparameterize": [draw_by_sigma, draw_addcmul],
    "latent.corrupt": [corrupt_where, corrupt_fill, corrupt_loops],
    "latent.elbo": [elbo_sums, elbo_where],
    "latent.predict_collapse": [SAME, str(SAME)],
}
