"""New images from a sampler and a decoder."""

from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Array, Float, Shaped

from jaxlatent._boundary import as_count, as_key
from jaxlatent._progress import progress_bar
from jaxlatent.sampling.draws import tile_size
from jaxlatent.sampling.sampler import Sampler


def generate(
    key: jax.Array,
    sampler: Sampler,
    decode: Callable[[Float[Array, "b d"]], Shaped[Array, "b ..."]],
    n: int,
    *,
    batch_size: int = 256,
    progress: bool = False,
) -> Shaped[np.ndarray, "{n} ..."]:
    """Draws `n` latent vectors and decodes them, batch by batch, all batches of one shape.

    Image i belongs to vector i of `sampler.sample(key, n)`, whatever n and the batch size.

    Args:
        key: a typed key, `jax.random.key(seed)`.
        sampler: any sampler of this package.
        decode: maps latent vectors (b, d) to images (b, ...), float or integer; for example
            `functools.partial(jaxlatent.decode, model)`.
        n: number of images, at least 1.
        batch_size: vectors given to `decode` at once.
        progress: show a bar where standard error is a terminal.

    Returns:
        The images (n, ...) on the host, of the dtype that `decode` gives.

    Raises:
        TypeError, ValueError: if an argument is out of range; the message names it.
        ValueError: if `decode` does not give one image for each vector.
    """
    key, n, batch_size = as_key(key), as_count("n", n, 1), as_count("batch_size", batch_size, 1)
    # Whole batches, as many as one draw makes: an accelerator draws many times more vectors at once than are
    # decoded.
    drawn = batch_size * max(1, tile_size(sampler, jax.default_backend()) // batch_size)
    images: np.ndarray | None = None
    with progress_bar("generate", n, "images", enabled=progress) as advance:
        for start in range(0, n, batch_size):
            if start % drawn == 0:
                wanted = min(drawn, batch_size * -(-(n - start) // batch_size))
                z = sampler.sample(key, wanted, start=start)
            first = start % drawn
            batch = np.asarray(decode(z[first : first + batch_size]))
            if batch.shape[:1] != (batch_size,):
                raise ValueError(
                    f"decode: expected {batch_size} images for as many vectors, got {batch.shape}"
                )
            if images is None:
                images = np.empty((n, *batch.shape[1:]), batch.dtype)
            count = min(batch_size, n - start)
            images[start : start + count] = batch[:count]
            advance(count)
    assert images is not None
    return images
