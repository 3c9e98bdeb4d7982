"""The server itself: its files, its paths, who may ask, and how it begins and ends."""

import json
import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

import jaxlatent as jl
from jaxlatent.explorer import Explorer, Space
from jaxlatent.explorer.gallery import Gallery

PAGE = Path(jl.explorer.__file__).parent / "page"


def raw(explorer, *parts):
    """What the server answers to these bytes; the connection is closed by then."""
    with socket.create_connection(("127.0.0.1", urlsplit(explorer.url).port), timeout=60) as to:
        for part in parts:
            to.sendall(part)
        to.shutdown(socket.SHUT_WR)
        received = b""
        while part := to.recv(65536):
            received += part
        return received


def test_the_files_of_the_page(browser):
    kinds = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
    names = [path.name for path in PAGE.iterdir() if path.suffix in kinds]
    assert len(names) > 10
    for name in names:
        status, headers, body = browser.send("GET", "/" if name == "index.html" else f"/{name}")
        assert status == 200
        assert body == (PAGE / name).read_bytes()
        assert headers["content-type"] == f"{kinds[Path(name).suffix]}; charset=utf-8"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/..%2f..%2f..%2fetc%2fpasswd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/%252e%252e%252fetc%252fpasswd",
        "/..\\..\\etc\\passwd",
        "//etc/passwd",
        "/./index.html",
        "/page/index.html",
        "/app.py",
        "/../app.py",
        "/main.js/",
        "/main.js%00.html",
        "/%00",
        "/api",
        "/api/../app.py",
        "/api/face/..",
        "/file:///etc/passwd",
        "/" + "a" * 30_000,
    ],
    ids=lambda path: path[:24],
)
def test_other_paths_find_nothing(browser, path):
    for method in ("GET", "POST"):
        status, headers, body = browser.send(method, path)
        assert (status in (404, 405)) or headers["location"].endswith("/main.js")
        assert b"root:" not in body
        assert b"import" not in body


def test_requests_with_a_whole_address_in_their_line(explorer):
    host = f"Host: 127.0.0.1:{urlsplit(explorer.url).port}\r\n\r\n".encode()
    for target in (b"http://evil.example/api/info", b"file:///etc/passwd", b"http://127.0.0.1/main.js", b"*"):
        answer = raw(explorer, b"GET " + target + b" HTTP/1.1\r\n" + host)
        assert answer.split(b" ")[1] in (b"400", b"404")
        assert b"root:" not in answer


def test_hosts_and_origins(explorer, browser):
    port = urlsplit(explorer.url).port
    for host in (f"localhost:{port}", f"[::1]:{port}", "127.0.0.1:1"):
        assert browser.send("GET", "/api/info", host=host)[0] == 200
    assert browser.send("GET", "/api/info", host=f"evil.example:{port}")[0] == 403
    body = json.dumps({"state": ""})
    for headers in ({"origin": "http://evil.example"}, {"origin": "null"}, {"sec_fetch_site": "cross-site"}):
        assert browser.send("POST", "/api/face", body, **headers)[0] == 403
    assert browser.send("POST", "/api/face", body, origin=f"http://127.0.0.1:{port}")[0] == 200
    for line in (b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"):
        assert raw(explorer, line).split(b" ")[1] in (b"400", b"403")


def test_methods(browser):
    for path in ("/", "/main.js", "/api/info"):
        assert browser.send("HEAD", path)[0] == 200
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
            assert browser.send(method, path)[0] == 405
    for name in ("face", "faces", "plane", "neighbours", "pictures", "animation", "encode"):
        for method in ("GET", "PUT", "OPTIONS"):
            assert browser.send(method, f"/api/{name}")[0] == 405


def test_web_sockets_are_not_spoken(explorer):
    line = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{urlsplit(explorer.url).port}\r\n"
    upgrade = "Upgrade: websocket\r\nConnection: Upgrade, close\r\nSec-WebSocket-Version: 13\r\n"
    key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    assert raw(explorer, f"{line}{upgrade}{key}".encode()).startswith(b"HTTP/1.1 200")


@pytest.fixture(scope="module")
def open_to_all(space):
    server = Explorer(space, host="0.0.0.0")
    yield server
    server.close()


def test_another_host_than_this_machine_needs_a_token(open_to_all, browse):
    address = urlsplit(open_to_all.url)
    assert address.hostname == socket.gethostname().lower()
    token = address.query.removeprefix("token=")
    assert len(token) >= 32
    browser = browse(open_to_all.url)
    for path in ("/", "/main.js", "/api/info", "/?token=x", f"/?token={token[:-1]}", "/none"):
        status, _, body = browser.send("GET", path)
        assert status == 401
        assert json.loads(body)["error"].startswith("token: ")
    assert browser.send("POST", "/api/face", json.dumps({"state": ""}))[0] == 401
    # By whatever name or address of the machine.
    for host in (f"192.168.7.7:{address.port}", "gateway.example"):
        status, headers, _ = browser.send("GET", f"/?{address.query}", host=host)
        assert (status, headers["location"]) == (303, "/")
        cookie = headers["set-cookie"].split(";")[0]
        assert browser.send("GET", "/api/info", host=host, cookie=cookie)[0] == 200
        body = json.dumps({"state": ""})
        assert browser.send("POST", "/api/face", body, host=host, cookie=cookie)[0] == 200
        assert browser.send("POST", "/api/face", body, host=host, cookie=cookie, origin="http://x")[0] == 403
    assert browser.send("GET", "/api/info", cookie=f"{cookie[:-1]}!")[0] == 401


def test_two_servers_do_not_know_each_others_tokens(open_to_all, space, browse):
    other = Explorer(space, host="0.0.0.0")
    try:
        assert other.url != open_to_all.url
        query = urlsplit(open_to_all.url).query
        assert browse(other.url).send("GET", f"/?{query}")[0] == 401
        cookies = [
            browse(each.url).send("GET", f"/?{urlsplit(each.url).query}")[1]["set-cookie"]
            for each in (other, open_to_all)
        ]
        both = "; ".join(cookie.split(";")[0] for cookie in cookies)
        assert all(browse(each.url).send("GET", "/", cookie=both)[0] == 200 for each in (other, open_to_all))
    finally:
        other.close()


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
def test_the_other_address_of_this_machine(space):
    try:
        server = Explorer(space, host="::1")
    except OSError:
        pytest.skip("this machine has no address ::1")
    try:
        address = urlsplit(server.url)
        assert server.url == f"http://[::1]:{address.port}/"
        with socket.create_connection(("::1", address.port), timeout=60) as to:
            to.sendall(
                f"GET /api/info HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n\r\n".encode()
            )
            assert to.recv(65536).startswith(b"HTTP/1.1 200")
    finally:
        server.close()


def test_closing_frees_the_port(z, samplers, space, browse):
    """A second server can be open at the same time; a port that is taken is one clear line."""
    second = Explorer(Space({"box": samplers["box"]}, z))
    port = urlsplit(second.url).port
    assert repr(second) == f"Explorer('http://127.0.0.1:{port}/')"
    info = json.loads(browse(second.url).send("GET", "/api/info")[2])
    assert [each["name"] for each in info["samplers"]] == ["box"]
    with pytest.raises(OSError, match=rf"explorer: .*in use.*{port}.*; choose another host or port"):
        Explorer(space, port=port)
    threading.Timer(0.1, second.close).start()
    second.wait()
    second.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    third = Explorer(space, port=port)
    assert urlsplit(third.url).port == port
    third.close()


def test_a_space_that_fails_leaves_no_port_behind(z, samplers):
    def decode(z):
        if len(z) == 1:
            raise ValueError("decode: out of order")
        return np.zeros((len(z), 2, 2, 3), np.uint8)

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    space = Space({"box": samplers["box"]}, z, decode)
    for _ in range(2):
        with pytest.raises(ValueError, match="decode: out of order"):
            Explorer(space, port=port)


@pytest.mark.usefixtures("as_without_type_checks")
def test_arguments(space):
    for port in (-1, 65536):
        with pytest.raises(ValueError, match="port: expected at"):
            Explorer(space, port=port)
    with pytest.raises(TypeError, match="port: expected an integer, got '80'"):
        Explorer(space, port="80")
    with pytest.raises(OSError, match=r"explorer: .*; choose another host or port"):
        Explorer(space, host="no.such.name.invalid")
    with pytest.raises(OSError, match=r"explorer: .*; choose another host or port"):
        Explorer(space, host="203.0.113.9")


def test_nobody_waits_while_labels_are_being_read(z, samplers, browse):
    gate = threading.Event()

    def load():
        gate.wait(60)
        return Gallery(z), jl.Labels(("hat",), z[:, :1] > 3)

    server = Explorer(Space({"box": samplers["box"]}, z, load=load))
    try:
        browser, waiting = browse(server.url), "labels of its attributes are still being read; wait a little"
        for name, question in (("face", {"state": "a.hat=1"}), ("faces", {"states": ["", "a.hat=1"]})):
            assert browser.ask(name, **question) == (400, f"state: the {waiting}")
        assert browser.send("POST", "/api/face", json.dumps({"state": "c1=1"}))[0] == 200
        gate.set()
        server.space.loaded()
        assert browser.send("POST", "/api/face", json.dumps({"state": "a.hat=1"}))[0] == 200
    finally:
        gate.set()
        server.close()


def test_a_failing_load_is_said_and_the_rest_works(z, samplers, browse):
    def load():
        raise OSError("images.npy: gone")

    server = Explorer(Space({"box": samplers["box"]}, z, load=load))
    try:
        server.space.seen.set()
        browser = browse(server.url)
        for _ in range(600):
            info = json.loads(browser.send("GET", "/api/info")[2])
            if info["progress"] != "loading":
                break
            threading.Event().wait(0.05)
        assert info["progress"] == "images: images.npy: gone"
        assert browser.send("POST", "/api/face", json.dumps({"state": "c1=1"}))[0] == 200
        assert browser.ask("face", state="a.hat=1") == (
            400,
            "state: there is no attribute 'hat' here; images: images.npy: gone",
        )
    finally:
        server.close()
