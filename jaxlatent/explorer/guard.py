"""Who may talk to the explorer: this machine's pages, or who holds the token; nothing large; nothing foreign.

A page of another site can send requests to 127.0.0.1 (cross-site requests), or make its own name point there
(DNS rebinding). The browser says in `Origin` and `Sec-Fetch-Site` where a request comes from, and in `Host`
what name it used: https://developer.mozilla.org/docs/Web/HTTP/Headers/Sec-Fetch-Site.
"""

import secrets
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_COOKIE = "jaxlatent-explorer"
# Scripts and pictures come from the server alone; notebooks on this machine may show the page in a frame.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self' http://localhost:* http://127.0.0.1:* https://localhost:*"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class TooLargeError(ValueError):
    """A request's body is longer than is read."""


class Guard:
    """Refuses requests of other hosts and origins, and of who lacks the token; adds headers to all replies.

    Args:
        app: what answers the others.
        hosts: names and addresses with their ports that a request may be sent to, such as "127.0.0.1:8000".
        token: what a request has to know, from the address once and from a cookie then; None where all may.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str], token: str | None = None):
        self.app, self.hosts, self.token = app, frozenset(hosts), token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        app = self._refusal(scope) or self._entrance(scope) or self.app
        await app(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if host not in self.hosts:
            return _refuse(403, f"host: this explorer is not {host[:80]!r}; open the address that it printed")
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            return _refuse(403, f"origin: pages of {origin[:80]!r} may not use this explorer")
        if scope["method"] != "GET" and headers.get("sec-fetch-site", "same-origin") not in (
            "same-origin",
            "none",
        ):
            return _refuse(403, "origin: pages of other sites may not use this explorer")
        return None

    def _entrance(self, scope: Scope) -> ASGIApp | None:
        if self.token is None or self._knows(self._cookie(scope)):
            return None
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if not self._knows(given):
            return _refuse(401, "token: missing or wrong; open the whole address that the command printed")
        reply = RedirectResponse("/", 303)
        reply.set_cookie(_COOKIE, self.token, httponly=True, samesite="strict")
        return reply

    def _knows(self, given: str) -> bool:
        return self.token is not None and secrets.compare_digest(given.encode(), self.token.encode())

    def _cookie(self, scope: Scope) -> str:
        try:
            cookies = SimpleCookie(Headers(scope=scope).get("cookie", ""))
        except CookieError:
            return ""
        return cookies[_COOKIE].value if _COOKIE in cookies else ""


def _refuse(status: int, line: str) -> ASGIApp:
    return JSONResponse({"error": line}, status)


async def read_body(scope: Scope, receive: Receive, most: int) -> bytes:
    """The body of a request, of which no more than `most` bytes are held.

    Raises:
        TooLargeError: if it is longer.
    """
    line = f"request: expected at most {most / 1e6:g} MB"
    length = Headers(scope=scope).get("content-length", "0")
    if length.isdigit() and int(length) > most:
        raise TooLargeError(line)
    parts, size = [], 0
    while True:
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            raise TooLargeError(line)
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)
