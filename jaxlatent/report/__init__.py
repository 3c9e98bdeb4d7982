"""What a person looks at: plots of images, trainings and latent spaces, and the page that tells it all."""

from jaxlatent.report.decoded import Pictured as Pictured
from jaxlatent.report.evaluation import Evaluated as Evaluated
from jaxlatent.report.evaluation import plot_tradeoff as plot_tradeoff
from jaxlatent.report.figure import save_figure as save_figure
from jaxlatent.report.history import plot_history as plot_history
from jaxlatent.report.images import image_grid as image_grid
from jaxlatent.report.images import plot_comparison as plot_comparison
from jaxlatent.report.images import plot_images as plot_images
from jaxlatent.report.latent_images import plot_sweep as plot_sweep
from jaxlatent.report.latents import load_latents as load_latents
from jaxlatent.report.page import build as build
from jaxlatent.report.planes import plot_component_planes as plot_component_planes
from jaxlatent.report.planes import plot_latent_planes as plot_latent_planes
from jaxlatent.report.planes import plot_plane as plot_plane
