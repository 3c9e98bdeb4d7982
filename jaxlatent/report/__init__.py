"""What a person looks at: grids of images, planes of the latent space, the course of a training."""

from jaxlatent.report.figure import save_figure as save_figure
from jaxlatent.report.history import plot_history as plot_history
from jaxlatent.report.images import image_grid as image_grid
from jaxlatent.report.images import plot_comparison as plot_comparison
from jaxlatent.report.images import plot_images as plot_images
from jaxlatent.report.planes import plot_component_planes as plot_component_planes
from jaxlatent.report.planes import plot_latent_planes as plot_latent_planes
from jaxlatent.report.planes import plot_plane as plot_plane
