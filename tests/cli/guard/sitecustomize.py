"""Imported by every Python that the tests of the command line start: no network, and a record of what was imported."""

from __future__ import annotations

import atexit
import os
import sys
from pathlib import Path

REPORT = "TEST_GUARD_REPORT"  # the folder that gets a file per process
ALLOWED = "TEST_GUARD_NETWORK"  # set where a test means the network to be used
WATCHED = (
    "torch",
    "torchvision",
    "facenet_pytorch",
    "onnxruntime",
    "onnx",
    "faiss",
    "PIL",
    "numpy",
    "rich",
)


def _forbid(event: str, arguments: tuple[object, ...]) -> None:
    """An audit hook: a connection or a name look-up is written down and refused."""
    if event == "socket.connect" and not isinstance(arguments[1], tuple):
        return  # a socket in the file system, or a pair
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        _report("network", f"{event} {arguments!r}\n")
        raise OSError(f"the tests allow no network: {event}")


def _report(kind: str, text: str) -> None:
    path = Path(os.environ[REPORT]) / f"{kind}-{os.getpid()}"
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


if REPORT in os.environ:
    if ALLOWED not in os.environ:
        sys.addaudithook(_forbid)
    atexit.register(lambda: _report("imports", "\n".join(name for name in WATCHED if name in sys.modules)))
