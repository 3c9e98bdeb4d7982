"""Who may talk to the explorer: this machine's pages, or who holds the token; nothing large; nothing foreign.

A page of another site can send requests to 127.0.0.1 (cross-site requests), or make its own name point there
(DNS rebinding). The browser says in `Origin` and `Sec-Fetch-Site` where a request comes from, and in `Host`
what name it used: https://developer.mozilla.org/docs/Web/HTTP/Headers/Sec-Fetch-Site. Where a token is
needed, names do not matter: browsers send its cookie to the name alone that was opened with it.
"""

import re
import secrets
from collections.abc import Iterable
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
_PATIENCE = 5


class TooLargeError(ValueError):
    """A request's body is longer than is read."""


class Guard:
    """Refuses requests of other hosts and origins, and of who lacks the token; adds headers to all replies.

    Args:
        app: what answers the others.
        hosts: names and addresses that a request may be sent to, such as "127.0.0.1", at any port, as it may
            come through a tunnel; they do not matter where there is a token.
        token: what a request has to know, from the address once and from a cookie then; None where all may.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str], token: str | None = None):
        self.app, self.hosts, self.token = app, frozenset(hosts), token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        app = self._refusal(scope) or self._entrance(scope) or self.app
        await app(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        headers = Headers(scope=scope)
        host, origin = headers.get("host", "").lower(), headers.get("origin")
        if self.token is None and re.sub(r":\d+$", "", host) not in self.hosts:
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
        if self.token is None:
            return None
        # Browsers do not tell the ports of a host apart.
        cookie = f"jaxlatent-explorer-{scope['server'][1]}"
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if self._is_token(given):
            reply = RedirectResponse("/", 303)
            # "strict" would let who follows a link from a notebook or a chat in only after a reload.
            reply.set_cookie(cookie, given, httponly=True, samesite="lax")
            return reply
        if self._is_token(cookie_parser(Headers(scope=scope).get("cookie", "")).get(cookie, "")):
            return None
        return _refuse(401, "token: missing or wrong; open the whole address that the command printed")

    def _is_token(self, given: str) -> bool:
        return self.token is not None and secrets.compare_digest(given.encode(), self.token.encode())


def _refuse(status: int, line: str) -> ASGIApp:
    return JSONResponse({"error": line}, status)


async def read_body(scope: Scope, receive: Receive, most: int) -> bytes:
    """The body of a request, of which no more than `most` bytes are held.

    A browser looks for the answer only when it has sent all: what is a few times too large is read to its
    end, and not kept; what is larger is not read, and its connection is to be closed.

    Raises:
        TooLargeError: if it is longer.
    """
    line, patience = f"request: expected at most {most / 1e6:g} MB", _PATIENCE * most
    length = Headers(scope=scope).get("content-length", "0")
    if length.isdigit() and int(length) > patience:
        raise TooLargeError(line)
    parts: list[bytes] = []
    size, more = 0, True
    while more and size <= patience:
        message = await receive()
        part, more = message.get("body", b""), message.get("more_body", False)
        size += len(part)
        parts.append(part)
        if size > most:
            parts.clear()
    if size > most:
        raise TooLargeError(line)
    return b"".join(parts)
