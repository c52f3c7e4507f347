"""Every vector in one file, compared where it lies: what a search reads, and all it reads.

The file: a header of 64 bytes, the ids as (n,) int64, the vectors as (n, d) float32, in the machine's byte order. It is
mapped into memory, so a cold command pays for reading it once and for nothing else.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import stat
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chueok.errors import IndexDamaged, OperationFailed
from chueok.store.index.exact import ExactIndex
from chueok.store.index.private_file import IndexStamp, open_at_once, refusal, remove_leftovers, replacement

if TYPE_CHECKING:
    from numpy.typing import NDArray

LAYOUT = "chueok-table-1"
_HEADER = struct.Struct("=16sQQ32x")  # the layout's name, n, d
_PAGE = 512  # words of 8 bytes whose sum is hashed: summing runs at the memory's pace, hashing at a twentieth of it


def write(path: Path, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> IndexStamp:
    """Replace the file at path in one step; the stamp tells it from any other.

    ids: (n,) int64, rising; vectors: (n, d) float32, unit rows. Raises OperationFailed, with the old file as it was.
    """
    try:
        remove_leftovers(path)
        with replacement(path) as descriptor:
            with os.fdopen(descriptor, "wb", closefd=False) as file:
                file.write(_HEADER.pack(LAYOUT.encode(), len(ids), vectors.shape[1]))
                file.write(np.ascontiguousarray(ids, np.int64).data)
                file.write(np.ascontiguousarray(vectors, np.float32).data)
            os.fsync(descriptor)
            content = _mapped(descriptor)
            return IndexStamp(_digest(content), len(content), len(ids), vectors.shape[1], LAYOUT)
    except OSError as error:
        raise OperationFailed(refusal(path, error)) from error


def read(path: Path, stamp: IndexStamp) -> ExactIndex:
    """The vectors of the file that got this stamp, as they lie in it. Raises IndexDamaged for any other file."""
    if stamp.layout != LAYOUT:
        raise _damaged(path, f"has the layout {stamp.layout}, not {LAYOUT}")
    try:
        with open(path, "rb", opener=open_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size != stamp.bytes:
                raise _damaged(path, f"is not the file of {stamp.bytes} bytes that was saved")
            content = _mapped(file.fileno())
    except OSError as error:
        raise _damaged(path, f"cannot be read ({error.strerror})") from error
    ids_end = _HEADER.size + 8 * stamp.count
    if len(content) != ids_end + 4 * stamp.count * stamp.dimension or _digest(content) != stamp.sha256:
        raise _damaged(path, "was changed since it was saved")
    ids = content[_HEADER.size : ids_end].view(np.int64)
    return ExactIndex.over(ids, content[ids_end:].view(np.float32).reshape(-1, stamp.dimension))


def _mapped(descriptor: int) -> NDArray[np.uint8]:
    """The bytes of an open file, which stay readable when it is closed."""
    return np.frombuffer(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ), np.uint8)


def _digest(content: NDArray[np.uint8]) -> str:
    """The SHA-256 of the sums of all pages, in hex: no flipped bit and no torn or swapped page stays unnoticed.

    A table, unlike hnswlib's file, cannot make anybody crash: this looks for failing disks, not for forgers.
    """
    whole = len(content) // (8 * _PAGE) * 8 * _PAGE
    pages = content[:whole].view(np.uint64).reshape(-1, _PAGE).sum(axis=1, dtype=np.uint64)
    digest = hashlib.sha256(pages.data)
    digest.update(content[whole:].data)
    return digest.hexdigest()


def _damaged(path: Path, why: str) -> IndexDamaged:
    return IndexDamaged(f"the index {path} {why}; it must be rebuilt from the catalog")
