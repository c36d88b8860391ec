"""Losses, metrics, exact means and the monitor, against values computed by hand."""

import math

import pytest
import torch
import torch.nn.functional as F
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

from base.monitor import Monitor
from model.loss import BCE, ELBO, L1, MSE
from model.metric import MAP_METRICS, METRICS, best, psnr, ssim
from trainer.catalogue import catalogue
from trainer.rules import check_monitor
from trainer.sums import Sums
from utils.config.check import check_config

TARGET = torch.tensor([[[[0.0, 1.0]]], [[[1.0, 1.0]]]])
MADE = torch.tensor([[[[0.5, 1.0]]], [[[0.5, 0.25]]]])


@pytest.mark.parametrize(
    ("loss", "by_hand"),
    [
        (MSE, [0.125, (0.25 + 0.5625) / 2]),
        (L1, [0.25, (0.5 + 0.75) / 2]),
        (BCE, [math.log(2) / 2, (math.log(2) + math.log(4)) / 2]),
    ],
)
def test_a_loss_is_one_number_for_each_image(loss, by_hand):
    terms = loss()({"reconstruction": MADE}, TARGET)
    assert terms["loss"].tolist() == pytest.approx(by_hand)


@pytest.mark.parametrize("loss", [BCE(), ELBO("bce", beta=0.0, reduction="mean")])
def test_cross_entropy_and_its_gradient_are_those_of_torch(loss):
    target = torch.rand(5, 3, 4, 4)
    made = torch.rand_like(target)
    made[0, 0, 0], target[0, 0, :2] = torch.tensor([0.0, 1.0, 1e-30, 1 - 6e-8]), 1.0
    ours, torchs = made.clone().requires_grad_(), made.clone().requires_grad_()
    code = {"code": torch.zeros(5, 2), "logvar": torch.zeros(5, 2)}
    found = loss({"reconstruction": ours, **code}, target)["loss"]
    due = F.binary_cross_entropy(torchs, target, reduction="none").mean((1, 2, 3))
    assert found.tolist() == pytest.approx(due.tolist(), rel=1e-6)
    found.sum().backward(), due.sum().backward()
    assert torch.equal(ours.grad, torchs.grad)


def test_psnr_is_that_of_torchmetrics_for_each_image():
    made, target = torch.rand(2, 5, 3, 16, 16)
    for data_range in (1.0, 2.0):
        expected = [
            float(peak_signal_noise_ratio(*pair, data_range=data_range))
            for pair in zip(made, target, strict=True)
        ]
        assert psnr(made, target, data_range).tolist() == pytest.approx(expected, rel=1e-5)


def test_psnr_of_an_exact_copy_is_100_decibels():
    assert psnr(TARGET, TARGET, 1.0).tolist() == pytest.approx([100.0, 100.0])


def test_ssim_of_a_copy_is_1_and_of_small_images_is_unknown():
    images = torch.rand(3, 1, 12, 12)
    assert ssim(images, images, 1.0).tolist() == pytest.approx([1.0] * 3)
    assert ssim(images[..., :10], images[..., :10], 1.0).isnan().all()


def pairs_of_images(channels, height, width):
    """Images beside others: random, alike, the same, of one value, of two."""
    random, other = torch.rand(2, 70, channels, height, width, generator=torch.manual_seed(0))
    plain, edge = torch.full_like(random[:1], 0.9), torch.zeros_like(random[:1])
    edge[..., width // 2 :] = 1
    made = [random, random, random[:1], plain, 0.8 * plain, plain, edge, 1 - edge]
    alike = (random + 0.01 * other).clamp(0, 1)
    target = [other, alike, random[:1], plain, plain, random[:1], edge, edge]
    return torch.cat(made), torch.cat(target)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(11, 11), (26, 26), (28, 13), (12, 50), (50, 50)])
@pytest.mark.parametrize(("low", "high"), [(0, 1), (-1, 1)])
def test_ssim_is_that_of_torchmetrics_for_each_image(channels, height, width, low, high):
    made, target = (low + (high - low) * own for own in pairs_of_images(channels, height, width))
    expected = structural_similarity_index_measure(
        made.double(), target.double(), data_range=high - low, reduction="none"
    )
    found = ssim(made, target, high - low)
    assert found[:-1].tolist() == pytest.approx(expected[:-1].tolist(), abs=1e-5)
    # White beside black is furthest from the mean: float32 keeps one digit less.
    assert float(found[-1]) == pytest.approx(float(expected[-1]), abs=5e-5)


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_one_number_for_each_image_whatever_the_batch(name):
    made, target = torch.rand(2, 4, 3, 16, 16)
    together = METRICS[name](made, target, 1.0)
    alone = torch.cat([METRICS[name](made[i : i + 1], target[i : i + 1], 1.0) for i in range(4)])
    assert together.tolist() == pytest.approx(alone.tolist(), rel=1e-5)


def one_hot(codes):
    return torch.nn.functional.one_hot(torch.tensor(codes), 3).permute(0, 3, 1, 2).float()


def test_maps_are_measured_by_their_likeliest_values():
    target = one_hot([[[0, 1, 2, 2]], [[0, 1, 1, 1]]])
    made = 0.4 * one_hot([[[0, 2, 2, 1]], [[0, 1, 1, 1]]]) + 0.1
    assert MAP_METRICS["pixel_accuracy"](made, target, 1.0).tolist() == [0.5, 1.0]
    assert MAP_METRICS["defect_f1"](made, target, 1.0).tolist() == [0.5, 1.0]


def test_means_weigh_images_not_batches():
    sums = Sums()
    sums.add({"loss": torch.tensor([1.0, 2.0, 3.0])})
    sums.add({"loss": torch.tensor([10.0])})
    assert sums.means() == {"loss": 4.0}


def test_a_tie_is_no_improvement():
    monitor = Monitor("min loss")
    answers = [monitor.update({"loss": value}) for value in (3.0, 2.0, 2.0, 2.5, 1.0)]
    assert answers == [True, True, False, False, True]
    assert monitor.best == 1.0


def test_the_epochs_without_improvement_are_counted():
    monitor = Monitor("max psnr")
    for value in (3.0, 2.0, 1.0):
        monitor.update({"psnr": value})
    assert monitor.epochs_without == 2


@pytest.fixture
def watching(small):
    """A function: monitor and parts -> what is said against them."""
    config = check_config(small | {"metrics": ["own"]}, catalogue()._replace(checks=[]), "c.json")

    def watch(monitor, classes):
        config.trainer.monitor = monitor
        return [problem.rule for problem in check_monitor(config, classes)]

    return watch


def test_every_metric_says_which_way_it_is_better():
    ways = {name: metric.best for name, metric in (METRICS | MAP_METRICS).items()}
    assert ways == {
        "mse": "min", "l1": "min", "psnr": "max", "ssim": "max",
        "pixel_accuracy": "max", "defect_f1": "max",
    }  # fmt: skip


def test_a_metric_of_ones_own_is_watched_the_way_it_says(watching, monkeypatch):
    def own(output, target, data_range):
        return output.flatten(1).mean(1)

    monkeypatch.setitem(METRICS, "own", own)
    (rule,) = watching("max val_own", catalogue())
    assert rule.endswith('write @best("min") or @best("max") above own in its file')
    best("max")(own)
    assert watching("max val_own", catalogue()) == []
    (rule,) = watching("min own", catalogue())
    assert rule.endswith("own is better the higher it is; write 'max own'")


def test_a_term_of_ones_own_loss_may_rise(watching):
    class Likelihood(MSE):
        terms = ("loss", "likelihood")
        rising = ("likelihood",)

    parts = catalogue()._replace(parts=catalogue().parts | {"loss": {"MSE": Likelihood}})
    assert watching("max val_likelihood", parts) == watching("min loss", parts) == []
    (rule,) = watching("min val_likelihood", parts)
    assert rule.endswith("write 'max val_likelihood'")
