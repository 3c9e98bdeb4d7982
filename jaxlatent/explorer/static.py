"""One HTML file that opens from the disk, without a server or a network, and makes faces in the browser.

It is the explorer's page with another engine: the decoder's layers run in a Web Worker (`page/network.js`),
the source method is drawn there (`page/pairwise.js`), and of other samplers the file holds vectors.
"""

import base64
import hashlib
import re
from typing import Any

import numpy as np

from jaxlatent._random import seed_key
from jaxlatent.autoencoder import Autoencoder
from jaxlatent.explorer.about import about
from jaxlatent.explorer.app import Requests
from jaxlatent.explorer.assets import page_files
from jaxlatent.explorer.law import Law
from jaxlatent.explorer.network import describe_decoder
from jaxlatent.explorer.recipe import Recipe
from jaxlatent.explorer.space import Space
from jaxlatent.explorer.wire import pack
from jaxlatent.sampling import BoxSampler, EllipseBody, GaussianSampler, PairwiseSampler, Spec
from jaxlatent.sampling.spec import SOURCE

# Vectors that the file holds: z-points for the map, and of each sampler, of all together.
_POINTS = 3000
_DRAWN, _DRAWN_IN_ALL = 1000, 3000
_WARNING = (
    "This file holds the weights of a decoder and latent vectors of its training images, and shows images "
    "like them. Where these show real people, and you may not publish what was made of them, do not publish "
    "the file either."
)
_VECTOR = "VECTOR"  # what `page/offline.js` puts a vector in place of
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([\w-]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?function |class |const )", re.MULTILINE)
_POLICY = (
    "default-src 'none'; script-src {script} blob: 'wasm-unsafe-eval'; worker-src blob:; style-src {style}; "
    "img-src blob: data:; base-uri 'none'; form-action 'none'"
)


def page_text(space: Space, model: Autoencoder, *, public: bool = False) -> str:
    """The file's text.

    Args:
        space: of a run, or of other latents of the autoencoder.
        model: whose decoder the file is to hold.
        public: leave out the warning against publishing it, as its images are nobody's.

    Raises:
        ValueError: if the autoencoder's decoder cannot run in a browser; the message says what of it.
    """
    script, worker = bundle("static.js"), bundle("worker.js")
    style, page = _read("style.css"), _read("index.html")
    data = base64.b64encode(_data(space, model, public)).decode()
    policy = _POLICY.format(script=_hash(script), style=_hash(style))
    head = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    for old, new in (
        ('<meta name="viewport"', f'{head}\n<meta name="viewport"'),
        ('<link rel="stylesheet" href="style.css">', f"<style>{style}</style>"),
        (
            '<script type="module" src="start.js"></script>',
            f'<script type="text/plain" id="data">{data}</script>\n'
            f'<script type="text/plain" id="worker">{worker}</script>\n'
            f'<script type="module">{script}</script>',
        ),
    ):
        assert page.count(old) == 1
        page = page.replace(old, new)
    return page


def bundle(entry: str) -> str:
    """A module of the page and all that it imports as one script: each once, what is imported first.

    The modules import by single lines of names, export where they define, and no two define the same name.
    """
    order: list[str] = []
    texts: dict[str, str] = {}

    def visit(name: str) -> None:
        if name in texts:
            return
        texts[name] = _read(name)
        for imported in _IMPORT.findall(texts[name]):
            visit(imported)
        order.append(name)

    visit(entry)
    parts = [_EXPORT.sub("", _IMPORT.sub("", texts[name])) for name in order]
    return "\n".join(parts).replace("</script", "<\\/script")


def _read(name: str) -> str:
    return page_files()[name].decode()


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _data(space: Space, model: Autoencoder, public: bool) -> bytes:
    space.loaded()
    description, weights = describe_decoder(model)
    laws = {name: space.law(name) for name in space.samplers}
    if not any(_kind(law) == "pairwise" for law in laws.values()):
        source = Spec.parse(SOURCE).within(len(space.sigma)).fit(space.z)
        laws["pairwise"] = Law(source, space.points)
    banks = sum(_kind(law) == "bank" for law in laws.values())
    count = min(_DRAWN, _DRAWN_IN_ALL // max(1, banks))
    arrays: dict[str, np.ndarray] = {}
    samplers = [_described(name, law, count, arrays) for name, law in laws.items()]
    points = np.asarray(space.z[:: -(-len(space.z) // _POINTS)], np.float32).reshape(
        -1, space.frame.n_features
    )
    info = Requests(space).info() | {
        "samplers": samplers,
        "points": len(points),
        "neighbours": False,
        "pictures": False,
        "encoder": False,
        "animations": ["webp"],
        "progress": "ready",
        "note": "Offline: the decoder runs in this page.",
        "about": None if public else _WARNING,
    }
    arrays |= {
        "weights": weights,
        "mean": np.asarray(space.frame.mean, np.float32).reshape(-1),
        "rows": np.asarray(space.frame.components, np.float32),
        "sigma": space.sigma.astype(np.float32),
        "points": points.astype(np.float16),
        "attributes": space.attributes.vectors.astype(np.float32),
        "ranks": _gaussian_densities(space, points),
    }
    # Of any vector, as the page's own draws are not those of Python.
    some = Recipe.of_vector(np.zeros(space.latent_shape))
    line = space.again(some).get("python", "").replace(str(some).partition("=")[2], _VECTOR)
    return pack({"decoder": description, "info": info, "again": line}, arrays)


def _kind(law: Law) -> str:
    """How the page draws from it: the source's method, a cube, or else from a bank of vectors."""
    if isinstance(law.sampler, PairwiseSampler):
        return "pairwise"
    # A box that is no cube has no edge to turn.
    return "box" if isinstance(law.sampler, BoxSampler) and law.dials else "bank"


def _described(name: str, law: Law, count: int, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """What the page knows of a sampler; its arrays are added to the others."""
    kind = _kind(law)
    is_own = kind == "pairwise"
    body = (law if is_own else law.points).region.body
    assert isinstance(body, EllipseBody)
    arrays[f"region:{name}"] = np.asarray(body.semi_axes, np.float32)
    if kind == "bank":
        drawn = np.asarray(law.sampler.sample(seed_key(0), count)).reshape(count, -1)
        arrays[f"bank:{name}"] = drawn.astype(np.float16)
    return {
        "name": name,
        "about": about(law.sampler),
        "kind": kind,
        "dials": [] if kind == "bank" else [vars(dial) for dial in law.dials],
        "ownRegion": is_own,
        "ownDensity": False,
        "count": count if kind == "bank" else 2**32,
    }


def _gaussian_densities(space: Space, points: np.ndarray) -> np.ndarray:
    return np.sort(np.asarray(GaussianSampler(space.frame).log_prob(points[:1000])))
