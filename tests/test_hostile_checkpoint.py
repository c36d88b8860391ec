"""A checkpoint from a stranger does nothing and takes no memory to speak of."""

import pytest

from tests import hostile, processes
from tests.test_misfit import example
from utils.checkpoint import load_checkpoint, save_checkpoint
from utils.errors import CheckpointError

SPARE = 100 * 2**20  # bytes that reading any file may take, besides three times its size


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Name -> what loading the file did: outcome, memory taken, audit events."""
    folder = tmp_path_factory.mktemp("hostile")
    for name, content in hostile.files().items():
        (folder / f"{name}.pth").write_bytes(content)
    process = processes.start(hostile.try_all, folder, folder / "report")
    assert processes.finish(process, 300) == 0
    lines = (folder / "report").read_text().splitlines()
    return {line.split("\t")[0]: line.split("\t")[1:] for line in lines}


FILES = hostile.files()


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_checkpoint_has_no_side_effect(outcomes, name):
    outcome, taken, events = outcomes[name]
    assert events == ""
    # A config is refused later, by the check that every config passes.
    assert outcome == ("loaded" if name == "a hostile type" else "refused")
    assert int(taken) < 3 * len(FILES[name]) + SPARE


def test_the_good_checkpoint_beside_them_loads(outcomes):
    assert outcomes["good"][0] == "loaded"


def test_a_switch_in_the_environment_does_not_weaken_loading(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    path = tmp_path / "model.pth"
    path.write_bytes(FILES["os.system"])
    with pytest.raises(CheckpointError, match="asks for 'os system'"):
        load_checkpoint(path)


def test_what_this_program_writes_is_let_through(tmp_path):
    save_checkpoint(example(), tmp_path / "model.pth")
    assert load_checkpoint(tmp_path / "model.pth")["arch"] == "Autoencoder"
