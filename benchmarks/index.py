"""How fast `chueok` is beside the script it replaces: photos per second, seconds per cold command, memory.

    python -m benchmarks.index [--rounds N] [--keep]

Every measurement is a whole process. Needs the test material (CHUEOK_TEST_DATA, default ../shared) and Linux. Prints
a table of medians beside the last committed one and writes benchmarks/out/index.json; `--keep` makes it the
last one, benchmarks/last.json. Leave the machine alone meanwhile: torch in the script suffers most from company.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchmarks.clock import Run, measure, peak_megabytes
from PIL import Image, ImageOps

HERE = Path(__file__).resolve().parent
OUT = HERE / "out"
LAST = HERE / "last.json"
MATERIAL = Path(os.environ.get("CHUEOK_TEST_DATA", HERE.parent.parent / "shared")) / "albums"
SOURCE_ALBUMS = ("kpop_events", "leaders", "compreface")
CHUEOK = [str(Path(sys.executable).with_name("chueok"))]
# What the script asks of MTCNN: chueok then computes the same, and finds the same faces (benchmarks/detection.py)
AS_THE_SCRIPT = ["--detector-size", "full", "--min-face", "20"]
WAYS = {
    "": [],
    " --fast": ["--fast"],
    " --detector-size full": AS_THE_SCRIPT,
}
# The least that can be done with a photo: libjpeg's own shrinking while it decodes, as far as detection allows
DECODE = """
import sys
from pathlib import Path
from PIL import Image
for path in sorted(Path(sys.argv[1]).iterdir()):
    with Image.open(path) as image:
        image.draft("RGB", (1280, 1280))
        image.load()
"""
T = TypeVar("T")

# Load average. Beside other programs torch's threads wait for each other: the script took 191 s for what takes 11 s.
QUIET = 0.5


@dataclass(frozen=True, slots=True)
class Contender:
    """Something to be timed."""

    name: str
    command: list[str]
    photos: int = 0  # 0: a command that answers, without a rate
    fresh: Path | None = None  # removed before every run


# ---- the photos ----------------------------------------------------------------------------------


def prepare(folder: Path, count: int, reshape: Callable[[Image.Image], Image.Image]) -> Path:
    """A folder of `count` JPEGs (quality 92, as cameras write) made from the material; made once."""
    if folder.is_dir() and len(list(folder.iterdir())) == count:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, path in enumerate(spread(list(large_photos()), count)):
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
        reshape(upright).save(folder / f"{number:02}.jpg", quality=92)
    return folder


def large_photos() -> Iterator[Path]:
    """Photos of the material with half a megapixel or more: smaller ones would be mostly invented pixels."""
    for album in SOURCE_ALBUMS:
        for path in sorted((MATERIAL / album / "photos").rglob("*.jp*g")):
            with Image.open(path) as image:
                if image.width * image.height >= 500_000:
                    yield path


def spread(paths: list[Path], count: int) -> list[Path]:
    """`count` of the paths, evenly spread."""
    return [paths[index * len(paths) // count] for index in range(count)]


def web(image: Image.Image) -> Image.Image:
    """About 2 megapixels, the shape kept: what social networks and messengers keep."""
    scale = (2_000_000 / (image.width * image.height)) ** 0.5
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)


def phone(image: Image.Image) -> Image.Image:
    """12 megapixels, 4000 x 3000 or 3000 x 4000: what a phone takes."""
    size = (4000, 3000) if image.width > image.height else (3000, 4000)
    return ImageOps.fit(image, size, Image.Resampling.LANCZOS)


# ---- the contest ---------------------------------------------------------------------------------


def once(
    probe: Callable[[list[str], dict[str, str]], T], contender: Contender, environment: dict[str, str]
) -> T:
    """One run of a contender, probed, from nothing if it wants to; a failure ends the benchmark with its words."""
    if contender.fresh:
        shutil.rmtree(contender.fresh, ignore_errors=True)
    try:
        return probe(contender.command, environment)
    except subprocess.CalledProcessError as error:
        sys.exit(f"{contender.name}: {error}\n{error.stderr}")


def peaks(contenders: list[Contender], environment: dict[str, str]) -> dict[str, float]:
    """The memory of every contender, MB, in a run of its own."""
    found = {}
    for contender in contenders:
        found[contender.name] = once(peak_megabytes, contender, environment)
        print(f"memory: {contender.name}: {found[contender.name]:.0f} MB", file=sys.stderr)
    return found


def alternate(contenders: list[Contender], rounds: int, environment: dict[str, str]) -> dict[str, list[Run]]:
    """Every contender once a round, so that a slow minute of the machine strikes all of them."""
    runs: dict[str, list[Run]] = {contender.name: [] for contender in contenders}
    for number in range(rounds):
        for contender in contenders:
            result = once(measure, contender, environment)
            runs[contender.name].append(result)
            print(f"round {number + 1}: {contender.name}: {result.seconds:.2f} s", file=sys.stderr)
    return runs


def contenders(one: Path, web_photos: Path, phone_photos: Path) -> list[Contender]:
    """Script and tool on the same photos; then single commands, each from a cold process."""
    person, state = str(web_photos / "00.jpg"), OUT / "state"
    found = []
    for name, album in (("one", one), ("web", web_photos), ("phone", phone_photos)):
        count = len(list(album.iterdir()))
        script = [sys.executable, "-m", "benchmarks.baseline", person, str(album)]
        found.append(Contender(f"script, {name}", script, count))
        for way, flags in WAYS.items():
            library = state / f"fresh-{name}"
            command = [*CHUEOK, "index", str(album), "--library", str(library), "-q", *flags]
            found.append(Contender(f"chueok index{way}, {name}", command, count, library))
        found.append(
            Contender(f"python: draft decoding, {name}", [sys.executable, "-c", DECODE, str(album)], count)
        )
    known = ["--library", str(state / "known")]
    probe = [person, "--largest", "--gallery", str(gallery())]
    return [
        *found,
        Contender("chueok index, nothing new", [*CHUEOK, "index", str(web_photos), "-q", *known]),
        Contender("chueok find --person", [*CHUEOK, "find", "--person", person, "--largest", *known]),
        Contender("chueok lookalike", [*CHUEOK, "lookalike", *probe, *known]),
        Contender("chueok --help", [*CHUEOK, "--help"]),
    ]


def gallery() -> Path:
    """A folder with one picture of each of the people of one album."""
    folder = OUT / "inputs" / "gallery"
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted((MATERIAL / "kpop_events" / "photos").glob("*.jp*g")):
        if not path.stem[-1].isdigit():
            shutil.copyfile(path, folder / path.name)
    return folder


def defaults() -> dict[str, str]:
    """This environment, but with chueok's own defaults and a cache apart from the user's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CHUEOK_")}
    state = OUT / "state"
    return kept | {
        "CHUEOK_CACHE": str(state / "cache"),
        "CHUEOK_MODELS": str(state / "models"),
        "CHUEOK_CONFIG": os.devnull,
    }


# ---- the table -----------------------------------------------------------------------------------


def summary(
    all_contenders: list[Contender], runs: dict[str, list[Run]], megabytes: dict[str, float]
) -> dict[str, dict[str, float]]:
    """Medians by contender, and its memory."""
    table = {}
    for contender in all_contenders:
        seconds = statistics.median(one.seconds for one in runs[contender.name])
        table[contender.name] = {
            "seconds": round(seconds, 3),
            "slowest": round(max(one.seconds for one in runs[contender.name]), 3),
            "cpu_seconds": round(statistics.median(one.cpu_seconds for one in runs[contender.name]), 3),
            "photos_per_second": round(contender.photos / seconds, 2),
            "megabytes": round(megabytes[contender.name]),
        }
    return table


def show(table: dict[str, dict[str, float]], last: dict[str, dict[str, float]]) -> None:
    """Print the table as Markdown, with the ratio of the seconds to the last committed ones."""
    print("| | seconds | slowest | CPU seconds | photos/s | peak MB | seconds / last |")
    print("|---|---|---|---|---|---|---|")
    for name, row in table.items():
        before = last.get(name)
        change = f"{row['seconds'] / before['seconds']:.2f}" if before else ""
        speed = row["photos_per_second"] or ""
        print(
            f"| {name} | {row['seconds']:.2f} | {row['slowest']:.2f} | {row['cpu_seconds']:.2f} "
            f"| {speed} | {row['megabytes']:.0f} | {change} |"
        )
    for way in WAYS:
        for kind in ("web", "phone"):
            wall, cpu = ratio(table, way, kind, "seconds"), ratio(table, way, kind, "cpu_seconds")
            print(
                f"\nchueok index{way}, {kind}: {wall[0]:.1f} times as fast as the script, {wall[1]:.1f} times without "
                f"the start, for 1/{cpu[0]:.1f} of its CPU time"
            )


def ratio(table: dict[str, dict[str, float]], way: str, kind: str, unit: str) -> tuple[float, float]:
    """What the script takes over what chueok takes: for whole runs, and beyond what one web photo takes."""
    script, tool = table[f"script, {kind}"][unit], table[f"chueok index{way}, {kind}"][unit]
    start_script, start_tool = table["script, one"][unit], table[f"chueok index{way}, one"][unit]
    return script / tool, (script - start_script) / (tool - start_tool)


def machine() -> str:
    """Cores, processor and Python, for the record."""
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    processor = names[0].partition(":")[2].strip() if names else platform.machine()
    return f"{os.cpu_count()} x {processor}, Python {platform.python_version()}"


def main(rounds: int, *, keep: bool) -> None:
    """Prepare, warm up, measure, print, write."""
    if not MATERIAL.is_dir():
        sys.exit(f"no photos at {MATERIAL}: set CHUEOK_TEST_DATA to the folder of test material")
    load = os.getloadavg()[0]
    if keep and load > QUIET:
        sys.exit(f"the load is {load:.1f}: a table to keep needs a quiet machine; wait, or leave out --keep")
    inputs = OUT / "inputs"
    albums = [
        prepare(inputs / "one photo", 1, web),  # what a start costs
        prepare(inputs / "web", 64, web),
        prepare(inputs / "phone", 16, phone),
    ]
    field, environment = contenders(*albums), defaults()
    shutil.rmtree(OUT / "state" / "known", ignore_errors=True)  # of another model, perhaps
    # Compiles every network, fills the library that is asked and learns the gallery
    alternate([contender for contender in field if not contender.name.startswith("script")], 1, environment)
    runs = alternate(field, rounds, environment)
    table = summary(field, runs, peaks(field, environment))
    show(table, json.loads(LAST.read_text())["table"] if LAST.exists() else {})
    facts = {"machine": machine(), "load_before": round(load, 2), "rounds": rounds, "table": table}
    record = json.dumps(facts, indent=2) + "\n"
    (OUT / "index.json").write_text(record)
    if keep:
        LAST.write_text(record)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", action="store_true", help="make this the committed table")
    options = parser.parse_args()
    main(options.rounds, keep=options.keep)
