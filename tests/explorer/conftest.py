"""One tiny latent space for all tests: 400 z-points of 6 numbers, some samplers, a formula as decoder."""

import http.client
import json
import struct
from urllib.parse import urlsplit

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlatent as jl
from jaxlatent.explorer import Explorer, Space
from jaxlatent.explorer.gallery import Gallery

N, D = 400, 6
WEIGHTS = np.random.default_rng(7).standard_normal((D, 8 * 8 * 3)).astype(np.float32)


@pytest.fixture(scope="session")
def z():
    """z-points far from a Gaussian, correlated, their mean far from 0."""
    rng = np.random.default_rng(0)
    return (rng.exponential(size=(N, D)) @ rng.standard_normal((D, D)) + 3).astype(np.float32)


@pytest.fixture(scope="session")
def decode():
    """Maps vectors (b, 6) to images (b, 8, 8, 3)."""
    return lambda z: jax.nn.sigmoid(z @ WEIGHTS).reshape(-1, 8, 8, 3)


@pytest.fixture(scope="session")
def samplers(z):
    return {
        "pairwise": jl.PairwiseSampler.fit(z, fact=0.7),
        "exact": jl.ExactSampler.fit(z, density="normal", fact=0.7),
        "groups": jl.ClusterRecombinationSampler.fit(z, n_clusters=3, coverage=0.9),
        "tilted": jl.TiltedSampler.fit(z),
        "few": jl.PairwiseSampler.fit(z, n_components=3, fact=0.7),
        "gaussian": jl.GaussianSampler.fit(z),
        "box": jl.BoxSampler.cube(1.5, D),
    }


@pytest.fixture(scope="session")
def labels(z):
    """Three attributes by name, one of them with a name that has to be quoted in an address."""
    y = z - z.mean(axis=0)
    return {
        "smile": y[:, 0] > 0,
        "50 % & more=öß": y[:, 1] + y[:, 2] > 0,
        "hat": np.where(y[:, 3] > 1, 1, -1),
    }


@pytest.fixture(scope="session")
def space(z, samplers, decode, labels):
    """With attributes and an encoder; no test may change it."""
    made = Space(samplers, z, decode, encode=lambda images: jnp.ones((len(images), D)) * images.mean() / 255)
    made.label(jl.Labels(tuple(labels), np.stack(list(labels.values()), axis=1)))
    return made


@pytest.fixture(scope="session")
def unpack():
    """unpack(message) -> header, arrays by name: reads what `wire` packs, as its head describes it."""
    kinds = {"float32": "<f4", "float16": "<f2", "int32": "<i4", "uint8": "u1"}

    def read(message):
        (length,) = struct.unpack_from("<I", message)
        header, arrays = json.loads(message[4 : 4 + length]), {}
        for name, each in header.pop("arrays").items():
            begin, count = 4 + length + each["offset"], int(np.prod(each["shape"]))
            assert begin % 8 == 0
            found = np.frombuffer(message, kinds[each["type"]], count, begin)
            arrays[name] = found.reshape(each["shape"])
        return header, arrays

    return read


class Browser:
    """Asks an explorer's server, as its page does."""

    def __init__(self, url):
        self.address = urlsplit(url)
        self.connection = http.client.HTTPConnection("127.0.0.1", self.address.port, timeout=60)

    def send(self, method, path, body=None, **headers):
        """Status, headers and body of the answer; of a header's name, _ stands for -."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.close()  # the server may have closed it meanwhile
        self.connection.request(method, path, body, named)
        reply = self.connection.getresponse()
        return reply.status, dict(reply.getheaders()), reply.read()

    def ask(self, name, **question):
        """The answer to a question of the page; its error in one line where there is one."""
        status, _, body = self.send("POST", f"/api/{name}", json.dumps(question))
        return body if status == 200 else (status, json.loads(body)["error"])


@pytest.fixture(scope="session")
def browse():
    """browse(url) -> a `Browser`, closed in the end."""
    opened = []

    def browser(url):
        opened.append(Browser(url))
        return opened[-1]

    yield browser
    for each in opened:
        each.connection.close()


@pytest.fixture(scope="session")
def explorer(space):
    """A server of `space`, on any free port."""
    server = Explorer(space)
    yield server
    server.close()


@pytest.fixture(scope="session")
def browser(explorer, browse):
    return browse(explorer.url)


@pytest.fixture(scope="session")
def pictured(z, samplers, browse):
    """A browser of a space with images and no decoder, and the images."""
    images = np.arange(400 * 2 * 2 * 3, dtype=np.uint32).astype(np.uint8).reshape(400, 2, 2, 3)
    space = Space({"box": samplers["box"]}, z)
    space.gallery = Gallery(z, images, z[:50] + np.float32(0.1))
    server = Explorer(space)
    yield browse(server.url), images
    server.close()
