"""What a person looks at: plots of images, trainings and latent spaces, and the page that tells it all."""

from jaxlatent.report.page import build as build
from jaxlatent.report.plots.figure import save_figure as save_figure
from jaxlatent.report.plots.history import plot_history as plot_history
from jaxlatent.report.plots.images import (
    image_grid as image_grid,
    plot_comparison as plot_comparison,
    plot_images as plot_images,
)
from jaxlatent.report.plots.latent_images import plot_sweep as plot_sweep
from jaxlatent.report.plots.planes import (
    plot_component_planes as plot_component_planes,
    plot_latent_planes as plot_latent_planes,
    plot_plane as plot_plane,
)
from jaxlatent.report.sections.evaluation import Evaluated as Evaluated, plot_tradeoff as plot_tradeoff
from jaxlatent.report.sections.images import Pictured as Pictured
