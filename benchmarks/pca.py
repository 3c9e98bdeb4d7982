"""PCA of 170,000 z-points of 256 dimensions: `jaxlatent.PCA.fit` against scikit-learn.

    python benchmarks/pca.py [--points 170000] [--dims 256] [--rounds 7]

The peer is `sklearn.decomposition.PCA(svd_solver="covariance_eigh")`, its fastest solver for this shape, on
the same float32 array with all cores. Both run in turn in this process; a ratio above 1 means that ours is
faster. The error is that of the eigenvalues against float64 NumPy. OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE,
where they are set, slow both.
"""

import argparse

import numpy as np
from common import alternate, machine, report
from sklearn import decomposition

import jaxlatent as jl


def z_points(n: int, d: int) -> np.ndarray:
    """Points of a falling spectrum in a rotated frame, away from the origin, float32 (n, d)."""
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.standard_normal((d, d)))[0]
    return (rng.standard_normal((n, d)) * np.geomspace(1, 0.02, d) @ rotation + 3).astype(np.float32)


def eigenvalues(z: np.ndarray) -> np.ndarray:
    """Those of the covariance in float64, falling."""
    return np.linalg.eigvalsh(np.cov(z.T.astype(np.float64)))[::-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=170_000)
    parser.add_argument("--dims", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()

    print(machine())
    z = z_points(options.points, options.dims)

    def ours() -> np.ndarray:
        return np.asarray(jl.PCA.fit(z).explained_variance)

    def scikit_learn() -> np.ndarray:
        return decomposition.PCA(svd_solver="covariance_eigh").fit(z).explained_variance_

    times = alternate({"jaxlatent": ours, "scikit-learn": scikit_learn}, options.rounds)
    report(times, "jaxlatent", unit="s")
    exact = eigenvalues(z)
    for name, fit in (("jaxlatent", ours), ("scikit-learn", scikit_learn)):
        print(f"largest relative error of an eigenvalue, {name}: {np.abs(fit() / exact - 1).max():.1e}")


if __name__ == "__main__":
    main()
