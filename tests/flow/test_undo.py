"""A move and its undo: the manifest, what is put back, and what is left alone."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest
from tests.flow.trees import MANIFEST, Line, collected, grow, lines_of, other_disk, tree

from chueok.errors import UsageError
from chueok.flow.undo import undo
from chueok.records import CollectSummary, Conflict, Step, Transfer

A_SHA256 = "559aead08264d5795d3909718cdd05abd49572e84fe55590eef31a88a08fdffd"  # printf A | sha256sum


def identities(root: Path) -> dict[str, tuple[int, int, int]]:
    """Mode, time and inode of every file: what a move on one disk, undone, must not change."""
    found = {}
    for path in root.rglob("*"):
        if path.is_file():
            known = path.stat()
            found[str(path.relative_to(root))] = (known.st_mode, known.st_mtime_ns, known.st_ino)
    return found


def move(photos: list[Path], destination: Path, conflict: Conflict = Conflict.RENAME) -> CollectSummary:
    """Move photos; every one of them must succeed."""
    lines, summary = collected(photos, destination, Transfer.MOVE, conflict)
    assert [error for _, _, error in lines] == [None] * len(lines)
    return summary


def undone(manifest: Path) -> tuple[list[Line], CollectSummary]:
    return lines_of(undo(manifest))


@pytest.fixture
def album(tmp_path: Path) -> Path:
    return grow(tmp_path / "album", {"1/a.jpg": "A", "2/a.jpg": "other", "b.jpg": "B"})


@pytest.fixture
def photos(album: Path) -> list[Path]:
    return [album / "1/a.jpg", album / "2/a.jpg", album / "b.jpg"]


def test_a_move_empties_the_album_and_undo_brings_the_very_files_back(
    tmp_path: Path, album: Path, photos: list[Path]
) -> None:
    before, files = tree(tmp_path), identities(tmp_path)
    summary = move(photos, tmp_path / "out")
    manifest = tmp_path / "out" / MANIFEST
    assert summary == CollectSummary(Transfer.MOVE, tmp_path / "out", 3, 0, 0, 0, manifest)
    moved = tree(tmp_path)
    moved.pop(f"out/{MANIFEST}")
    assert moved == {"out/a.jpg": "A", "out/a (2).jpg": "other", "out/b.jpg": "B"}
    (album / "1").rmdir()
    lines, summary = undone(manifest)
    assert lines == [(name, Step.TRANSFER, None) for name in ("b.jpg", "a.jpg", "a.jpg")]
    assert summary == CollectSummary(Transfer.MOVE, tmp_path / "out", 3, 0, 0, 0, put_back=True)
    assert (tree(tmp_path), identities(tmp_path)) == (before, files)


def test_the_manifest_says_what_went_where(tmp_path: Path, album: Path) -> None:
    odd = album / os.fsdecode(b"\xff\n.jpg")
    (album / "1/a.jpg").rename(odd)
    os.utime(odd, ns=(5, 7))
    summary = move([odd], tmp_path / "out")
    assert summary.manifest is not None
    lines = [json.loads(line) for line in summary.manifest.read_text().splitlines()]
    assert lines == [
        {"schema": 1, "type": "move", "started": "2026-05-02T12:00:00"},
        {
            "schema": 1,
            "type": "moved",
            "source": f"{album}/\\xff\n.jpg",
            "source_bytes": base64.b64encode(os.fsencode(odd)).decode(),
            "target": "\\xff\n.jpg",
            "target_bytes": "/wouanBn",
            "sha256": A_SHA256,
            "size": 1,
            "mtime_ns": 7,
        },
    ]
    undone(summary.manifest)
    assert odd.read_text() == "A"


def test_between_disks_a_photo_keeps_its_times_there_and_back(album: Path, photos: list[Path]) -> None:
    os.utime(photos[0], ns=(1_000_000_000, 2_000_000_009))
    before = tree(album)
    with other_disk(album) as disk:
        summary = move(photos, disk / "out")
        assert tree(album) == {}
        assert (disk / "out/a.jpg").stat().st_mtime_ns == 2_000_000_009
        assert summary.manifest is not None
        assert undone(summary.manifest)[1].done == 3
        assert list((disk / "out").iterdir()) == []
    assert tree(album) == before
    assert photos[0].stat().st_mtime_ns == 2_000_000_009


def test_a_double_is_removed_and_undo_makes_it_again(tmp_path: Path) -> None:
    album = grow(tmp_path / "album", {"1/a.jpg": "A", "2/a.jpg": "A", "3/b.jpg": "B"})
    out = grow(tmp_path / "out", {"b.jpg": "B"})
    os.utime(album / "2/a.jpg", ns=(5, 7))
    before = tree(tmp_path)
    summary = move([album / "1/a.jpg", album / "2/a.jpg", album / "3/b.jpg"], out)
    assert (summary.done, summary.already_there) == (1, 2)
    assert summary.manifest is not None
    assert tree(album) == {}
    undone(summary.manifest)
    assert tree(tmp_path) == before
    assert (album / "2/a.jpg").stat().st_mtime_ns == 7


def test_the_same_file_under_two_names_is_never_removed_for_being_its_own_double(tmp_path: Path) -> None:
    album = grow(tmp_path / "album", {"a.jpg": "A", "sub/a.jpg": "A"})
    move([album / "a.jpg", album / "sub/a.jpg"], album)
    assert tree(album).pop("a.jpg") == "A"
    undone(album / MANIFEST)
    assert tree(album) == {"a.jpg": "A", "sub/a.jpg": "A"}


def test_what_made_way_comes_back_too(tmp_path: Path, album: Path) -> None:
    out = grow(tmp_path / "out", {"b.jpg": "was here"})
    before = tree(tmp_path)
    move([album / "b.jpg"], out, Conflict.RENAME_EXISTING)
    assert {name: text for name, text in tree(out).items() if name != MANIFEST} == {
        "b.jpg": "B",
        "b (2).jpg": "was here",
    }
    renamed = out.rename(tmp_path / "elsewhere")
    lines, _ = undone(renamed / MANIFEST)
    assert lines == [("b.jpg", Step.TRANSFER, None), ("b.jpg", Step.TRANSFER, None)]
    renamed.rename(out)
    assert tree(tmp_path) == before


def test_undo_overwrites_nothing_and_can_be_repeated(tmp_path: Path, album: Path, photos: list[Path]) -> None:
    manifest = move(photos, tmp_path / "out").manifest
    assert manifest is not None
    grow(tmp_path, {"album/1/a.jpg": "a new one", "out/a (2).jpg": "edited"})
    lines, summary = undone(manifest)
    assert lines == [
        ("b.jpg", Step.TRANSFER, None),
        ("a.jpg", Step.TRANSFER, "it was changed after it was moved, so it stays; move it back by hand"),
        (
            "a.jpg",
            Step.TRANSFER,
            "a different file stands where it was, so it stays; move that away and undo again",
        ),
    ]
    assert summary == CollectSummary(Transfer.MOVE, tmp_path / "out", 1, 0, 0, 2, manifest, put_back=True)
    (album / "1/a.jpg").unlink()
    (tmp_path / "out/a (2).jpg").unlink()
    lines, _ = undone(manifest)
    assert lines == [
        ("b.jpg", Step.ALREADY_THERE, None),
        ("a.jpg", Step.TRANSFER, "it is no longer where it was moved to"),
        ("a.jpg", Step.TRANSFER, None),
    ]
    grow(album, {"2/a.jpg": "other"})
    lines, summary = undone(manifest)
    assert [step for _, step, _ in lines] == [Step.ALREADY_THERE] * 3
    assert (summary.manifest, manifest.exists()) == (None, False)


def test_a_copy_brought_back_by_hand_makes_the_moved_one_superfluous(
    tmp_path: Path, album: Path, photos: list[Path]
) -> None:
    manifest = move(photos[2:], tmp_path / "out").manifest
    assert manifest is not None
    grow(album, {"b.jpg": "B"})
    assert undone(manifest)[0] == [("b.jpg", Step.ALREADY_THERE, None)]
    assert tree(tmp_path) == {"album/1/a.jpg": "A", "album/2/a.jpg": "other", "album/b.jpg": "B"}


def test_a_line_cut_short_by_a_kill_is_no_obstacle(tmp_path: Path, photos: list[Path]) -> None:
    before = tree(tmp_path)
    manifest = move(photos, tmp_path / "out").manifest
    assert manifest is not None
    with manifest.open("a") as file:
        file.write('{"schema":1,"type":"moved","source":"/so')
    undone(manifest)
    assert tree(tmp_path) == before


HEADER = '{"schema": 1, "type": "move", "started": "x"}\n'
GOOD = {"schema": 1, "type": "moved", "source": "/a", "target": "a", "sha256": "", "size": 1, "mtime_ns": 1}
FOREIGN = {
    "": "is not the manifest of a move",
    "hello\nworld\n": "is not the manifest of a move",
    "[1]\n": "is not the manifest of a move",
    '{"schema": 1, "type": "match"}\n': "is not the manifest of a move",
    '{"schema": 2, "type": "move"}\n': "was written by a newer chueok",
    HEADER + "{\n": "line 2 of .* is damaged",
    HEADER + json.dumps(GOOD | {"target": "../a"}) + "\n": "line 2 of .* is damaged",
    HEADER + json.dumps(GOOD | {"source": "b/../a"}) + "\n": "line 2 of .* is damaged",
    HEADER + json.dumps(GOOD | {"type": "eaten"}) + "\n": "line 2 of .* is damaged",
    HEADER + json.dumps(GOOD | {"source": None}) + "\n": "line 2 of .* is damaged",
    HEADER + json.dumps(GOOD | {"source_bytes": "?"}) + "\n": "line 2 of .* is damaged",
}


@pytest.mark.parametrize(("text", "message"), FOREIGN.items(), ids=range(len(FOREIGN)))
def test_a_foreign_file_is_a_usage_error(tmp_path: Path, text: str, message: str) -> None:
    grow(tmp_path, {"m.jsonl": text})
    with pytest.raises(UsageError, match=message):
        list(undo(tmp_path / "m.jsonl"))


def test_a_folder_or_nothing_is_a_usage_error(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(UsageError, match=r"is not a file; undo takes the chueok-move-….jsonl"):
            list(undo(path))


def test_two_moves_in_one_second_have_two_manifests(tmp_path: Path, photos: list[Path]) -> None:
    before = tree(tmp_path)
    first, second = move(photos[:1], tmp_path / "out").manifest, move(photos[1:], tmp_path / "out").manifest
    assert first is not None
    assert second is not None
    assert (first.name, second.name) == (MANIFEST, MANIFEST.replace(".jsonl", "_2.jsonl"))
    undone(first)
    undone(second)
    assert tree(tmp_path) == before
