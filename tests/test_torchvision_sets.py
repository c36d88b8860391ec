"""torchvision's data sets by name, with their own test images."""

import numpy as np
import pytest
import torch

from data_loader.torchvision_sets import CIFAR10, KMNIST, MNIST, SVHN, FashionMNIST
from tests.conftest import DATA
from tests.small_sets import write_digits
from utils.errors import DataError

RANDOM = np.random.default_rng(0)
GREY = [MNIST, FashionMNIST, KMNIST]


@pytest.fixture(params=GREY)
def grey(request, tmp_path):
    """A class and a root with 5 training and 3 test images in its files, and these images."""
    return request.param, tmp_path, write_digits(tmp_path, request.param.__name__, 5, 3)


def test_training_and_test_images_are_those_of_the_files(grey):
    cls, root, (train_images, test_images) = grey
    dataset = cls(str(root), scale_to=(-1.0, 1.0))
    test = dataset.test_split()
    assert (dataset.shape, len(dataset), len(test)) == ((1, 28, 28), 5, 3)
    assert (dataset.stored.numpy() == train_images).all()
    assert (test.to_file(test.to_images(test.stored)) == test_images).all()
    assert test.value_range == dataset.value_range == (-1.0, 1.0)
    assert dataset.labels.indices.tolist() == [0, 1, 2, 3, 4]
    assert len(dataset.labels.names) == 10
    assert test.test_split() is None


def test_absent_files_are_one_line_that_says_how_to_get_them(tmp_path):
    for cls in (*GREY, CIFAR10):
        with pytest.raises(DataError, match=rf"^{tmp_path}: holds no {cls.__name__}.*download=t"):
            cls(str(tmp_path))
    with pytest.raises(DataError, match="SVHN"):  # or that it needs a further package
        SVHN(str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_damaged_files_are_one_line(grey):
    cls, root, _ = grey
    path = root / cls.__name__ / "raw" / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match=rf"^{root}: the files of {cls.__name__} are damaged: ."):
        cls(str(root))


def test_a_download_that_fails_is_one_line(tmp_path, monkeypatch):
    from torchvision import datasets

    monkeypatch.setattr(datasets.MNIST, "mirrors", ["http://127.0.0.1:9/"])  # where nobody is
    with pytest.raises(DataError, match="MNIST is not there and cannot be downloaded") as error:
        MNIST(str(tmp_path), download=True)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("cls", "axes"), [(CIFAR10, (0, 2, 3, 1)), (SVHN, (0, 1, 2, 3))])
def test_colour_sets_are_seen_in_the_layout_torchvision_gives(cls, axes, monkeypatch):
    """torchvision opens these by checksum only, so that a small one is put in its place."""
    images = RANDOM.integers(0, 256, (4, 3, 32, 32), np.uint8)

    class Small:
        classes = ("a", "b")
        targets = labels = (0, 1, 1, 0)

        def __init__(self, root, **options):
            self.data = images.transpose(axes)[: 4 if True in options.values() else None]

    monkeypatch.setattr(f"torchvision.datasets.{cls.__name__}", Small)
    dataset = cls("anywhere")
    assert dataset.shape == (3, 32, 32)
    expected = torch.from_numpy(images) / 255
    torch.testing.assert_close(dataset.to_images(dataset.stored), expected)
    assert dataset.labels.indices.tolist() == [0, 1, 1, 0]


def test_the_real_digits_are_all_there():
    if not (DATA / "mnist").exists():
        pytest.skip("needs a folder of real data in AUTOENCODER_DATA")
    dataset = MNIST(str(DATA / "mnist"))
    assert (len(dataset), len(dataset.test_split())) == (60_000, 10_000)
    assert dataset.labels.names == tuple("0123456789")
    assert torch.bincount(dataset.labels.indices).tolist()[:2] == [5923, 6742]
