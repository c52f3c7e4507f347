"""The HNSW index finds what exact search finds."""

from __future__ import annotations

import numpy as np
import pytest
from tests.store.vectors import Floats, faces, unit

from chueok.store.index.exact import ExactIndex
from chueok.store.index.hnsw import HnswIndex, Tuning

EAGER = Tuning(exact_below=0)


@pytest.fixture(scope="module")
def crowd() -> tuple[HnswIndex, ExactIndex, Floats]:
    """10,000 faces, 2,000 of them of one person, and queries: that person, others, strangers."""
    random = np.random.default_rng(5)
    people = faces(400, 32, seed=6)
    who = np.concatenate([np.zeros(2000, np.int64), random.integers(1, 400, 8000)])
    random.shuffle(who)
    vectors = unit(people[who] + 0.8 * faces(10_000, 32, seed=7))
    queries = unit(np.concatenate([people[:40], faces(10, 32, seed=8)]))
    oracle = ExactIndex(32)
    oracle.add(np.arange(10_000), vectors)
    return HnswIndex.build(32, np.arange(10_000), vectors, EAGER), oracle, queries


def test_the_graph_finds_99_of_100_of_the_50_most_similar(
    crowd: tuple[HnswIndex, ExactIndex, Floats],
) -> None:
    index, oracle, queries = crowd
    hits = 0
    for query in queries:
        ids, similarities = index.nearest(query, 50)
        truth, scores = oracle.nearest(query, 10_000)
        known = dict(zip(truth.tolist(), scores.tolist(), strict=True))
        assert similarities.tolist() == [known[face] for face in ids.tolist()]  # the very numbers
        assert np.lexsort((ids, -similarities)).tolist() == list(range(50))
        hits += len(set(ids.tolist()) & set(truth[:50].tolist()))
    assert hits >= 0.99 * 50 * len(queries)


def test_the_graph_is_asked_from_a_size_on(crowd: tuple[HnswIndex, ExactIndex, Floats]) -> None:
    index, _, queries = crowd
    few = HnswIndex.build(32, np.arange(100), faces(100, 32))
    assert few._proposed(queries[0], 50) is None
    proposed = index._proposed(queries[0], 50)
    assert proposed is not None
    assert len(proposed) == EAGER.effort
    assert index._proposed(queries[0], 10_001) is None


def test_a_threshold_loses_nothing(crowd: tuple[HnswIndex, ExactIndex, Floats]) -> None:
    index, oracle, queries = crowd
    for threshold in (0.3, 0.5, 0.7):
        ids, scores = index.above(queries, threshold)
        true_ids, true_scores = oracle.above(queries, threshold)
        assert (ids.tolist(), scores.tolist()) == (true_ids.tolist(), true_scores.tolist())
        assert len(ids) > 2000


def test_hundreds_of_copies_of_one_face_hide_nobody() -> None:
    """Copies link to each other only, so that the graph falls apart: the rest must still be found."""
    vectors = np.concatenate([np.repeat(faces(1, seed=3), 600, axis=0), faces(1400, seed=4)])
    ids, queries = np.arange(2000), np.concatenate([vectors[:1], vectors[600:640]])
    index = HnswIndex.build(16, ids, vectors, Tuning(exact_below=0, effort=64))
    oracle = ExactIndex(16)
    oracle.add(ids, vectors)
    for query in queries:
        assert index.nearest(query, 50)[0].tolist() == oracle.nearest(query, 50)[0].tolist()


def test_faces_may_come_one_by_one() -> None:
    vectors, index = faces(70), HnswIndex(16, Tuning(exact_below=0, effort=64))
    for number in range(70):
        index.add(np.array([number]), vectors[number : number + 1])
    assert [index.nearest(vector, 1)[0].tolist() for vector in vectors] == [[n] for n in range(70)]
