"""The explorer's server: the page, and what it asks for."""

import json
import logging
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from jaxlatent._boundary import as_count
from jaxlatent._random import seed_key
from jaxlatent.explorer.about import about
from jaxlatent.explorer.animation import animate
from jaxlatent.explorer.assets import TYPES, page_files
from jaxlatent.explorer.guard import TooLargeError, read_body
from jaxlatent.explorer.recipe import Recipe
from jaxlatent.explorer.space import SLIDERS, Space
from jaxlatent.explorer.turns import StaleRequestError, Turns
from jaxlatent.explorer.upload import LARGEST, read_image
from jaxlatent.explorer.ways import way
from jaxlatent.explorer.wire import pack

log = logging.getLogger(__name__)

_MOST_FACES = 100
# After so many a face that is dragged has its turn.
_BLOCK = 16
_MOST_POINTS = 200_000
_MOST_NEIGHBOURS = 24
_LONGEST_LINE = 500


class Requests:
    """Answers what a page asks; one question at a time reaches the model, long ones in parts.

    Each answer is an iterator: None between two parts, the message in the end.
    """

    def __init__(self, space: Space):
        self.space, self.turns = space, Turns()
        # A vector as text takes 5.4 bytes a number.
        self.most_body = _MOST_FACES * (4000 + 6 * math.prod(space.latent_shape))

    def routes(self) -> list[Route]:
        """All of them; the page's files are known beforehand, so no path is taken from a request."""
        answers = {
            "face": self.face,
            "faces": self.faces,
            "plane": self.plane,
            "neighbours": self.neighbours,
            "pictures": self.pictures,
            "animation": self.animation,
        }
        pages = [
            Route("/" if name == "index.html" else f"/{name}", _static(name, content))
            for name, content in page_files().items()
        ]
        posts = [
            Route(f"/api/{name}", self._answering(name, answer), methods=["POST"])
            for name, answer in answers.items()
        ]
        return [
            *pages,
            *posts,
            Route("/api/info", self._info),
            Route("/api/encode", self._encode, methods=["POST"]),
        ]

    def _answering(self, name: str, answer: Callable[[dict[str, Any]], Iterator[bytes | None]]) -> Callable:
        async def endpoint(request: Request) -> Response:
            body = await read_body(request.scope, request.receive, self.most_body)
            tab = request.headers.get("x-tab", "")[:64]
            content = await self.turns.take_in_parts(tab, name, answer(_object(body)))
            return Response(content, media_type="application/octet-stream")

        return endpoint

    async def _info(self, request: Request) -> Response:
        return JSONResponse(await to_thread.run_sync(self.info))

    async def _encode(self, request: Request) -> Response:
        content = await read_body(request.scope, request.receive, LARGEST)
        shape = self.space.image_shape
        if self.space.encode is None or shape is None:
            raise ValueError("image: there is no encoder here, so no image can be brought")
        pixels = await to_thread.run_sync(read_image, content, shape)
        vector = await self.turns.take("", "encode", partial(self.space.encoded, pixels))
        return Response(pack({}, {"vector": vector, "image": pixels}), media_type="application/octet-stream")

    def info(self) -> dict[str, Any]:
        """What the page has to know of the space before it asks for anything else."""
        space = self.space
        samplers = [
            {
                "name": name,
                "about": about(law.sampler),
                "dials": [vars(dial) for dial in law.dials],
                "count": 2**32,
                "ownRegion": law.has_region,
                "ownDensity": law.has_density,
            }
            for name, law in ((name, space.law(name)) for name in space.samplers)
        ]
        attributes = space.attributes
        return {
            "title": space.title,
            "thing": "vector" if space.decoder is None else space.thing,
            "samplers": samplers,
            "components": len(space.sigma),
            "sliders": min(SLIDERS, len(space.sigma)),
            "sigma": [float(sigma) for sigma in space.sigma[:SLIDERS]],
            "ratio": [float(ratio) for ratio in np.asarray(space.frame.explained_variance_ratio)[:SLIDERS]],
            "coordinates": math.prod(space.latent_shape),
            "points": len(space.z),
            "image": space.image_shape,
            "neighbours": True,
            "animations": ["gif", "webp"],
            "encoder": space.encode is not None and space.image_shape is not None,
            "pictures": space.gallery.images is not None,
            "progress": space.progress,
            "attributes": [
                {"name": name, "accuracy": float(accuracy) if np.isfinite(accuracy) else None}
                for name, accuracy in zip(attributes.names, attributes.accuracy, strict=True)
            ],
        }

    def face(self, asked: dict[str, Any]) -> Iterator[bytes]:
        """A vector, its numbers and its image."""
        recipe = self._recipe(asked.get("state"))
        look = self.space.look(recipe)
        arrays = {
            "vector": look.vector,
            "components": look.components.astype(np.float32),
            "intervals": look.intervals.astype(np.float32),
        }
        if self.space.decoder is not None:
            arrays["image"] = self.space.images(look.vector)[0]
        self.space.seen.set()
        header = {
            "gauge": _finite(look.gauge),
            "inside": look.inside,
            "logDensity": _finite(look.log_density),
            "rank": look.rank,
            "again": self.space.again(recipe),
        }
        yield pack(header, arrays)

    def faces(self, asked: dict[str, Any]) -> Iterator[bytes | None]:
        """Many images, and their vectors."""
        vectors, images = [], []
        for z in self._vectors(asked):
            vectors.append(z.reshape(len(z), -1))
            if self.space.decoder is not None:
                images.append(self.space.images(z))
            yield None
        arrays = {"vectors": np.concatenate(vectors)}
        if images:
            arrays["images"] = np.concatenate(images)
        yield pack({}, arrays)

    def animation(self, asked: dict[str, Any]) -> Iterator[bytes | None]:
        """The same as one animated file."""
        images = []
        for z in self._vectors(asked):
            images.append(self.space.images(z))
            yield None
        yield animate(np.concatenate(images), asked.get("format", "gif"))

    def _recipe(self, state: Any) -> Recipe:
        recipe = Recipe.parse(state)
        # Nobody else would be answered while one waits for the labels.
        if self.space.progress == "loading" and any(name.startswith("a.") for name, _ in recipe.edits):
            raise ValueError("state: the labels of its attributes are still being read; wait a little")
        return recipe

    def _vectors(self, asked: dict[str, Any]) -> Iterator[np.ndarray]:
        """Of the recipes `states`, or of `count` steps on the `way` between two of them; in blocks."""
        states = asked.get("states")
        if not isinstance(states, list) or not 1 <= len(states) <= _MOST_FACES:
            raise ValueError(f"states: expected a list of 1 to {_MOST_FACES}")
        recipes = [self._recipe(state) for state in states]
        kind = asked.get("way")
        if kind is None:
            for begin in range(0, len(recipes), _BLOCK):
                yield np.stack([self.space.vector(recipe) for recipe in recipes[begin : begin + _BLOCK]])
            return
        if kind not in ("linear", "spherical") or len(recipes) != 2:
            raise ValueError("way: expected linear or spherical, between two states")
        count = as_count("count", asked.get("count"), 2, _MOST_FACES)
        region = self.space.turned(recipes[0])[1] if asked.get("inside") else None
        first, second = (self.space.vector(recipe).reshape(-1).astype(np.float64) for recipe in recipes)
        between = way(first, second, count, kind=kind, mean=self.space.mean, region=region)
        for begin in range(0, count, _BLOCK):
            yield between[begin : begin + _BLOCK].reshape(-1, *self.space.latent_shape)

    def plane(self, asked: dict[str, Any]) -> Iterator[bytes]:
        """A plane, where the z-points lie in it, and where new vectors do."""
        kind, i, j = (
            str(asked.get("kind")),
            as_count("i", asked.get("i"), 1),
            as_count("j", asked.get("j"), 1),
        )
        plane = self.space.plane(kind, i, j)  # type: ignore[arg-type]
        recipe, count = (
            self._recipe(asked.get("state", "")),
            as_count("count", asked.get("count", 0), 0, 2000),
        )
        sampler, _ = self.space.turned(recipe)
        arrays = {
            "rows": plane.rows.astype(np.float32),
            "origin": plane.origin.astype(np.float32),
            "response": plane.response.astype(np.float32),
            "drawn": plane.coordinates(np.asarray(sampler.sample(seed_key(recipe.seed), count))),
        }
        stride = -(-len(self.space.z) // _MOST_POINTS)
        if asked.get("points", True):
            arrays["points"] = plane.coordinates(self.space.z[::stride])
        header = {"labels": plane.labels, "edits": plane.edits, "relative": plane.relative, "stride": stride}
        yield pack(header, arrays)

    def neighbours(self, asked: dict[str, Any]) -> Iterator[bytes]:
        """The training images nearest to a vector, with the distances that unseen images have."""
        gallery, count = self.space.gallery, as_count("count", asked.get("count", 6), 1, _MOST_NEIGHBOURS)
        z = np.asarray(self.space.vector(self._recipe(asked.get("state"))), np.float64).reshape(-1)
        rows, distance = gallery.nearest(z, count)
        arrays = {"rows": rows.astype(np.int32), "distance": distance.astype(np.float32)}
        if gallery.images is not None:
            arrays["images"] = gallery.images[rows]
        arrays["usual"] = gallery.usual.astype(np.float32)
        yield pack({"comparedWith": gallery.compared_with}, arrays)

    def pictures(self, asked: dict[str, Any]) -> Iterator[bytes]:
        """Training images by their rows."""
        images, rows = self.space.gallery.images, asked.get("rows")
        if images is None:
            raise ValueError("pictures: the training images are not at hand")
        if not isinstance(rows, list) or not 1 <= len(rows) <= _MOST_FACES:
            raise ValueError(f"rows: expected a list of 1 to {_MOST_FACES}")
        yield pack({}, {"images": images[[as_count("rows", row, 0, len(images) - 1) for row in rows]]})


def explorer_app(space: Space) -> Starlette:
    """The application, as yet open to everybody: see `guard.Guard`."""
    return Starlette(
        routes=Requests(space).routes(),
        exception_handlers={
            StaleRequestError: _stale,
            TooLargeError: _too_large,
            **dict.fromkeys((ValueError, TypeError, OSError, RecursionError), _mistake),
            Exception: _fault,
        },
    )


def _static(name: str, content: bytes) -> Callable:
    kind = next(media for ending, media in TYPES.items() if name.endswith(ending))

    async def endpoint(request: Request) -> Response:
        return Response(content, media_type=f"{kind}; charset=utf-8")

    return endpoint


def _object(body: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict):
        raise ValueError("request: expected a JSON object")
    return asked


def _finite(number: float) -> float | None:
    return number if np.isfinite(number) else None


async def _stale(request: Request, error: Exception) -> Response:
    return Response(status_code=204)


async def _too_large(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 413, {"connection": "close"})


async def _mistake(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": _line(error)}, 400)


async def _fault(request: Request, error: Exception) -> Response:
    log.error("explorer: %s: %s", request.url.path, error, exc_info=error)
    return JSONResponse({"error": f"the explorer failed: {_line(error)}"}, 500)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:_LONGEST_LINE]
