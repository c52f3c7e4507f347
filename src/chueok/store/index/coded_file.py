"""The file of a coded index: the codes and how far they reach, bound to the vectors they are of.

A header of 96 bytes, the turn as (c, d) float32, then what faiss serialises; in the machine's byte order. Its SHA-256
is over every byte, since faiss trusts what it reads.
"""

from __future__ import annotations

import hashlib
import os
import struct
from typing import TYPE_CHECKING

import numpy as np

from chueok.errors import OperationFailed
from chueok.store.index import table
from chueok.store.index.codes import Codes
from chueok.store.index.private_file import (
    IndexStamp,
    damaged,
    read_whole,
    refusal,
    remove_leftovers,
    replacement,
)
from chueok.store.index.reach import Reach

if TYPE_CHECKING:
    from pathlib import Path

    from chueok.store.index.exact import ExactIndex

LAYOUT = "chueok-codes-1"
_HEADER = struct.Struct("=16sQd3Q32s8x")
"""The layout's name, c (0: no codes), margin, depth, cells, learned, and of which vectors."""


def write(path: Path, exact: ExactIndex, codes: Codes | None, reach: Reach | None) -> IndexStamp:
    """Replace the file at path in one step; the stamp tells it from any other.

    Raises OperationFailed, with the old file as it was.
    """
    name, of = LAYOUT.encode(), _fingerprint(exact)
    if codes is None or reach is None:
        content = _HEADER.pack(name, 0, 0, 0, 0, 0, of)
    else:
        head = _HEADER.pack(name, len(codes.turn), reach.margin, reach.depth, reach.cells, reach.learned, of)
        content = head + codes.turn.tobytes() + codes.to_bytes()
    try:
        remove_leftovers(path)
        with replacement(path) as descriptor:
            with os.fdopen(descriptor, "wb", closefd=False) as file:
                file.write(content)
            os.fsync(descriptor)
        return IndexStamp(
            hashlib.sha256(content).hexdigest(), len(content), len(exact), exact.dimension, LAYOUT
        )
    except OSError as error:
        raise OperationFailed(refusal(path, error)) from error


def read(path: Path, stamp: IndexStamp, exact: ExactIndex) -> tuple[Codes | None, Reach | None]:
    """The codes of these vectors from the file that got this stamp, or None and None where it holds none.

    Raises IndexDamaged for any other file and for other vectors; UsageError where faiss is not installed.
    """
    content = read_whole(path, stamp, LAYOUT)
    if len(content) < _HEADER.size or hashlib.sha256(content.data).hexdigest() != stamp.sha256:
        raise damaged(path, "was changed since it was saved")
    _, turned, margin, depth, cells, learned, of = _HEADER.unpack_from(content.data)
    if (stamp.count, stamp.dimension, of) != (len(exact), exact.dimension, _fingerprint(exact)):
        raise damaged(path, "holds the codes of other vectors")
    if not turned:
        return None, None
    start = _HEADER.size + 4 * turned * exact.dimension
    turn = content[_HEADER.size : start].view(np.float32).reshape(turned, exact.dimension)
    try:
        codes = Codes.from_bytes(turn, content[start:])
    except RuntimeError as error:  # a version of faiss that does not know what another wrote
        raise damaged(path, f"cannot be opened ({error})") from error
    return codes, Reach(margin, depth, cells, learned)


def _fingerprint(exact: ExactIndex) -> bytes:
    """What ids and vectors have in common with no others: 32 bytes."""
    parts = (np.ascontiguousarray(part).reshape(-1).view(np.uint8) for part in (exact.ids(), exact.vectors()))
    return hashlib.sha256("".join(map(table.digest, parts)).encode()).digest()
