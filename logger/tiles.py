"""Small pictures side by side, without a plotting library."""

import torch


def tile(rows: list[torch.Tensor], gap: int = 2) -> torch.Tensor:
    """Rows of pictures [n, h, w, 3] in [0, 1] -> one picture [H, W, 3] with white gaps."""
    return torch.cat([_row(row, gap) for row in rows])


def _row(pictures: torch.Tensor, gap: int) -> torch.Tensor:
    n, height, width, _ = pictures.shape
    framed = torch.ones(n, height + gap, width + gap, 3)
    framed[:, :height, :width] = pictures
    return framed.permute(1, 0, 2, 3).reshape(height + gap, n * (width + gap), 3)
