"""Serving the explorer on this machine: the port, the browser, the notebook."""

import ipaddress
import logging
import secrets
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Array, Float, Shaped

from jaxlatent._boundary import as_count
from jaxlatent.data.source import Labels
from jaxlatent.explorer.gallery import Gallery, as_labels
from jaxlatent.explorer.recipe import Recipe
from jaxlatent.explorer.space import Space
from jaxlatent.sampling import Sampler

log = logging.getLogger(__name__)

_START_SECONDS = 30
# If nobody looks meanwhile.
_UNSEEN_SECONDS = 20


class Explorer:
    """A server that runs in a thread of its own, until `close`.

    In a notebook, the last value of a cell, it shows itself as a frame; the kernel stays free.

    Attributes:
        space: what it shows.
        url: its address, with the token where it needs one.
    """

    def __init__(self, space: Space, *, host: str = "127.0.0.1", port: int = 0):
        """Binds the port, warms up what the first face needs, and answers from then on.

        Args:
            space: what to show.
            host: address to bind; only this machine reaches the default one. With any other, a random token
                in the address decides who may.
            port: 0 for any that is free.

        Raises:
            OSError: if the address cannot be bound; the message names it.
            ValueError: if the port is out of range.
        """
        import uvicorn

        from jaxlatent.explorer.app import explorer_app
        from jaxlatent.explorer.guard import Guard

        port = as_count("port", port, 0, 65535)
        self.space, self._socket = space, _bind(host, port)
        port = self._socket.getsockname()[1]
        loopback = _is_loopback(host)
        token = None if loopback else secrets.token_urlsafe(24)
        shown = f"[{host}]" if ":" in host else host
        hosts = {f"{shown}:{port}", f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}"}
        if not loopback:
            name = socket.gethostname()
            hosts |= {f"{name}:{port}", *(f"{each}:{port}" for each in _addresses())}
            shown = name if host in ("0.0.0.0", "::") else shown
        self.url = f"http://{shown}:{port}/" + (f"?token={token}" if token else "")
        warm(space)
        app = Guard(explorer_app(space), hosts, token)
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)
        self._thread.start()
        threading.Thread(target=_load, args=(space,), daemon=True).start()
        end = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > end:
                raise OSError(f"explorer: the server did not start on {self.url}")
            time.sleep(0.005)

    def wait(self) -> None:
        """Blocks until `close`, or Ctrl-C, which closes it."""
        try:
            while self._thread.is_alive():
                self._thread.join(0.2)
        except KeyboardInterrupt:
            self.close()

    def close(self) -> None:
        """Stops the server; what it showed stays in memory as long as somebody holds it."""
        self._server.should_exit = True
        self._thread.join(5)
        self._socket.close()

    def __repr__(self) -> str:
        return f"Explorer({self.url!r})"

    def _repr_html_(self) -> str:
        return (
            f'<iframe src="{self.url}" width="100%" height="820" title="jaxlatent explorer"></iframe>'
            f'<p><a href="{self.url}" target="_blank">Open it in a tab of its own</a></p>'
        )


def explore(
    sampler: Sampler | Mapping[str, Sampler],
    decode: Any = None,
    *,
    z: Float[Array | np.ndarray, " n *latent"],
    images: Shaped[Array | np.ndarray, "n h w c"] | None = None,
    labels: Labels | Mapping[str, Shaped[np.ndarray, " n"]] | Shaped[np.ndarray, "n ..."] | None = None,
    encode: Callable[[Any], Any] | None = None,
    unseen: Float[Array | np.ndarray, " m *latent"] | None = None,
    title: str = "A latent space",
    host: str = "127.0.0.1",
    port: int = 0,
    browser: bool | None = None,
) -> Explorer:
    """Opens the explorer on any latents: a page on which a person moves through them and sees them decoded.

    It returns at once; in a script, `explore(...).wait()` keeps it open. In a notebook the value of the cell
    is the page.

    Args:
        sampler: any sampler, or several by name, switched on the page.
        decode: an `Autoencoder`, or a function from latent vectors (b, d) to images (b, h, w, c), of JAX,
            PyTorch or any other library, see `jaxlatent.generate_to`. Without it there are map and numbers,
            and no images.
        z: z-points, floating point (n, d) or (n, c, h, w), n >= 10.
        images: what the z-points were made of, uint8 or in [0, 1], row by row.
        labels: who has which attribute, present where above 0: (n, m), (n,) each by name, or `Labels`.
        encode: maps images, uint8 (1, h, w, 3), to vectors, so that a person can bring an image.
        unseen: z-points of images that the autoencoder was not trained on, for telling copies.
        title: of the page.
        host: see `Explorer`.
        port: see `Explorer`.
        browser: open a browser; where not given, outside of a notebook.

    Returns:
        The explorer, with its `url` and `close()`.

    Raises:
        OSError: if the address cannot be bound.
        TypeError, ValueError: if an argument is out of range; the message names it.
    """
    from jaxlatent.generation.decoder import to_uint8

    samplers = {type(sampler).__name__: sampler} if isinstance(sampler, Sampler) else dict(sampler)
    space = Space(samplers, z, decode, encode=encode, title=title)
    space.again = partial(_again, next(iter(samplers)))
    n = len(space.z)
    pixels = None if images is None else to_uint8(np.asarray(images), np)
    if pixels is not None and (pixels.ndim != 4 or len(pixels) != n):
        raise ValueError(f"images: expected ({n}, h, w, c), an image for each z-point, got {pixels.shape}")
    known = None if unseen is None else np.asarray(unseen, np.float32).reshape(-1, space.gallery.z.shape[1])
    space.gallery = Gallery(space.z, pixels, known)
    if labels is not None:
        space.label(as_labels(labels, n))
    explorer = Explorer(space, host=host, port=port)
    if browser if browser is not None else not in_notebook():
        webbrowser.open(explorer.url)
    return explorer


def warm(space: Space) -> None:
    """Compiles what the first face needs, so that it is there at once; side by side, as that takes long."""
    work: list[Callable[[], Any]] = [
        lambda: space.look(Recipe()),
        lambda: [view.dials for view in space.views.values()],
    ]
    if space.decoder is not None:
        work.append(lambda: space.images(np.zeros(space.latent_shape, np.float32)))
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda task: task(), work))


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this."""
    return "ipykernel" in sys.modules


def _load(space: Space) -> None:
    """What takes longer than the first face, and waits for it: the grid's program, pictures, labels."""
    space.seen.wait(_UNSEEN_SECONDS)
    try:
        if space.decoder is not None:
            space.images(np.repeat(space.vector(Recipe())[None], 2, axis=0))
        space.loaded()
        for name in space.samplers:
            space.look(Recipe(sampler=name, inside=True))
        space.gallery.usual  # noqa: B018
    except Exception as error:  # the page says so where it matters
        log.warning("explorer: %s", " ".join(str(error).split()))


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(128)
    except OSError as error:
        bound.close()
        raise OSError(
            f"{host}:{port}: cannot be bound ({error.strerror or error}); choose another port or host"
        ) from error
    return bound


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _addresses() -> set[str]:
    """Of this machine, as far as it knows them."""
    try:
        found = {str(each[4][0]) for each in socket.getaddrinfo(socket.gethostname(), None)}
    except OSError:
        return set()
    return {f"[{each}]" if ":" in each else each for each in found}


def _again(first: str, recipe: Recipe) -> dict[str, str]:
    """For a space that was made in Python, whose first sampler has this name."""
    if recipe.is_draw and recipe.sampler in ("", first):
        return {"python": f"sampler.sample(jax.random.key({recipe.seed}), 1, start={recipe.index})"}
    return {"python": f'explorer.space.vector("{recipe}")'}
