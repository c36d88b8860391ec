"""A file that was damaged is never loaded as something else than what was saved."""

import random
import time

import pytest

from tests import processes
from tests.killing import content_of, digest, uninterrupted
from utils.checkpoint import load_checkpoint
from utils.checkpoint_files import checkpoint_name
from utils.errors import CheckpointError


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a checkpoint, and what it holds."""
    run = uninterrupted(tmp_path_factory.mktemp("whole"), save_steps=0, epochs=1)
    path = run / checkpoint_name(1)
    return path.read_bytes(), digest(content_of(path))


def outcome(path, content, expected):
    """'refused', 'same' or 'silently wrong'; anything but a CheckpointError is let through."""
    path.write_bytes(content)
    try:
        return "same" if digest(load_checkpoint(path)) == expected else "silently wrong"
    except CheckpointError as error:
        return "refused" if "\n" not in str(error) else "refused in many lines"


@pytest.mark.parametrize("part", range(201))
def test_a_truncated_checkpoint_is_refused(whole, tmp_path, part):
    content, expected = whole
    cut = content[: len(content) * part // 200][: len(content) - 1]
    assert outcome(tmp_path / "model.pth", cut, expected) == "refused"


def flip_bits(folder, content, expected, seed, number):
    """Load with one flipped bit, again and again, in a process of its own."""
    drawn = random.Random(seed)
    for _ in range(number):
        damaged = bytearray(content)
        damaged[drawn.randrange(len(content))] ^= 1 << drawn.randrange(8)
        found = outcome(folder / "model.pth", bytes(damaged), expected)
        assert found in ("refused", "same"), found


def test_an_entry_that_a_flip_marks_as_a_folder_is_refused(whole, tmp_path):
    """torch would give it memory as it finds it; no checksum covers the mark."""
    content, expected = whole
    entry = content.index(b"PK\x01\x02")
    while entry >= 0:
        damaged = bytearray(content)
        damaged[entry + 38] ^= 0x10
        assert outcome(tmp_path / "model.pth", bytes(damaged), expected) == "refused"
        entry = content.find(b"PK\x01\x02", entry + 1)


def mutate(drawn, content):
    """Damage of any kind: bits, bytes, cuts, doubled and swapped pieces."""
    damaged = bytearray(content)
    for _ in range(drawn.choice([1, 2, 10, 100])):
        start = drawn.randrange(len(damaged))
        end = min(len(damaged), start + drawn.choice([1, 4, 64, 1024]))
        kind = drawn.randrange(5)
        if kind == 0:
            damaged[start] ^= 1 << drawn.randrange(8)
        elif kind == 1:
            damaged[start:end] = drawn.randbytes(end - start)
        elif kind == 2 and len(damaged) > 2000:
            del damaged[start:end]
        elif kind == 3:
            damaged[start:start] = damaged[start:end]
        else:
            damaged[start:end] = b"\xff" * (end - start)
    return bytes(damaged)


def fuzz(folder, content, expected, seed, number):
    """Load what `mutate` made: it must be refused or the same, within five seconds each."""
    drawn = random.Random(seed)
    for _ in range(number):
        damaged = mutate(drawn, content)
        started = time.perf_counter()
        found = outcome(folder / "model.pth", damaged, expected)
        assert found in ("refused", "same"), found
        assert time.perf_counter() - started < 5


@pytest.mark.parametrize("damage", [flip_bits, fuzz])
@pytest.mark.parametrize(
    "number", [300, pytest.param(2000, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_no_damage_is_loaded_silently(whole, tmp_path, damage, number):
    seed = random.randrange(10**6)
    process = processes.start(damage, tmp_path, *whole, seed, number)
    code = processes.finish(process, 300)
    assert code == 0, f"seed {seed}; the file is {tmp_path / 'model.pth'}"


def rewrite_checksums(content):
    """The same entries with other weights and right checksums: what no damage does."""
    import io
    import zipfile

    source, target = io.BytesIO(content), io.BytesIO()
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            data = old.read(entry)
            changed = bytes(len(data)) if "/data/" in entry.filename else data
            new.writestr(entry.filename, changed)
    return target.getvalue()


def test_the_comparison_itself_sees_other_values(whole, tmp_path):
    content, expected = whole
    changed = rewrite_checksums(content)
    assert outcome(tmp_path / "model.pth", changed, expected) == "silently wrong"
