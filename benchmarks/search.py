"""How fast the index answers, what it costs, and what it misses: `python -m benchmarks.search --faces 100000`.

Made-up embeddings stand for a large album: people with a heavy tail of sizes (one has 5,000 photos), groups of people
who look alike, and similarities within a person of 0.5 to 0.8. Directions are otherwise random in all dimensions,
which is harder for HNSW than real faces are. Everything runs on one thread and is compared with exact search over the
same vectors in the same run. Prints tables and writes benchmarks/out/search-<faces>x<dimension>.json.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy is imported: both engines get one thread

import numpy as np
from benchmarks.crowd import Floats, a_crowd, people_to_find
from numpy.typing import NDArray

from chueok.store.index.base import VectorIndex
from chueok.store.index.exact import ROUNDING, ExactIndex
from chueok.store.index.hnsw import HnswIndex

OUT = Path(__file__).parent / "out"
SIZES = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000)
THRESHOLDS = (0.25, 0.30, 0.36, 0.45, 0.55)
"""From mobilefacenet's 0.253 for a FAR of 1e-2, among the impostors, up to the middle of a person's own faces."""
TOP = 50  # recall@50, the figure that papers on nearest neighbours give

T = TypeVar("T")
Ask = Callable[[Floats, float], NDArray[np.int64]]  # ids of the faces that reach a threshold
Asked = list[tuple[Floats, float]]  # queries and thresholds
Timed = tuple[NDArray[np.int64], float]  # ids, milliseconds


@dataclass(frozen=True, slots=True)
class Cold:
    """One library size: what a command costs that opens the index, asks once and ends."""

    faces: int
    build_seconds: float
    file_bytes: int
    hnsw_load_ms: float
    hnsw_query_ms: float
    exact_load_ms: float  # vectors read from SQLite, where the catalog keeps them
    exact_query_ms: float

    @property
    def ratio(self) -> float:
        """How many times faster the whole cold query is with the HNSW file; below 1, exact wins."""
        return (self.exact_load_ms + self.exact_query_ms) / (self.hnsw_load_ms + self.hnsw_query_ms)


@dataclass(frozen=True, slots=True)
class Warm:
    """One kind of question to one engine, opened: the median, and recall against exact search."""

    engine: str
    question: str
    ms: float
    exact_ms: float  # of the same questions, asked in turn
    recall: float  # matches found of all matches of all queries
    mean_recall: float  # mean over the queries, so that a small person counts as much as a large one
    matches: int


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name, default in (("faces", 100_000), ("dimension", 128), ("queries", 200), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()

    random = np.random.default_rng(options.seed)
    crowd = a_crowd(options.faces, options.dimension, random)
    vectors = crowd.faces_of(random.permutation(np.repeat(np.arange(len(crowd.sizes)), crowd.sizes)), random)
    wanted = people_to_find(crowd, options.queries, random)
    print(
        f"{options.faces:,} faces x {options.dimension}, {len(crowd.sizes):,} people, seed {options.seed}, one thread"
    )

    with tempfile.TemporaryDirectory() as folder:
        cold, index, exact = grow(vectors, crowd.faces_of(wanted, random), Path(folder))
    print_cold(cold)
    warm = []
    for references in (1, 5):
        queries = [crowd.faces_of(np.repeat(person, references), random) for person in wanted]
        for threshold in THRESHOLDS:
            asked = [(query, threshold) for query in queries]
            warm += compare(f"{references} ref, >= {threshold:.2f}", index, exact, asked)
    warm += compare(f"top {TOP}", index, exact, top(crowd.faces_of(wanted, random), vectors))
    print_warm(warm)
    save(options, cold, warm)


# ---- a cold command -----------------------------------------------------------------------------


def grow(vectors: Floats, queries: Floats, folder: Path) -> tuple[list[Cold], HnswIndex, ExactIndex]:
    """Build one index through the sizes, measuring a cold query at each; and the two full indexes."""
    dimension = vectors.shape[1]
    index, exact, seconds = HnswIndex(dimension), ExactIndex(dimension), 0.0
    rows = []
    for size in sorted({*(s for s in SIZES if s < len(vectors)), len(vectors)}):
        ids = np.arange(len(index), size)
        started = time.perf_counter()
        index.add(ids, vectors[ids])
        seconds += time.perf_counter() - started
        exact.add(ids, vectors[ids])
        rows.append(a_cold_query(index, vectors[:size], queries, seconds, folder))
    return rows, index, exact


def a_cold_query(index: HnswIndex, vectors: Floats, queries: Floats, seconds: float, folder: Path) -> Cold:
    """Load and ask once, with either engine; medians of five."""
    path, database = folder / "index", folder / "catalog.sqlite"
    stamp = index.save(path)
    write_vectors(database, vectors)
    loaded, loading = timed(partial(HnswIndex.load, path, stamp))
    exact, reading = timed(partial(read_vectors, database, vectors.shape[1]))
    return Cold(
        faces=len(vectors),
        build_seconds=seconds,
        file_bytes=stamp.bytes,
        hnsw_load_ms=loading,
        hnsw_query_ms=typical_ms(loaded, queries),
        exact_load_ms=reading,
        exact_query_ms=typical_ms(exact, queries),
    )


def typical_ms(engine: VectorIndex, queries: Floats) -> float:
    """The median over 50 people of finding one by one reference."""
    return statistics.median(timed(partial(engine.above, query, 0.45), 1)[1] for query in queries[:50, None])


def write_vectors(database: Path, vectors: Floats) -> None:
    """Keep vectors as the catalog does: one row and one BLOB each."""
    database.unlink(missing_ok=True)
    with sqlite3.connect(database) as connection:
        connection.execute("create table vectors (face integer primary key, vector blob not null) strict")
        rows = ((number, vector.tobytes()) for number, vector in enumerate(vectors))
        connection.executemany("insert into vectors values (?, ?)", rows)
    connection.close()


def read_vectors(database: Path, dimension: int) -> ExactIndex:
    """The exact index of all vectors in the database."""
    connection = sqlite3.connect(database)
    ids, blobs = zip(*connection.execute("select face, vector from vectors order by face"), strict=True)
    connection.close()
    index = ExactIndex(dimension)
    index.add(np.array(ids), np.frombuffer(b"".join(blobs), np.float32).reshape(-1, dimension))
    return index


# ---- an open index ------------------------------------------------------------------------------


def top(queries: Floats, vectors: Floats) -> Asked:
    """The question for the most similar faces: for all that are as similar as the last of them, but for rounding."""
    lowest = [np.partition(vectors @ query, -TOP)[-TOP] for query in queries]
    return [(query[None], float(score) - ROUNDING) for query, score in zip(queries, lowest, strict=True)]


def compare(question: str, index: HnswIndex, exact: ExactIndex, asked: Asked) -> list[Warm]:
    """Put the same queries to the index as it is, to its graph alone, and to exact search."""
    truths = answered(partial(ids_above, exact), asked)
    engines = (("index", partial(ids_above, index)), ("graph alone", partial(ids_by_graph, index)))
    return [judged(name, question, truths, answered(engine, asked)) for name, engine in engines]


def answered(ask: Ask, asked: Asked) -> list[Timed]:
    """Every answer, and how long it took: once each, since the median over many queries is what is shown."""
    return [timed(partial(ask, query, threshold), 1) for query, threshold in asked]


def ids_above(index: VectorIndex, query: Floats, threshold: float) -> NDArray[np.int64]:
    """What the index answers."""
    return index.above(query, threshold)[0]


def ids_by_graph(index: HnswIndex, query: Floats, threshold: float) -> NDArray[np.int64]:
    """What the graph alone would: asked for four times as many until its tail lies below the threshold."""
    graph, proposals = copy.copy(index), index._tuning.proposals
    while proposals <= len(index):
        graph._tuning = dataclasses.replace(index._tuning, proposals=proposals, asked=True)
        among = graph._proposed_above(query, threshold)
        if among is not None:
            return graph._exact.above(query, threshold, among)[0]
        proposals *= 4
    return graph._exact.above(query, threshold)[0]


def judged(engine: str, question: str, truths: list[Timed], answers: list[Timed]) -> Warm:
    """How one engine's answers and times compare with those of exact search."""
    hits = [
        int(np.isin(truth, answer).sum()) for (truth, _), (answer, _) in zip(truths, answers, strict=True)
    ]
    sizes = [len(truth) for truth, _ in truths]
    return Warm(
        engine,
        question,
        ms=statistics.median(ms for _, ms in answers),
        exact_ms=statistics.median(ms for _, ms in truths),
        recall=sum(hits) / sum(sizes),
        mean_recall=statistics.mean(hit / size for hit, size in zip(hits, sizes, strict=True) if size),
        matches=sum(sizes),
    )


def timed(action: Callable[[], T], times: int = 5) -> tuple[T, float]:
    """What the action returns, and the median milliseconds it took."""
    spent = []
    for _ in range(times):
        started = time.perf_counter()
        result = action()
        spent.append(1000 * (time.perf_counter() - started))
    return result, statistics.median(spent)


# ---- results ------------------------------------------------------------------------------------


def print_cold(rows: list[Cold]) -> None:
    """The table of library sizes, and from which on the file pays."""
    print(
        "\nA cold query: open, find one person by one reference at 0.45. Exact reads the vectors from SQLite."
    )
    print("    faces  build s  file MB  B/face |  HNSW load +  query ms | exact load +  query ms | ratio")
    for row in rows:
        print(
            f"{row.faces:9,}{row.build_seconds:9.1f}{row.file_bytes / 1e6:9.1f}{row.file_bytes / row.faces:8.0f} |"
            f"{row.hnsw_load_ms:11.1f}{row.hnsw_query_ms:12.2f} |"
            f"{row.exact_load_ms:11.1f}{row.exact_query_ms:12.2f} |{row.ratio:6.2f}"
        )
    slower = [row.faces for row in rows if row.ratio < 1]
    print(
        f"exact wins a whole cold query at {', '.join(map('{:,}'.format, slower)) or 'none of these'} faces"
    )


def print_warm(rows: list[Warm]) -> None:
    """The table of questions to an open index."""
    print("\nAn open index, median ms a question; `index` is as shipped.")
    print("question        engine          ms  exact ms  exact/it   recall  mean recall   matches")
    for row in rows:
        print(
            f"{row.question:16}{row.engine:12}{row.ms:6.2f}{row.exact_ms:10.2f}{row.exact_ms / row.ms:9.1f}x"
            f"{row.recall:9.5f}{row.mean_recall:13.5f}{row.matches:10,}"
        )


def save(options: argparse.Namespace, cold: list[Cold], warm: list[Warm]) -> None:
    """Write everything as JSON."""
    OUT.mkdir(exist_ok=True)
    path = OUT / f"search-{options.faces}x{options.dimension}.json"
    tables = {
        name: [dataclasses.asdict(row) for row in rows] for name, rows in (("cold", cold), ("warm", warm))
    }
    path.write_text(json.dumps(vars(options) | tables, indent=1) + "\n")
    print(f"\nwritten: {path}")


if __name__ == "__main__":
    main()
