"""What the z-points look like: moments, PCA, half-widths, ellipses."""

from jaxlatent.latent.directions import Direction as Direction
from jaxlatent.latent.directions import attribute_direction as attribute_direction
from jaxlatent.latent.ellipses import Ellipse as Ellipse
from jaxlatent.latent.ellipses import confidence_ellipse as confidence_ellipse
from jaxlatent.latent.files import load_latents as load_latents
from jaxlatent.latent.half_width import GAUSSIAN_FWHM as GAUSSIAN_FWHM
from jaxlatent.latent.half_width import HalfWidth as HalfWidth
from jaxlatent.latent.half_width import half_width as half_width
from jaxlatent.latent.moments import Moments as Moments
from jaxlatent.latent.moments import moments as moments
from jaxlatent.latent.pca import PCA as PCA
from jaxlatent.latent.sharded import ShardedVectors as ShardedVectors
from jaxlatent.latent.sharded import open_latents as open_latents
from jaxlatent.latent.trim import PointOptions as PointOptions
from jaxlatent.latent.trim import trim as trim
