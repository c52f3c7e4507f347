"""One file over HTTP into a partial file: resumed, retried, and never trusted."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, cast

from chueok.errors import FetchFailed, OperationFailed

if TYPE_CHECKING:
    from email.message import Message

Progress = Callable[[int, int], None]  # bytes there, bytes in all

PAUSES = (1.0, 2.0, 4.0, 8.0)  # seconds before each retry that follows an attempt without a new byte
_TIMEOUT = 30.0  # seconds without a byte: a line that slow will not bring 100 MB
_CHUNK = 1 << 18  # bytes between two reports of progress
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})  # HTTP answers that a retry may better
_RANGE_REFUSED = 416
_PARTIAL = 206


@dataclass(frozen=True, slots=True)
class Download:
    """What is to be fetched."""

    url: str  # http or https
    size: int  # bytes; anything else is not the file
    pauses: tuple[float, ...] = PAUSES


class _Interrupted(Exception):
    """The line failed; what has arrived is kept and the rest may be asked for again."""


def download(wanted: Download, part: IO[bytes], progress: Progress | None = None) -> None:
    """Bring `part`, open for writing and unbuffered, to the wanted size, beginning with what it holds.

    Proxies are taken from the environment (http_proxy, https_proxy, no_proxy), redirects followed. The content
    is for the caller to verify: what `part` held before may have been another file's beginning.
    Raises FetchFailed, OperationFailed.
    """
    if not wanted.url.startswith(("http://", "https://")):
        raise FetchFailed(f"{wanted.url} is not an http or https address")
    failures = 0
    while (held := _held(part, wanted.size)) < wanted.size:
        try:
            _attempt(wanted, part, held, progress)
        except _Interrupted as interruption:
            failures = 0 if part.tell() > held else failures + 1
            if failures > len(wanted.pauses):
                raise FetchFailed(
                    f"{wanted.url} failed {failures} times in a row ({interruption}); "
                    f"{part.tell():,} of {wanted.size:,} bytes are kept. Run the command again to go on"
                ) from interruption
            time.sleep(wanted.pauses[max(failures, 1) - 1] if wanted.pauses else 0)


def _held(part: IO[bytes], size: int) -> int:
    """How many bytes of the file are there; more than the file has are none."""
    held = part.seek(0, 2)
    if held > size:
        part.seek(0)
        part.truncate()
        return 0
    return held


def _attempt(wanted: Download, part: IO[bytes], held: int, progress: Progress | None) -> None:
    """Ask once, for all or for the rest, and write what comes."""
    try:
        response = _ask(wanted, held)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == _RANGE_REFUSED and held:
                part.seek(0)
                part.truncate()
                raise _Interrupted("the server has no such rest") from error
            raise _refusal(wanted, error) from error
    with response:
        start = _start(response, held)
        _check_answer(wanted, response, start)
        part.seek(start)
        part.truncate()
        if progress:
            progress(start, wanted.size)
        _receive(wanted, response, part, progress)


def _ask(wanted: Download, held: int) -> http.client.HTTPResponse:
    request = urllib.request.Request(wanted.url, headers={"User-Agent": "chueok"})  # noqa: S310 - checked: http(s)
    if held:
        request.add_header("Range", f"bytes={held}-")
    opener = urllib.request.build_opener()  # urlopen would keep the first call's proxies for good
    try:
        return cast("http.client.HTTPResponse", opener.open(request, timeout=_TIMEOUT))
    except urllib.error.HTTPError:
        raise
    except urllib.error.URLError as error:
        raise _unreachable(wanted, error.reason) from error
    except (http.client.HTTPException, OSError) as error:
        raise _Interrupted(str(error) or type(error).__name__) from error


def _unreachable(wanted: Download, reason: object) -> Exception:
    """The server was not reached: a passing trouble, or one that waiting does not better."""
    if isinstance(reason, socket.gaierror):
        return FetchFailed(
            f"the name of {wanted.url} cannot be resolved: is this machine online? "
            "(behind a proxy: set https_proxy)"
        )
    if isinstance(reason, ssl.SSLCertVerificationError):
        return FetchFailed(
            f"{wanted.url} shows a certificate this machine does not trust: {reason.verify_message}. "
            "(behind a proxy that re-signs: set SSL_CERT_FILE to its certificate)"
        )
    if isinstance(reason, OSError):
        return _Interrupted(str(reason))
    return FetchFailed(f"{wanted.url} cannot be fetched: {reason}")


def _refusal(wanted: Download, error: urllib.error.HTTPError) -> Exception:
    if error.code in _PASSING:
        return _Interrupted(f"the server answered {error.code} {error.reason}")
    return FetchFailed(f"{wanted.url} was refused: the server answered {error.code} {error.reason}")


def _start(response: http.client.HTTPResponse, held: int) -> int:
    """The file's offset at which the answer begins: servers may answer a Range with the whole file."""
    if response.status != _PARTIAL:
        return 0
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if found is None or int(found[1]) > held:
        raise FetchFailed(f"{response.url} answered with a part of the file that was not asked for")
    return int(found[1])


def _check_answer(wanted: Download, response: http.client.HTTPResponse, start: int) -> None:
    """Refuse what cannot be the file, before a byte of it is written."""
    if response.headers.get_content_type() in {"text/html", "application/xhtml+xml"}:
        raise FetchFailed(
            f"{wanted.url} answered with a web page instead of the file: a login page, a proxy's notice, "
            "or the file has moved. Open the address in a browser to see which"
        )
    length = _content_length(response.headers)
    if length is not None and start + length != wanted.size:
        raise FetchFailed(
            f"{wanted.url} offers a file of {start + length:,} bytes, but the model has {wanted.size:,}: "
            "it is another file"
        )


def _content_length(headers: Message) -> int | None:
    text = headers.get("Content-Length", "")
    return int(text) if text.isdecimal() else None


def _receive(
    wanted: Download, response: http.client.HTTPResponse, part: IO[bytes], progress: Progress | None
) -> None:
    """Write the answer behind what is there, and stop where it outgrows the file."""
    while (there := part.tell()) <= wanted.size:
        try:
            chunk = response.read1(_CHUNK)
        except (http.client.HTTPException, OSError) as error:
            raise _Interrupted(str(error) or type(error).__name__) from error
        if not chunk:
            break
        write(part, chunk)
        if progress:
            progress(there + len(chunk), wanted.size)
    if there > wanted.size:
        part.seek(0)
        part.truncate()
        raise FetchFailed(
            f"{wanted.url} sends more than the model's {wanted.size:,} bytes: it is another file"
        )
    if there < wanted.size:
        raise _Interrupted("the connection was closed early")


def write(part: IO[bytes], chunk: bytes) -> None:
    """Write all of the chunk to an unbuffered file. Raises OperationFailed, with what to do, when it cannot."""
    rest = memoryview(chunk)
    try:
        while rest:
            rest = rest[part.write(rest) :]
    except OSError as error:
        raise OperationFailed(
            f"{part.name} cannot be written: {error.strerror}. Make room and run the command again"
        ) from error
