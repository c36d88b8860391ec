"""Codes as a cloud of points: its main directions, its plane."""

import torch

# Eigenvalues below so much of the largest, for each row of the matrix, are zero but for rounding:
# points are given in float32.
ROUNDING = 1e-13


def principal_components(points: torch.Tensor, most: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean [D] of points [N, D] and their first principal components, orthonormal [D, k].

    k is `most`, or as many directions as the points differ in. From the eigenvectors of the
    smaller of two matrices, D x D or N x N: they give the same components.
    """
    mean = points.mean(0, dtype=torch.float64).float()
    centred = points - mean
    count, size = centred.shape
    if size <= count:
        values, vectors = torch.linalg.eigh(_products(centred))
        kept = _kept(values, most)
        return mean, vectors[:, kept].float()
    values, vectors = torch.linalg.eigh(_products(centred.T))
    kept = _kept(values, most)
    scaled = vectors[:, kept] * values[kept].clamp_min(1e-30).rsqrt()
    return mean, (centred.T.double() @ scaled).float()


def _products(rows: torch.Tensor) -> torch.Tensor:
    """rows.T @ rows, summed in float64 a few rows at a time."""
    total = rows.new_zeros((rows.shape[1], rows.shape[1]), dtype=torch.float64)
    for piece in rows.split(4096):
        total.addmm_(piece.double().T, piece.double())
    return total


def _kept(values: torch.Tensor, most: int) -> torch.Tensor:
    """The places of the largest eigenvalues, the largest first, without those that are rounding.

    One direction at least is kept, so that points that are all the same have one.
    """
    is_real = values > values[-1].clamp_min(1e-30) * len(values) * ROUNDING
    return torch.arange(len(values)).flip(0)[: max(min(most, int(is_real.sum())), 1)]


def on_plane(codes: torch.Tensor) -> torch.Tensor:
    """Codes [N, D] on the plane of their first two principal components, [N, 2]; 2-D as is."""
    if codes.shape[1] == 2:
        return codes
    mean, directions = principal_components(codes, 2)
    points = (codes - mean) @ directions
    return torch.nn.functional.pad(points, (0, 2 - points.shape[1]))
