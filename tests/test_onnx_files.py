"""Every kind of layer, norm and activation, at even and odd sizes, does in ONNX what it does."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

pytest.importorskip("onnxruntime", reason="needs what requirements-export.txt installs")
from base.base_dataset import Labels
from base.base_model import BaseModel
from data_loader.image_loader import ImageLoader
from data_loader.pixel_dataset import BaseImages
from model.autoencoder import Autoencoder
from model.layers import KINDS, Defaults
from model.network import ACTIVATIONS
from model.vae import VAE
from tester.export import Export
from tester.onnx_files import write_network
from utils.errors import ConfigError

SHAPES = [(3, 26, 26), (1, 28, 28), (3, 50, 50), (3, 33, 47), (1, 31, 45)]


def strided(norm, activation):
    ending = {"norm": norm, "activation": activation}
    return [{"conv": 8, "stride": 2, **ending}, {"conv": 16, "stride": [2, 1], **ending}]


def architectures(shape):
    """Name -> class and arguments of a network for images of a shape."""
    channels, *size = shape
    resized = [{"deconv": 6}, {"upsample": size, "mode": "bilinear"}]
    nearest = [{"deconv": 6, "norm": "group"}, {"upsample": size}, {"dropout": 0.1}]
    last = {"deconv": channels, "activation": "sigmoid"}
    pooled = [{"conv": 8, "norm": "group", "activation": "gelu"}, {"maxpool": 2, "padding": 1}]
    averaged = {"avgpool": [2, 3], "stride": [2, 2], "padding": [1, 0]}
    features = [{"linear": 40, "norm": "batch"}, {"linear": 12, "norm": "layer"}]
    return {
        "strided": (Autoencoder, [strided("batch", "relu"), "mirror", Defaults(), "tanh"]),
        "pooled": (Autoencoder, [[*pooled, averaged, {"dropout": 0.2}], "mirror"]),
        "features": (Autoencoder, [[*strided("layer", "selu"), *features], "mirror"]),
        "written": (Autoencoder, [pooled, [*resized, last]]),
        "solved": (
            Autoencoder,
            [
                [{"conv": 8, "stride": 2, "activation": "leaky_relu"}, {"conv": 16}],
                [{"deconv": 8, "norm": "batch"}, {**last, "stride": 2}],
            ],
        ),
        "maps of features": (Autoencoder, [[{"conv": 4}, {"linear": 8}, {"conv": 2}], "mirror"]),
        "vae": (VAE, [strided("batch", "elu"), {"linear": 5}, "mirror"]),
        "vae of maps": (VAE, [strided("group", "silu"), {"conv": 4}, [*nearest, last]]),
    }


def exported(model, folder, count=9):
    """Write a model as ONNX and run it -> largest difference from torch."""
    stored = torch.randint(0, 256, (count, *model.shape), dtype=torch.uint8)
    how = "CHW", np.dtype(np.uint8), (0.0, 255.0), (0.0, 1.0)
    dataset = BaseImages(stored, Labels(np.zeros(count, np.int64), "a"), *how)
    model.train()
    for _ in range(3):  # statistics of a batch norm that are no longer 0 and 1
        model(dataset.to_images(stored))
    loader = ImageLoader(dataset, torch.device("cpu"), seed=0, batch_size=4, validation_split=0)
    export = Export(SimpleNamespace(model=model), loader, {})
    write_network(export.encoder, folder / "encoder.onnx")
    write_network(export.decoder, folder / "decoder.onnx")
    difference, errors = export.run(folder)
    assert len(errors) == count
    return difference


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
@pytest.mark.parametrize("name", architectures(SHAPES[0]))
def test_an_architecture_does_in_onnx_what_it_does_in_torch(name, shape, tmp_path):
    torch.manual_seed(0)
    kind, arguments = architectures(shape)[name]
    difference = exported(kind(shape, *arguments), tmp_path)
    print(f"{name} {shape}: {difference:.1e}")
    assert difference <= 1e-4


def test_the_architectures_have_every_layer_norm_and_activation():
    layers = []
    for kind, arguments in architectures(SHAPES[3]).values():
        model = kind(SHAPES[3], *arguments)
        layers += [*model.encoder.layers, *model.decoder.layers]
    assert {layer.kind() for layer in layers} == set(KINDS)
    norms, activations = (
        {getattr(layer, name, None) for layer in layers} - {None}
        for name in ("norm", "activation")
    )
    assert norms == {"batch", "group", "layer"}
    assert activations == set(ACTIVATIONS)
    assert {getattr(layer, "mode", None) for layer in layers} >= {"nearest", "bilinear"}


def test_a_model_of_ones_own_that_onnx_cannot_follow_is_refused_in_one_line(tmp_path):
    class Branching(BaseModel):
        code_shape = (4,)

        def encode(self, x):
            return x.flatten(1)[:, :4] if x.sum() > 0 else -x.flatten(1)[:, :4]

        def decode(self, code):
            return code.view(-1, 1, 2, 2)

    model = Branching((1, 2, 2)).eval()
    with pytest.raises(
        ConfigError, match="^--export: Branching cannot be written as ONNX"
    ) as info:
        exported(model, tmp_path)
    assert "\n" not in str(info.value)
    assert not list(tmp_path.iterdir())
