"""The table of vectors is whole, private and known again, or refused."""

from __future__ import annotations

import dataclasses
import os
import resource
from pathlib import Path

import numpy as np
import pytest
from tests.store.vectors import faces

from chueok.errors import IndexDamaged, OperationFailed
from chueok.store.index import table
from chueok.store.index.exact import ExactIndex
from chueok.store.index.private_file import IndexStamp, is_as_saved


def saved(path: Path, count: int = 600) -> IndexStamp:
    return table.write(path, np.arange(1, count + 1) * 3, faces(count))


@pytest.mark.parametrize("count", [0, 1, 2, 600])
def test_a_table_answers_as_the_vectors_in_memory(tmp_path: Path, count: int) -> None:
    index = table.read(tmp_path / "t", saved(tmp_path / "t", count))
    oracle = ExactIndex(16)
    oracle.add(np.arange(1, count + 1) * 3, faces(count))
    for threshold in (-1, 0.2, 0.9):
        ids, similarities = index.above(faces(3, seed=9), threshold)
        expected, scores = oracle.above(faces(3, seed=9), threshold)
        assert (ids.tolist(), similarities.tolist()) == (expected.tolist(), scores.tolist())
    assert (len(index), index.dimension, index.ids().tolist()) == (count, 16, oracle.ids().tolist())


def test_faces_can_be_added_to_a_table_in_memory(tmp_path: Path) -> None:
    stamp = saved(tmp_path / "t")
    index = table.read(tmp_path / "t", stamp)
    index.add(np.array([5, 9999]), faces(2, seed=5))
    assert index.ids().tolist() == sorted([*range(3, 1801, 3), 5, 9999])
    assert len(table.read(tmp_path / "t", stamp)) == 600


def test_the_file_is_private_and_the_same_for_the_same_faces(tmp_path: Path) -> None:
    assert saved(tmp_path / "a") == saved(tmp_path / "b") != saved(tmp_path / "c", 599)
    assert oct((tmp_path / "a").stat().st_mode) == oct(0o100600)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]


def test_no_damage_goes_unnoticed(tmp_path: Path) -> None:
    path = tmp_path / "t"
    stamp = saved(path)
    good = path.read_bytes()
    assert len(good) > 3 * 4096
    damaged = [good[:length] for length in np.linspace(0, len(good) - 1, 40, dtype=int)]
    damaged += [good + b"\0", bytes(len(good)), good[4096:8192] + good[:4096] + good[8192:]]
    for position in np.linspace(0, len(good) - 1, 200, dtype=int):
        flipped = bytearray(good)
        flipped[position] ^= 1 << (position % 8)
        damaged.append(bytes(flipped))
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(IndexDamaged, match="must be rebuilt"):
            table.read(path, stamp)
    path.write_bytes(good)
    assert len(table.read(path, stamp)) == 600


@pytest.mark.parametrize(
    "change", [{"count": 599}, {"dimension": 8}, {"layout": "hnswlib-0.8/ip"}, {"sha256": ""}]
)
def test_a_stamp_of_something_else_is_noticed(tmp_path: Path, change: dict[str, int | str]) -> None:
    stamp = dataclasses.replace(saved(tmp_path / "t"), **change)  # type: ignore[arg-type]
    with pytest.raises(IndexDamaged):
        table.read(tmp_path / "t", stamp)


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    stamp = saved(tmp_path / "t")
    os.mkfifo(tmp_path / "fifo")
    for name in ("fifo", "missing", "."):
        with pytest.raises(IndexDamaged):
            table.read(tmp_path / name, stamp)


def test_a_table_that_does_not_fit_leaves_the_old_one(tmp_path: Path) -> None:
    stamp = saved(tmp_path / "t")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OperationFailed, match="does not fit"):
            saved(tmp_path / "t", 700)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(table.read(tmp_path / "t", stamp)) == 600
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def test_a_look_at_a_tables_bytes_says_the_same_as_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "t"
    stamp = saved(path)
    good = path.read_bytes()
    assert is_as_saved(path, stamp)
    assert not is_as_saved(path, dataclasses.replace(stamp, crc32=None))  # of before it was noted
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    for content in (good[:-1], good + b"\0", bytes(len(good)), bytes(flipped)):
        path.write_bytes(content)
        assert not is_as_saved(path, stamp)
    os.mkfifo(tmp_path / "fifo")
    assert not any(is_as_saved(tmp_path / name, stamp) for name in ("fifo", "missing", "."))
