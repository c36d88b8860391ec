"""What the README says is so."""

import os
import re
import shutil
import sys
from subprocess import run

import numpy as np
import pytest

from tests.conftest import ROOT, command

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_a_model_is_added_in_one_file(tmp_path):
    copy = tmp_path / "project"
    ignored = shutil.ignore_patterns(".*", "saved", "docs", "benchmarks", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=ignored)
    (example,) = (block for block in BLOCKS if "class MLP" in block)
    (copy / "model" / "mlp.py").write_text(example)
    (settings,) = re.findall(r"train.py -s '(arch=.*?)'", README)
    small = ["trainer.epochs=1", "dataset.args.count=40", "trainer.tensorboard=false"]
    for script, *arguments in (
        ("train.py", "-s", settings, *small),
        ("test.py", "-r", "saved/WaferAE", "-s", "generation.pictures=false"),
    ):
        done = run(
            [sys.executable, script, *arguments],
            cwd=copy,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_a_trained_model_is_used_from_python_word_for_word(tmp_path):
    small = ["trainer.epochs=1", "dataset.args.count=40", "trainer.tensorboard=false"]
    saved = f"trainer.save_dir={tmp_path / 'saved'}"
    assert command("train.py", "-s", *small, saved).returncode == 0
    maps = np.random.default_rng(0).integers(0, 3, (7, 26, 26)).astype(np.uint8)
    np.save(tmp_path / "today.npy", maps)
    (block,) = (block for block in BLOCKS if "load(" in block)
    (tmp_path / "use.py").write_text(block + "print(codes.shape, images.shape, images.dtype)\n")
    done = run(
        [sys.executable, "use.py"], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "(7, 64, 13, 13) (7, 26, 26) uint8\n"), (
        done.stderr
    )


def test_the_pictures_of_the_readme_are_there():
    for path in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / path).exists()


def test_the_test_command_of_the_readme_is_the_one_that_checks_every_change():
    script = (ROOT / ".ci" / "run").read_text()
    (command,) = re.findall(r"^    (.*-m pytest)$", README, re.MULTILINE)
    assert command in script


def test_pip_is_not_let_to_say_that_it_installed_something():
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--dry-run"]
    done = run([*pip, "--no-deps", str(ROOT)], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "clone_the_repository_and_see_its_README" in done.stderr


DOCUMENTS = ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/extending.md"]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_files_that_the_documents_name_are_there(name):
    document = ROOT / name
    text = document.read_text(encoding="utf-8")
    examples = re.findall(r"`(\w+/\w+\.py)`:\n\n```python", text)
    named = re.findall(r"`((?:\w+/)+(?:\w+\.(?:py|json|md))?)`", text)
    linked = [document.parent / path for path in re.findall(r"\]\(([\w/.]+)\)", text)]
    ours = [path for path in named if path.split("/")[0] not in ("saved", "my")]
    missing = [path for path in ours if path not in examples and not (ROOT / path).exists()]
    assert missing + [path for path in linked if not path.exists()] == []
    assert ours
