"""PCA of 170,000 z-points of 256 dimensions beside PyTorch's, with the errors of the eigenvalues."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from pca import eigenvalues, z_points

import jaxlatent as jl
from gpu.device import torch_device, wait_for_torch
from gpu.rows import Contestant, Row, arguments, compare, emit, skipped


def torch_fits(z: np.ndarray) -> dict[str, Callable[[], Any]]:
    """PyTorch's ways to the eigenvalues of points that are on the device, in float32 without TF32."""
    import torch

    points = torch.from_numpy(z).to(torch_device())
    n, d = z.shape

    def low_rank() -> Any:
        values = torch.pca_lowrank(points, d)[1].square() / (n - 1)
        wait_for_torch()
        return values

    def covariance() -> Any:
        centred = points - points.mean(0)
        values = torch.linalg.eigh(centred.T @ centred / (n - 1))[0].flip(0)
        wait_for_torch()
        return values

    return {"PyTorch, eigh of the covariance": covariance, "PyTorch, pca_lowrank": low_rank}


def main() -> None:
    options = arguments(__doc__)
    n, d, rounds = (400, 8, 2) if options.small else (170_000, 256, 5)
    z = z_points(n, d)
    here = jax.device_put(z)
    fits: dict[str, Callable[[], Any]] = {
        "jaxlatent, points on the device": lambda: jl.PCA.fit(here).explained_variance,
        "jaxlatent, points on the host": lambda: jl.PCA.fit(z).explained_variance,
    }
    try:
        fits |= torch_fits(z)
    except ImportError:
        skipped("PyTorch", "torch")
    title = f"PCA of {n:,} x {d}: "
    contestants = {name: Contestant(fit, 1) for name, fit in fits.items()}
    compare(contestants, "s", rounds, title=title, per_second=False)
    exact = eigenvalues(z)
    for name, fit in fits.items():
        found = fit()
        values = np.asarray(found if isinstance(found, jax.Array) else found.cpu(), np.float64)
        error = float(np.abs(values / exact - 1).max())
        # The promise of `PCA.fit`.
        passed = error < 1e-4 if name.startswith("jaxlatent") else None
        emit(Row(f"{title}{name}, largest relative error of an eigenvalue", error, passed=passed))


if __name__ == "__main__":
    main()
