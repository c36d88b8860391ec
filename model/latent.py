"""Codes as a cloud of points: its main directions, its plane."""

import torch


def principal_components(points: torch.Tensor, most: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean [D] of points [N, D] and their first principal components, orthonormal [D, k].

    k is `most`, or as many as N points in D dimensions can have. From the eigenvectors of the
    smaller of two matrices, D x D or N x N: they give the same components.
    """
    mean = points.mean(0, dtype=torch.float64).float()
    centred = points - mean
    count, size = centred.shape
    k = min(most, size, max(count - 1, 1))
    if size <= count:
        _, vectors = torch.linalg.eigh((centred.T @ centred).double())
        return mean, vectors[:, -k:].flip(1).float()
    values, vectors = torch.linalg.eigh((centred @ centred.T).double())
    scale = values[-k:].clamp_min(values[-1] * 1e-12 + 1e-30).rsqrt()
    return mean, (centred.T @ (vectors[:, -k:] * scale).float()).flip(1)


def on_plane(codes: torch.Tensor) -> torch.Tensor:
    """Codes [N, D] on the plane of their first two principal components, [N, 2]; 2-D as is."""
    if codes.shape[1] == 2:
        return codes
    mean, directions = principal_components(codes, 2)
    points = (codes - mean) @ directions
    return torch.nn.functional.pad(points, (0, 2 - points.shape[1]))
