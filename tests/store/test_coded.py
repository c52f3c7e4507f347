"""The coded index finds what exact search finds, and its file is the one that was saved, or refused."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.store.vectors import Floats, faces, unit

from chueok.errors import IndexDamaged, UsageError
from chueok.store.index import coded_file
from chueok.store.index.coded import CodedIndex, Tuning
from chueok.store.index.exact import ExactIndex
from chueok.store.index.private_file import IndexStamp
from chueok.store.index.reach import FEWEST

EAGER = Tuning(exact_below=0)
COUNT = 20_000


def a_crowd() -> Floats:
    """(20,000, 32) unit rows: 2,000 faces of one person, 36 or so of each of 499 others."""
    random = np.random.default_rng(5)
    who = np.concatenate([np.zeros(2000, np.int64), random.integers(1, 500, COUNT - 2000)])
    random.shuffle(who)
    return unit(faces(500, 32, seed=6)[who] + 0.8 * faces(COUNT, 32, seed=7))


def exactly(vectors: Floats, first: int = 0) -> ExactIndex:
    """Exact search over vectors with ids from `first` on."""
    index = ExactIndex(vectors.shape[1])
    index.add(np.arange(first, first + len(vectors)), vectors)
    return index


QUERIES = unit(np.concatenate([faces(500, 32, seed=6)[:40], faces(10, 32, seed=8)]))  # people and strangers


@pytest.fixture(scope="module")
def oracle() -> ExactIndex:
    return exactly(a_crowd())


@pytest.fixture(scope="module")
def coded(oracle: ExactIndex) -> CodedIndex:
    return CodedIndex.over(oracle, EAGER)


def recall(index: CodedIndex, oracle: ExactIndex, queries: Floats = QUERIES, count: int = 50) -> float:
    """The share of the most similar that an index finds, all of them with the oracle's very numbers, in its order."""
    hits = 0
    for query in queries:
        ids, similarities = index.nearest(query, count)
        truth, scores = oracle.nearest(query, len(oracle))
        known = dict(zip(truth.tolist(), scores.tolist(), strict=True))
        assert similarities.tolist() == [known[face] for face in ids.tolist()]
        assert np.lexsort((ids, -similarities)).tolist() == list(range(count))
        hits += len(set(ids.tolist()) & set(truth[:count].tolist()))
    return hits / (count * len(queries))


def answers(index: CodedIndex | ExactIndex) -> list[list[list[float]]]:
    """What an index says about the queries, down to the last bit."""
    return [[part.tolist() for part in index.nearest(query, 50)] for query in QUERIES]


# ---- what it finds ------------------------------------------------------------------------------


def test_99_of_100_of_the_most_similar_are_found_without_comparing_all(
    coded: CodedIndex, oracle: ExactIndex
) -> None:
    assert recall(coded, oracle) >= 0.99
    proposed = [coded._proposed(query, 50) for query in QUERIES]
    assert all(some is not None and 50 <= len(some) < COUNT / 16 for some in proposed)


@pytest.mark.parametrize("count", [1, 10, 200])
def test_more_and_fewer_are_found_as_well(coded: CodedIndex, oracle: ExactIndex, count: int) -> None:
    assert recall(coded, oracle, count=count) >= 0.985


def test_a_threshold_loses_nothing(coded: CodedIndex, oracle: ExactIndex) -> None:
    for threshold in (0.3, 0.5, 0.7):
        got, truth = coded.above(QUERIES, threshold), oracle.above(QUERIES, threshold)
        assert [part.tolist() for part in got] == [part.tolist() for part in truth]
        assert len(got[0]) > 2000


@pytest.mark.parametrize("count", [0, 1, 2, FEWEST - 1])
def test_few_faces_are_compared_all(tmp_path: Path, count: int) -> None:
    exact = exactly(faces(count, 32))
    index = CodedIndex.over(exact, EAGER)
    assert answers(index) == answers(exact)
    assert answers(CodedIndex.load(tmp_path / "i", index.save(tmp_path / "i"), exact)) == answers(exact)


def test_all_are_compared_where_codes_cannot_tell_neighbours_from_others(oracle: ExactIndex) -> None:
    """Directions by lot in 320 dimensions: every two are about as similar as the most similar are."""
    exact = exactly(faces(4000, 320))
    index = CodedIndex.over(exact, EAGER)
    query = faces(1, 320, seed=2)[0]
    assert index.nearest(query, 50)[0].tolist() == exact.nearest(query, 50)[0].tolist()


def test_hundreds_of_copies_of_one_face_hide_nobody() -> None:
    vectors = a_crowd()
    vectors[::50] = vectors[0]
    exact = exactly(vectors)
    assert recall(CodedIndex.over(exact, EAGER), exact, unit(vectors[1:40] + 0.3 * faces(39, 32))) >= 0.99


def test_an_index_that_grows_finds_old_and_new(oracle: ExactIndex) -> None:
    """Codes are learned of the first 12,000 and serve the faces that come after; ids come in any order."""
    vectors, index = a_crowd(), CodedIndex(32, EAGER)
    for part in (slice(8000, COUNT), slice(0, 1000), slice(1000, 8000)):
        index.add(np.arange(COUNT)[part], vectors[part])
    assert index._proposed(QUERIES[0], 50) is not None
    assert index.ids().tolist() == list(range(COUNT))
    assert recall(index, oracle) >= 0.985


def test_without_faiss_few_faces_are_answered_and_many_say_what_to_install(
    monkeypatch: pytest.MonkeyPatch, oracle: ExactIndex
) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    few = exactly(faces(100, 32))
    assert answers(CodedIndex.over(few)) == answers(few)
    with pytest.raises(UsageError, match=r"pip install 'chueok\[faiss\]'"):
        CodedIndex.over(oracle)
    growing = CodedIndex(32, Tuning(exact_below=FEWEST))
    with pytest.raises(UsageError, match="needs faiss"):
        growing.add(np.arange(FEWEST), faces(FEWEST, 32))
    assert len(growing) == 0  # so that it can be said again once faiss is there


def test_codes_that_are_no_help_are_not_learned_again_for_every_face(monkeypatch: pytest.MonkeyPatch) -> None:
    index = CodedIndex.over(exactly(faces(4000, 320)), EAGER)
    learned: list[int] = []
    monkeypatch.setattr(index, "_learn", lambda: learned.append(len(index)))
    index.add(np.array([4000]), faces(1, 320, seed=3))
    assert learned == []
    index.add(np.arange(4001, 8001), faces(4000, 320, seed=4))
    assert learned == [8001]


# ---- its file -----------------------------------------------------------------------------------


def test_loaded_codes_answer_as_the_saved(tmp_path: Path, coded: CodedIndex, oracle: ExactIndex) -> None:
    path = tmp_path / "i"
    stamp = coded.save(path)
    loaded = CodedIndex.load(path, stamp, oracle, EAGER)
    assert answers(loaded) == answers(coded)
    assert loaded.save(path) == stamp
    content = path.read_bytes()
    assert stamp == IndexStamp(
        hashlib.sha256(content).hexdigest(), len(content), COUNT, 32, coded_file.LAYOUT
    )
    assert oct(path.stat().st_mode) == oct(0o100600)
    assert len(content) < 40 * COUNT  # 16 of codes and 8 of an id for each face, and the cells


def test_same_faces_make_the_same_file(tmp_path: Path, coded: CodedIndex) -> None:
    again = CodedIndex.over(exactly(a_crowd()), EAGER)
    assert again.save(tmp_path / "a") == coded.save(tmp_path / "b")


def test_no_damage_to_the_file_goes_unnoticed(tmp_path: Path, coded: CodedIndex, oracle: ExactIndex) -> None:
    path = tmp_path / "i"
    stamp = coded.save(path)
    good = path.read_bytes()
    damaged = [good[:length] for length in np.linspace(0, len(good) - 1, 20, dtype=int)]
    damaged += [good + b"\0", bytes(len(good)), b"\xff" * 5000]
    for position in (*range(0, 96, 4), *np.linspace(96, len(good) - 1, 40, dtype=int).tolist()):
        flipped = bytearray(good)
        flipped[position] ^= 1 << (position % 8)
        damaged.append(bytes(flipped))
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(IndexDamaged, match="rebuilt"):
            CodedIndex.load(path, stamp, oracle)
    path.write_bytes(good)
    assert answers(CodedIndex.load(path, stamp, oracle)) == answers(coded)


@pytest.mark.parametrize(
    "change",
    [{"dimension": 16}, {"count": 19_999}, {"bytes": 1}, {"sha256": ""}, {"layout": "hnswlib-0.8/ip"}],
)
def test_stamp_of_something_else_is_noticed(
    tmp_path: Path, coded: CodedIndex, oracle: ExactIndex, change: dict[str, int | str]
) -> None:
    stamp = coded.save(tmp_path / "i")
    with pytest.raises(IndexDamaged):
        CodedIndex.load(tmp_path / "i", dataclasses.replace(stamp, **change), oracle)  # type: ignore[arg-type]


def test_codes_of_other_faces_are_refused(tmp_path: Path, coded: CodedIndex, oracle: ExactIndex) -> None:
    """Of another model, with other ids, with one face forgotten or changed: the codes would mislead."""
    stamp = coded.save(tmp_path / "i")
    changed = a_crowd()
    changed[77] = changed[78]
    for other in (faces(COUNT, 32), faces(COUNT, 64), a_crowd()[1:], changed):
        with pytest.raises(IndexDamaged, match="other vectors"):
            CodedIndex.load(tmp_path / "i", stamp, exactly(other))
    with pytest.raises(IndexDamaged, match="other vectors"):
        CodedIndex.load(tmp_path / "i", stamp, exactly(a_crowd(), first=1))
    assert len(CodedIndex.load(tmp_path / "i", stamp, oracle)) == COUNT


@pytest.mark.parametrize("content", [b"", b"short", bytes(96), bytes(20_000)])
def test_stamped_nonsense_is_refused(tmp_path: Path, oracle: ExactIndex, content: bytes) -> None:
    (tmp_path / "i").write_bytes(content)
    stamp = IndexStamp(hashlib.sha256(content).hexdigest(), len(content), COUNT, 32, coded_file.LAYOUT)
    with pytest.raises(IndexDamaged):
        CodedIndex.load(tmp_path / "i", stamp, oracle)


def test_missing_file_and_fifo_are_refused_at_once(tmp_path: Path, oracle: ExactIndex) -> None:
    stamp = CodedIndex.over(exactly(faces(5, 32))).save(tmp_path / "i")
    os.mkfifo(tmp_path / "fifo")
    for name in ("missing", "fifo", "."):
        with pytest.raises(IndexDamaged):
            CodedIndex.load(tmp_path / name, stamp, oracle)


def test_a_forgotten_face_is_gone_from_the_file(tmp_path: Path) -> None:
    first = 2**40 + 5  # an id that no other bytes look like
    vectors, path = a_crowd(), tmp_path / "i"
    CodedIndex.over(exactly(vectors, first), EAGER).save(path)
    assert first.to_bytes(8, "little") in path.read_bytes()
    CodedIndex.over(exactly(vectors[1:], first + 1), EAGER).save(path)
    assert first.to_bytes(8, "little") not in path.read_bytes()
    assert (first + 1).to_bytes(8, "little") in path.read_bytes()
