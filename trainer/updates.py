"""Which batches make an update of the weights."""

from base.base_data_loader import BaseDataLoader


class Updates:
    """Counts the batches of each update of an epoch; the last may have fewer than the others.

    Args:
        loader: the training images, as a rank gets them.
        batches: how many make an update.

    Attributes:
        gathered: batches trained of the update that has begun.
        images: those of an update on this rank, but for those at the end of an epoch.
    """

    def __init__(self, loader: BaseDataLoader, batches: int) -> None:
        self.loader, self.batches, self.gathered = loader, batches, 0
        # Counted once, for a step of a small network takes no longer than counting does.
        self._count, self._at_a_time = loader.count, loader.images_per_step
        # As if it were one batch: there are never more images in it than in an epoch.
        self.images = min(loader.batch_size * batches, -(-self._count // loader.ranks.count))

    def __len__(self) -> int:
        """The updates of an epoch."""
        return -(-len(self.loader) // self.batches)

    def __str__(self) -> str:
        """What makes an update, in words."""
        size, ranks = self.loader.batch_size, self.loader.ranks.count
        each = f"{self.batches} batches of {size}" if self.batches > 1 else f"{size}"
        images = f"an update is made from {self.loader.images_per_step * self.batches} images"
        if ranks > 1:
            return f"{ranks} processes, {images}, {each} in each"
        return f"{images}, {each}"

    def number(self, step: int) -> int:
        """A number of the batch in training that no other of the run has, after `step` updates."""
        return step * self.batches + self.gathered

    def ends_with(self, trained: int) -> bool:
        """Whether the batch in training is the last of its update.

        Args:
            trained: images of the epoch before it.
        """
        is_last = trained + self._at_a_time >= self._count
        return is_last or self.gathered + 1 == self.batches

    def finish_batch(self, trained: int) -> int:
        """Count the batch in training -> the images of the epoch that are trained with it."""
        self.gathered = 0 if self.ends_with(trained) else self.gathered + 1
        return min(trained + self._at_a_time, self._count)
