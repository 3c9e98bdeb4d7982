"""All pairs of all vectors of the samplers whose body is made of ellipses, in float64 on the host."""

from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
from violations import BATCH, ellipse_left_sides, ellipse_samplers, points

from gpu.rows import Row, arguments, emit

COMPONENTS = (2, 105, 256)


def main() -> None:
    options = arguments(__doc__, vectors=20_000)
    n = 500 if options.small else options.vectors
    key = jax.random.key(1)
    for k in (3,) if options.small else COMPONENTS:
        for name, sampler in ellipse_samplers(points(k)[0]).items():
            z, worst = np.asarray(sampler.sample(key, n)), ellipse_left_sides(sampler)
            with ThreadPoolExecutor() as pool:
                values = np.concatenate(list(pool.map(worst, (z[i : i + BATCH] for i in range(0, n, BATCH)))))
            outside = int((values > 1).sum())
            note = f"of {n:,}, {k * (k - 1) // 2:,} pairs each; largest left side 1 - {1 - values.max():.2e}"
            emit(Row(f"{name}, k = {k}: outside", outside, "vectors", passed=outside == 0, note=note))


if __name__ == "__main__":
    main()
