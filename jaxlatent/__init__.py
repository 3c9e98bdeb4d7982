"""jaxlatent makes a plain autoencoder generative; see the README for a tour.

Each name is imported when it is first used, so that the command answers at once, and that an exported model
runs without Flax, Pillow and Rich. The names are in `__init__.pyi`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
