"""What every vector index promises, held against plain arithmetic over all vectors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from chueok.store.index.base import VectorIndex
from chueok.store.index.coded import CodedIndex, Tuning
from chueok.store.index.exact import ExactIndex

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]
MakeIndex = Callable[[int], VectorIndex]

# asks the codes whenever they can say anything, where the default compares tens of thousands
EAGER = Tuning(exact_below=0)
ENGINES: dict[str, MakeIndex] = {
    "exact": ExactIndex,
    "coded": CodedIndex,
    "coded-eager": lambda dimension: CodedIndex(dimension, EAGER),
}


@pytest.fixture(params=ENGINES)
def make(request: pytest.FixtureRequest) -> MakeIndex:
    """A constructor of each engine in turn."""
    return ENGINES[request.param]


def unit(rows: NDArray[np.floating]) -> Floats:
    """Rows brought to length 1, as an embedder does it."""
    wide = rows.astype(np.float64)
    rows32: Floats = (wide / np.linalg.norm(wide, axis=1, keepdims=True)).astype(np.float32)
    return rows32


def some_people(n: int, dimension: int, seed: int = 0) -> Floats:
    """(n, d) unit rows: people of ten faces each, similar to each other."""
    random = np.random.default_rng(seed)
    people = unit(random.standard_normal((max(1, n // 10), dimension)))
    noise = unit(random.standard_normal((n, dimension)))
    return unit(people[random.integers(len(people), size=n)] + 0.8 * noise)


def truth_above(ids: Ids, vectors: Floats, queries: Floats, threshold: float) -> tuple[Ids, Floats]:
    """What `above` must answer, one pair of vectors at a time."""
    pairs = [cosine(vector, query) for vector in vectors for query in queries]
    scores = np.array(pairs, np.float32).reshape(len(ids), len(queries))
    best = scores.max(axis=1, initial=-2)
    rows = [r for r in np.lexsort((ids, -best)) if best[r] >= np.float32(threshold)]
    return ids[rows], scores[rows]


def cosine(a: Floats, b: Floats) -> float:
    """The cosine of two unit vectors, rounded to float32 once."""
    return float(np.float32(min(1.0, max(-1.0, float(np.dot(a.astype(np.float64), b.astype(np.float64)))))))


def same(answer: tuple[Ids, Floats], truth: tuple[Ids, Floats]) -> bool:
    """Whether two answers agree in types, shapes and every bit."""
    return [(a.dtype, a.shape, a.tolist()) for a in answer] == [(t.dtype, t.shape, t.tolist()) for t in truth]


def test_new_index_is_empty(make: MakeIndex) -> None:
    index = make(3)
    assert (len(index), index.dimension, index.ids().tolist()) == (0, 3, [])


def test_empty_index_answers_with_nothing(make: MakeIndex) -> None:
    index, query = make(3), np.array([[0, 1, 0]], np.float32)
    assert same(index.above(query, -1), (np.empty(0, np.int64), np.empty((0, 1), np.float32)))


def test_no_query_finds_nothing(make: MakeIndex) -> None:
    index, none = make(3), np.empty((0, 3), np.float32)
    index.add(np.array([1]), np.array([[0, 1, 0]], np.float32))
    assert same(index.above(none, -1), (np.empty(0, np.int64), np.empty((0, 0), np.float32)))


def test_similarity_at_the_threshold_is_a_match(make: MakeIndex) -> None:
    index = make(2)
    index.add(np.array([7, 9]), np.array([[0.6, 0.8], [-1, 0]], np.float32))
    query = np.array([[1, 0]], np.float32)
    assert same(index.above(query, 0.6), (np.array([7]), np.array([[0.6]], np.float32)))
    assert index.above(query, 0.6000001)[0].tolist() == []
    assert index.above(query, -1)[0].tolist() == [7, 9]


def test_several_references_answer_with_a_similarity_each(make: MakeIndex) -> None:
    index = make(2)
    index.add(np.array([5, 6]), np.array([[1, 0], [0, 1]], np.float32))
    queries = np.array([[0.6, 0.8], [1, 0]], np.float32)
    wanted = np.array([[0.6, 1], [0.8, 0]], np.float32)
    assert same(index.above(queries, 0.7), (np.array([5, 6]), wanted))


def test_equals_stand_in_the_order_of_their_ids(make: MakeIndex) -> None:
    index, face = make(8), some_people(1, 8)
    ids = np.array([40, 3, 17, 25])
    index.add(ids, np.repeat(face, 4, axis=0))
    assert index.above(face, 0.9)[0].tolist() == [3, 17, 25, 40]


def test_order_and_batches_of_adding_do_not_matter(make: MakeIndex) -> None:
    vectors, ids = some_people(300, 16), np.random.default_rng(1).permutation(1000)[:300]
    whole, parts = make(16), make(16)
    whole.add(ids, vectors)
    for start in (200, 0, 100):
        parts.add(ids[start : start + 100], vectors[start : start + 100])
    parts.add(np.empty(0, np.int64), np.empty((0, 16), np.float32))
    assert parts.ids().tolist() == whole.ids().tolist() == sorted(ids.tolist())
    assert same(parts.above(vectors[:1], -1), whole.above(vectors[:1], -1))


def test_ids_may_be_as_large_as_the_catalog_makes_them(make: MakeIndex) -> None:
    index, vectors = make(4), some_people(2, 4)
    index.add(np.array([2**62, 0]), vectors)
    assert index.ids().tolist() == [0, 2**62]
    assert [index.above(face[None], 1)[0].tolist() for face in vectors] == [[2**62], [0]]


def test_answer_is_the_same_alone_and_in_company(make: MakeIndex) -> None:
    """A matrix product rounds by the shape it is given; what the user reads must not."""
    index, vectors = make(128), some_people(2000, 128)
    index.add(np.arange(2000), vectors)
    ids, together = index.above(vectors[:7], 0.3)
    for number in range(7):
        found, alone = index.above(vectors[number : number + 1], 0.3)
        column = zip(ids.tolist(), together[:, number].tolist(), strict=True)
        reaching = {face: score for face, score in column if score >= float(np.float32(0.3))}
        assert dict(zip(found.tolist(), alone[:, 0].tolist(), strict=True)) == reaching


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ([np.nan, 0, 0], "length nan"),
        ([np.inf, 0, 0], "length inf"),
        ([0, 0, 0], "length 0"),
        ([1, 0.1, 0], "length 1.00499"),
        ([1, 0], r"shape \(n, 3\)"),
    ],
)
def test_vector_that_is_no_embedding_is_refused_everywhere(
    make: MakeIndex, row: list[float], reason: str
) -> None:
    index, bad = make(3), np.array([row], np.float32)
    index.add(np.array([1]), np.array([[0, 0, 1]], np.float32))
    with pytest.raises(ValueError, match=reason):
        index.add(np.array([2]), bad)
    with pytest.raises(ValueError, match=reason):
        index.above(bad, 0.5)
    assert index.ids().tolist() == [1]


@pytest.mark.parametrize("ids", [[1, 2], [3, 3], [-1, 4], [5], [0.5, 1.5]])
def test_ids_that_do_not_fit_are_refused_and_nothing_is_added(make: MakeIndex, ids: list[float]) -> None:
    index, vectors = make(3), some_people(2, 3)
    index.add(np.array([1]), vectors[:1])
    with pytest.raises(ValueError, match="id"):
        index.add(np.array(ids), vectors)
    assert (len(index), index.above(vectors, -1)[0].tolist()) == (1, [1])


def test_vectors_without_numbers_are_refused(make: MakeIndex) -> None:
    with pytest.raises(ValueError, match="not 0"):
        make(0)


def test_held_ids_cannot_be_changed_through_the_answer(make: MakeIndex) -> None:
    index = make(2)
    index.add(np.array([1]), np.array([[1, 0]], np.float32))
    index.ids()[0] = 99
    assert index.ids().tolist() == [1]


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    n=st.integers(0, 64),
    q=st.integers(1, 3),
    dimension=st.sampled_from([1, 3, 16]),
    threshold=st.floats(-1, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_small_sets_are_answered_as_plain_arithmetic_does(
    engine: str, n: int, q: int, dimension: int, threshold: float, seed: int
) -> None:
    vectors = some_people(n, dimension, seed)
    ids = np.random.default_rng(seed).permutation(3 * n)[:n].astype(np.int64)
    queries = some_people(q, dimension, seed // 2)
    index = ENGINES[engine](dimension)
    index.add(ids, vectors)
    assert same(index.above(queries, threshold), truth_above(ids, vectors, queries, threshold))


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.6])
def test_thousands_are_answered_as_the_oracle_does(make: MakeIndex, threshold: float) -> None:
    vectors = some_people(3000, 24)
    index, oracle = make(24), ExactIndex(24)
    for one in (index, oracle):
        one.add(np.arange(3000), vectors)
    queries = some_people(12, 24, seed=0)
    assert same(index.above(queries[:1], threshold), oracle.above(queries[:1], threshold))
    assert same(index.above(queries, threshold), oracle.above(queries, threshold))


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    n=st.integers(0, 64),
    count=st.integers(-1, 70),
    dimension=st.sampled_from([1, 3, 16]),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_most_similar_of_small_sets_are_those_of_plain_arithmetic(
    engine: str, n: int, count: int, dimension: int, seed: int
) -> None:
    vectors = some_people(n, dimension, seed)
    ids = np.random.default_rng(seed).permutation(3 * n)[:n].astype(np.int64)
    query = some_people(1, dimension, seed // 2)
    index = ENGINES[engine](dimension)
    index.add(ids, vectors)
    wanted, scores = truth_above(ids, vectors, query, -1)
    first = slice(0, max(count, 0))
    assert same(index.nearest(query[0], count), (wanted[first], scores[first, 0]))


def test_the_most_similar_of_thousands_are_the_oracles(make: MakeIndex) -> None:
    vectors = some_people(8000, 24)
    index, oracle = make(24), ExactIndex(24)
    for one in (index, oracle):
        one.add(np.arange(8000), vectors)
    hits = 0
    for query in some_people(12, 24, seed=0):
        hits += np.isin(index.nearest(query, 20)[0], oracle.nearest(query, 20)[0]).sum()
    assert hits >= 0.99 * 12 * 20
