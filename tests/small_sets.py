"""Small data sets in the files of large ones."""

import struct

import numpy as np


def idx(array):
    """An array as an idx file: two zeros, the type, the number of axes, their lengths."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_digits(root, name, train, test, classes=10):
    """Random images in the files of MNIST, FashionMNIST or KMNIST -> the arrays of both splits."""
    random = np.random.default_rng(0)
    raw = root / name / "raw"
    raw.mkdir(parents=True)
    content = {}
    for split, count in (("train", train), ("t10k", test)):
        content[split] = random.integers(0, 256, (count, 28, 28), np.uint8)
        (raw / f"{split}-images-idx3-ubyte").write_bytes(idx(content[split]))
        labels = np.arange(count, dtype=np.uint8) % classes
        (raw / f"{split}-labels-idx1-ubyte").write_bytes(idx(labels))
    return content["train"], content["t10k"]
