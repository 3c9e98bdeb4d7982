"""Who is let in, asked of the guard alone."""

import asyncio

import pytest
from starlette.responses import PlainTextResponse

from jaxlatent.explorer.guard import Guard, TooLargeError, read_body

HOSTS = {"localhost", "127.0.0.1", "[::1]"}
TOKEN = "abc-DEF_123"


def ask(guard, method="GET", path="/", query=b"", port=8000, **headers):
    """Status, headers and body of the answer; of a header's name, _ stands for -."""
    sent = []

    async def receive():
        return {"type": "http.request"}

    async def send(message):
        sent.append(message)

    named = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": named,
        "server": ("127.0.0.1", port),
    }
    asyncio.run(guard(scope, receive, send))
    start, *rest = sent
    body = b"".join(message.get("body", b"") for message in rest).decode()
    return start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, body


@pytest.fixture
def local():
    return Guard(PlainTextResponse("in"), HOSTS)


@pytest.fixture
def remote():
    return Guard(PlainTextResponse("in"), HOSTS, TOKEN)


@pytest.mark.parametrize(
    "host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST", "127.0.0.1:9"]
)
def test_this_machine_by_its_names_at_any_port(local, host):
    """A tunnel has another port than what it leads to."""
    assert ask(local, host=host)[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:8000",
        "evil.example",
        "",
        "localhost.evil.example",
        "127.0.0.1.evil.example:80",
        "x:y:8000",
        "localhost:8000@evil",
        "[::1]evil:8000",
        "0.0.0.0:8000",
    ],
)
def test_other_names_of_this_machine_are_refused(local, host):
    status, _, body = ask(local, host=host)
    assert status == 403
    assert body.startswith('{"error":"host: this explorer is not ')
    assert len(ask(local, host="x" * 10_000)[2]) < 250


def test_no_host_is_refused(local):
    assert ask(local)[0] == 403


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "http://localhost:3000",
        "http://127.0.0.1",
        "",
        "file://",
        "https://localhost:8000.evil.example",
    ],
)
def test_pages_of_other_origins_are_refused(local, method, origin):
    status, _, body = ask(local, method, host="localhost:8000", origin=origin)
    assert status == 403
    assert body.startswith('{"error":"origin: pages of ')


@pytest.mark.parametrize("origin", ["http://localhost:8000", "https://localhost:8000"])
def test_its_own_page_is_let_in(local, origin):
    for site in ("same-origin", "none"):
        assert ask(local, "POST", host="localhost:8000", origin=origin, sec_fetch_site=site)[0] == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site", "?"])
def test_requests_of_other_sites_may_only_open_the_page(local, site):
    assert ask(local, host="localhost:8000", sec_fetch_site=site)[0] == 200
    for method in ("POST", "PUT", "DELETE", "HEAD"):
        assert ask(local, method, host="localhost:8000", sec_fetch_site=site)[0] == 403


def test_every_answer_has_the_headers(local, remote):
    answers = (
        ask(local, host="localhost"),
        ask(local, host="evil"),
        ask(remote),
        ask(remote, query=b"token=" + TOKEN.encode()),
    )
    assert [answer[0] for answer in answers] == [200, 403, 401, 303]
    for _, headers, _ in answers:
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';")
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"


def test_the_token_lets_in_once_and_its_cookie_then(remote):
    status, headers, _ = ask(remote, path="/api/info", query=f"a=1&token={TOKEN}".encode(), host="any")
    assert status == 303
    assert headers["location"] == "/"
    cookie, *rest = headers["set-cookie"].split("; ")
    assert cookie == f"jaxlatent-explorer-8000={TOKEN}"
    assert {each.lower() for each in rest} == {"httponly", "samesite=lax", "path=/"}
    assert ask(remote, host="any", cookie=cookie)[0] == 200
    # What other servers of this host keep must not hide it.
    for others in (f'x={{"a": 1}}; {cookie}', f"{cookie}; y=[1,2]", f"a b; {cookie}; =; ;"):
        assert ask(remote, host="any", cookie=others)[0] == 200
    # The address is cleaned also where the cookie is known.
    assert ask(remote, query=f"token={TOKEN}".encode(), cookie=cookie)[0] == 303


def test_each_port_has_its_own_cookie(remote):
    cookie = f"jaxlatent-explorer-8000={TOKEN}"
    assert ask(remote, cookie=cookie)[0] == 200
    assert ask(remote, port=8001, cookie=cookie)[0] == 401


@pytest.mark.parametrize("token", ["", "x", TOKEN[:-1], TOKEN + "x", TOKEN.lower(), "%00", "%FF%FE", "é"])
def test_without_the_token_nobody_is_let_in(remote, token):
    for answer in (
        ask(remote, query=f"token={token}".encode("latin-1")),
        ask(remote, query=f"TOKEN={TOKEN}".encode()),
        ask(remote, cookie=f"jaxlatent-explorer-8000={token}"),
        ask(remote, cookie=f"jaxlatent-explorer={TOKEN}"),
        ask(remote, "POST", host="localhost:8000", authorization=TOKEN),
    ):
        assert answer[0] == 401
        assert (
            answer[2]
            == '{"error":"token: missing or wrong; open the whole address that the command printed"}'
        )


def test_with_a_token_other_origins_are_still_refused(remote):
    cookie = f"jaxlatent-explorer-8000={TOKEN}"
    assert ask(remote, "POST", host="a:1", cookie=cookie, origin="http://b:1")[0] == 403
    assert ask(remote, "POST", host="a:1", cookie=cookie, sec_fetch_site="cross-site")[0] == 403
    assert ask(remote, "POST", host="a:1", cookie=cookie, origin="http://a:1")[0] == 200


def test_web_sockets_get_nothing(local):
    async def never(*_):
        raise AssertionError

    asyncio.run(local({"type": "websocket", "headers": []}, never, never))


def test_a_body_is_read_up_to_its_limit():
    def read(parts, most, length=None):
        left = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
        left.append({"type": "http.request"})

        async def receive():
            return left.pop(0)

        headers = [] if length is None else [(b"content-length", length)]
        return asyncio.run(read_body({"type": "http", "headers": headers}, receive, most)), left

    assert read([b"ab", b"", b"c"], 3) == (b"abc", [])
    assert read([b"abc"], 3, b"3")[0] == b"abc"
    for parts, length in (([b"ab", b"cd"], None), ([b"abcd"], b"4"), ([], b"16"), ([b"abcd"] * 4, b"1")):
        with pytest.raises(TooLargeError, match="request: expected at most 3e-06 MB"):
            read(parts, 3, length)
