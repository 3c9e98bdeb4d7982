"""The pairwise method as one writes it in CuPy, with arrays over the vectors, beside the sampler.

All pairs one after the other, in a random order of its own for every vector. NumPy's is the same code, and
stands in where CuPy is not.
"""

from functools import partial
from importlib import import_module
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from constructed import frame

import jaxlatent as jl
from gpu.rows import Contestant, arguments, compare, skipped


def literal(xp: Any, n: int, k: int) -> Any:
    """Draws n vectors in units of the semi-axes, float32 (k, n); `xp` is cupy or numpy."""
    first, second = (xp.asarray(side, xp.int32) for side in np.triu_indices(k, 1))
    order = xp.argsort(xp.random.rand(len(first), n).astype(xp.float32), axis=0)
    u = xp.random.uniform(-1, 1, (k, n)).astype(xp.float32)
    vector = xp.arange(n)
    for pair in order:
        heads = xp.random.rand(n) < 0.5
        here, there = first[pair], second[pair]
        kept, redrawn = xp.where(heads, here, there), xp.where(heads, there, here)
        bound = xp.sqrt(xp.maximum(1 - xp.square(u[kept, vector]), 0))
        old = u[redrawn, vector]
        new = bound * xp.random.uniform(-1, 1, n).astype(xp.float32)
        u[redrawn, vector] = xp.where(xp.abs(old) > bound, new, old)
    return u


def main() -> None:
    options = arguments(__doc__)
    key, many = jax.random.key(0), 50 if options.small else 1_000_000
    xp: Any = np
    name = "NumPy"
    try:
        xp = import_module("cupy")
        name = "CuPy"
    except ImportError:
        skipped("CuPy, the literal method", "cupy")

    def peer(n: int, k: int) -> None:
        drawn = literal(xp, n, k)
        if xp is not np:
            xp.cuda.get_current_stream().synchronize()
        assert drawn.shape == (k, n)

    for k, n, rounds in ((6, 50, 2),) if options.small else ((64, 65_536, 3), (256, 8192, 1)):
        sampler = jl.PairwiseSampler(frame(k, k), jl.EllipseBody(jnp.ones(k)))
        draw = partial(sampler.sample_components, key, many)
        contestants = {
            "jaxlatent": Contestant(draw, many, f"{many:,} vectors"),
            f"{name}, the literal method": Contestant(partial(peer, n, k), n, f"{n:,} vectors at once"),
        }
        compare(contestants, "vectors/s", rounds, title=f"k = {k}: ")


if __name__ == "__main__":
    main()
