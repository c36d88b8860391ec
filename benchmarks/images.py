"""Where the images of the reports lie, below one folder.

In wafer1281/ and eyes/ are a data.npy and a label.npy; mnist/ is as torchvision keeps it.
"""

from pathlib import Path

FILES = {
    "wafers": ("data={}/wafer1281/data.npy", "label={}/wafer1281/label.npy"),
    "eyes": ("data={}/eyes/data.npy", "label={}/eyes/label.npy"),
    "mnist": ("root={}/mnist", "download=false"),
}


def overrides_for(images: str, folder: Path) -> list[str]:
    """What makes a config find its images in `folder`: "dataset.args.data=...", ..."""
    return [f"dataset.args.{text.format(folder.resolve())}" for text in FILES[images]]
