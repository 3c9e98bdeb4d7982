"""Serving the explorer on this machine: the port, the browser, the notebook."""

import atexit
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
from jaxtyping import Array, Float, Shaped, UInt8

from jaxlatent._boundary import as_array, as_count, as_vectors
from jaxlatent.data.source import Labels
from jaxlatent.explorer.gallery import Gallery, as_labels
from jaxlatent.explorer.recipe import Recipe
from jaxlatent.explorer.space import Space
from jaxlatent.generation.decoder import to_uint8
from jaxlatent.sampling import Sampler

log = logging.getLogger(__name__)

_START_SECONDS = 30
_END_SECONDS = 10
# If nobody looks at a face meanwhile.
_UNSEEN_SECONDS = 3


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
        token = None if _is_loopback(host) else secrets.token_urlsafe(24)
        shown = _shown(host)
        self.space, self._socket = space, _bind(host, port)
        self.url = f"http://{shown}:{self._socket.getsockname()[1]}/" + (f"?token={token}" if token else "")
        app = Guard(explorer_app(space), {shown.lower(), "127.0.0.1", "localhost", "[::1]"}, token)
        config = uvicorn.Config(
            app,
            log_config=None,  # any other closes all handlers that the process has
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        try:
            warm(space)
            self._start()
        except BaseException:
            self._socket.close()
            raise
        self._closing = threading.Event()
        self._loader = threading.Thread(target=_load, args=(space, self._closing), daemon=True)
        self._loader.start()
        # Python cannot end while a thread is in JAX: it would crash.
        atexit.register(self.close)

    def _serve(self) -> None:
        try:
            self._server.run([self._socket])
        finally:
            self._ended.set()

    def _start(self) -> None:
        self._thread.start()
        end = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > end:
                raise OSError(f"explorer: the server did not start on {self.url}")
            time.sleep(0.005)

    def wait(self) -> None:
        """Blocks until `close`, or Ctrl-C, which closes it."""
        # Not by joining the thread: Python 3.11 and 3.12 take it for ended where Ctrl-C interrupts that
        # (`Thread._wait_for_tstate_lock`), and leave while it still runs.
        try:
            while not self._ended.wait(0.2):
                pass
        except KeyboardInterrupt:
            self.close()

    def close(self) -> None:
        """Stops the server; what it showed stays in memory as long as somebody holds it."""
        self._closing.set()
        self.space.seen.set()
        self._server.should_exit = True
        self._thread.join(_END_SECONDS)
        self._socket.close()
        self._loader.join(_END_SECONDS)
        if not self._loader.is_alive():
            atexit.unregister(self.close)

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
        encode: maps images, uint8 (1, h, w, c), to vectors, so that a person can bring an image.
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
    if not isinstance(sampler, Sampler | Mapping):
        raise TypeError(f"sampler: expected one, or several by name, got {type(sampler).__name__}")
    samplers = {type(sampler).__name__: sampler} if isinstance(sampler, Sampler) else sampler
    space = Space(samplers, z, decode, encode=encode, title=title)
    space.again = partial(_again, isinstance(sampler, Sampler))
    n, d = space.gallery.z.shape
    known = None if unseen is None else np.asarray(as_vectors("unseen", unseen, d, least=1), np.float32)
    space.gallery = Gallery(space.z, None if images is None else _pixels(images, n), known)
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
        lambda: [space.law(name).dials for name in space.samplers],
    ]
    if space.decoder is not None:
        work.append(lambda: space.images(np.zeros(space.latent_shape, np.float32)))
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda task: task(), work))


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this."""
    return "ipykernel" in sys.modules


def _pixels(images: Any, n: int) -> UInt8[np.ndarray, "n h w c"]:
    images = np.asarray(as_array("images", images))
    if images.ndim != 4 or len(images) != n or images.shape[3] not in (1, 3, 4):
        raise ValueError(f"images: expected ({n}, h, w, c), an image for each z-point, got {images.shape}")
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise TypeError(f"images: expected uint8 or floating point in [0, 1], got {images.dtype}")
    return to_uint8(images, np)


def _load(space: Space, closing: threading.Event) -> None:
    """What takes longer than the first face, and waits for it: the grid's program, pictures, labels."""
    space.seen.wait(_UNSEEN_SECONDS)
    works: list[Callable[[], Any]] = []
    if space.decoder is not None:
        works.append(lambda: space.images(np.repeat(space.vector(Recipe())[None], 2, axis=0)))
    works.append(space.loaded)
    works += [partial(space.look, Recipe(name, inside=True)) for name in space.samplers]
    for work in (*works, lambda: space.gallery.usual):
        if closing.is_set():
            return
        try:
            work()
        except Exception as error:  # the page says so where it matters
            log.warning("explorer: %s", " ".join(str(error).split()))


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise OSError(f"explorer: {error.strerror}; choose another host or port") from error


def _shown(host: str) -> str:
    """How an address has a host that is bound; one that stands for all is none to go to."""
    if host in ("", "0.0.0.0", "::"):
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _again(is_alone: bool, recipe: Recipe) -> dict[str, str]:
    """For a space that was made in Python, from one sampler or from several."""
    if is_alone and recipe.is_draw:
        return {"python": f"sampler.sample(jax.random.key({recipe.seed}), 1, start={recipe.index})"}
    return {"python": f'explorer.space.vector("{recipe}")'}
