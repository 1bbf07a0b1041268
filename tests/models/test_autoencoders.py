"""Autoencoders: linear, denoising, variational."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Normal, kl_divergence

from lessons_lib.models.autoencoder import (
    DenoisingAutoencoder,
    LinearAutoencoder,
    SentenceVAE,
    VAEConfig,
    active_units,
    anneal,
    bag_of_words,
    corrupt,
    drop_features,
    free_bits,
    kl_to_standard_normal,
    principal_angles,
    reparameterize,
)
from lessons_lib.text.vocab import BEGIN, END, PAD, UNKNOWN

IDS = torch.tensor([[BEGIN, 5, 6, 7, END], [BEGIN, 8, END, PAD, PAD]])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def vae(**changes):
    torch.manual_seed(0)
    return SentenceVAE(VAEConfig(12, **{"context_length": 8, "d_model": 16, "d_latent": 3, **changes}))


def test_a_linear_autoencoder_finds_the_principal_components():
    x = torch.randn(400, 6, generator=seeded()) * torch.tensor([5.0, 3.0, 1.0, 0.5, 0.3, 0.1]) + 2
    x = x @ torch.linalg.qr(torch.randn(6, 6, generator=seeded(1))).Q
    torch.manual_seed(0)
    model = LinearAutoencoder(6, 2)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=500, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), x)
        loss.backward()
        return loss

    optimizer.step(closure)
    principal = torch.linalg.svd(x - x.mean(0)).Vh[:2].T
    assert principal_angles(model.directions(), principal).max() < 1
    assert model.encode(x).shape == (400, 2)


def test_principal_angles_by_hand():
    plane, tilt = torch.eye(3)[:, :2], math.radians(20)
    tilted = torch.tensor([[1.0, 0.0], [0.0, math.cos(tilt)], [0.0, math.sin(tilt)]])
    assert principal_angles(plane, tilted).tolist() == pytest.approx([0, 20], abs=1e-4)
    assert principal_angles(plane, plane @ torch.tensor([[2.0, 1.0], [0.0, 3.0]])).max() < 1e-6
    assert principal_angles(plane, torch.tensor([[0.0], [0.0], [1.0]])).tolist() == pytest.approx([90])
    line = torch.tensor([[0.0], [1.0], [1.0]])
    assert principal_angles(line, plane).tolist() == pytest.approx([45]) == principal_angles(plane, line).tolist()
    tiny = torch.tensor([[1.0], [1e-6], [0.0]])
    assert principal_angles(tiny, torch.eye(3)[:, :1]).item() == pytest.approx(math.degrees(1e-6), rel=1e-3)


def test_bag_of_words():
    bags = bag_of_words(torch.tensor([[BEGIN, 5, 6, 5, END], [BEGIN, 8, UNKNOWN, END, PAD]]), 9)
    assert bags.tolist() == [[0, 0, 0, 0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 1]]


def test_noise_hits_its_share_and_spares_the_symbols():
    ids = torch.randint(0, 12, (200, 200), generator=seeded())
    damaged = corrupt(ids, 0.3, seeded(1))
    words, hit = ids > UNKNOWN, damaged != ids
    assert torch.equal(damaged[~words], ids[~words]) and (damaged[hit] == UNKNOWN).all()
    assert hit[words].float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert torch.equal(damaged, corrupt(ids, 0.3, seeded(1)))
    assert (corrupt(ids, 0.3, seeded(1), replacement=PAD)[hit] == PAD).all()
    assert torch.equal(corrupt(ids, 0.0), ids)
    dropped = drop_features(torch.ones(200, 200), 0.25, seeded())
    assert dropped.mean().item() == pytest.approx(0.75, abs=0.01) and set(dropped.unique().tolist()) == {0.0, 1.0}


def test_a_denoising_autoencoder_begins_undecided():
    model, bags = DenoisingAutoencoder(12, 3, d_ff=8), bag_of_words(IDS, 12)
    logits = model(drop_features(bags, 0.5))
    assert logits.shape == (2, 12) and model.encode(bags).shape == (2, 3)
    assert F.binary_cross_entropy_with_logits(logits, bags).item() == pytest.approx(math.log(2), abs=0.01)


def test_kl_in_closed_form_equals_torch_and_monte_carlo():
    mean, log_variance = torch.tensor([[0.5, -1.0, 0.0]]), torch.tensor([[0.3, -1.2, 0.0]])
    posterior, prior = Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)
    kl = kl_to_standard_normal(mean, log_variance)
    torch.testing.assert_close(kl, kl_divergence(posterior, prior))
    assert kl[0, 2] == 0
    z = reparameterize(mean.expand(200_000, 3), log_variance.expand(200_000, 3), seeded())
    sampled = (posterior.log_prob(z) - prior.log_prob(z)).mean(0)
    torch.testing.assert_close(sampled, kl[0], rtol=0, atol=0.01)


def test_reparameterized_draws_have_the_moments_and_pass_gradients():
    mean = torch.full((100_000, 1), 2.0, requires_grad=True)
    log_variance = torch.full((100_000, 1), math.log(9.0), requires_grad=True)
    z = reparameterize(mean, log_variance, seeded())
    assert z.mean().item() == pytest.approx(2, abs=0.05) and z.std().item() == pytest.approx(3, abs=0.05)
    z.sum().backward()
    assert (mean.grad == 1).all()
    torch.testing.assert_close(log_variance.grad, (z - mean).detach() / 2)
    assert torch.equal(z, reparameterize(mean, log_variance, seeded()))


def test_free_bits_and_annealing_and_active_units():
    kl = torch.tensor([[0.0, 1.0], [0.2, 3.0]])
    assert free_bits(kl, 0.0).item() == pytest.approx(2.1)
    assert free_bits(kl, 0.5).item() == pytest.approx(2.5)
    assert [anneal(step, 10) for step in (0, 5, 10, 99)] == [0.0, 0.5, 1.0, 1.0]
    mean = torch.randn(500, 3, generator=seeded()) * torch.tensor([1.0, 0.01, 0.5])
    assert active_units(mean) == 2


def test_vae_shapes_and_gradients():
    model = vae(word_dropout=0.5)
    out = model(IDS)
    assert out.logits.shape == (2, 4, 12)
    assert out.mean.shape == out.log_variance.shape == out.z.shape == (2, 3)
    loss = F.cross_entropy(out.logits.flatten(0, 1), IDS[:, 1:].flatten(), ignore_index=PAD)
    assert loss.item() == pytest.approx(math.log(12), abs=0.02)
    (loss + kl_to_standard_normal(out.mean, out.log_variance).sum(1).mean()).backward()
    assert all(p.grad.isfinite().all() and p.grad.abs().sum() > 0 for p in model.parameters())


def test_vae_draws_by_its_generator_and_a_plain_one_not_at_all():
    model = vae(word_dropout=0.5)
    assert torch.equal(model(IDS, seeded(3)).logits, model(IDS, seeded(3)).logits)
    assert not torch.equal(model(IDS, seeded(3)).z, model(IDS, seeded(4)).z)
    plain = vae(variational=False)
    assert torch.equal(plain(IDS).z, plain(IDS).mean)


def test_vae_word_dropout_is_in_training_only():
    model = vae(word_dropout=0.9, variational=False)
    assert not torch.equal(model(IDS, seeded(0)).logits, model(IDS, seeded(5)).logits)
    model.eval()
    assert torch.equal(model(IDS, seeded(0)).logits, model(IDS, seeded(5)).logits)


def test_vae_reads_each_sentence_to_its_end():
    model = vae()
    _, last = model.reader(model.embedding(IDS[1:, :3]))  # the second sentence has three tokens
    torch.testing.assert_close(model.encode(IDS)[0][1], model.to_mean(last[0, 0]))


def test_vae_padding_changes_nothing():
    model = vae()
    padded = F.pad(IDS, (0, 3), value=PAD)
    for ours, theirs in zip(model.encode(padded), model.encode(IDS), strict=True):
        torch.testing.assert_close(ours, theirs)
    z = torch.randn(2, 3)
    torch.testing.assert_close(model.decode(z, padded)[:, :5], model.decode(z, IDS))
    nothing = torch.zeros_like(IDS)
    assert all(part.isfinite().all() for part in model(nothing))


def test_vae_decoder_is_causal_and_hears_z():
    model, z, changed = vae(), torch.randn(2, 3), IDS.clone()
    changed[:, 3:] = 9
    torch.testing.assert_close(model.decode(z, changed)[:, :3], model.decode(z, IDS)[:, :3])
    assert (model.decode(z + 1, IDS) - model.decode(z, IDS)).abs().sum(-1).gt(0).all()


def test_vae_generates_what_its_decoder_finds_likeliest():
    model, z = vae().eval(), torch.randn(4, 3, generator=seeded())
    torch.nn.init.normal_(model.output.weight)
    words = model.generate(z, max_words=6)
    assert words.shape[0] == 4 and words.shape[1] <= 6
    ids = torch.cat([torch.full((4, 1), BEGIN), words], dim=1)
    likeliest = model.decode(z, ids[:, :-1]).argmax(-1)
    for row, expected in zip(words.tolist(), likeliest.tolist(), strict=True):
        n = row.index(END) + 1 if END in row else len(row)
        assert row[:n] == expected[:n] and set(row[n:]) <= {PAD}
    model.output.bias.data[END] = 1e6
    assert model.generate(z).tolist() == [[END]] * 4  # it stops when all have ended


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("narrower than the input: d_latent = 6 must be below 6", lambda: LinearAutoencoder(6, 6)),
        ("rate is a probability", lambda: corrupt(IDS, 1.0)),
        ("rate is a probability", lambda: drop_features(torch.ones(2, 2), -0.1)),
        ("token id 8, outside", lambda: bag_of_words(IDS, 8)),
        ("word_dropout is a probability", lambda: vae(word_dropout=1.0)),
        ("dropout is a probability", lambda: vae(dropout=2)),
        ("d_latent must be", lambda: vae(d_latent=0)),
        ("9 tokens in ids is longer than context_length = 8", lambda: vae()(IDS[:, [1] * 9])),
        ("ids is an empty batch", lambda: vae()(IDS[:0])),
        ("token id 15, outside", lambda: vae()(IDS + 7)),
        ("warmup_steps must be", lambda: anneal(1, 0)),
    ],
)
def test_bad_input_is_named(message, call):
    with pytest.raises(ValueError, match=message):
        call()
