"""How much the server reads, and how many may ask it at a time."""

import json
import socket
import threading
from contextlib import suppress
from types import SimpleNamespace
from urllib.parse import urlsplit

import numpy as np
import pytest

from jaxlatent.explorer import Explorer, Recipe, Space
from jaxlatent.explorer.app import Requests
from jaxlatent.explorer.upload import LARGEST


@pytest.mark.parametrize(("name", "most"), [("encode", LARGEST), ("face", 403_600)])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_gigabyte_is_cut_off(explorer, browser, name, most, chunked):
    """Its connection is closed when a few times the limit has been sent, and what lies in the sockets."""
    port, sent, part = urlsplit(explorer.url).port, 0, bytes(2**16)
    how = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {10**9}"
    if chunked:
        part = f"{len(part):x}\r\n".encode() + part + b"\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=60) as to:
        to.sendall(f"POST /api/{name} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{how}\r\n\r\n".encode())
        with suppress(ConnectionError):
            while sent < 10**9:
                sent += to.send(part)
    assert sent < (5 * most if chunked else 0) + 16 * 2**20
    assert browser.send("GET", "/api/info")[0] == 200


@pytest.mark.parametrize(("name", "most"), [("encode", "20 MB"), ("face", "0.4036 MB")])
def test_what_is_too_large_is_said(explorer, browse, name, most):
    """At once where it is very large; where it is not, after all of it, as browsers look no sooner."""
    body = b" " * int(1.1e6 * float(most.split()[0]))
    expected = {"error": f"request: expected at most {most}"}
    browser = browse(explorer.url)
    for whole in (body, iter([body])):
        status, headers, found = browser.send("POST", f"/api/{name}", whole)
        assert (status, json.loads(found), headers["connection"]) == (413, expected, "close")
    browser.connection.putrequest("POST", f"/api/{name}")
    browser.connection.putheader("Content-Length", str(10**9))
    browser.connection.endheaders()
    reply = browser.connection.getresponse()
    assert (reply.status, json.loads(reply.read())) == (413, expected)


def test_a_hundred_recipes_with_long_vectors_are_let_through():
    """The limit follows the length of the vectors."""
    z = np.random.default_rng(0).standard_normal((100, 4096)).astype(np.float32)
    question = {"states": [f"{Recipe.of_vector(row, 'cluster-recombination')}&c1=0.5&inside=1" for row in z]}
    assert len(json.dumps(question)) < Requests(SimpleNamespace(latent_shape=(4, 32, 32))).most_body


@pytest.fixture
def held(z, samplers):
    """A server whose decoder waits at a gate, and the vectors that came there."""
    gate, came = threading.Event(), []

    def decode(z):
        z = np.asarray(z)
        if armed.is_set():
            came.append(z[0])
            gate.wait(60)
        return np.zeros((len(z), 2, 2, 3), np.uint8)

    armed = threading.Event()
    space = Space({"box": samplers["box"]}, z, decode)
    space.images(np.zeros((2, 6), np.float32))
    space.seen.set()  # what is done in the background begins
    server = Explorer(space)
    for thread in threading.enumerate():
        if thread.name.endswith("(_load)"):
            thread.join(60)
    armed.set()
    yield server, gate, came
    gate.set()
    server.close()


def test_of_200_requests_of_a_tab_the_last_one_counts_and_the_server_stays_awake(held, browse, unpack):
    """While the first is being decoded, the page and others can be asked for; the rest is stale."""
    server, gate, came = held
    port = urlsplit(server.url).port
    sockets = []
    for i in range(200):
        body = json.dumps({"state": f"index={i}"}).encode()
        to = socket.create_connection(("127.0.0.1", port), timeout=60)
        head = f"POST /api/face HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Tab: a\r\nConnection: close\r\n"
        to.sendall(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        sockets.append(to)
    browser = browse(server.url)
    assert browser.send("GET", "/api/info")[0] == 200
    assert browser.send("GET", "/main.js")[0] == 200
    gate.set()
    answers = []
    for to in sockets:
        received = b""
        while part := to.recv(65536):
            received += part
        answers.append(received)
        to.close()
    statuses = [answer.split(b" ")[1] for answer in answers]
    assert set(statuses) == {b"200", b"204"}
    # The server may have seen the last ones in another order.
    assert statuses.count(b"200") <= 4
    assert len(came) <= 4
    last = max(i for i, status in enumerate(statuses) if status == b"200")
    assert last > 150
    _, arrays = unpack(answers[last].partition(b"\r\n\r\n")[2])
    np.testing.assert_array_equal(arrays["vector"], server.space.vector(f"index={last}"))
