"""Which device computes, and in which precision."""

import ctypes
import os
import platform
import sys
from pathlib import Path
from typing import Any, NamedTuple

import torch

from utils.errors import ConfigError
from utils.ranks import neighbours

MEMORY = Path("/proc/meminfo")


class Compute(NamedTuple):
    """Where and how the layers of a model compute; all else is float32."""

    device: torch.device
    precision: str = "fp32"
    """"fp32" or "bf16"."""
    is_compiled: bool = False
    """Whether they go through torch.compile."""


def pick_device(name: str) -> torch.device:
    """`auto`, `cpu`, `cuda`, `cuda:1` or `mps` -> a device that is there.

    Of the processes that torchrun starts on a machine, each gets a CUDA device of its own.

    Raises:
        ConfigError: the name is no device, or this machine has none of it, or too few.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if neighbours() > 1:
        name = _own_device(name)
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda", "mps"):
        raise ConfigError(f"-d {name}: no such device; use auto, cpu, cuda, cuda:1 or mps")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"-d {name}: this machine shows {torch.cuda.device_count()} CUDA devices; use -d cpu"
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigError(f"-d {name}: this machine has no MPS device; use -d cpu")
    return device


def _own_device(name: str) -> str:
    """The device of this process among its neighbours."""
    if name not in ("cpu", "cuda"):
        raise ConfigError(f"-d {name}: torchrun gives each process its own; use cuda or cpu")
    if name == "cpu":
        return name
    if neighbours() > torch.cuda.device_count():
        raise ConfigError(
            f"torchrun: {neighbours()} processes, but this machine shows "
            f"{torch.cuda.device_count()} CUDA devices; lower --nproc_per_node, or use -d cpu"
        )
    own = f"cuda:{os.environ['LOCAL_RANK']}"
    torch.cuda.set_device(own)  # what NCCL goes by
    return own


def computes_bf16(device: torch.device) -> bool:
    """Whether the device has matrix units for bfloat16, so that it is faster than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        capabilities: dict[str, Any] = getattr(
            torch.cpu, "get_capabilities", dict
        )()  # since torch 2.11
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return False


def pick_precision(wanted: str, device: torch.device) -> str:
    """`auto`, `fp32` or `bf16` -> the precision that layers compute in.

    Weights, losses and metrics are float32 in both.

    Raises:
        ConfigError: bf16 is asked for on a device that would only emulate it.
    """
    if wanted == "auto":
        return "bf16" if computes_bf16(device) else "fp32"
    if wanted == "bf16" and not computes_bf16(device):
        raise ConfigError(
            f"trainer.precision: 'bf16', but {device} does not compute in it; use auto or fp32"
        )
    return wanted


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context in which a model's layers run."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def make_ready(device: torch.device, is_test: bool = False) -> None:
    """Have a device compute as fast as it can, and the same each time.

    In training a GPU multiplies float32 matrices in TF32, ten bits of mantissa, where layers
    compute in fp32; a test computes in float32 in full, as other machines do. What a GPU has no
    repeatable way to compute is computed all the same, and torch warns of it.

    Source: PyTorch's notes on reproducibility and on CUDA semantics.
    """
    if device.type == "cpu":
        keep_freed_memory()
    if device.type == "cuda":
        torch.set_float32_matmul_precision("highest" if is_test else "high")
        torch.backends.cudnn.allow_tf32 = not is_test
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
        setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)  # noqa: B010


def keep_freed_memory() -> None:
    """Let the C library keep the memory that is freed, for the next step.

    On the CPU every step allocates and frees the same activations. glibc would hand them back to
    the system and fetch them anew, page by page, which costs a quarter of the time; other
    libraries are left as they are.

    Source: the manual page of mallopt(3).
    """
    if platform.libc_ver()[0] != "glibc":
        return
    trim_threshold, mmap_threshold = -1, -3
    library = ctypes.CDLL(None)
    for parameter in (trim_threshold, mmap_threshold):
        library.mallopt(parameter, 2**31 - 1)


def describe_machine(device: torch.device) -> dict[str, str | int]:
    """What the last digits of a result depend on: device, instructions, threads, processes."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        name = f"{device.type} {torch.backends.cpu.get_cpu_capability()}"
    distributed = torch.distributed
    is_joint = distributed.is_available() and distributed.is_initialized()
    return {
        "device": name,
        "threads": torch.get_num_threads(),
        "processes": distributed.get_world_size() if is_joint else 1,
    }


def most_memory(device: torch.device) -> int:
    """Bytes that can be had on the device at the very most, with all that can be swapped out."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept
    if MEMORY.exists():
        return _free_in_machine() + _facts_of_memory()["SwapFree"]
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return sys.maxsize


def free_memory(device: torch.device) -> int:
    """Bytes that are free on the device and, whatever the device, in the machine's memory: the
    part of this process, where several share the machine."""
    free = _free_in_machine() // neighbours()
    if device.type == "cuda":
        free = min(free, torch.cuda.mem_get_info(device)[0])
    return free


def _free_in_machine() -> int:
    """What may still be taken of the machine's memory, or a modest guess."""
    free = 2**32
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    if MEMORY.exists():
        free = _facts_of_memory()["MemAvailable"]
    return min(free, _free_in_container(Path("/sys/fs/cgroup"), free))


def _facts_of_memory() -> dict[str, int]:
    """What Linux says of the machine's memory, in bytes."""
    lines = dict(line.split(":") for line in MEMORY.read_text().splitlines())
    return {name: int(value.split()[0]) * 1024 for name, value in lines.items()}


def _free_in_container(group: Path, otherwise: int) -> int:
    """What a container's own limit leaves; cached files count as used there, but can go."""
    try:
        limit = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
        lines = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no such files, or the limit is the word "max"
        return otherwise
    return max(limit - used + int(lines["inactive_file"]), 0)
