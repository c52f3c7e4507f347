"""How fast searches are, what they cost, and what they miss: `python -m benchmarks.search --faces 100000`.

Made-up embeddings stand for a large album: people with a heavy tail of sizes (one has 5,000 photos), groups of people
who look alike, similarities within a person of 0.5 to 0.8, and directions spread as real embeddings are. Everything
runs on one thread. Prints tables and writes benchmarks/out/search-<faces>x<dimension>.json. A million faces take a
quarter of an hour, most of it the graph.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy is imported: both engines get one thread

import numpy as np
from benchmarks.crowd import Floats, a_crowd, people_to_find

from chueok.store.index import table
from chueok.store.index.exact import ExactIndex
from chueok.store.index.hnsw import HnswIndex, Tuning

OUT = Path(__file__).parent / "out"
SIZES = (1_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000)
THRESHOLD = 0.36  # near the model's at a FAR of 1e-3
TOP = 50  # recall@50, the figure that papers on nearest neighbours give
EFFORTS = (64, 128, 256, 512, 1024, 2048)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Size:
    """What a library of one size costs, in milliseconds, seconds and bytes."""

    faces: int
    table_bytes: int
    table_load_ms: float  # what a cold `find` does
    catalog_load_ms: float  # the same vectors from SQLite, where there is no table
    above_ms: float  # every face from a threshold on, exactly
    exact_nearest_ms: float  # the 50 most similar, exactly
    graph_bytes: int
    graph_build_seconds: float
    graph_load_ms: float
    graph_nearest_ms: float  # the 50 most similar, by the graph as it is tuned
    graph_recall: float


@dataclass(frozen=True, slots=True)
class Effort:
    """The 50 most similar by the graph of the whole library, at one search effort."""

    effort: int
    ms: float
    exact_ms: float
    recall: float


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name, default in (("faces", 100_000), ("dimension", 128), ("queries", 200), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()

    random = np.random.default_rng(options.seed)
    crowd = a_crowd(options.faces, options.dimension, random)
    vectors = crowd.faces_of(random.permutation(np.repeat(np.arange(len(crowd.sizes)), crowd.sizes)), random)
    queries = crowd.faces_of(people_to_find(crowd, options.queries, random), random)
    print(
        f"{options.faces:,} faces x {options.dimension}, {len(crowd.sizes):,} people, seed {options.seed}, one thread"
    )
    with tempfile.TemporaryDirectory() as folder:
        sizes, graph = grow(vectors, queries, Path(folder))
    efforts = [at_effort(graph, vectors, queries, effort) for effort in EFFORTS]
    show(sizes, efforts)
    OUT.mkdir(exist_ok=True)
    path = OUT / f"search-{options.faces}x{options.dimension}.json"
    tables = {"sizes": [*map(dataclasses.asdict, sizes)], "efforts": [*map(dataclasses.asdict, efforts)]}
    path.write_text(json.dumps(vars(options) | tables, indent=1) + "\n")
    print(f"\nwritten: {path}")


def grow(vectors: Floats, queries: Floats, folder: Path) -> tuple[list[Size], HnswIndex]:
    """Build the graph through the sizes, measuring at each."""
    graph, seconds, rows = HnswIndex(vectors.shape[1], Tuning(exact_below=0)), 0.0, []
    for size in sorted({*(s for s in SIZES if s < len(vectors)), len(vectors)}):
        ids = np.arange(len(graph), size)
        started = time.perf_counter()
        graph.add(ids, vectors[ids])
        seconds += time.perf_counter() - started
        rows.append(at_size(graph, seconds, vectors[:size], queries, folder))
    return rows, graph


def at_size(graph: HnswIndex, seconds: float, vectors: Floats, queries: Floats, folder: Path) -> Size:
    """All figures of one size; medians of five openings, and over the queries."""
    ids = np.arange(len(vectors))
    stamp = table.write(folder / "table", ids, vectors)
    write_vectors(folder / "catalog.sqlite", vectors)
    graph_stamp = graph.save(folder / "graph")
    exact, table_load = timed(partial(table.read, folder / "table", stamp))
    _, catalog_load = timed(partial(read_vectors, folder / "catalog.sqlite", vectors.shape[1]))
    loaded, graph_load = timed(partial(HnswIndex.load, folder / "graph", graph_stamp, Tuning(exact_below=0)))
    nearest = at_effort(loaded, vectors, queries, Tuning().effort)
    return Size(
        faces=len(vectors),
        table_bytes=stamp.bytes,
        table_load_ms=table_load,
        catalog_load_ms=catalog_load,
        above_ms=median(partial(exact.above, query[None], THRESHOLD) for query in queries),
        exact_nearest_ms=nearest.exact_ms,
        graph_bytes=graph_stamp.bytes,
        graph_build_seconds=seconds,
        graph_load_ms=graph_load,
        graph_nearest_ms=nearest.ms,
        graph_recall=nearest.recall,
    )


def at_effort(graph: HnswIndex, vectors: Floats, queries: Floats, effort: int) -> Effort:
    """The same questions to the graph and to exact search, in turn."""
    exact = ExactIndex.over(np.arange(len(vectors)), vectors)
    asked = HnswIndex(vectors.shape[1], replace(Tuning(exact_below=0), effort=effort))
    asked._exact, asked._graph, asked._torn = graph._exact, graph._graph, False
    spent, exactly, hits, wanted = [], [], 0, 0
    for query in queries:
        (found, _), ms = timed(partial(asked.nearest, query, TOP), 1)
        (truth, _), exact_ms = timed(partial(exact.nearest, query, TOP), 1)
        hits, wanted = hits + int(np.isin(found, truth).sum()), wanted + len(truth)
        spent.append(ms)
        exactly.append(exact_ms)
    return Effort(effort, statistics.median(spent), statistics.median(exactly), hits / wanted)


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


def median(actions: Iterable[Callable[[], object]]) -> float:
    """Milliseconds, the median over different actions, once each."""
    return statistics.median(timed(action, 1)[1] for action in actions)


def timed(action: Callable[[], T], times: int = 5) -> tuple[T, float]:
    """What the action returns, and the median milliseconds it took."""
    spent = []
    for _ in range(times):
        started = time.perf_counter()
        result = action()
        spent.append(1000 * (time.perf_counter() - started))
    return result, statistics.median(spent)


def show(sizes: list[Size], efforts: list[Effort]) -> None:
    """Print both tables as Markdown."""
    print(
        "\n| faces | table, bytes a face | open it, ms | from the catalog, ms | threshold, ms | top 50 exactly, ms |"
    )
    print("|---|---|---|---|---|---|")
    for row in sizes:
        print(
            f"| {row.faces:,} | {row.table_bytes / row.faces:.0f} | {row.table_load_ms:.1f} "
            f"| {row.catalog_load_ms:.0f} | {row.above_ms:.2f} | {row.exact_nearest_ms:.2f} |"
        )
    print("\n| faces | graph, bytes a face | build, s | open, ms | top 50, ms | recall@50 | exactly, ms |")
    print("|---|---|---|---|---|---|---|")
    for row in sizes:
        print(
            f"| {row.faces:,} | {row.graph_bytes / row.faces:.0f} | {row.graph_build_seconds:.0f} "
            f"| {row.graph_load_ms:.0f} | {row.graph_nearest_ms:.2f} | {row.graph_recall:.4f} "
            f"| {row.exact_nearest_ms:.2f} |"
        )
    print(
        f"\n| effort, {sizes[-1].faces:,} faces | top 50, ms | recall@50 | exactly, ms |\n|---|---|---|---|"
    )
    for one in efforts:
        print(f"| {one.effort} | {one.ms:.2f} | {one.recall:.4f} | {one.exact_ms:.2f} |")


if __name__ == "__main__":
    main()
