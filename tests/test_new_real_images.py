"""Real maps, eyes and digits as pictures: the numbers of --images are those of their arrays."""

import numpy as np
import pytest
import torch
from PIL import Image

from data_loader.wafers import LEGEND
from tests.new_images import numbers, score, train
from trainer.experiment import Experiment
from trainer.start import Start

COLOURS = np.rint(np.array([entry.colour for entry in LEGEND]) * 255).astype(np.uint8)
TRAINED, NEW = 200, 12


def wafers(folder):
    """One-hot maps as arrays and as pictures in the colours of the legend."""
    maps = np.load(folder / "wafer1281" / "data.npy")[: TRAINED + NEW]
    return "WaferMaps", maps, COLOURS[maps.argmax(3)]


def eyes(folder):
    images = np.load(folder / "eyes" / "data.npy")[: TRAINED + NEW]
    return "Arrays", images, images


def digits(folder):
    from torchvision.datasets import MNIST

    images = MNIST(str(folder / "mnist"), train=False).data[: TRAINED + NEW].numpy()
    return "Arrays", images, images


@pytest.mark.parametrize("read", [wafers, eyes, digits])
def test_pictures_of_real_images_have_the_scores_of_a_hand_computation(
    real_data, small, tmp_path, read
):
    kind, images, pictures = read(real_data)
    np.save(tmp_path / "known.npy", images[:TRAINED])
    np.save(tmp_path / "new.npy", images[TRAINED:])
    for place, picture in enumerate(pictures[TRAINED:]):
        path = tmp_path / "png" / f"{place:02}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(picture).save(path)
    dataset = {"type": kind, "args": {"data": str(tmp_path / "known.npy")}}
    run = train(small, tmp_path, dataset)
    _, _, of_array = score(run, tmp_path / "new.npy", "-o", tmp_path / "a")
    _, report, of_pictures = score(run, tmp_path / "png", "-o", tmp_path / "b")
    assert numbers(of_pictures, "error") == pytest.approx(numbers(of_array, "error"), abs=1e-7)
    assert numbers(of_pictures, "p_value").tolist() == numbers(of_array, "p_value").tolist()

    experiment = Experiment(Start.trained(run, []), "cpu")
    given = torch.from_numpy(images[TRAINED:]).float()
    given = given[..., None] if given.dim() == 3 else given
    shown = given.permute(0, 3, 1, 2) / (1 if kind == "WaferMaps" else 255)
    with torch.no_grad():
        made = experiment.model.eval()(shown)["reconstruction"]
    by_hand = (made - shown).square().double().mean((1, 2, 3)).numpy()
    assert numbers(of_pictures, "error") == pytest.approx(by_hand, abs=1e-6)
    assert report["splits"]["images"]["mse"] == pytest.approx(by_hand.mean(), abs=1e-6)
