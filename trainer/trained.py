"""A trained model at work, in a notebook or in a program of one's own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from base.base_dataset import BaseDataset
from base.base_model import BaseModel
from model.sizes import shape_text
from trainer.catalogue import build_model, catalogue
from utils.checkpoint import Checkpoint
from utils.checkpoint_files import best_of, find_run
from utils.config.build import build
from utils.config.check import check_config
from utils.device import pick_device
from utils.errors import CheckpointError, DataError
from utils.optimizer_state import load_weights

AT_ONCE = 256  # images that go through the model together
Compute = Callable[..., torch.Tensor]
ArrayOrTensor = TypeVar("ArrayOrTensor", np.ndarray, torch.Tensor)


class Trained:
    """A trained model for images as arrays or as tensors; what goes in as one comes out as one.

    Arrays of images are in the layout, type and range of the data file, tensors as the model
    takes them: float32 [N, C, H, W] in `value_range`. All is computed in float32.

    A conditional model needs `labels`, the class of each image or code: whole numbers [N], places
    in `classes`. Others take none.

    Args:
        model: with its trained weights.
        device: where the model is.
        kind: the class of its data set.
        facts: how arrays of its images are laid out, as `BaseDataset.facts` says it.
    """

    def __init__(
        self,
        model: BaseModel,
        device: torch.device,
        kind: type[BaseDataset],
        facts: dict[str, Any],
    ) -> None:
        self.model, self.device = model.eval(), device
        self.kind, self.facts = kind, facts

    @property
    def classes(self) -> list[str]:
        """The names of the classes of the images trained on."""
        return self.facts["classes"]

    @property
    def value_range(self) -> tuple[float, float]:
        """The lowest and the highest value of images as tensors."""
        low, high = self.facts["value_range"]
        return low, high

    def encode(self, images: ArrayOrTensor, labels: Any = None) -> ArrayOrTensor:
        """Images -> their codes [N, *code_shape]; of a VAE the means.

        Raises:
            DataError: images of another layout, type, size or range than those trained on, or
                labels of other classes.
        """
        told = self._told(labels, images)
        codes = self._in_batches(self._batches(images), told, self.model.encode)
        return codes.numpy() if isinstance(images, np.ndarray) else codes

    def decode(self, codes: ArrayOrTensor, labels: Any = None) -> ArrayOrTensor:
        """Codes [N, *code_shape] or [N, D] -> images.

        Raises:
            DataError: codes of another shape, or that are no finite numbers, or labels of classes
                that training had not.
        """
        shape = self.model.code_shape
        tensor = _numbers(codes, "codes")
        if tuple(tensor.shape[1:]) not in (shape, (self.model.code_size,)) or not len(tensor):
            raise DataError(
                f"codes: shape {tuple(tensor.shape)}; a code is {shape_text(shape)}, and several "
                f"are [N, {shape_text(shape)}]"
            )
        pieces = tensor.reshape(-1, *shape).split(AT_ONCE)
        told = self._told(labels, tensor)
        images = self._in_batches(iter(pieces), told, self.model.decode)
        return self._as_array(images) if isinstance(codes, np.ndarray) else images

    def reconstruct(self, images: ArrayOrTensor, labels: Any = None) -> ArrayOrTensor:
        """Images -> what the model makes of them, laid out as they are."""

        def reconstructed(batch: torch.Tensor, *own: torch.Tensor) -> torch.Tensor:
            return self.model.decode(self.model.encode(batch, *own), *own)

        told = self._told(labels, images)
        made = self._in_batches(self._batches(images), told, reconstructed)
        return self._as_array(made) if isinstance(images, np.ndarray) else made

    def _as_array(self, images: torch.Tensor) -> np.ndarray:
        return self.kind.of_none(self.facts).to_file(images)

    @torch.no_grad()
    def _in_batches(
        self, batches: Iterator[torch.Tensor], told: tuple[torch.Tensor, ...], compute: Compute
    ) -> torch.Tensor:
        made, start = [], 0
        for batch in batches:
            own = [part[start : start + len(batch)] for part in told]
            made.append(compute(batch.to(self.device), *own).float().cpu())
            start += len(batch)
        return torch.cat(made)

    def _told(self, labels: Any, given: Any) -> tuple[torch.Tensor, ...]:
        """What the model is given beside images or codes: of a conditional one their classes.

        Raises:
            DataError: labels are missing, not asked for, or not one class for each of the images
                or codes `given`.
        """
        if not self.model.conditional:
            if labels is None:
                return ()
            raise DataError("labels: the model is not conditional and takes none; leave them out")
        if labels is None:
            raise DataError(
                "labels: the model is conditional; give the class of each image, whole numbers "
                f"from 0 to {len(self.classes) - 1} (places in classes)"
            )
        if isinstance(labels, np.ndarray) and labels.dtype.kind in "USO":
            raise DataError(
                f"labels: values of type {labels.dtype}; give the place of each class in classes, "
                f"whole numbers from 0 to {len(self.classes) - 1}"
            )
        numbers = _numbers(labels, "labels")
        count = len(given) if isinstance(given, np.ndarray | torch.Tensor) else len(numbers)
        if tuple(numbers.shape) != (count,) or (numbers != numbers.round()).any():
            raise DataError(
                f"labels: {labels.dtype} of shape {tuple(labels.shape)}; must be whole numbers, "
                f"one for each of the {count}"
            )
        indices = numbers.long()
        if unknown := sorted({*indices.tolist()} - {*range(len(self.classes))}):
            raise DataError(
                f"labels: {unknown[0]} is no class of training; those are 0 to "
                f"{len(self.classes) - 1}"
            )
        return (indices.to(self.device),)

    def _batches(self, images: np.ndarray | torch.Tensor) -> Iterator[torch.Tensor]:
        """Images as the model takes them, some at a time."""
        _refuse_masked(images, "images")
        if not isinstance(images, np.ndarray):
            tensor = _numbers(images, "images")
            if tuple(images.shape[1:]) != self.model.shape or not len(images):
                due = shape_text(self.model.shape)
                raise DataError(f"images: shape {tuple(images.shape)}; the model takes [N, {due}]")
            yield from tensor.split(AT_ONCE)
            return
        given = self.kind.of_array(images, self.facts, "images")
        for piece in given.pieces():
            for stored in piece.split(AT_ONCE):
                yield given.to_images(stored)


def _refuse_masked(given: Any, what: str) -> None:
    """Raise a DataError for an array with a mask, below which may be anything, NaN too."""
    if isinstance(given, np.ma.MaskedArray):
        raise DataError(
            f"{what}: a masked array, whose mask the model cannot see; give numbers in the place "
            "of what is masked, as .filled(0) does"
        )


def _numbers(given: Any, what: str) -> torch.Tensor:
    """An array or a tensor of real and finite numbers as float32.

    Raises:
        DataError: it is neither, or holds other numbers.
    """
    if not isinstance(given, np.ndarray | torch.Tensor):
        kind = type(given).__name__
        raise DataError(f"{what}: a {kind}; must be a NumPy array or a tensor of torch")
    _refuse_masked(given, what)
    is_real = given.dtype.kind in "iufb" if isinstance(given, np.ndarray) else given.isreal().all()
    if not is_real:
        raise DataError(f"{what}: numbers of type {given.dtype}; must be real")
    if isinstance(given, np.ndarray):
        given = torch.from_numpy(np.ascontiguousarray(given, np.float32))
    numbers = given.detach().float()
    if not numbers.isfinite().all():
        raise DataError(f"{what}: not all of them are finite numbers")
    return numbers


def load(path: str | Path, device: str = "cpu") -> Trained:
    """The trained model of a run, verified like any checkpoint. Prints nothing, seeds nothing.

    Args:
        path: a checkpoint; a run folder, for its best model; or a folder of runs, for the newest.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.

    Raises:
        CheckpointError: nothing to load, or nothing to trust.
        DataError: the checkpoint is of the first ones, which do not say how arrays are laid out,
            and the data that its config names are not there.
    """
    if path == "":  # which would be the folder that one is in
        raise CheckpointError(
            "'': a path was expected; give a run, a checkpoint or a folder of runs"
        )
    path = Path(path).expanduser()
    checkpoint = Checkpoint.read(best_of(find_run(path)) if path.is_dir() else path)
    classes = catalogue()._replace(checks=[])
    config = check_config(checkpoint.config, classes, path)
    kind = classes.parts["dataset"][config.dataset.type]
    facts = checkpoint.images or build(config, classes, "dataset").facts()
    with torch.random.fork_rng(devices=[]):  # the first weights are drawn, and then replaced
        model = build_model(config, classes, _shape_in(facts, path), _classes_in(facts))
    load_weights(model, checkpoint.state_dict)
    place = pick_device(device)
    return Trained(model.to(place), place, kind, facts)


def _classes_in(facts: dict[str, Any]) -> int:
    """How many classes a checkpoint is of."""
    classes = facts.get("classes")
    return len(classes) if isinstance(classes, list) else 1


def _shape_in(facts: dict[str, Any], path: Path) -> tuple[int, int, int]:
    """C, H, W of the images that a checkpoint is of."""
    shape = facts.get("shape")
    if not isinstance(shape, list) or len(shape) != 3 or not all(type(n) is int for n in shape):
        raise CheckpointError(f"{path}: 'images' does not say the shape of an image")
    channels, height, width = shape
    return channels, height, width
