"""A small web for tests of fetching: a site that cuts, refuses and lies, a forward proxy, and a model to fetch."""

from __future__ import annotations

import hashlib
import http.client
import itertools
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from chueok.vision.models.card import ModelCard, Recipe

# An ONNX file of 300,000 bytes that says nothing: a doc_string (field 6) and its length, 299,996, then noise
CONTENT = b"\x32\xdc\xa7\x12" + random.Random(3).randbytes(299_996)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Site:
    """What the server does, and what it was asked."""

    content: bytes = CONTENT
    content_type: str = "application/octet-stream"
    ranges: bool = True
    cut_after: int | None = None  # bytes of the body after which the connection is closed
    answers: Iterator[int] = field(default_factory=lambda: itertools.repeat(200))  # a status per request
    redirect: str | None = None
    length: bool = True  # send Content-Length
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # path, Range
    address: str = ""


class Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        site = self.site
        site.asked.append((self.path, self.headers.get("Range")))
        if site.redirect and self.path == "/weights":
            return self.answer(302, b"", {"Location": site.redirect})
        status = next(site.answers)
        if status != 200:
            return self.answer(status, b"no", {})
        body, headers = site.content, {"Content-Type": site.content_type}
        if (wanted := self.headers.get("Range")) and site.ranges:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(body):
                return self.answer(416, b"", {"Content-Range": f"bytes */{len(body)}"})
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            return self.answer(206, body[start:], headers)
        return self.answer(200, body, headers)

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.site.length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.site.cut_after])
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Silence."""


class Proxy(BaseHTTPRequestHandler):
    """A forward proxy for http: fetches the absolute address it is asked for."""

    seen: list[str]

    def do_GET(self) -> None:
        self.seen.append(self.path)
        target = urlsplit(self.path)
        upstream = http.client.HTTPConnection(target.netloc, timeout=5)
        upstream.request("GET", target.path, headers=dict(self.headers.items()))
        response = upstream.getresponse()
        body = response.read()
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name in {"Content-Type", "Content-Range", "Content-Length"}:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        upstream.close()

    def log_message(self, *_: object) -> None:
        """Silence."""


@contextmanager
def served(handler: type[BaseHTTPRequestHandler], **attributes: object) -> Iterator[str]:
    """A server on this machine whose handler has these attributes; its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Served", (handler,), attributes))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def described(url: str | None) -> ModelCard:
    return ModelCard(
        name="mine",
        description="",
        licence="MIT",
        url=url,
        file="mine.onnx",
        size=len(CONTENT),
        sha256=SHA256,
        architecture="onnx",
        dimension=4,
        recipe=Recipe(crop="arcface", pixels=112),
    )


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but the empty lock."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".lock"}


INSTALLED = {"mine.onnx": CONTENT}  # what `contents` says when all went well
