"""What a checkpoint file must be before torch is allowed to read it.

`torch.load(weights_only=True)` runs no code, but it ignores the checksums that it wrote itself
and lets a small file ask for much memory. Here the archive and the list of its instructions are
checked first, so that what torch reads is what `torch.save` writes of tensors and plain values.
"""

import pickletools  # only lists instructions; it executes none
import re
import zipfile
from pathlib import Path

from utils.errors import CheckpointError, OtherProgramError

INSTRUCTIONS = frozenset(
    "PROTO GLOBAL BINPUT LONG_BINPUT BINGET LONG_BINGET MARK EMPTY_DICT EMPTY_LIST EMPTY_TUPLE "
    "TUPLE TUPLE1 TUPLE2 TUPLE3 SETITEM SETITEMS APPEND APPENDS BINUNICODE BININT BININT1 BININT2 "
    "BINFLOAT LONG1 NEWTRUE NEWFALSE NONE BINPERSID REDUCE STOP".split()
)
NAMES = frozenset(
    ["collections OrderedDict", "torch._utils _rebuild_tensor_v2"]
    + [
        f"torch {kind}Storage"
        for kind in "Float Double Half BFloat16 Long Int Short Char Byte Bool".split()
    ]
)
# A call either makes an empty OrderedDict, or ends in one as each tensor's does. Any other could
# copy a large value again and again.
CALL = re.compile(r"(?<!EMPTY_TUPLE )(?<!EMPTY_TUPLE REDUCE TUPLE )REDUCE")
FOLDER = 0x10  # in the attributes of an entry
LARGEST_LIST = 2**20  # bytes of instructions, or 1/20 of the file where that is more


def verify_archive(path: Path) -> None:
    """Compare every byte with its checksum, and refuse what `torch.save` would not write.

    Raises:
        CheckpointError: the file is another kind of archive than a checkpoint, or damaged.
        OtherProgramError: it is whole, and holds what no checkpoint does.
        Exception: nearly anything, where it is no archive at all.
    """
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        _check_entries(entries, size, path)
        damaged = archive.testzip()
        if damaged is not None:
            raise CheckpointError(f"{path}: damaged: the checksum of '{damaged}' does not match")
        lists = [entry for entry in entries if entry.filename.endswith("data.pkl")]
        if len(lists) != 1 or lists[0].file_size > max(LARGEST_LIST, size // 20):
            raise OtherProgramError(f"{path}: not built like a checkpoint of this program")
        _check_instructions(archive.read(lists[0]), path)


def _check_entries(entries: list[zipfile.ZipInfo], size: int, path: Path) -> None:
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        # A few compressed bytes could become gigabytes.
        raise CheckpointError(f"{path}: holds compressed data; this is no checkpoint")
    if any(entry.file_size != entry.compress_size for entry in entries):
        raise CheckpointError(f"{path}: damaged: an entry has two sizes")
    if any(entry.external_attr & FOLDER or entry.is_dir() for entry in entries):
        # No checksum covers this mark, and torch leaves the memory of a "folder" as it found it.
        raise CheckpointError(f"{path}: damaged: an entry is marked as a folder")
    if sum(entry.file_size for entry in entries) > size:
        raise CheckpointError(f"{path}: damaged: its entries are larger than the file")
    if len({entry.filename for entry in entries}) < len(entries):
        raise CheckpointError(f"{path}: damaged: two entries have one name")


def _check_instructions(content: bytes, path: Path) -> None:
    done = []
    for instruction, argument, _ in pickletools.genops(content):
        name = instruction.name
        if name not in INSTRUCTIONS or (name == "GLOBAL" and argument not in NAMES):
            shown = argument if name == "GLOBAL" else name
            raise OtherProgramError(
                f"{path}: asks for '{shown}', which no checkpoint of this program holds; "
                "do not open it with anything else"
            )
        if not name.endswith("BINPUT"):
            done.append(name)
    if CALL.search(" ".join(done)):
        raise OtherProgramError(f"{path}: makes calls that no checkpoint of this program makes")
