"""The VAE, its loss, and what it makes of codes."""

import math

import pytest
import torch

from model.layers import Defaults
from model.loss import ELBO, kl_of_numbers
from model.vae import VAE
from tests.conftest import command, numbers_of, only_run

CONV_VAE = {
    "type": "VAE",
    "args": {"encoder": [{"conv": 4, "stride": 2}], "latent": {"linear": 3}, "decoder": "mirror"},
}


def test_kl_is_that_of_torch_distributions():
    mean, logvar = torch.randn(2, 7, 5)
    posterior = torch.distributions.Normal(mean, (0.5 * logvar).exp())
    prior = torch.distributions.Normal(0.0, 1.0)
    expected = torch.distributions.kl_divergence(posterior, prior)
    assert torch.allclose(kl_of_numbers(mean, logvar), expected, atol=1e-6)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("shape", [(7, 5), (3, 4, 6, 5)])
def test_the_slope_of_the_kl_is_the_one_that_torch_finds(shape, reduction):
    code, logvar = torch.randn(2, *shape).requires_grad_().unbind()
    if len(shape) == 4:
        code = code.contiguous(memory_format=torch.channels_last)
    weights = torch.rand(len(code))
    made = torch.zeros(len(code), 1, 2, 2)
    terms = ELBO(reduction=reduction)(
        {"reconstruction": made, "code": code, "logvar": logvar}, made
    )
    expected = kl_of_numbers(code, logvar).flatten(1)
    expected = expected.sum(1) if reduction == "sum" else expected.mean(1)
    assert torch.allclose(terms["kl"], expected, rtol=1e-5)
    found, wanted = (
        torch.autograd.grad((weights * kl).sum(), (code, logvar), retain_graph=True)
        for kl in (terms["loss"], expected)
    )
    for one, other in zip(found, wanted, strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-7)


def test_codes_are_drawn_from_the_posterior():
    head = {"conv": 4, "kernel_size": 1, "padding": 0}
    model = VAE((1, 8, 8), [{"conv": 4}], head, [{"deconv": 1}]).train()
    for part, value in ((model.mean, 3.0), (model.logvar, 2 * math.log(0.5))):
        torch.nn.init.zeros_(part[0].conv.weight)
        torch.nn.init.constant_(part[0].conv.bias, value)
    drawn = []
    model.decoder.register_forward_pre_hook(lambda _, given: drawn.append(given[0]))
    model(torch.rand(500, 1, 8, 8).contiguous(memory_format=torch.channels_last))
    noise = (drawn[0] - 3.0) / 0.5
    assert noise.mean().item() == pytest.approx(0, abs=0.02)
    assert noise.std().item() == pytest.approx(1, abs=0.02)
    for axis in range(4):  # neighbours along no axis have to do with each other
        pairs = noise.movedim(axis, 0)
        assert (pairs[1:] * pairs[:-1]).mean().abs() < 0.02


MADE = torch.tensor([[[[0.5, 0.5]]]])
TARGET = torch.tensor([[[[1.0, 0.0]]]])
CODE = torch.tensor([[1.0, 0.0]])  # KL 1/2 and 0 at log variance 0
OUTPUT = {"reconstruction": MADE, "code": CODE, "logvar": torch.zeros(1, 2)}


@pytest.mark.parametrize(
    ("settings", "loss", "reconstruction", "kl"),
    [
        ({}, 0.25 + 0.5, 0.25, 0.5),
        ({"reconstruction": "l1"}, 1.5, 1.0, 0.5),
        ({"reconstruction": "bce"}, 2 * math.log(2) + 0.5, 2 * math.log(2), 0.5),
        ({"beta": 4.0}, 0.25 + 2, 0.25, 0.5),
        ({"reduction": "mean"}, 0.25 + 0.25, 0.25, 0.25),
        ({"free_bits": 0.3}, 0.25 + 0.8, 0.25, 0.5),
    ],
)
def test_the_elbo_is_what_one_computes_by_hand(settings, loss, reconstruction, kl):
    terms = ELBO(**settings)(OUTPUT, TARGET)
    assert terms["loss"].tolist() == pytest.approx([loss])
    assert terms["reconstruction"].tolist() == pytest.approx([reconstruction])
    assert terms["kl"].tolist() == pytest.approx([kl])


@pytest.mark.parametrize(
    ("settings", "betas"),
    [
        ({}, [2, 2, 2, 2, 2, 2]),
        ({"warm_up": 2}, [0, 1, 2, 2, 2, 2]),
        ({"warm_up": 2, "cycles": 2}, [0, 1, 2, 2, 0, 1, 2, 2, 2]),
    ],
)
def test_beta_warms_up_by_epochs(settings, betas):
    loss = ELBO(beta=2.0, **settings)
    seen = []
    for epoch in range(1, len(betas) + 1):
        loss.begin_epoch(epoch)
        seen.append(loss.beta_now)
    assert seen == betas


def test_a_vae_samples_in_training_and_decodes_the_mean_in_evaluation():
    model = VAE((1, 6, 6), [{"conv": 4}], {"linear": 3})
    images = torch.rand(2, 1, 6, 6)
    model.train()
    first, second = (model(images)["reconstruction"] for _ in range(2))
    assert not torch.equal(first, second)
    model.eval()
    output = model(images)
    assert torch.equal(output["reconstruction"], model.decode(model.encode(images)))
    assert torch.equal(output["code"], model.encode(images))


def test_a_huge_log_variance_stays_finite():
    model = VAE((1, 6, 6), [{"conv": 4}], {"linear": 3}).train()
    torch.nn.init.constant_(model.logvar[0].linear.bias, 1e4)
    terms = ELBO()(model(torch.rand(2, 1, 6, 6)), torch.rand(2, 1, 6, 6))
    assert terms["loss"].isfinite().all()


def test_the_latent_layer_takes_its_window_from_the_defaults_but_no_activation():
    defaults = Defaults(kernel_size=5, padding=2, norm="batch", activation="relu")
    model = VAE((1, 6, 6), [{"conv": 4}], {"conv": 8}, defaults=defaults)
    assert [row.layer for row in model.mean.rows()] == ["conv 8  k5 s1 p2"]
    with pytest.raises(ValueError, match='latent: is a "maxpool"'):
        VAE((1, 6, 6), [{"conv": 4}], {"maxpool": 2})


@pytest.mark.parametrize("size", [(26, 26), (33, 47), (1, 1)])
def test_a_mirrored_vae_returns_the_size_of_its_input(size):
    for latent in ({"linear": 2}, {"conv": 6, "stride": 2}):
        model = VAE((3, *size), [{"conv": 4, "stride": 2}, {"conv": 5, "stride": 2}], latent)
        images = torch.rand(2, 3, *size)
        assert model(images)["reconstruction"].shape == images.shape


def test_a_vae_trains_with_both_terms_in_its_numbers(small, written, tmp_path):
    small |= {"arch": CONV_VAE, "loss": {"type": "ELBO", "args": {"warm_up": 2}}}
    done = command("train.py", "-c", written(small))
    assert done.returncode == 0, done.stderr
    for line in numbers_of(only_run(tmp_path / "saved")):
        beta = (line["epoch"] - 1) / 2
        assert 0 <= line["active_units"] <= 3
        for split in ("", "val_"):
            loss, reconstruction, kl = (
                line[split + name] for name in ("loss", "reconstruction", "kl")
            )
            assert loss == pytest.approx(reconstruction + beta * kl, rel=1e-5)


def test_the_numbers_of_a_code_that_tell_something_are_counted(tmp_path):
    """Mean and log variance by hand: the first number follows the image, the second is noise."""
    from data_loader.image_loader import ImageLoader
    from data_loader.wafers import SyntheticWafers
    from trainer.evaluator import Evaluator, code_use
    from utils.device import Compute

    drawn = SyntheticWafers(6, 40)
    model = VAE(drawn.shape, [{"linear": 4, "activation": None}], {"linear": 2})
    for head in (model.mean, model.logvar):
        torch.nn.init.zeros_(head[0].linear.weight)
        torch.nn.init.zeros_(head[0].linear.bias)
    model.mean[0].linear.weight.data[0] = 1.0
    cpu = torch.device("cpu")
    evaluator = Evaluator(model, ELBO(), {}, drawn, Compute(cpu))
    active, kl = code_use(evaluator, ImageLoader(drawn, cpu, 0, 7, validation_split=0).in_order())
    means = model.encode(drawn.to_images(drawn.stored))[:, 0]
    assert active == 1
    assert kl.tolist() == pytest.approx([float(means.detach().square().mean()) / 2, 0.0], rel=1e-4)


def test_the_elbo_of_an_autoencoder_is_refused(small, written):
    small["loss"] = {"type": "ELBO"}
    done = command("train.py", "-c", written(small))
    assert done.returncode == 2
    assert 'loss.type: "ELBO": Autoencoder gives no logvar' in done.stderr
