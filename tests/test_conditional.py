"""Models that are shown the class of each image: what they compute, and what they ask for."""

import json
import random

import numpy as np
import pytest
import torch
from torch import nn

from base.base_model import BaseModel
from data_loader.image_loader import ImageLoader
from data_loader.wafers import SyntheticWafers
from model.autoencoder import Autoencoder
from model.layers import Defaults
from model.loss import MSE
from model.vae import VAE
from study.plan import Arm
from tests.conftest import command
from tests.killing import VARIATIONAL, Killer
from tests.new_images import maps, numbers, score, wafer_run
from trainer.catalogue import build_model, catalogue
from trainer.evaluator import Evaluator
from trainer.experiment import load
from trainer.fit import check_later
from utils.config.check import check_config
from utils.config.sections import ArmSection
from utils.device import Compute
from utils.errors import DataError

CONV = [{"conv": 4, "stride": 2, "norm": "batch"}, {"conv": 5, "stride": 2}]
ENCODERS = {
    "spatial": CONV,
    "flat": [*CONV, {"linear": 6}],
    "linear alone": [{"linear": 9}],
    "pooled first": [{"dropout": 0.2}, {"maxpool": 2}, *CONV],
}
ONE_HOT = np.eye(3, dtype=np.uint8)
SMALL = {
    "name": "small", "seed": 1,
    "arch": {
        "type": "VAE",
        "args": {
            "encoder": [{"conv": 4, "stride": 2}], "latent": {"linear": 2}, "conditional": True,
        },
    },
    "loss": {"type": "ELBO"},
    "optimizer": {"type": "Adam", "args": {"lr": 0.01}},
    "trainer": {"epochs": 2, "tensorboard": False, "precision": "fp32"},
    "generation": {
        "per_class": 7, "noise": 0, "method": "noise", "keep_outline": False, "pictures": False,
    },
}  # fmt: skip


def built(kind, size, encoder, **more):
    if kind is VAE:
        more["latent"] = {"linear": 7} if "linear" in encoder[-1] else {"conv": 7}
    smooth = Defaults(activation="tanh")  # so that no number is dead
    return kind((3, *size), encoder, defaults=smooth, **more).eval()


@pytest.mark.parametrize("size", [(12, 12), (13, 17)])
@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
@pytest.mark.parametrize("kind", [Autoencoder, VAE])
def test_codes_and_images_keep_their_shapes_and_follow_the_label(kind, encoder, size):
    model = built(kind, size, encoder, conditional=True, classes=4)
    assert model.code_shape == built(kind, size, encoder).code_shape
    images, labels = torch.rand(2, 3, *size), torch.tensor([1, 3])
    output = model(images, labels)
    assert output["code"].shape == (2, *model.code_shape)
    assert output["reconstruction"].shape == images.shape
    assert output["reconstruction"].equal(model.decode(model.encode(images, labels), labels))
    others = torch.tensor([2, 3])
    for compute, given in ((model.encode, images), (model.decode, output["code"])):
        differs = (compute(given, labels) - compute(given, others)).flatten(1).abs().amax(1) > 0
        assert differs.tolist() == [True, False]


def test_a_decoder_of_maps_takes_a_flat_code():
    decoder = [{"upsample": 2}, {"deconv": 4, "stride": 2}, {"conv": 3}]
    encoder = [{"conv": 2, "stride": 4, "kernel_size": 4, "padding": 0}, {"linear": 18}]
    model = Autoencoder((3, 12, 12), encoder, decoder, conditional=True, classes=2)
    code, labels = torch.rand(5, 18), torch.tensor([0, 1, 0, 1, 1])
    assert model.decode(code, labels).shape == (5, 3, 12, 12)
    # Channels of the maps that the code becomes, and numbers of a label.
    assert model.decoder[1].deconv.weight.shape[0] == 2 + 2


def test_the_label_is_constant_channels_beside_the_image_and_the_table_counts_them():
    model = Autoencoder((3, 8, 8), [{"conv": 4, "stride": 2}], conditional=True, classes=12)
    images, labels = torch.rand(2, 3, 8, 8), torch.tensor([5, 11])
    channels = torch.ones(2, 8, 8, 8) * model.label.weight[labels][:, :, None, None]
    both = torch.cat([images, channels], 1)
    layer = model.encoder[0].conv
    expected = nn.functional.conv2d(both, layer.weight, layer.bias, 2, 1).relu()
    assert torch.allclose(model.encode(images, labels), expected, atol=1e-6)
    # 12 classes of 8 numbers; 3 + 8 channels into 4, 9 weights each; 4 + 8 into 3.
    counts = [12 * 8, (3 + 8) * 4 * 9 + 4, (4 + 8) * 3 * 9 + 3]
    assert model.parameter_count == sum(counts)
    rows = [row for row in model.rows() if row.parameters]
    assert [int(row.parameters) for row in rows] == counts
    assert rows[0].layer == "label: one of 12 classes"
    assert all(row.layer.endswith(" + label") for row in rows[1:])
    assert f"{sum(counts)} parameters, 64 numbers in a code" in model.table()


def test_without_a_label_weights_and_outputs_are_what_they_were():
    """Layers of torch, drawn and called in the order that there was before labels."""
    torch.manual_seed(3)
    model = VAE((3, 9, 9), [{"conv": 4, "stride": 2}], {"linear": 5}, classes=9).eval()
    torch.manual_seed(3)
    conv, mean, logvar = nn.Conv2d(3, 4, 3, 2, 1), nn.Linear(100, 5), nn.Linear(100, 5)
    back, deconv = nn.Linear(5, 100), nn.ConvTranspose2d(4, 3, 3, 2, 1, 0)
    own = [value for part in (conv, mean, logvar, back, deconv) for value in part.parameters()]
    assert all(a.equal(b) for a, b in zip(model.parameters(), own, strict=True))
    assert list(model.state_dict())[:2] == ["encoder.0.conv.weight", "encoder.0.conv.bias"]
    images = torch.rand(2, 3, 9, 9)
    code = mean(conv(images).relu().flatten(1))
    made = deconv(back(code).relu().unflatten(1, (4, 5, 5)))
    assert model(images)["code"].equal(code)
    assert model(images)["reconstruction"].equal(made)
    assert "label" not in model.table()


class Shifted(BaseModel):
    """One of one's own: the code is the image less the number of its class."""

    runtime = ("shape", "classes")
    conditional = True

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__(shape)
        self.code_shape = shape
        self.numbers = nn.Embedding.from_pretrained(torch.arange(classes)[:, None].float(), False)

    def encode(self, x, labels):
        return x - self.numbers(labels)[:, :, None, None]

    def decode(self, code, labels):
        return code + 2 * self.numbers(labels)[:, :, None, None]


def test_a_model_of_ones_own_is_told_the_classes(small):
    classes, images = catalogue(), SyntheticWafers(12, 40)
    classes.parts["arch"]["Shifted"] = Shifted
    small["arch"] = {"type": "Shifted"}
    config = check_config(small, classes, "c.json")
    check_later(config, classes, images)
    model = build_model(config, classes, images.shape, 9)
    evaluator = Evaluator(model, MSE(), {}, images, Compute(torch.device("cpu")))
    loader = ImageLoader(images, torch.device("cpu"), 0, 16, validation_split=0).in_order()
    shift = images.labels.indices.float().view(-1, 1, 1, 1)
    originals = images.to_images(images.stored)
    assert torch.allclose(evaluator.encode(loader), originals - shift)
    # By hand: the mean over images of the squared number of their class.
    assert evaluator.score(loader)["loss"] == pytest.approx(float(shift.square().mean()))


def test_records_of_studies_without_the_key_are_still_found(small):
    section = ArmSection(name="children", generation={})
    for conditional in (False, True):
        small["arch"]["args"]["conditional"] = conditional
        config = check_config(small, catalogue(), "c.json")
        kept = Arm(section, config, config).as_json()["autoencoder"]["arch"]["args"]
        assert ("conditional" in kept) is conditional
        assert config.arch.args["conditional"] is conditional


def test_a_conditional_model_without_labels_says_what_it_lacks():
    model = built(Autoencoder, (12, 12), CONV, conditional=True, classes=4)
    with pytest.raises(ValueError, match="labels: the model is conditional; give the class"):
        model(torch.rand(2, 3, 12, 12))


def test_a_run_killed_at_random_ends_bit_for_bit_the_same(tmp_path):
    args = VARIATIONAL["arch"]["args"] | {"conditional": True}
    changes = VARIATIONAL | {"arch": {"type": "VAE", "args": args}}
    seed = random.randrange(10**6)
    killer = Killer(tmp_path, random.Random(seed), changes, tensorboard=False)
    killer.kill(3)
    assert not killer.different, f"seed {seed}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("maps")


@pytest.fixture(scope="module")
def run(folder):
    """A conditional VAE of 60 maps of three classes in turn, 15 of them held out."""
    return wafer_run(SMALL, folder)


@pytest.fixture(scope="module")
def trained(run):
    return load(run)


@pytest.fixture(scope="module")
def new(folder):
    """30 maps that no model has seen, and their classes."""
    np.save(folder / "new.npy", ONE_HOT[maps(30)])
    np.save(folder / "classes.npy", np.arange(30) % 3)
    return folder / "new.npy", folder / "classes.npy"


def test_children_are_decoded_as_the_class_of_their_originals(run, folder, trained, tmp_path):
    done = command("test.py", "-r", run, "-o", tmp_path / "test")
    assert done.returncode == 0, done.stderr
    made, labels = (np.load(tmp_path / "test" / f"gen_{name}.npy") for name in ("data", "label"))
    record = json.loads((tmp_path / "test" / "generated.json").read_text())
    sources = [image["source"] for image in record["images"]]
    assert np.bincount(labels[:, 0]).tolist() == [7, 7, 7]
    assert (labels[:, 0] == np.array(sources) % 3).all()
    originals = np.load(folder / "data.npy")[sources]
    assert (made == trained.reconstruct(originals, labels[:, 0])).mean() > 0.999  # ties may tip
    assert (made != trained.reconstruct(originals, (labels[:, 0] + 1) % 3)).mean() > 0.01


def test_neighbours_and_every_picture_have_labels(run, tmp_path):
    more = ["generation.method=neighbours", "generation.pictures=true", "generation.unit=code"]
    done = command("test.py", "-r", run, "-o", tmp_path / "test", "-s", *more)
    assert done.returncode == 0, done.stderr
    drawn = {path.stem for path in (tmp_path / "test").glob("*.png")}
    assert {"prior", "posterior", "interpolation", "latent_grid", "random_codes"} <= drawn


def test_new_images_are_scored_with_their_labels(run, trained, new, tmp_path):
    images, labels = new
    _, _, rows = score(run, images, "--labels", labels, "-o", tmp_path / "out")
    given = torch.from_numpy(np.load(images)).permute(0, 3, 1, 2).float()
    made = trained.reconstruct(given, np.load(labels))
    errors = (made - given).square().mean((1, 2, 3)).numpy()
    assert numbers(rows, "error") == pytest.approx(errors, abs=1e-6)


def test_new_images_without_labels_or_of_another_class_are_refused(run, new, tmp_path):
    images, _ = new
    done = command("test.py", "-r", run, "--images", images, "-o", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr == (
        f"error: {images}: the model is conditional and has to be shown the class of each image; "
        "give their classes with --labels\n"
    )
    np.save(tmp_path / "label.npy", np.arange(30) % 5)
    more = ("--labels", tmp_path / "label.npy", "-o", tmp_path / "out")
    done = command("test.py", "-r", run, "--images", images, *more)
    assert done.returncode == 2
    assert f"{tmp_path / 'label.npy'}: no class of training: " in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_export_is_refused(run, tmp_path):
    pytest.importorskip("onnxruntime", reason="needs what requirements-export.txt installs")
    done = command("test.py", "-r", run, "--export", tmp_path / "exported")
    assert done.returncode == 2
    assert done.stderr.startswith("error: --export: the model is conditional, and ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "exported").exists()


def test_a_loaded_model_takes_labels(trained, new):
    images, labels = (np.load(path) for path in new)
    codes = trained.encode(images, labels)
    assert codes.shape == (30, 2)
    made = trained.decode(codes, labels)
    assert (made == trained.reconstruct(images, torch.from_numpy(labels))).all()
    assert (made != trained.decode(codes, (labels + 1) % 3)).any()
    # More than go through the model at a time, each with its own label.
    many, their = np.tile(images, (10, 1, 1, 1)), np.tile(labels, 10)
    assert np.allclose(trained.encode(many, their), np.tile(codes, (10, 1)), atol=1e-5)


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (None, r"labels: the model is conditional; give .* whole numbers from 0 to 2"),
        (np.arange(29), "one for each of the 30"),
        (np.arange(30) / 2, "labels: float64 of shape .* must be whole numbers"),
        (np.arange(30) % 4, "labels: 3 is no class of training; those are 0 to 2"),
        (-np.ones(30, int), "labels: -1 is no class of training"),
        ([0] * 30, "labels: a list; must be a NumPy array"),
        (np.array(["a"] * 30), "type <U1; give the place of each class in classes, .* 0 to 2"),
    ],
)
def test_other_labels_are_refused_in_one_line(trained, new, labels, says):
    images = np.load(new[0])
    for compute in (trained.encode, trained.reconstruct):
        with pytest.raises(DataError, match=says) as error:
            compute(images, labels)
        assert "\n" not in str(error.value)
    with pytest.raises(DataError, match=says):
        trained.decode(np.zeros((30, 2)), labels)


def test_a_model_that_is_not_conditional_takes_no_labels(small, written, tmp_path):
    assert command("train.py", "-c", written(small)).returncode == 0
    plain = load(tmp_path / "saved" / "small")
    with pytest.raises(DataError, match="labels: the model is not conditional and takes none"):
        plain.encode(torch.zeros(2, 3, 12, 12), np.zeros(2, int))


def test_images_of_one_class_are_refused_before_anything_is_created(small, written, tmp_path):
    np.save(tmp_path / "data.npy", ONE_HOT[maps(20)])
    small["dataset"] = {"type": "WaferMaps", "args": {"data": str(tmp_path / "data.npy")}}
    small["arch"]["args"]["conditional"] = True
    says = "arch.args.conditional: true: shows the model the class of each image, and all images"
    for sweep in (None, {"runs": [{"seed": 1}]}):
        small["sweep"] = sweep and {"runs": [{"optimizer.args.lr": 0.1}]}
        done = command("train.py", "-c", written(small))
        assert done.returncode == 2
        assert says in done.stderr
        assert done.stderr.count("\n") == 1
        assert not list((tmp_path / "saved").glob("*/*"))


@pytest.mark.parametrize(
    ("encoder", "decoder"),
    [([{"maxpool": 2}], "mirror"), ([{"conv": 3, "stride": 2}], [{"upsample": 2}])],
)
def test_layers_without_weights_are_refused(small, written, encoder, decoder):
    small["arch"]["args"] = {"encoder": encoder, "decoder": decoder, "conditional": True}
    done = command("train.py", "-c", written(small))
    assert done.returncode == 2
    assert "arch.args.conditional: layers without weights cannot see a label" in done.stderr
