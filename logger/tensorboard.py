"""What TensorBoard shows of a run."""

import warnings
from pathlib import Path

import torch
from torch import nn


class TensorBoard:
    """Writes numbers, pictures and the model's graph for `tensorboard --logdir saved/`.

    Args:
        folder: where the event files go.
        after: the epoch after which what older event files say is to be forgotten.
    """

    def __init__(self, folder: Path, after: int = 0) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=after + 1 if after else None)

    def add_numbers(self, epoch: int, numbers: dict[str, float]) -> None:
        """One point of every curve: 'val_loss' becomes 'loss/validation'."""
        for name, value in numbers.items():
            if name in ("lr", "images_per_second", "seconds", "step"):
                tag = name
            elif name.startswith("val_"):
                tag = f"{name.removeprefix('val_')}/validation"
            else:
                tag = f"{name}/train"
            self._writer.add_scalar(tag, value, epoch)

    def add_picture(self, epoch: int, name: str, rgb: torch.Tensor) -> None:
        """A picture, [H, W, 3] in [0, 1]."""
        self._writer.add_image(name, rgb, epoch, dataformats="HWC")

    def add_graph(self, model: nn.Module, images: torch.Tensor) -> None:
        """The model's graph, traced with `images`."""
        with warnings.catch_warnings():  # TensorBoard still traces in a way torch will drop
            warnings.simplefilter("ignore")
            self._writer.add_graph(model, images, use_strict_trace=False)

    def add_codes(
        self, epoch: int, codes: torch.Tensor, names: list[str], thumbnails: torch.Tensor
    ) -> None:
        """Codes [n, D] for the projector, with their classes and pictures [n, h, w, 3]."""
        pictures = thumbnails.permute(0, 3, 1, 2)
        self._writer.add_embedding(codes, names, pictures, epoch, "codes")

    def close(self) -> None:
        """Write what is still in memory."""
        self._writer.close()


def write_hparams(folder: Path, settings: dict[str, str | int], numbers: dict[str, float]) -> None:
    """One line of TensorBoard's HParams table."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        scores = {f"score/{name}": value for name, value in numbers.items()}
        writer.add_hparams(settings, scores, run_name=".")
