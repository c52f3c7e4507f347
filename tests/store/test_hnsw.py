"""The HNSW index finds what exact search finds."""

from __future__ import annotations

import copy
import statistics
from typing import Any

import numpy as np
import pytest
from tests.store.vectors import Floats, answers, faces, unit

from chueok.store.index.exact import ExactIndex
from chueok.store.index.hnsw import HnswIndex, Tuning

EAGER = Tuning(asked=True, proposals=1024)


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


@pytest.mark.parametrize("threshold", [0.3, 0.4, 0.5, 0.6, 0.7])
def test_threshold_queries_lose_at_most_one_match_in_a_thousand(
    crowd: tuple[HnswIndex, ExactIndex, Floats], threshold: float
) -> None:
    index, oracle, queries = crowd
    recalls, found, wanted = [], 0, 0
    for query in queries[:, None]:
        ids, scores = index.above(query, threshold)
        true_ids, true_scores = oracle.above(query, threshold)
        kept = np.isin(true_ids, ids)
        assert (ids.tolist(), scores.tolist()) == (true_ids[kept].tolist(), true_scores[kept].tolist())
        found, wanted = found + len(ids), wanted + len(true_ids)
        recalls += [len(ids) / len(true_ids)] if len(true_ids) else []
    assert wanted > 2000
    assert found / wanted >= 0.999
    assert statistics.mean(recalls) >= 0.999  # a small person counts as much as a large one


def test_graph_answers_for_a_few_faces_and_exact_search_for_many(
    crowd: tuple[HnswIndex, ExactIndex, Floats],
) -> None:
    index, oracle, queries = crowd
    other, big = queries[1:2], queries[:1]  # some 20 and 2,000 faces
    proposed = index._proposed_above(other, 0.6)
    assert proposed is not None
    assert len(proposed) < 100
    assert index._proposed_above(big, 0.6) is None
    assert index._proposed_above(queries[:2], 0.6) is None
    assert index.above(big, 0.6)[0].tolist() == oracle.above(big, 0.6)[0].tolist()


@pytest.mark.parametrize(("tuning", "calls"), [(EAGER, 1), (Tuning(), 0)])
def test_graph_is_asked_once_at_most_and_by_default_never(
    crowd: tuple[HnswIndex, ExactIndex, Floats], tuning: Tuning, calls: int
) -> None:
    """Asking it again for more was slower than exact search; by default every match has to be found."""
    index, _, queries = crowd
    counted = copy.copy(index)
    counted._tuning = tuning
    counted._graph = CountingGraph(index._graph)
    counted.above(queries[:1], 0.6)
    assert counted._graph.calls == calls


class CountingGraph:
    """An hnswlib graph that counts its searches."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.calls = 0

    def knn_query(self, *arguments: Any, **options: Any) -> Any:
        """What the graph finds."""
        self.calls += 1
        return self.graph.knn_query(*arguments, **options)


def test_hundreds_of_copies_of_one_face_hide_nobody() -> None:
    """Copies link to each other only, so that the graph falls apart: the rest must still be found."""
    vectors = np.concatenate([np.repeat(faces(1, seed=3), 600, axis=0), faces(1400, seed=4)])
    ids, queries = np.arange(2000), np.concatenate([vectors[:1], vectors[600:640]])
    index = HnswIndex.build(16, ids, vectors, Tuning(asked=True, proposals=64))
    oracle = ExactIndex(16)
    oracle.add(ids, vectors)
    for query in queries[:, None]:
        assert answers(index, query) == answers(oracle, query)


def test_faces_may_come_one_by_one() -> None:
    vectors, index = faces(70), HnswIndex(16, EAGER)
    for number in range(70):
        index.add(np.array([number]), vectors[number : number + 1])
    found = [index.above(vector[None], 0.9999)[0].tolist() for vector in vectors]
    assert found == [[number] for number in index.ids()]
