"""What the z-points look like: moments, PCA, half-widths, ellipses."""

from jaxlatent.latent.directions import Direction as Direction, attribute_direction as attribute_direction
from jaxlatent.latent.ellipses import Ellipse as Ellipse, confidence_ellipse as confidence_ellipse
from jaxlatent.latent.files import load_latents as load_latents
from jaxlatent.latent.half_width import (
    GAUSSIAN_FWHM as GAUSSIAN_FWHM,
    HalfWidth as HalfWidth,
    half_width as half_width,
)
from jaxlatent.latent.moments import Moments as Moments, moments as moments
from jaxlatent.latent.pca import PCA as PCA
from jaxlatent.latent.sharded import ShardedVectors as ShardedVectors, open_latents as open_latents
from jaxlatent.latent.trim import PointOptions as PointOptions, trim as trim
