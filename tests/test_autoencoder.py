"""Networks from layer lists: sizes, parameter counts, and what is said when they do not fit."""

import json
from pathlib import Path

import pytest
import torch
from torch.nn import ConvTranspose2d

from model.autoencoder import Autoencoder
from model.layers import Defaults
from model.network import Deconvolution
from model.vae import VAE
from tests.conftest import ROOT

STRIDED = [{"conv": 4, "stride": 2}, {"conv": 5, "stride": 2}, {"conv": 6, "stride": 2}]


@pytest.mark.parametrize("size", [(26, 26), (28, 28), (50, 50), (33, 47), (1, 1), (2, 7)])
@pytest.mark.parametrize(
    "ending", [[], [{"linear": 2}], [{"maxpool": 2, "padding": 1}, {"dropout": 0.5}]]
)
def test_a_mirrored_decoder_returns_the_size_of_its_input(size, ending):
    model = Autoencoder((3, *size), [*STRIDED, *ending], "mirror")
    images = torch.rand(2, 3, *size)
    assert model(images)["reconstruction"].shape == images.shape


@pytest.mark.parametrize("size", [(26, 26), (33, 47)])
def test_an_omitted_output_padding_is_solved(size):
    decoder = [{"deconv": 5, "stride": 2}, {"deconv": 4, "stride": 2}, {"deconv": 3, "stride": 2}]
    model = Autoencoder((3, *size), STRIDED, decoder)
    assert model.decoder.shapes[-1] == (3, *size)


def test_the_default_network_has_the_parameters_of_its_report():
    arch = json.loads((ROOT / "config.json").read_text())["arch"]["args"]
    model = Autoencoder(
        (3, 26, 26), arch["encoder"], arch["decoder"], Defaults(**arch["defaults"])
    )
    assert [(row.output, row.parameters) for row in model.rows()] == [
        ("16x26x26", "448 + 32"),
        ("32x26x26", "4,640 + 64"),
        ("64x26x26", "18,496 + 128"),
        ("64x13x13", ""),
        ("64x13x13", ""),  # the code
        ("32x13x13", "18,464 + 64"),
        ("16x13x13", "4,624 + 32"),
        ("16x26x26", ""),
        ("3x26x26", "435 + 6"),
    ]
    assert model.parameter_count == 47433
    assert model.code_size == 64 * 13 * 13


def test_the_wafer_configs_share_the_default_network():
    default = json.loads((ROOT / "config.json").read_text())["arch"]
    for name in ("wafer_ae", "wafer_ae_best"):
        assert json.loads((ROOT / "configs" / f"{name}.json").read_text())["arch"] == default


def test_a_mirror_takes_norm_and_activation_from_the_layer_it_restores():
    encoder = [
        {"conv": 8, "activation": "selu", "norm": "batch"},
        {"conv": 9, "activation": "tanh"},
    ]
    model = Autoencoder((1, 8, 8), encoder, "mirror", output_activation="sigmoid")
    first, last = model.decoder.layers
    assert (first.norm, first.activation) == ("batch", "selu")
    assert (last.norm, last.activation) == (None, "sigmoid")
    assert model.output_activation == "sigmoid"


@pytest.mark.parametrize(
    ("encoder", "decoder", "says"),
    [
        ([{"conv": 4}], [{"deconv": 4}], "decoder.0: the decoder ends at 4x26x26.*3 channels"),
        ([{"conv": 4}], [{"linear": 5}], "decoder.0: .*2028 features"),
        (
            [{"conv": 4}, {"maxpool": 2}],
            [{"deconv": 3}],
            "decoder.0: the decoder ends at 3x13x13, an image is 3x26x26: no output_padding fits",
        ),
        (
            [{"conv": 4, "kernel_size": 30, "padding": 0}],
            "mirror",
            "encoder.0: conv leaves nothing of a 3x26x26 map",
        ),
        ([{"maxpool": 2, "padding": 2}], "mirror", "encoder.0: maxpool may have at most half"),
        ([{"conv": 4}, {"avgpool": 2, "padding": 2}], "mirror", "encoder.1: avgpool may have"),
        (
            [{"conv": 4}],
            [{"deconv": 3, "output_padding": 1, "padding": [1, 1]}],
            "decoder.0: deconv must have an output_padding below its stride",
        ),
        ([{"linear": 8, "norm": "group"}], "mirror", "encoder.0: linear of 8 has one number in"),
        ([{"linear": 1, "norm": "layer"}], "mirror", "encoder.0: linear of 1 has one number in"),
    ],
)
def test_layers_that_cannot_return_the_image_are_refused_with_their_sizes(encoder, decoder, says):
    with pytest.raises(ValueError, match=f"(?s){says}.*input +.*26|{says}.*\n  input"):
        Autoencoder((3, 26, 26), encoder, decoder)


def test_a_mirror_of_no_layer_is_refused():
    with pytest.raises(ValueError, match="encoder: has no layer that a mirror could turn around"):
        Autoencoder((3, 8, 8), [{"dropout": 0.5}])


@pytest.mark.parametrize("size", [(12, 12), (9, 14)])
@pytest.mark.parametrize(
    "encoder",
    [
        [{"conv": 4}, {"linear": 8}, {"conv": 2}],
        [{"conv": 4, "stride": 2}, {"linear": 20}, {"conv": 6}, {"linear": 5}, {"conv": 3}],
        [{"linear": 8}, {"conv": 2}],
    ],
)
def test_maps_after_features_are_mirrored_too(size, encoder):
    *before, latent = encoder
    images = torch.rand(2, 3, *size)
    assert Autoencoder((3, *size), encoder)(images)["reconstruction"].shape == images.shape
    assert VAE((3, *size), before, latent)(images)["reconstruction"].shape == images.shape


def test_what_follows_a_sigmoid_may_resize():
    model = Autoencoder(
        (1, 8, 8), [{"maxpool": 2}, {"conv": 4}], "mirror", output_activation="sigmoid"
    )
    assert model.output_activation == "sigmoid"
    written = [{"deconv": 1, "activation": "sigmoid"}, {"upsample": 2}, {"dropout": 0.5}]
    assert Autoencoder((1, 8, 8), [{"maxpool": 2}], written).output_activation is None


def test_a_lone_image_passes_batch_norm_and_leaves_its_statistics_alone():
    for size in ((26, 26), (1, 1)):
        encoder = [{"conv": 4, "norm": "batch"}, {"linear": 3, "norm": "batch"}]
        model = Autoencoder((1, *size), encoder, "mirror").train()
        model(torch.rand(8, 1, *size))
        before = {name: value.clone() for name, value in model.named_buffers()}
        model(torch.rand(1, 1, *size))["reconstruction"].sum().backward()
        assert all(torch.equal(before[name], value) for name, value in model.named_buffers())


def test_batch_norm_of_several_images_is_that_of_torch():
    model = Autoencoder((1, 5, 5), [{"conv": 4, "norm": "batch"}], "mirror").train()
    norm = model.encoder[0].norm
    torch_norm = torch.nn.BatchNorm2d(4)
    maps = torch.rand(3, 4, 5, 5)
    assert torch.equal(norm(maps), torch_norm(maps))
    assert torch.equal(norm.running_var, torch_norm.running_var)


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.json")), ids=lambda p: p.stem)
def test_every_config_says_what_it_is(path: Path):
    assert len(json.loads(path.read_text())["description"]) > 40


def built(name, shape):
    """The model of a config for images of `shape`."""
    arch = json.loads((ROOT / "configs" / f"{name}.json").read_text())["arch"]
    args = arch["args"] | {"defaults": Defaults(**arch["args"].get("defaults", {}))}
    return {"Autoencoder": Autoencoder, "VAE": VAE}[arch["type"]](shape, **args)


def conv_parameters(channels_in, channels_out, kernel):
    return channels_in * channels_out * kernel**2 + channels_out


WAFER_STRIDED = [
    ("16x13x13", conv_parameters(3, 16, 3)),
    ("32x7x7", conv_parameters(16, 32, 3)),
    ("64x3x3", conv_parameters(32, 64, 5)),
    ("64x3x3", 0),
    ("32x7x7", conv_parameters(64, 32, 5)),
    ("16x14x14", conv_parameters(32, 16, 3)),
    ("3x26x26", conv_parameters(16, 3, 3)),
]
EYES_AE = [
    ("12x50x50", conv_parameters(3, 12, 3)),
    ("24x50x50", conv_parameters(12, 24, 3)),
    ("48x50x50", conv_parameters(24, 48, 3)),
    ("48x50x50", 0),
    ("24x50x50", conv_parameters(48, 24, 3)),
    ("12x50x50", conv_parameters(24, 12, 3)),
    ("3x50x50", conv_parameters(12, 3, 3)),
]
EYES_VAE = [
    *EYES_AE[:3],
    ("96x50x50", conv_parameters(48, 96, 3)),
    ("96x50x50", conv_parameters(48, 96, 3)),
    ("96x50x50", 0),
    ("48x50x50", conv_parameters(96, 48, 3)),
    *EYES_AE[4:],
]
MNIST_AE = [
    ("8x14x14", conv_parameters(1, 8, 3)),
    ("16x7x7", conv_parameters(8, 16, 3)),
    ("32x3x3", conv_parameters(16, 32, 3)),
    ("64", 288 * 64 + 64),
    ("2", 64 * 2 + 2),
    ("2", 0),
    ("64", 2 * 64 + 64),
    ("288", 64 * 288 + 288),
    ("16x7x7", conv_parameters(32, 16, 3)),
    ("8x14x14", conv_parameters(16, 8, 3)),
    ("1x28x28", conv_parameters(8, 1, 3)),
]
MNIST_VAE = [
    ("512", 784 * 512 + 512),
    ("256", 512 * 256 + 256),
    ("2", 256 * 2 + 2),
    ("2", 256 * 2 + 2),
    ("2", 0),
    ("256", 2 * 256 + 256),
    ("512", 256 * 512 + 512),
    ("1x28x28", 512 * 784 + 784),
]
MNIST_ANY = [
    ("6x14x14", conv_parameters(1, 6, 3)),
    ("39x7x7", conv_parameters(6, 39, 3)),
    ("72x3x3", conv_parameters(39, 72, 3)),
    ("145", 648 * 145 + 145),
    ("98", 145 * 98 + 98),
    ("52", 98 * 52 + 52),
    ("2", 52 * 2 + 2),
    ("2", 0),
    ("52", 2 * 52 + 52),
    ("98", 52 * 98 + 98),
    ("145", 98 * 145 + 145),
    ("648", 145 * 648 + 648),
    ("39x7x7", conv_parameters(72, 39, 3)),
    ("6x14x14", conv_parameters(39, 6, 3)),
    ("1x28x28", conv_parameters(6, 1, 3)),
]


@pytest.mark.parametrize(
    ("name", "shape", "rows", "last"),
    [
        ("wafer_strided", (3, 26, 26), WAFER_STRIDED, "sigmoid"),
        ("eyes_ae", (3, 50, 50), EYES_AE, "tanh"),
        ("eyes_vae", (3, 50, 50), EYES_VAE, "tanh"),
        ("eyes_vae_l1", (3, 50, 50), EYES_VAE, "tanh"),
        ("mnist_ae", (1, 28, 28), MNIST_AE, "sigmoid"),
        ("mnist_vae", (1, 28, 28), MNIST_VAE, "sigmoid"),
        ("mnist_copy", (1, 28, 28), MNIST_ANY, "sigmoid"),
        ("mnist_denoise", (1, 28, 28), MNIST_ANY, "sigmoid"),
    ],
)
def test_a_config_has_the_layers_and_parameters_of_its_report(name, shape, rows, last):
    model = built(name, shape)
    found = [(row.output, int(row.parameters.replace(",", "") or 0)) for row in model.rows()]
    assert found == rows
    assert model.output_activation == last


def test_activations_of_the_published_networks():
    names = [layer.activation for layer in built("mnist_copy", (1, 28, 28)).decoder.layers]
    assert names == ["selu"] * 6 + ["sigmoid"]
    vae = built("eyes_vae", (3, 50, 50))
    assert [layer.activation for layer in vae.decoder.layers] == ["relu"] * 3 + ["tanh"]
    assert vae.mean.layers[0].activation == "relu"


def test_a_stride_over_a_single_pixel_has_true_gradients_in_bfloat16():
    torch.manual_seed(0)
    model = Autoencoder((3, 1, 1), [{"conv": 4, "stride": 2}], "mirror")
    conv = next(part for part in model.modules() if isinstance(part, torch.nn.Conv2d))
    strided = torch.nn.Conv2d(3, 4, 3, 2, 1)
    strided.load_state_dict(conv.state_dict())
    images = torch.randn(16, 3, 1, 1)
    assert torch.equal(conv(images), strided(images))

    model.to(memory_format=torch.channels_last)
    gradients = []
    for is_bf16 in (False, *[True] * 8):
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=is_bf16):
            made = model(images.contiguous(memory_format=torch.channels_last))
        (made["reconstruction"].float() - images).square().mean().backward()
        gradients.append(torch.cat([weight.grad.flatten() for weight in model.parameters()]))
    for gradient in gradients[1:]:
        torch.testing.assert_close(gradient, gradients[0], rtol=0, atol=0.02)


@pytest.mark.parametrize("kernel", [1, 2, 3, 5, 7, (3, 1)])
@pytest.mark.parametrize("padding", [0, 1, 2, (1, 0)])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_transposed_convolution_is_that_of_torch(kernel, padding, stride):
    settings = {"stride": stride, "padding": padding, "output_padding": stride - 1}
    ours, torchs = (kind(3, 4, kernel, **settings) for kind in (Deconvolution, ConvTranspose2d))
    torchs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 3, 9, 8, requires_grad=True)
    made, expected = ours(x), torchs(x)
    assert torch.allclose(made, expected, atol=1e-5)
    slope = torch.randn_like(made)
    found, wanted = (
        torch.autograd.grad(output, (x, layer.weight, layer.bias), slope)
        for layer, output in ((ours, made), (torchs, expected))
    )
    for one, other in zip(found, wanted, strict=True):
        assert torch.allclose(one, other, atol=1e-4)
