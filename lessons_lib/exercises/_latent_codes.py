"""Exercises of lesson 04 on codes that are distributions: what one costs, and how to draw from it."""

import torch

from lessons_lib.exercises.engine import Exercise


def drawn(rng, *shape):
    """A float tensor of standard normal numbers."""
    return torch.tensor(rng.normal(0, 1, shape), dtype=torch.float32)


# ------------------------------------------------------------------ latent.kl_gaussian


def kl_gaussian(mean, log_variance):
    """KL(N(mean, variance) ‖ N(0, 1)) of each sentence, in nats: the sum over its latent dimensions.

    mean: a float tensor of shape (batch, d_latent)
    log_variance: the natural logarithm of the variance, of the same shape
    returns: a tensor of shape (batch,)
    """
    return ((mean**2 + log_variance.exp() - 1 - log_variance) / 2).sum(dim=1)


def _not_halved(mean, log_variance):
    return (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1)


def _by_dimension(mean, log_variance):
    return (mean**2 + log_variance.exp() - 1 - log_variance) / 2


def _mean_of_dimensions(mean, log_variance):
    return _by_dimension(mean, log_variance).mean(dim=1)


def _over_sentences(mean, log_variance):
    return _by_dimension(mean, log_variance).sum(dim=0)


def _one_number(mean, log_variance):
    return _by_dimension(mean, log_variance).sum()


def _negative(mean, log_variance):
    return -kl_gaussian(mean, log_variance)


def _not_squared(mean, log_variance):
    return ((mean + log_variance.exp() - 1 - log_variance) / 2).sum(dim=1)


def _log_as_variance(mean, log_variance):
    return ((mean**2 + log_variance - 1 - log_variance.abs().log()) / 2).sum(dim=1)


def _deviation_as_variance(mean, log_variance):
    return ((mean**2 + (log_variance / 2).exp() - 1 - log_variance / 2) / 2).sum(dim=1)


def _log_of_deviation(mean, log_variance):
    return ((mean**2 + (2 * log_variance).exp() - 1 - 2 * log_variance) / 2).sum(dim=1)


def _the_other_way(mean, log_variance):
    return (((mean**2 + 1) / log_variance.exp() - 1 + log_variance) / 2).sum(dim=1)


def _without_one(mean, log_variance):
    return ((mean**2 + log_variance.exp() - log_variance) / 2).sum(dim=1)


def _codes(rng):
    yield (torch.zeros(1, 1), torch.zeros(1, 1))
    yield (torch.tensor([[2.0]]), torch.tensor([[0.5]]))
    for batch, d_latent in ((2, 3), (4, 2), (3, 8)):
        yield (drawn(rng, batch, d_latent), drawn(rng, batch, d_latent))


KL_GAUSSIAN = Exercise(
    id="latent.kl_gaussian",
    title="The price of a code",
    minutes=6,
    difficulty=2,
    reference=kl_gaussian,
    inputs=_codes,
    mistakes={
        "Exactly twice too much: the factor ½ is missing.": _not_halved,
        "One number per sentence is wanted: add up over the dimensions.": _by_dimension,
        "You average over the dimensions. The dimensions are independent, so their KLs add up.": _mean_of_dimensions,
        "You add up over the sentences (dim 0). The dimensions are axis 1.": _over_sentences,
        "You add up everything. Each sentence keeps its own number.": _one_number,
        "The sign: a KL divergence is never below 0.": _negative,
        "The mean enters squared: a code at −2 is as far from 0 as one at 2.": _not_squared,
        "You took log_variance for the variance. Where the variance is needed, it is `log_variance.exp()`.": (
            _log_as_variance
        ),
        "You took exp(log_variance / 2), the standard deviation, for the variance.": _deviation_as_variance,
        "You took log_variance for the logarithm of the standard deviation; it is that of the variance already.": (
            _log_of_deviation
        ),
        "That is KL(N(0, 1) ‖ N(mean, variance)): the same two distributions in the other order.": _the_other_way,
        "The −1 is missing: for a mean of 0 and a variance of 1 the two are the same, and the KL is 0.": _without_one,
    },
    hints=(
        "The formula has four terms. Which of them has the mean in it, and which has the variance?",
        "½ (µ² + σ² − 1 − ln σ²) for one dimension; σ² is `log_variance.exp()`, ln σ² is `log_variance` itself.",
        "Put the four terms together elementwise, halve, then `.sum(dim=1)`.",
    ),
)


# ------------------------------------------------------------------ latent.reparameterize


def reparameterize(mean, log_variance, noise):
    """A draw from N(mean, variance), made from a draw from N(0, 1).

    mean: a float tensor of shape (batch, d_latent)
    log_variance: the natural logarithm of the variance, of the same shape
    noise: draws from N(0, 1), of the same shape
    """
    return mean + (log_variance / 2).exp() * noise


def _times_variance(mean, log_variance, noise):
    return mean + log_variance.exp() * noise


def _times_log(mean, log_variance, noise):
    return mean + log_variance * noise


def _no_noise(mean, log_variance, noise):
    return mean.clone()


def _no_mean(mean, log_variance, noise):
    return (log_variance / 2).exp() * noise


def _noise_alone(mean, log_variance, noise):
    return mean + noise


def _root_of_log(mean, log_variance, noise):
    return mean + log_variance.abs().sqrt() * noise


def _noise_added(mean, log_variance, noise):
    return mean + (log_variance / 2).exp() + noise


def _minus(mean, log_variance, noise):
    return mean - (log_variance / 2).exp() * noise


def _divided(mean, log_variance, noise):
    return (noise - mean) / (log_variance / 2).exp()


def _detached(mean, log_variance, noise):
    return (mean + (log_variance / 2).exp() * noise).detach()


def _draws(rng):
    yield (torch.tensor([[1.0]]), torch.tensor([[1.0]]), torch.tensor([[-2.0]]))
    for batch, d_latent in ((1, 3), (2, 2), (4, 3)):
        yield tuple(drawn(rng, batch, d_latent) for _ in range(3))


def _gradients_pass(f):
    generator = torch.Generator().manual_seed(0)
    mean, log_variance, noise = (torch.randn(3, 2, generator=generator) for _ in range(3))
    mean.requires_grad_()
    log_variance.requires_grad_()
    z = f(mean, log_variance, noise)
    if not z.requires_grad:
        return False
    found = torch.autograd.grad(z.sum(), (mean, log_variance), allow_unused=True)
    return all(g is not None and bool((g != 0).any()) for g in found)


REPARAMETERIZE = Exercise(
    id="latent.reparameterize",
    title="A draw that gradients pass through",
    minutes=5,
    difficulty=1,
    reference=reparameterize,
    inputs=_draws,
    mistakes={
        "You scale the noise by the variance. A standard normal number times σ, the root of σ², has the variance "
        "σ².": _times_variance,
        "You scale the noise by the logarithm of the variance, which may even be negative.": _times_log,
        "That is the mean, without chance: a plain autoencoder.": _no_noise,
        "The mean is missing: your draws lie around 0.": _no_mean,
        "The noise keeps the variance 1; scale it by the standard deviation.": _noise_alone,
        "The standard deviation is the root of the variance, not of its logarithm: exp(log_variance / 2).": (
            _root_of_log
        ),
        "The noise is multiplied by the standard deviation, not added to it.": _noise_added,
        "The draws have the right distribution, but this exercise adds the noise, so that draws can be compared.": (
            _minus
        ),
        "That is the way back, from a draw to its noise.": _divided,
        "The numbers are right, but `detach` cuts off the gradient, and the trick is for the gradient.": _detached,
    },
    properties=[("lets gradients pass to mean and log_variance", _gradients_pass)],
    hints=(
        "Stretch the standard normal draw, then shift it.",
        "Stretch by the standard deviation σ, shift by the mean. Given ln σ², what is σ?",
        "σ = exp(ln σ² / 2), so `(log_variance / 2).exp()`.",
    ),
)
