"""What samplers are compared with: images, their reconstructions, and what is kept of them."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int, Shaped, UInt8

from jaxlatent._boundary import as_count, as_images, as_vectors
from jaxlatent._rows import Rows
from jaxlatent.autoencoder import Autoencoder, decode, encode
from jaxlatent.evaluation.features import Features, extract
from jaxlatent.evaluation.random_features import random_features
from jaxlatent.generation.decoder import to_uint8

#: Images from which a Fréchet distance can be extrapolated.
LEAST = 24

_BLOCK_BYTES = 2**26
_SMALL = 16  # pixels, of the images whose copies are looked for
_KEPT, _KEPT_BYTES = 2000, 2**27


@dataclass(frozen=True, eq=False)
class Seen:
    """What is kept of a set of images.

    Attributes:
        features: (n, f).
        random: `random_features` of the first m, (m, g).
        small: the images averaged down to 16 x 16 pixels and flattened, in [0, 1].
        first: at most 2,000 of them, or 128 MB, uint8.
    """

    features: Float[np.ndarray, "n f"]
    random: Float[np.ndarray, "m g"]
    small: Float32[np.ndarray, "n p"]
    first: UInt8[np.ndarray, "s h w c"]

    @classmethod
    def of(
        cls, features: Features, blocks: Iterable[UInt8[np.ndarray, "b h w c"]], m: int | None = None
    ) -> "Seen":
        """Looks at images that come in blocks; at all of them in random features where m is not given."""
        found, random, small, first = [], [], [], []
        kept = seen = 0
        for images in blocks:
            if m is None or seen < m:
                random.append(extract(random_features, images if m is None else images[: m - seen]))
            seen += len(images)
            found.append(extract(features, images))
            small.append(np.asarray(_averaged(images)))
            most = min(_KEPT, _KEPT_BYTES // images[0].size)
            if kept < most:
                # Copied, as a view would keep all of the block.
                first.append(images[: most - kept].copy())
                kept += len(first[-1])
        return cls(*(np.concatenate(parts) for parts in (found, random, small, first)))

    def leading(self, n: int) -> "Seen":
        """The first n images."""
        return Seen(self.features[:n], self.random[:n], self.small[:n], self.first[:n])


@dataclass(frozen=True, eq=False)
class References:
    """What every sampler is compared with; measured once.

    Most measures depend on the numbers of images, so that only equal ones compare: n of every set. The
    distance in the limit of infinite n does not, and takes all `count` images of a sampler.

    Attributes:
        model: the autoencoder.
        features: a function of images, see `jaxlatent.evaluation.features`.
        count: number of images of a sampler; at least n.
        unseen: n images that the autoencoder was not trained on.
        rebuilt: their reconstructions.
        training: at most `count` training images, at random; at least n.
        rebuilt_training: their reconstructions.
        small_training: reconstructions of all training images, in no order, as `Seen.small`.
    """

    model: Autoencoder
    features: Features
    count: int
    unseen: Seen
    rebuilt: Seen
    training: Seen
    rebuilt_training: Seen
    small_training: Float32[np.ndarray, "t p"]

    @property
    def n(self) -> int:
        """The number of images of every set that measures at equal numbers are taken of."""
        return len(self.unseen.features)

    @classmethod
    def of(
        cls,
        model: Autoencoder,
        features: Features,
        training_images: Shaped[np.ndarray | Rows, "t h w c"],
        z: Float[Array | np.ndarray, "t d"],
        unseen_images: Shaped[np.ndarray | Rows, "m h w c"],
        count: int,
    ) -> "References":
        """Measures them.

        Args:
            model: the autoencoder.
            features: a function of images.
            training_images: (t, h, w, c), t >= 24.
            z: their z-points, (t, d).
            unseen_images: of the same law and not among them, (m, h, w, c), m >= 24.
            count: images of a sampler, >= 24; n is the smallest of `count`, t and m.

        Raises:
            TypeError, ValueError: if an argument is out of range; the message names it.
        """
        count, shape = as_count("count", count, LEAST), model.config.image_shape
        training_images = as_images("training_images", training_images, shape, least=LEAST)
        unseen_images = as_images("unseen_images", unseen_images, shape, least=LEAST)
        z = as_vectors("z", z, model.config.latent_dim)
        if len(z) != len(training_images):
            raise ValueError(f"z: expected a row for each of {len(training_images)} images, got {len(z)}")
        n = min(count, len(training_images), len(unseen_images))
        # At random, so that the first n are as good as any.
        order = np.random.default_rng(0).permutation(len(training_images))
        rows, rest = order[:count], order[count:]
        others = np.linspace(0, len(unseen_images) - 1, n).astype(np.int64)
        unseen, training = _blocks(model, unseen_images, others), _blocks(model, training_images, rows)
        rebuilt = (_decoded(model, encode(model, x)) for x in _blocks(model, unseen_images, others))
        rebuilt_training = Seen.of(features, (_decoded(model, x) for x in _blocks(model, z, rows)), n)
        further = [np.asarray(_averaged(_decoded(model, x))) for x in _blocks(model, z, rest)]
        return cls(
            model,
            features,
            count,
            Seen.of(features, unseen),
            Seen.of(features, rebuilt),
            Seen.of(features, training, n),
            rebuilt_training,
            np.concatenate([rebuilt_training.small, *further]),
        )

    def look(self, z: Float[Array | np.ndarray, " n *latent"]) -> Seen:
        """Decodes vectors and looks at the images."""
        return Seen.of(self.features, (_decoded(self.model, x) for x in _blocks(self.model, z)), self.n)


def _blocks(
    model: Autoencoder,
    array: Shaped[Array | np.ndarray | Rows, "n ..."],
    rows: Int[np.ndarray, " m"] | None = None,
) -> Iterator[np.ndarray]:
    """Rows of an array, all where none are named, as many at a time as decode to 64 MB; images as uint8."""
    rows = np.arange(len(array)) if rows is None else rows
    size = max(1, _BLOCK_BYTES // (4 * math.prod(model.config.image_shape)))
    for start in range(0, len(rows), size):
        block = np.asarray(array[rows[start : start + size]])
        yield to_uint8(block, np) if block.ndim == 4 else block


def _decoded(model: Autoencoder, z: Float[Array | np.ndarray, " b *latent"]) -> UInt8[np.ndarray, "b h w c"]:
    return np.asarray(_rounded(decode(model, z)))


_rounded = jax.jit(to_uint8)


@jax.jit
def _averaged(images: UInt8[Array | np.ndarray, "b h w c"]) -> Float32[Array, "b p"]:
    b, h, w, c = images.shape
    pixels = images.astype(jnp.float32) / jnp.float32(255)
    small = jax.image.resize(pixels, (b, min(h, _SMALL), min(w, _SMALL), c), "linear", antialias=True)
    return small.reshape(b, -1)
