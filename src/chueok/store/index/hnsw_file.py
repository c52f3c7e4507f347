"""The HNSW index on disk: verified before hnswlib opens it, replaced as a whole, readable by its owner only."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

import numpy as np

from chueok.errors import OperationFailed, UsageError
from chueok.store.index.private_file import (
    IndexStamp,
    damaged,
    open_at_once,
    refusal,
    remove_leftovers,
    replacement,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

LAYOUT = "hnswlib-0.8/ip"
"""File format and metric, neither of which hnswlib can tell from the file."""

HEADER = struct.Struct("=6Q2i3QdQ")
"""hnswlib 0.8, hnswalg.h, saveIndex: offset of level 0, capacity, count, bytes a row, label offset, vector offset, top
level, entry point, maxM, maxM0, M, level factor, ef_construction. The rows of level 0 follow."""


@dataclass(frozen=True, slots=True, eq=False)
class IndexContent:
    """A verified file, opened."""

    graph: Any  # hnswlib.Index
    ids: NDArray[np.int64]  # (n,) in the order they were added
    vectors: NDArray[np.float32]  # (n, d)


def write(graph: Any, path: Path, *, count: int, dimension: int) -> IndexStamp:
    """Save hnswlib's graph at path: whole and on disk, or not at all.

    Raises OperationFailed, with the old file as it was and no temporary file left.
    """
    try:
        remove_leftovers(path)
        with replacement(path) as descriptor:
            size = _fill(graph, descriptor)
            os.fsync(descriptor)
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                file.seek(0)  # where /dev/fd shares the offset (macOS), hnswlib has moved it
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return IndexStamp(sha256, size, count, dimension, LAYOUT)
    except OSError as error:
        raise OperationFailed(refusal(path, error)) from error


def read(path: Path, stamp: IndexStamp) -> IndexContent | None:
    """Open the file that got this stamp; None when it holds no vectors.

    hnswlib trusts what it reads: a flipped bit makes it crash or answer wrongly. So the content is hashed first. Then
    hnswlib reads the same inode again by itself, even if another file takes its name meanwhile; that nobody changes
    that inode in between rests on the file being private and on `write`, which only ever replaces it.
    Raises IndexDamaged.
    """
    if stamp.layout != LAYOUT:
        raise damaged(path, f"has the layout {stamp.layout}, not {LAYOUT}")
    try:
        with open(path, "rb", opener=open_at_once) as file:
            return _opened(path, file, _verified(path, file, stamp), stamp)
    except OSError as error:
        raise damaged(path, f"cannot be read ({error.strerror})") from error


def _fill(graph: Any, descriptor: int) -> int:
    """Let hnswlib write into the open file, and return its size in bytes. Raises OSError when it came out short."""
    graph.save_index(_name(descriptor))
    size: int = graph.index_file_size()
    written = os.fstat(descriptor).st_size
    if written != size:
        _ask_why(descriptor, written, size)
    return size


def _ask_why(descriptor: int, start: int, end: int) -> NoReturn:
    """Raise the OSError that hnswlib met and swallowed, by writing what is missing (from start to end) ourselves."""
    while start < end:
        start += os.pwrite(descriptor, bytes(min(end - start, 1 << 20)), start)
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def _name(descriptor: int) -> str:
    """A path of an open file: hnswlib takes str only, and cannot encode every file name that exists."""
    return f"/dev/fd/{descriptor}"


def _verified(path: Path, file: BinaryIO, stamp: IndexStamp) -> bytes:
    """The file's content, which is what was stamped. Raises IndexDamaged."""
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode) or status.st_size != stamp.bytes:
        raise damaged(path, f"is not the file of {stamp.bytes} bytes that was saved")
    content = file.read(stamp.bytes)
    if hashlib.sha256(content).hexdigest() != stamp.sha256:
        raise damaged(path, "was changed since it was saved")
    return content


def _opened(path: Path, file: BinaryIO, content: bytes, stamp: IndexStamp) -> IndexContent | None:
    """What a verified file holds; None when that is nothing. Raises IndexDamaged."""
    if len(content) < HEADER.size:
        raise damaged(path, "is shorter than its header")
    _, _, count, row_bytes, label_at, vector_at, *_ = HEADER.unpack_from(content)
    if (count, label_at - vector_at) != (stamp.count, 4 * stamp.dimension):  # hnswlib accepts any dimension
        raise damaged(path, f"holds other vectors than {stamp.count} of {stamp.dimension} numbers")
    if count == 0:
        return None
    try:
        labels = _column(content, np.uint64, label_at, row_bytes, (count,))
        vectors = _column(content, np.float32, vector_at, row_bytes, (count, stamp.dimension))
        graph = _loaded_graph(file.fileno(), stamp)
    except (
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:  # hnswlib's refusal; numpy's, of rows outside the file
        raise damaged(path, f"cannot be opened ({error})") from error
    return IndexContent(graph, labels.astype(np.int64), vectors.astype(np.float32))


def _loaded_graph(descriptor: int, stamp: IndexStamp) -> Any:
    graph = new_graph(stamp.dimension)
    graph.load_index(
        _name(descriptor), max_elements=stamp.count
    )  # or it keeps the capacity it was saved with
    return graph


def new_graph(dimension: int) -> Any:
    """hnswlib's index by inner product, of nothing yet. Raises UsageError where hnswlib is not installed."""
    try:
        import hnswlib
    except ModuleNotFoundError as error:
        raise UsageError("a graph needs hnswlib; run: pip install 'chueok[hnsw]'") from error
    return hnswlib.Index(space="ip", dim=dimension)


def _column(
    content: bytes, kind: type[Any], offset: int, row_bytes: int, shape: tuple[int, ...]
) -> NDArray[Any]:
    """One field of every row of level 0, as a view into the file's content."""
    inner = (np.dtype(kind).itemsize,) * (len(shape) - 1)
    return np.ndarray(shape, kind, content, HEADER.size + offset, (row_bytes, *inner))
