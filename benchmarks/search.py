"""How fast searches are, what they cost, and what they miss: `python -m benchmarks.search --faces 100000`.

Made-up embeddings stand for a large album: people with a heavy tail of sizes (one has 5,000 photos), groups of people
who look alike, similarities within a person of 0.5 to 0.8, and directions spread as real embeddings are. Everything
runs on one thread. Prints a table and writes benchmarks/out/search-<faces>x<dimension>.json. A million faces of 128
numbers take two minutes, of 512 six. Milliseconds are medians of wall time; where other processes share the machine,
those of processor time, which stand beside them, say more.
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
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy is imported; codes take one thread by themselves

import numpy as np
from benchmarks.crowd import Floats, a_crowd, people_to_find

from chueok.store.index import table
from chueok.store.index.coded import CodedIndex, Tuning
from chueok.store.index.exact import ExactIndex

OUT = Path(__file__).parent / "out"
SIZES = (1_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000)
THRESHOLD = 0.36  # near the model's at a FAR of 1e-3
TOP = 50  # recall@50, the figure that papers on nearest neighbours give
ALWAYS = Tuning(exact_below=0)  # codes at every size at which they can be learned

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Took:
    """Milliseconds of many calls, each once."""

    wall: float  # median
    cpu: float  # median, of this thread
    least: float  # of processor time
    slowest_tenth: float  # of processor time: one call in ten takes longer

    @classmethod
    def over(cls, spent: list[tuple[float, float]]) -> Took:
        """Of pairs of wall and processor milliseconds."""
        wall, cpu = np.array(spent).T
        return cls(
            float(np.median(wall)), float(np.median(cpu)), float(cpu.min()), float(np.quantile(cpu, 0.9))
        )


@dataclass(frozen=True, slots=True)
class Size:
    """What a library of one size costs, in milliseconds, seconds and bytes."""

    faces: int
    table_bytes: int
    table_load_ms: float  # what a cold `find` does
    catalog_load_ms: float  # the same vectors from SQLite, where there is no table
    above: Took  # every face from a threshold on, exactly
    exactly: Took  # the 50 most similar, exactly
    code_bytes: int  # beside the table
    learn_seconds: float  # of processor time
    code_load_ms: float  # once the table is open
    by_codes: Took  # the 50 most similar, proposed by codes
    compared: float  # of them, median; all the faces where codes are no help
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
    counts = sorted({*(size for size in SIZES if size < len(vectors)), len(vectors)})
    with tempfile.TemporaryDirectory() as folder:
        sizes = [at_size(vectors[:count], queries, Path(folder)) for count in counts]
    show(sizes)
    OUT.mkdir(exist_ok=True)
    path = OUT / f"search-{options.faces}x{options.dimension}.json"
    path.write_text(json.dumps(vars(options) | {"sizes": [*map(dataclasses.asdict, sizes)]}, indent=1) + "\n")
    print(f"\nwritten: {path}")


def at_size(vectors: Floats, queries: Floats, folder: Path) -> Size:
    """All figures of one size: medians of five openings, and over the queries."""
    stamp = table.write(folder / "table", np.arange(len(vectors)), vectors)
    write_vectors(folder / "catalog.sqlite", vectors)
    exact, table_load = timed(partial(table.read, folder / "table", stamp))
    _, catalog_load = timed(partial(read_vectors, folder / "catalog.sqlite", vectors.shape[1]), 1)
    started = time.thread_time()
    coded = CodedIndex.over(exact, ALWAYS)
    learned = time.thread_time() - started
    codes = coded.save(folder / "codes")
    coded, code_load = timed(partial(CodedIndex.load, folder / "codes", codes, exact, ALWAYS))
    coded.nearest(queries[0], TOP)
    above, exactly, by_codes, hits = [], [], [], 0
    for query in queries:
        above.append(clocked(partial(exact.above, query[None], THRESHOLD))[1])
        (truth, _), spent = clocked(partial(exact.nearest, query, TOP))
        exactly.append(spent)
        (found, _), spent = clocked(partial(coded.nearest, query, TOP))
        by_codes.append(spent)
        hits += int(np.isin(found, truth).sum())
    proposed = [coded._proposed(query, TOP) for query in queries]
    return Size(
        faces=len(vectors),
        table_bytes=stamp.bytes,
        table_load_ms=table_load,
        catalog_load_ms=catalog_load,
        above=Took.over(above),
        exactly=Took.over(exactly),
        code_bytes=codes.bytes,
        learn_seconds=learned,
        code_load_ms=code_load,
        by_codes=Took.over(by_codes),
        compared=statistics.median(len(vectors) if some is None else len(some) for some in proposed),
        recall=hits / (TOP * len(queries)),
    )


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


def timed(action: Callable[[], T], times: int = 5) -> tuple[T, float]:
    """What the action returns, and the median milliseconds it took."""
    spent = []
    for _ in range(times):
        started = time.perf_counter()
        result = action()
        spent.append(1000 * (time.perf_counter() - started))
    return result, statistics.median(spent)


def clocked(action: Callable[[], T]) -> tuple[T, tuple[float, float]]:
    """What the action returns, and the milliseconds it took: by the wall's clock and of this thread."""
    wall, cpu = time.perf_counter(), time.thread_time()
    result = action()
    return result, (1000 * (time.perf_counter() - wall), 1000 * (time.thread_time() - cpu))


def show(sizes: list[Size]) -> None:
    """Print two tables as Markdown."""
    print("\n| faces | table, bytes a face | open it, ms | from the catalog, ms | threshold, ms |")
    print("|---|---|---|---|---|")
    for row in sizes:
        print(
            f"| {row.faces:,} | {row.table_bytes / row.faces:.0f} | {row.table_load_ms:.1f} "
            f"| {row.catalog_load_ms:.0f} | {row.above.wall:.2f} |"
        )
    print(
        "\n| faces | top 50 exactly, ms (CPU) | codes, bytes a face | learn, CPU s | open, ms "
        "| top 50 by codes, ms (CPU, least, slowest tenth from) | compared | recall@50 |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for row in sizes:
        one, two = row.exactly, row.by_codes
        print(
            f"| {row.faces:,} | {one.wall:.2f} ({one.cpu:.2f}) | {row.code_bytes / row.faces:.0f} "
            f"| {row.learn_seconds:.1f} | {row.code_load_ms:.0f} "
            f"| {two.wall:.2f} ({two.cpu:.2f}, {two.least:.2f}, {two.slowest_tenth:.2f}) "
            f"| {row.compared:,.0f} | {row.recall:.4f} |"
        )


if __name__ == "__main__":
    main()
