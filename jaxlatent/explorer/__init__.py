"""A person moves through a latent space and sees faces, live."""

from jaxlatent.explorer.recipe import Recipe as Recipe
from jaxlatent.explorer.run import open_latents as open_latents, open_run as open_run
from jaxlatent.explorer.serve import Explorer as Explorer, explore as explore
from jaxlatent.explorer.space import Space as Space
