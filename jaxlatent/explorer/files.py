"""What the explorer writes to the disk: a face with its vector, the page that needs no server."""

import os
from pathlib import Path

import numpy as np

from jaxlatent._files import atomic_path
from jaxlatent.autoencoder import Autoencoder
from jaxlatent.explorer.animation import to_picture
from jaxlatent.explorer.recipe import Recipe
from jaxlatent.explorer.space import Space
from jaxlatent.explorer.static import page_text


def write_face(path: str | os.PathLike[str], space: Space, recipe: Recipe | str) -> tuple[Path, Path]:
    """Writes the image of a recipe and its vector, float32 (1, d), in a .npy file beside it.

    Args:
        path: of the image, .png.
        space: with a decoder.
        recipe: what to show.

    Returns:
        Both paths.

    Raises:
        ValueError: if the path has another ending, or the recipe names what is not there.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"path: expected a name that ends in .png, got {path}")
    z = space.vector(recipe)[None]
    image = space.images(z)[0]
    beside = path.with_suffix(".npy")
    with atomic_path(path) as temporary:
        to_picture(image).save(temporary)
    with atomic_path(beside) as temporary, temporary.open("wb") as file:
        np.save(file, z)
    return path, beside


def write_page(
    path: str | os.PathLike[str], space: Space, model: Autoencoder, *, public: bool = False
) -> Path:
    """Writes the page that needs no server, see `jaxlatent.explorer.static`; its path is returned.

    Args:
        path: of the file, .html.
        space: what to explore.
        model: whose decoder the file holds.
        public: leave out the warning against publishing it.

    Raises:
        ValueError: if the path has another ending, or the decoder cannot run in a browser.
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"path: expected a name that ends in .html, got {path}")
    with atomic_path(path) as temporary:
        temporary.write_text(page_text(space, model, public=public), encoding="utf-8")
    return path
