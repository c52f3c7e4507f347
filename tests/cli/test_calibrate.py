"""`chueok calibrate` from outside: a threshold of the library's own, and what the other commands make of it."""

from __future__ import annotations

import fcntl
import hashlib
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.cli.conftest import Chueok
from tests.flow.crowds import Crowd

from chueok.records import Box, Detection, FaceCrop, FaceReading, PhotoReading
from chueok.store.catalog import Catalog, FileStamp
from chueok.vision.models.registry import BUILT_IN, embedding_key

NOW = datetime(2026, 1, 2, 3, 4, 5)
LITE = BUILT_IN["lite"]
OWN = "lite at a false accept rate of 0.001"
NAMES = {"mom": 0, "dad": 1, "minjun": 2}
REFERENCES = 6  # of each: 15 pairs a person, 45 in all
Vectors = list[NDArray[np.float32]]


def put_photo(catalog: Catalog, model: int, path: Path, faces: Vectors) -> list[int]:
    """A photo file and what it shows, as an index run leaves them; the ids of the faces."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(path.name.encode())
    stat = path.stat()
    points = ((1.0, 1.0),) * 5
    found = tuple(
        FaceReading(Detection(Box(200.0 * place, 10, 100, 120), 0.99, points), vector)
        for place, vector in enumerate(faces)
    )
    sha256 = hashlib.sha256(bytes(path)).digest()
    reading = PhotoReading(sha256, stat.st_size, 4000, 3000, NOW, None, found)
    picture = catalog.faces.put_picture(reading, model)
    album = catalog.photos.add_album(path.parent, NOW)
    stamp = FileStamp(stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    catalog.photos.put(album, path, stamp, picture)
    return [face.id for face in catalog.faces.of_pictures([picture])[picture]]


def make_library(folder: Path, album: Path, people: int = 120, photos: int = 350) -> Crowd:
    """A library of made-up people, of whom three are enrolled."""
    folder.mkdir(mode=0o700)
    catalog = Catalog(folder / "catalog.sqlite")
    crowd = Crowd.of(people)
    with catalog.transaction():
        model = catalog.model_id(LITE.name, embedding_key(LITE), LITE.dimension)
        catalog.set_current_model(model)
        for number, faces in enumerate(crowd.photos(photos)):
            put_photo(catalog, model, album / f"{number:04}.jpg", faces)
        for name, person in NAMES.items():
            for number in range(REFERENCES):
                path = album.parent / f"references/{name}-{number}.jpg"
                (face,) = put_photo(catalog, model, path, [crowd.face(person)])
                catalog.people.add_reference(name, face, path, FaceCrop(b"png", 8, 0, 0, 8), NOW)
    catalog.close()
    return crowd


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A library and its album, made once."""
    folder = tmp_path_factory.mktemp("crowd")
    make_library(folder / "library", folder / "album")
    return folder / "library", folder / "album"


@pytest.fixture
def crowd(chueok: Chueok, made: tuple[Path, Path]) -> Path:
    """A copy of the library, where the command looks for it; its album."""
    chueok.library.mkdir(mode=0o700)
    (chueok.library / "catalog.sqlite").write_bytes((made[0] / "catalog.sqlite").read_bytes())
    return made[1]


def origin(chueok: Chueok, *options: str) -> tuple[float, str]:
    """The threshold `find` goes by, and where it is from."""
    summary = chueok("find", "mom", "--json", *options).summary
    return summary["threshold"], summary["threshold_origin"]


@pytest.mark.usefixtures("crowd")
def test_find_goes_by_the_calibration_and_says_so_until_it_is_forgotten(chueok: Chueok) -> None:
    before = origin(chueok)
    answer = chueok("calibrate", "--json")
    (record,) = answer.of_type("calibration")
    own = (record["threshold"], "calibrated on this library at a false accept rate of 0.001")
    assert answer.code == 0
    assert not answer.imported & {"torch", "onnxruntime"}
    assert record["low"] < record["threshold"] < record["high"]
    assert record["threshold"] == pytest.approx(0.378, abs=0.04)  # see tests/flow/test_strangers.py
    assert (before, origin(chueok)) == ((LITE.thresholds["1e-3"], OWN), own)
    assert f"threshold {own[0]:.3f} ({own[1]})" in chueok("find", "mom").err
    assert origin(chueok, "--threshold", "0.5") == (0.5, "given")
    forgotten = chueok("calibrate", "--forget")
    assert (forgotten.code, origin(chueok)) == (0, before)
    assert (chueok("calibrate", "--forget").code, chueok("calibrate", "--forget", "-n").code) == (2, 2)


@pytest.mark.usefixtures("crowd")
def test_a_calibration_in_json_says_what_it_rests_on(chueok: Chueok) -> None:
    answer = chueok("calibrate", "--json")
    (record,) = answer.of_type("calibration")
    assert (record["model"], record["far"], record["before"], record["before_origin"]) == (
        "lite", 0.001, LITE.thresholds["1e-3"], OWN
    )  # fmt: skip
    assert record["left_out"] | {"once": 0} == {
        "once": 0,
        "copies": 0,
        "overlapping": 0,
        "doubles": 0,
        "same": 0,
        "lookalikes": 0,
    }
    assert record["comparisons"] > record["people_pairs"] > 300
    assert 0.01 < record["measured"] <= 0.25
    assert (record["genuine"], record["tar"] > 0.9) == (45, True)
    for name in ("impostors", "genuine"):
        assert sum(record["densities"][name]) * 0.01 == pytest.approx(1, abs=0.02)
    summary = answer.summary
    assert summary | {"seconds": 0, "faces": 0, "threshold": 0, "people_pairs": 0} == {
        "schema": 1, "type": "summary", "command": "calibrate", "model": "lite", "threshold": 0, "far": 0.001,
        "faces": 0, "people_pairs": 0, "stored": True, "seconds": 0,
    }  # fmt: skip


@pytest.mark.usefixtures("crowd")
def test_what_it_says_would_be_found_is_what_is_found(chueok: Chueok) -> None:
    before = {name: chueok("find", name).paths for name in NAMES}
    dry = chueok("calibrate", "--json", "--dry-run")
    assert {name: chueok("find", name).paths for name in NAMES} == before
    assert chueok("calibrate", "--json").of_type("calibration") == dry.of_type("calibration")
    changes = {change["person"]: change for change in dry.of_type("calibration")[0]["changes"]}
    assert list(changes) == sorted(NAMES)
    for name in NAMES:
        after = set(chueok("find", name).paths)
        assert (changes[name]["before"], changes[name]["after"]) == (len(before[name]), len(after))
        assert {Path(photo["path"]) for photo in changes[name]["gained"]} <= after - set(before[name])
        assert {Path(photo["path"]) for photo in changes[name]["lost"]} <= set(before[name]) - after


@pytest.mark.usefixtures("crowd")
def test_a_dry_run_keeps_nothing(chueok: Chueok) -> None:
    answer = chueok("calibrate", "-n")
    assert (answer.code, len(answer.lines)) == (0, 1)
    assert answer.err.startswith("would use 0.")
    assert origin(chueok) == (LITE.thresholds["1e-3"], OWN)


@pytest.mark.usefixtures("crowd")
def test_other_rates_come_from_the_calibration_as_far_as_it_reaches(chueok: Chueok) -> None:
    chueok("calibrate")
    own, far = "calibrated on this library at a false accept rate of", ("0.01", "0.005", "0.001")
    found = [origin(chueok, "--far", rate) for rate in far]
    assert [words for _, words in found] == [f"{own} {rate}" for rate in far]
    assert [threshold for threshold, _ in found] == sorted(threshold for threshold, _ in found)
    threshold, words = origin(chueok, "--far", "1e-4")
    assert threshold == LITE.thresholds["1e-4"]
    assert words == "lite at a false accept rate of 0.0001, which this library's calibration does not reach"


@pytest.mark.usefixtures("crowd")
def test_a_terminal_line_says_threshold_interval_and_rate(chueok: Chueok) -> None:
    (line,) = chueok("calibrate", "--far", "1e-2").lines
    threshold, low, high, far = map(float, line.split("\t"))
    assert (low < threshold < high, far) == (True, 0.01)


def test_status_knows_the_calibration_and_when_it_is_old(chueok: Chueok, crowd: Path) -> None:
    assert chueok("status", "--json").of_type("status")[0]["calibration"] is None
    chueok("calibrate")
    (status,) = chueok("status", "--json").of_type("status")
    assert status["calibration"]["stored"]["rates"][0]["far"] == 0.001
    assert status["calibration"]["stored"]["faces"] == status["calibration"]["faces"]
    (line,) = [line for line in chueok("status").lines if line.startswith("calibrated: ")]
    assert "now: `chueok calibrate` again" not in line
    assert chueok("forget", "--path", crowd).code == 0
    (line,) = [line for line in chueok("status").lines if line.startswith("calibrated: ")]
    assert line.endswith(" 18 now: `chueok calibrate` again")


def test_a_small_album_is_told_that_it_is_too_small(chueok: Chueok) -> None:
    make_library(chueok.library, chueok.room / "album", people=12, photos=20)
    answer = chueok("calibrate", "--json")
    (record,) = answer.of_type("calibration")
    assert (answer.code, record["threshold"], answer.summary["stored"]) == (1, None, False)
    plain = chueok("calibrate")
    assert (plain.code, plain.out) == (1, b"")
    assert plain.err.startswith("not calibrated, and nothing was changed: the photos show")
    assert origin(chueok) == (LITE.thresholds["1e-3"], OWN)


def test_no_library_and_a_library_that_is_being_written(chueok: Chueok, made: tuple[Path, Path]) -> None:
    missing = chueok("calibrate")
    assert (missing.code, missing.out) == (10, b"")
    chueok.library.mkdir(mode=0o700)
    (chueok.library / "catalog.sqlite").write_bytes((made[0] / "catalog.sqlite").read_bytes())
    with (chueok.library / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        codes = [chueok("calibrate", *options).code for options in ((), ("--forget",), ("--dry-run",))]
    assert codes == [11, 11, 0]


def test_an_empty_album_and_a_useless_rate(chueok: Chueok) -> None:
    (chueok.room / "empty").mkdir()
    assert chueok("index", chueok.room / "empty").code == 0
    answer = chueok("calibrate")
    assert (answer.code, answer.out) == (1, b"")
    assert chueok("calibrate", "--far", "0.6").code == 2


@pytest.mark.usefixtures("crowd")
def test_another_models_threshold_is_not_this_ones(chueok: Chueok) -> None:
    chueok("calibrate")
    catalog = Catalog(chueok.library / "catalog.sqlite")
    lite = catalog.model_id(LITE.name, embedding_key(LITE), LITE.dimension)
    other = catalog.model_id("other", "another key", 128)
    kept = catalog.calibrations.of(lite)
    assert kept is not None and catalog.calibrations.of(other) is None
    catalog.calibrations.put(other, kept)
    catalog.calibrations.delete(lite)
    assert (catalog.calibrations.of(lite), catalog.calibrations.of(other)) == (None, kept)
    catalog.close()


@pytest.mark.usefixtures("crowd")
def test_a_threshold_that_is_set_stays_and_the_user_is_told(chueok: Chueok) -> None:
    answer = chueok("calibrate", env={"CHUEOK_THRESHOLD": "0.6"})
    assert answer.err.splitlines()[0] == "`chueok find` goes on using 0.6, which is set as `threshold`"


@pytest.mark.usefixtures("crowd")
def test_forgetting_everything_forgets_the_calibration(chueok: Chueok) -> None:
    chueok("calibrate")
    assert chueok("forget", "--all").code == 0
    assert list(chueok.library.glob("catalog*")) == []
