"""The child's side of the reading pool: opens a reader once, then answers one task after the other."""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

from chueok.errors import ChueokError, OperationFailed, UnreadablePhoto
from chueok.vision.answers import LENGTH_BYTES, encoded


def serve(pipe: Connection) -> None:
    """Answer until the parent closes the pipe.

    Receives (open_reader, megabytes), answers None when the reader is open; then receives tasks and answers each
    with what the reader returns, or the ChueokError or UnreadablePhoto that kept it from doing so. Tasks are the
    parent's and come pickled; answers go back as answers.py writes them.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash must not leave faces on the disk
    try:
        open_reader, megabytes = pipe.recv()
        with _dying_with_parent(pipe):
            read = open_reader()
    except ChueokError as error:
        return _send(pipe, error)
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent reports it; this process has no stderr
        return _send(pipe, OperationFailed(f"a reading process could not start: {_told(error)}"))
    if megabytes is not None:
        _limit_memory(megabytes)
    _send(pipe, None)
    with contextlib.suppress(EOFError):
        while True:
            task = pipe.recv()
            with _dying_with_parent(pipe):
                answer = _answer(read, task, megabytes)
            _send(pipe, answer)


def _answer(read: Callable[[Any], object], task: object, megabytes: int | None) -> object:
    """One task's reading, or the error instead of it."""
    try:
        return read(task)
    except (ChueokError, UnreadablePhoto) as error:
        return error
    except MemoryError:
        needs = "more memory than there is" if megabytes is None else f"more than {megabytes} MB of memory"
        return UnreadablePhoto(f"too large: reading it needs {needs}")
    except Exception as error:  # noqa: BLE001 - one photo must not stop the run, whatever a library raises on it
        return UnreadablePhoto(f"the reader failed on this file ({_told(error)})")


def _send(pipe: Connection, answer: Any) -> None:
    """Send an answer, its length before it; one that cannot be sent becomes an UnreadablePhoto."""
    try:
        message = encoded(answer)
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent reports it
        message = encoded(UnreadablePhoto(f"the reader gave an answer that cannot be sent ({_told(error)})"))
    rest = memoryview(len(message).to_bytes(LENGTH_BYTES, "big") + message)
    while rest:
        rest = rest[os.write(pipe.fileno(), rest) :]


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]


def _limit_memory(megabytes: int) -> None:
    """Let allocations beyond the ceiling fail.

    RLIMIT_DATA counts what can be written: heap and private mappings (Linux >= 4.7). RLIMIT_AS would also
    count the gigabytes of address space that allocators and thread pools merely reserve on large machines.
    """
    ceiling = megabytes * 2**20
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    with contextlib.suppress(ValueError, OSError):  # not supported, or set lower by the administrator
        resource.setrlimit(resource.RLIMIT_DATA, (ceiling, hard))


@contextlib.contextmanager
def _dying_with_parent(pipe: Connection) -> Iterator[None]:
    """While the parent has nothing to say, any event on the pipe is its death, and ends this process too.

    The kernel does it (SIGIO, fatal by default on Linux), so that no hung decoder outlives a killed parent; where
    SIGIO is ignored by default (macOS) the process ends with its task.
    """
    flags = fcntl.fcntl(pipe.fileno(), fcntl.F_GETFL)
    fcntl.fcntl(pipe.fileno(), fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(pipe.fileno(), fcntl.F_SETFL, flags | os.O_ASYNC)
    if pipe.poll():
        raise SystemExit  # it died just before
    try:
        yield
    finally:
        fcntl.fcntl(pipe.fileno(), fcntl.F_SETFL, flags)
