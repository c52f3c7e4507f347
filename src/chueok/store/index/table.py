"""Every vector in one file, compared where it lies: what a search reads, and all it reads.

The file: a header of 64 bytes, the ids as (n,) int64, the vectors as (n, d) float32, in the machine's byte order. It is
read in one go and used as it is, so a cold command pays for reading and for nothing else. (Mapped, it would be another
third quicker, but a file that shrinks meanwhile, or a bad sector, then kills the process instead of raising OSError.)
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chueok.errors import OperationFailed
from chueok.store.index.exact import ExactIndex
from chueok.store.index.private_file import (
    IndexStamp,
    damaged,
    read_whole,
    refusal,
    remove_leftovers,
    replacement,
)

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
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                file.seek(0)
                content = np.frombuffer(file.read(), np.uint8)
            crc32 = zlib.crc32(content.data)
            return IndexStamp(digest(content), len(content), len(ids), vectors.shape[1], LAYOUT, crc32)
    except OSError as error:
        raise OperationFailed(refusal(path, error)) from error


def read(path: Path, stamp: IndexStamp) -> ExactIndex:
    """The vectors of the file that got this stamp, as they lie in it. Raises IndexDamaged for any other file."""
    content = read_whole(path, stamp, LAYOUT)
    ids_end = _HEADER.size + 8 * stamp.count
    if len(content) != ids_end + 4 * stamp.count * stamp.dimension or digest(content) != stamp.sha256:
        raise damaged(path, "was changed since it was saved")
    ids = content[_HEADER.size : ids_end].view(np.int64)
    return ExactIndex.over(ids, content[ids_end:].view(np.float32).reshape(-1, stamp.dimension))


def digest(content: NDArray[np.uint8]) -> str:
    """The SHA-256 of the sums of all pages, in hex: no flipped bit and no torn or swapped page stays unnoticed.

    What lies in a table, unlike in faiss's codes, cannot make its reader crash: this looks for failing disks, not for
    forgers.
    """
    whole = len(content) // (8 * _PAGE) * 8 * _PAGE
    pages = content[:whole].view(np.uint64).reshape(-1, _PAGE).sum(axis=1, dtype=np.uint64)
    summed = hashlib.sha256(pages.data)
    summed.update(content[whole:].data)
    return summed.hexdigest()
