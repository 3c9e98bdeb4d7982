"""Paths in a plane of two components: how images change from place to place."""

from typing import Any, ClassVar, Literal, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

from jaxlatent._boundary import as_count, as_floats, as_number, as_positive, on_device
from jaxlatent._pytree import pytree, static_field
from jaxlatent.latent.half_width import GAUSSIAN_FWHM
from jaxlatent.latent.pca import PCA
from jaxlatent.latent.sharded import Vectors
from jaxlatent.sampling.fitting.region import FitOptions, fit_frame
from jaxlatent.sampling.sampler import Sampler
from jaxlatent.sampling.words import Seed, uniforms

Kind = Literal["ellipse", "circle", "line"]


@pytree
class PathSampler(Sampler):
    """Draws vectors at random places of a closed or a straight path in the PCA frame; `path` walks along it.

    The path is y(t) = centre + cos(2 pi t) axes_0 + sin(2 pi t) axes_1 for "ellipse" and "circle", and
    y(t) = centre + (2 t - 1) axes_0 for "line", t from 0 to 1.

    Attributes:
        pca: the frame, with k components.
        centre: (k,) float32, in the PCA frame.
        axes: conjugate semi-axes in rows, (2, k) float32, in the PCA frame.
        kind: "ellipse", "circle" or "line".

    Raises:
        ValueError: if the shapes do not fit or `kind` is unknown.
    """

    _INSTEAD: ClassVar[str] = "its vectors fill a line"

    pca: PCA
    centre: Float[Array, " k"]
    axes: Float[Array, "2 k"]
    kind: Kind = static_field(default="ellipse")

    @classmethod
    def in_plane(
        cls,
        pca: PCA,
        *,
        plane: tuple[int, int] = (0, 1),
        kind: Kind = "ellipse",
        level: float = GAUSSIAN_FWHM,
        angle: float = 0.0,
        base: Float[Array | np.ndarray, "*latent"] | None = None,
    ) -> "PathSampler":
        """A path about the mean in the plane of two components of a frame.

        Args:
            pca: the frame, with k >= 2 components.
            plane: the two components, different ones from 0 to k - 1.
            kind: "ellipse", the contour at `level` standard deviations; "circle" of the same area; "line"
                through the mean, to `level` standard deviations on both sides.
            level: in standard deviations, > 0; the source's half-width where not given.
            angle: of the line, or where a closed path begins, in degrees from the first component towards
                the second, in units of the standard deviations ("circle": in equal units).
            base: vector of the latent frame from which all other components are taken; 0 where not given.

        Raises:
            TypeError, ValueError: if an argument is out of range; the message names it.
        """
        k = pca.n_components
        both = [as_count("plane", component) for component in plane]
        if len(both) != 2 or len(set(both)) != 2 or max(both) >= k:
            raise ValueError(f"plane: expected two different components from 0 to {k - 1}, got {plane}")
        level, angle = as_positive("level", level), as_number("angle", angle)
        sigma = np.sqrt(np.asarray(pca.explained_variance)[both])
        if kind == "circle":
            sigma = np.full(2, np.sqrt(sigma.prod()))
        cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        axes = np.zeros((2, k), np.float32)
        axes[:, both] = level * sigma * np.array([[cosine, sine], [-sine, cosine]])
        centre = np.zeros(k, np.float32)
        if base is not None:
            base = as_floats("base", base, pca.mean.shape)
            centre = np.array(pca.transform(base[None])[0])
            centre[both] = 0
        return cls(pca, on_device(centre), on_device(axes), kind)

    @classmethod
    def fit(
        cls,
        z: Float[Vectors, " n *latent"],
        *,
        plane: tuple[int, int] = (0, 1),
        kind: Kind = "ellipse",
        level: float = GAUSSIAN_FWHM,
        angle: float = 0.0,
        base: Float[Array | np.ndarray, "*latent"] | None = None,
        **options: Unpack[FitOptions],
    ) -> "PathSampler":
        """Finds the frame from z-points and lays a path into a plane of it.

        Args:
            z: z-points, floating point (n, d), n >= 2.
            plane: see `in_plane`, as for `kind`, `level`, `angle` and `base`.
            kind: see there.
            level: see there.
            angle: see there.
            base: see there.
            **options: `n_components` and which z-points are described, see `jaxlatent.sampling.FitOptions`.

        Raises:
            TypeError, ValueError: if an argument is out of range; the message names it.
        """
        pca = fit_frame(z, **options)
        return cls.in_plane(pca, plane=plane, kind=kind, level=level, angle=angle, base=base)

    def path(self, n: int) -> Float[Array, " {n} *latent"]:
        """The path in `n` steps of t, in order, in the latent frame.

        A closed path begins at its angle and ends one step before it; a line has both its ends.

        Args:
            n: number of vectors, at least 1.

        Returns:
            float32 (n, d), the same in every call.

        Raises:
            TypeError, ValueError: if `n` is not an integer of at least 1.
        """
        return self.pca.inverse_transform(self.path_components(n))

    def path_components(self, n: int) -> Float[Array, "{n} k"]:
        """The same vectors in the PCA frame; arguments and errors as for `path`."""
        n = as_count("n", n, 1)
        return _at(self, np.linspace(0, 1, n, endpoint=self.kind == "line", dtype=np.float32))

    def _kept(self, k: int) -> dict[str, Any]:
        return super()._kept(k) | {"centre": self.centre[:k], "axes": self.axes[:, :k]}

    def _draw(self, seed: Seed, index: UInt32[Array, " b"]) -> Float[Array, "b k"]:
        return _at(self, uniforms(seed, index, 0, 1)[0])


@jax.jit
def _at(path: PathSampler, t: Float[Array, " b"]) -> Float[Array, "b k"]:
    if path.kind == "line":
        return path.centre + (2 * t - 1)[:, None] * path.axes[0]
    angle = jnp.float32(2 * np.pi) * t[:, None]
    return path.centre + jnp.cos(angle) * path.axes[0] + jnp.sin(angle) * path.axes[1]
