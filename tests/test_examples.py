"""The sample album is what its truth says, and the example scripts do what they promise on it."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image, ImageOps, UnidentifiedImageError

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def run(folder: Path, script: str, *arguments: Path | str) -> subprocess.CompletedProcess[str]:
    """Run an example as a user would, with a library of its own in `folder`."""
    return subprocess.run(
        [sys.executable, EXAMPLES / script, *arguments],
        cwd=folder,
        env=os.environ | {"CHUEOK_LIBRARY": str(folder / "library"), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the sample album and everything beside it."""
    pytest.importorskip("matplotlib", reason="the sample's portraits are in the matplotlib wheel")
    pytest.importorskip("skimage", reason="the sample's portraits are in the scikit-image wheel")
    folder = tmp_path_factory.mktemp("demo")
    made = run(folder, "make_sample_album.py", "album")
    assert (made.returncode, made.stdout) == (0, "album: 25 photos, 34 files written\n"), made.stderr
    return folder


def photos_of(sample: Path, person: str) -> set[str]:
    """The photos of one person, as truth.csv has them."""
    with (sample / "truth.csv").open(encoding="utf-8") as file:
        return {row["photo"] for row in csv.DictReader(file) if person in row["people"].split(";")}


def stamps(folder: Path) -> dict[Path, int]:
    """Every file and its modification time in nanoseconds."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_the_truth_names_every_photo_of_the_album(sample: Path) -> None:
    with (sample / "truth.csv").open(encoding="utf-8") as file:
        named = {row["photo"] for row in csv.DictReader(file)}
    files = {path.relative_to(sample / "album").as_posix() for path in stamps(sample / "album")}
    assert named == files - {"README.txt"}


def test_a_second_run_writes_nothing(sample: Path) -> None:
    before = {path: when for path, when in stamps(sample).items() if sample / "library" not in path.parents}
    again = run(sample, "make_sample_album.py", "album")
    assert again.stdout == "album: 25 photos, 0 files written\n"
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_strangers_file_is_never_replaced(sample: Path, tmp_path: Path) -> None:
    (tmp_path / "selfie.jpg").write_bytes(b"mine")
    refused = run(tmp_path, "make_sample_album.py", "album")
    assert refused.stderr == "selfie.jpg is there already and is not a sample's. Choose another folder.\n"
    assert (refused.returncode, list(stamps(tmp_path))) == (1, [tmp_path / "selfie.jpg"])


def test_the_album_has_every_orientation_format_and_kind_of_damage(sample: Path) -> None:
    pillow_heif.register_heif_opener()
    orientations, formats, unreadable = set(), set(), []
    for path in sorted(stamps(sample / "album")):
        try:
            with Image.open(path) as image:
                orientations.add(image.getexif().get(0x0112))
                formats.add(image.format)
                ImageOps.exif_transpose(image)
        except (UnidentifiedImageError, OSError):
            unreadable.append(path.name)
    assert orientations == set(range(1, 9))
    assert formats == {"JPEG", "PNG", "WEBP", "HEIF"}
    assert unreadable == ["README.txt", "cut off.jpg", "not a picture.jpg"]


@pytest.fixture(scope="module")
def learned(sample: Path) -> Path:
    """The sample with its album indexed, and nothing found yet that this test has not asked for."""
    found = run(sample, "find_person.py", "album", "references/grace.jpg")
    assert found.returncode == 0, found.stderr
    (sample / "found.txt").write_text(found.stdout, encoding="utf-8")
    (sample / "failed.txt").write_text(found.stderr, encoding="utf-8")
    return sample


@pytest.mark.weights
def test_find_person_prints_exactly_her_photos(learned: Path) -> None:
    lines = (learned / "found.txt").read_text(encoding="utf-8").splitlines()
    album = (learned / "album").resolve()
    found = {Path(line.split(maxsplit=1)[1]).resolve().relative_to(album).as_posix() for line in lines}
    assert found == photos_of(learned, "grace")
    failed = (learned / "failed.txt").read_text(encoding="utf-8")
    assert [line for line in failed.splitlines() if "not a picture.jpg" in line] != []


@pytest.mark.weights
def test_the_contact_sheet_has_a_tile_for_every_photo(learned: Path) -> None:
    made = run(learned, "contact_sheet.py", "references/eileen.jpg", "sheet.jpg")
    count = len(photos_of(learned, "eileen"))
    assert (made.stdout, made.stderr) == (f"sheet.jpg: {count} faces\n", "")
    with Image.open(learned / "sheet.jpg") as sheet:
        assert sheet.size == (8 * 160, -(-count // 8) * 160)


@pytest.mark.weights
def test_lookalikes_names_the_right_person_of_the_gallery(learned: Path) -> None:
    printed = run(learned, "lookalikes.py", "references", "gallery").stdout.splitlines()
    assert [line.rpartition(",")[0] for line in printed] == [
        "eileen.jpg: Eileen Collins",
        "grace.jpg: 그레이스 호퍼",
    ]


@pytest.mark.weights
def test_the_spreadsheet_has_a_row_for_every_person_and_photo(learned: Path) -> None:
    assert run(learned, "export_csv.py", "references", "people.csv").stdout == "people.csv written\n"
    with (learned / "people.csv").open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert {(row["person"], Path(row["photo"]).name) for row in rows} == {
        (person, Path(photo).name) for person in ("grace", "eileen") for photo in photos_of(learned, person)
    }
