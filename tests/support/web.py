"""A server on this machine that misbehaves as it is told, for what fetches from one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """One file, and how it is served.

    Attributes:
        body: the file.
        breaks_after: bytes after which each answer breaks off; None for answers that end well.
        honors_range: whether a request for a part is answered with that part.
        endless: whether the body is followed by more and more.
        announces_length: whether the length is told beforehand.
        status: what is answered instead of the file, if not 200.
        moved_by: bytes by which a part begins later than was asked for.
    """

    body: bytes = b""
    breaks_after: int | None = None
    honors_range: bool = True
    endless: bool = False
    announces_length: bool = True
    status: int = 200
    moved_by: int = 0
    asked: list[str] = field(default_factory=list)
    url: str = ""


@contextmanager
def serve() -> Iterator[Site]:
    """A site that answers on the loopback until the context ends."""
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers["Range"]
            site.asked.append(wanted)
            if site.status != 200:
                self.send_error(site.status)
                return
            begin = int(wanted.removeprefix("bytes=").removesuffix("-"))
            begin = begin + site.moved_by if site.honors_range else 0
            self.send_response(206 if site.honors_range else 200)
            if site.honors_range:
                last = len(site.body) - 1
                self.send_header("Content-Range", f"bytes {begin}-{last}/{len(site.body)}")
            if site.announces_length:
                self.send_header("Content-Length", str(len(site.body) - begin))
            self.end_headers()
            self.wfile.write(site.body[begin:][: site.breaks_after])
            while site.endless:
                self.wfile.write(bytes(1 << 16))

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *arguments: object) -> None:
            """Report nothing: a client is right to hang up on an endless answer."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}/text"
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
