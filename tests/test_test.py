"""test.py as a user runs it: scores, generated images, pictures."""

import json
import shutil

import numpy as np
import pytest
import torch

from generation.children import plan_children
from tests.conftest import command, only_run, small_config, with_pictures
from utils.config.sections import GenerationSection

FILES = {
    "metrics.json", "reconstructions.png", "interpolation.png", "latent.png", "noise.png",
    "gen_data.npy", "gen_label.npy", "generated.json", "generated.png",
    "quality.json", "quality.png", "report.html",
}  # fmt: skip
# What there is without pictures.
PLAIN_FILES = {name for name in FILES if not name.endswith(".png")} - {"quality.json"}
PLAIN = "generation.pictures=false"
OF_CHILDREN = {
    "gen_data.npy", "gen_label.npy", "generated.json", "generated.png", "noise.png",
    "quality.json", "quality.png",
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of runs of a config that says nothing of pictures, so that they are drawn."""
    folder = tmp_path_factory.mktemp("finished")
    config = small_config(folder)
    del config["generation"]
    (folder / "config.json").write_text(json.dumps(config))
    done = command("train.py", "-c", folder / "config.json")
    assert done.returncode == 0, done.stderr
    return folder / "saved"


@pytest.fixture
def trained(finished, tmp_path):
    """A copy of that run, to do anything to."""
    shutil.copytree(finished, tmp_path / "saved")
    return only_run(tmp_path / "saved")


@pytest.fixture(scope="module")
def tested(finished, tmp_path_factory):
    """Another copy of it, tested."""
    saved = shutil.copytree(finished, tmp_path_factory.mktemp("tested") / "saved")
    done = command("test.py", "-r", saved / "small")  # the folder of runs: the newest of them
    assert done.returncode == 0, done.stderr
    return only_run(saved)


def test_a_test_leaves_scores_images_and_their_record(tested):
    assert {path.name for path in (tested / "test").iterdir()} == FILES
    report = json.loads((tested / "test" / "metrics.json").read_text())
    assert report["splits"]["train"]["count"] == 32
    assert report["splits"]["validation"]["count"] == 8
    assert report["code_size"] == 4 * 6 * 6
    assert report["compression_ratio"] == 3 * 12 * 12 / (4 * 6 * 6)
    assert set(report["baselines"]) == {"mean_image", "pca"}
    train_pca = report["baselines"]["pca"]["train"]["mse"]
    assert train_pca < report["baselines"]["mean_image"]["train"]["mse"]

    record = json.loads((tested / "test" / "generated.json").read_text())["images"]
    data, labels = (np.load(tested / "test" / f"gen_{name}.npy") for name in ("data", "label"))
    assert data.shape == (5 * 32, 12, 12)
    assert data.dtype == np.uint8
    assert set(np.unique(data)) <= {0, 1, 2}
    sources = [image["source"] for image in record]
    assert sources == sorted(sources)
    assert all(sources.count(source) == 5 for source in sources)
    assert len({image["seed"] for image in record}) == len(record)

    from data_loader.image_loader import stratified_split
    from data_loader.wafers import SyntheticWafers

    drawn = SyntheticWafers(12, 40).labels.indices
    training, _ = stratified_split(drawn, 8, seed=1)
    assert set(sources) == set(training.tolist())  # nothing of the held-out images leaks
    assert labels.tolist() == drawn[sources].tolist()


def test_pictures_of_an_earlier_test_do_not_stay_beside_those_of_this_one(tested, tmp_path):
    run = shutil.copytree(tested, tmp_path / "run")
    folder, alone = run / "test", "generation=null"
    damaged = 'corruption={"type": "SaltAndPepper"}'
    assert {path.name for path in folder.iterdir()} == FILES
    assert command("test.py", "-r", run, "-s", alone, damaged).returncode == 0
    assert {path.name for path in folder.iterdir()} == FILES - OF_CHILDREN | {"denoised.png"}
    (folder / "my notes.txt").write_text("what I saw")
    assert command("test.py", "-r", run, "-s", alone).returncode == 0
    assert {path.name for path in folder.iterdir()} == FILES - OF_CHILDREN | {"my notes.txt"}


def test_the_same_checkpoint_makes_the_same_images_whatever_the_batch(trained, tmp_path):
    for name, batch_size in (("a", 16), ("b", 5)):
        setting = f"data_loader.args.batch_size={batch_size}"
        command("test.py", "-r", trained, "-o", tmp_path / name, "-s", setting, PLAIN)
    first, second = (np.load(tmp_path / name / "gen_data.npy") for name in ("a", "b"))
    assert (first == second).mean() > 0.999  # sums in another order may tip a die


def test_a_balanced_set_has_as_many_images_of_each_class(trained, tmp_path):
    settings = ["generation.per_class=6", "generation.noise=[0.1,0.5]", "generation.unit=code"]
    settings.append(PLAIN)
    done = command("test.py", "-r", trained, "-o", tmp_path / "out", "-s", *settings)
    assert done.returncode == 0, done.stderr
    labels = np.load(tmp_path / "out" / "gen_label.npy")
    assert np.bincount(labels).tolist() == [6] * 9
    record = json.loads((tmp_path / "out" / "generated.json").read_text())
    assert {image["noise"] for image in record["images"]} == {0.1, 0.5}


def test_every_level_of_noise_is_used_as_often_whatever_the_size_of_the_class():
    labels = torch.tensor([0] * 9 + [1] * 2 + [2])
    settings = GenerationSection(per_class=6, noise=[0.1, 0.7, 2.0])
    children = plan_children(torch.arange(12), labels, settings, seed=0)
    for label in (0, 1, 2):
        own = [child for child in children if labels[child.source] == label]
        levels = [child.noise for child in own]
        assert [levels.count(level) for level in (0.1, 0.7, 2.0)] == [2, 2, 2]
        assert len({child.seed for child in own}) == 6
    of_one_of_two = [child.noise for child in children if child.source == 9]
    assert sorted(of_one_of_two) == [0.1, 0.7, 2.0]


def test_names_are_drawn_as_they_are(small, written, tmp_path):
    np.save(tmp_path / "data.npy", np.zeros((6, 12, 12), np.uint8))
    np.save(tmp_path / "label.npy", np.array([0, 1] * 3))
    args = {name: str(tmp_path / f"{name}.npy") for name in ("data", "label")}
    args |= {"classes": ["2^ $x_$", r"$\frac$"]}
    small["dataset"] = {"type": "Arrays", "args": args}
    assert command("train.py", "-c", written(with_pictures(small))).returncode == 0
    done = command("test.py", "-r", only_run(tmp_path / "saved"))
    assert done.returncode == 0, done.stderr


def test_generated_images_train_again(trained, small, written, tmp_path):
    command("test.py", "-r", trained, "-s", PLAIN)
    small["name"] = "second"
    files = {name: str(trained / "test" / f"gen_{name}.npy") for name in ("data", "label")}
    small["dataset"] = {"type": "WaferMaps", "args": files}
    small["trainer"]["epochs"] = 1
    done = command("train.py", "-c", written(small))
    assert done.returncode == 0, done.stderr


def test_data_of_another_program_train_and_test_with_overrides_alone(tmp_path):
    maps = np.random.default_rng(0).integers(0, 3, (30, 28, 30))
    np.savez(tmp_path / "lot7.npz", maps=maps, bins=np.arange(30) % 4)
    dataset = {
        "type": "WaferMaps",
        "args": {"data": str(tmp_path / "lot7.npz"), "data_name": "maps", "label_name": "bins"},
    }
    saved = tmp_path / "saved"
    done = command(
        "train.py", "-s", f"dataset={json.dumps(dataset)}", f"trainer.save_dir={saved}",
        "trainer.epochs=1", "trainer.tensorboard=false", PLAIN,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = command("test.py", "-r", saved)
    assert done.returncode == 0, done.stderr
    test = only_run(saved) / "test"
    assert np.load(test / "gen_data.npy").shape == (27 * 5, 28, 30)


@pytest.mark.slow
def test_the_default_network_learns_the_real_maps(real_wafers, tmp_path):
    files = [f"dataset.args.{name}={real_wafers}/{name}.npy" for name in ("data", "label")]
    done = command(
        "train.py", "-c", "configs/wafer_ae_best.json",
        "-s", *files, f"trainer.save_dir={tmp_path}", "trainer.epochs=12",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert command("test.py", "-r", tmp_path, "-s", PLAIN).returncode == 0
    test = only_run(tmp_path) / "test"
    report = json.loads((test / "metrics.json").read_text())
    model, mean = (
        report["splits"]["train"]["mse"],
        report["baselines"]["mean_image"]["train"]["mse"],
    )
    assert model < 0.7 * mean
    data, labels = np.load(test / "gen_data.npy"), np.load(test / "gen_label.npy")
    assert data.shape == (6405, 26, 26, 3)
    own = np.load(real_wafers / "label.npy")
    assert np.array_equal(labels, own.repeat(5, axis=0))


@pytest.mark.parametrize("metric", ["mse", "l1", "psnr", "ssim"])
def test_a_score_does_not_depend_on_what_images_are_scaled_to(metric, scaled_either_way):
    of_unit, of_signed = scaled_either_way
    share = {"mse": 4, "l1": 2}.get(metric, 1)  # the same error where the range is twice as long
    for baseline in ("mean_image", "pca"):
        expected = share * of_unit[baseline]["train"][metric]
        assert of_signed[baseline]["train"][metric] == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.fixture(scope="module")
def scaled_either_way(tmp_path_factory):
    """The scores of the baselines of the same pictures, scaled to [0, 1] and to [-1, 1]."""
    folder = tmp_path_factory.mktemp("scaled")
    darker = np.arange(1, 6, dtype=np.uint8).repeat(4)[:, None, None]
    pictures = np.random.default_rng(0).integers(0, 256, (20, 16, 16), np.uint8) // darker
    np.save(folder / "data.npy", pictures)
    return [scores_of_baselines(folder, scale_to) for scale_to in ([0, 1], [-1, 1])]


def scores_of_baselines(folder, scale_to):
    """Train for an epoch and test."""
    args = {"data": str(folder / "data.npy"), "layout": "HW", "scale_to": scale_to}
    config = small_config(folder) | {
        "name": f"from{scale_to[0]}",
        "dataset": {"type": "Arrays", "args": args},
        "generation": None,
    }
    config["trainer"]["epochs"] = 1
    (folder / "config.json").write_text(json.dumps(config))
    done = command("train.py", "-c", folder / "config.json")
    assert done.returncode == 0, done.stderr
    run = folder / "saved" / config["name"]
    done = command("test.py", "-r", run, "-o", run / "test")
    assert done.returncode == 0, done.stderr
    return json.loads((run / "test" / "metrics.json").read_text())["baselines"]
