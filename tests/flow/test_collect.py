"""Photos taken out of an album: nothing overwritten, nothing half-done, each failure named."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.flow.trees import collected, grow, no_original, other_disk, tree

from chueok.errors import OperationFailed, UsageError
from chueok.flow import collect
from chueok.flow.transfer import rename_new
from chueok.flow.workroom import Workroom, sweep
from chueok.records import Action, Collected, CollectSummary, Conflict, Plan, Step, Transfer

NOBODY = 65534  # the conventional uid of nobody

# ---- conflicts ---------------------------------------------------------------------------------

CONFLICTS = {
    Conflict.RENAME: ({"x.jpg": "old", "x (2).jpg": "new"}, ("x (2).jpg", Step.TRANSFER)),
    Conflict.SKIP: ({"x.jpg": "old"}, ("x.jpg", Step.SKIPPED)),
    Conflict.OVERWRITE: ({"x.jpg": "new"}, ("x.jpg", Step.REPLACE)),
    Conflict.RENAME_EXISTING: ({"x.jpg": "new", "x (2).jpg": "old"}, ("x.jpg", Step.TRANSFER)),
}


@pytest.mark.parametrize("conflict", Conflict)
@pytest.mark.parametrize("transfer", [Transfer.COPY, Transfer.HARDLINK])
def test_each_conflict_mode_does_what_it_says(tmp_path: Path, conflict: Conflict, transfer: Transfer) -> None:
    album, out = grow(tmp_path / "album", {"x.jpg": "new"}), grow(tmp_path / "out", {"x.jpg": "old"})
    after, line = CONFLICTS[conflict]
    lines, _ = collected([album / "x.jpg"], out, transfer, conflict)
    assert lines == [(*line, None)]
    assert tree(out) == after
    lines, _ = collected([album / "x.jpg"], out, transfer, conflict)
    assert tree(out) == after, "the second run agrees with the first"


@pytest.mark.parametrize("conflict", [Conflict.OVERWRITE, Conflict.RENAME_EXISTING])
def test_an_original_is_neither_replaced_nor_displaced(tmp_path: Path, conflict: Conflict) -> None:
    album = grow(tmp_path / "album", {"x.jpg": "original", "sub/x.jpg": "other"})
    (tmp_path / "door").symlink_to(album)
    plan = collect.plan(
        [album / "sub/x.jpg"], tmp_path / "door", Transfer.COPY, conflict, {album / "x.jpg"}.__contains__
    )
    note = "the file that has this name is a photo of an album and stays"
    action = Action(album / "sub/x.jpg", tmp_path / "door/x (2).jpg", Step.TRANSFER, None, note)
    assert plan == Plan(Transfer.COPY, tmp_path / "door", (action,))


@pytest.mark.parametrize("conflict", [Conflict.OVERWRITE, Conflict.RENAME_EXISTING])
def test_photos_of_one_collection_never_push_each_other_out(tmp_path: Path, conflict: Conflict) -> None:
    album = grow(tmp_path / "album", {"1/x.jpg": "new", "2/x.jpg": "old"})
    out = grow(tmp_path / "out", {"x.jpg": "old"})
    lines, _ = collected([album / "1/x.jpg", album / "2/x.jpg"], out, conflict=conflict)
    assert lines == [("x (2).jpg", Step.TRANSFER, None), ("x.jpg", Step.ALREADY_THERE, None)]
    assert tree(out) == {"x.jpg": "old", "x (2).jpg": "new"}


@pytest.mark.parametrize("conflict", [Conflict.OVERWRITE, Conflict.RENAME_EXISTING])
def test_a_folder_that_has_the_name_stays(tmp_path: Path, conflict: Conflict) -> None:
    album, out = grow(tmp_path / "album", {"x.jpg": "new"}), grow(tmp_path / "out", {"x.jpg/inner": "old"})
    lines, _ = collected([album / "x.jpg"], out, conflict=conflict)
    assert lines == [("x (2).jpg", Step.TRANSFER, None)]
    assert tree(out) == {"x.jpg/inner": "old", "x (2).jpg": "new"}


def test_a_move_does_not_overwrite(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a move cannot overwrite"):
        collect.plan([], tmp_path, Transfer.MOVE, Conflict.OVERWRITE, no_original)


# ---- destinations ------------------------------------------------------------------------------


@pytest.mark.parametrize("transfer", Transfer)
def test_the_album_itself_as_destination_leaves_its_photos_alone(tmp_path: Path, transfer: Transfer) -> None:
    album = grow(tmp_path / "album", {"x.jpg": "same", "x (2).jpg": "same", "sub/y.jpg": "Y"})
    (tmp_path / "door").symlink_to(album)
    before = tree(tmp_path)
    photos = [album / "x.jpg", album / "x (2).jpg"]
    for destination in (album, tmp_path / "door", album / "sub/.."):
        lines, summary = collected(photos, destination, transfer)
        assert lines == [("x.jpg", Step.ALREADY_THERE, None), ("x (2).jpg", Step.ALREADY_THERE, None)]
        assert (summary.done, summary.manifest, tree(tmp_path)) == (0, None, before)


def test_a_destination_that_is_no_folder_is_a_usage_error(tmp_path: Path) -> None:
    grow(tmp_path, {"file": "x"})
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    wrong = {
        "file": f"{tmp_path}/file is a file, not a folder; choose another destination",
        "file/below": f"{tmp_path}/file is a file, not a folder; choose another destination",
        "dangling": f"{tmp_path}/dangling is a link that leads nowhere, not a folder; choose another destination",
    }
    for name, message in wrong.items():
        with pytest.raises(UsageError) as caught:
            collect.plan([], tmp_path / name, Transfer.COPY, Conflict.RENAME, no_original)
        assert str(caught.value) == message


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """Root may write everywhere; this test is nobody."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("transfer", Transfer)
def test_an_unwritable_destination_stops_before_anything_is_done(
    tmp_path: Path, transfer: Transfer, request: pytest.FixtureRequest
) -> None:
    album, out = grow(tmp_path / "album", {"x.jpg": "X"}), grow(tmp_path / "out", {})
    out.mkdir()
    out.chmod(0o555)
    for folder in (tmp_path, *list(tmp_path.parents)[:3]):
        folder.chmod(folder.stat().st_mode | 0o055)
    request.getfixturevalue("unprivileged")
    plan = collect.plan([album / "x.jpg"], out, transfer, Conflict.RENAME, no_original)
    with pytest.raises(OperationFailed, match=r"cannot be written \(Permission denied\); nothing was done"):
        list(collect.carry_out(plan))
    assert tree(tmp_path) == {"album/x.jpg": "X"}


def test_nothing_to_do_makes_no_folder(tmp_path: Path) -> None:
    assert collected([], tmp_path / "out")[1] == CollectSummary(Transfer.COPY, tmp_path / "out", 0, 0, 0, 0)
    assert not (tmp_path / "out").exists()


# ---- one photo at a time -----------------------------------------------------------------------


def test_a_vanished_photo_and_a_link_are_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    album = grow(tmp_path / "album", {"a.jpg": "A", "b.jpg": "B", "c.jpg": "C"})
    (album / "link.jpg").symlink_to(album / "a.jpg")
    photos = [album / name for name in ("a.jpg", "b.jpg", "c.jpg", "gone.jpg", "link.jpg")]
    plan = collect.plan(photos, tmp_path / "out", Transfer.COPY, Conflict.RENAME, no_original)
    (album / "b.jpg").unlink()
    grow(tmp_path / "out", {"c.jpg": "somebody was faster"})
    *events, summary = collect.carry_out(plan)
    assert [e.error for e in events if isinstance(e, Collected)] == [
        None,
        "it is no longer there",
        "another file has taken its name meanwhile; run the same command again",
        "it is no longer there",
        "it is not a regular file any more",
    ]
    assert summary == CollectSummary(Transfer.COPY, tmp_path / "out", 1, 0, 0, 4)
    assert tree(tmp_path / "out") == {"a.jpg": "A", "c.jpg": "somebody was faster"}


def test_a_rehearsal_says_what_would_be_and_touches_nothing(tmp_path: Path) -> None:
    album = grow(tmp_path / "album", {"a.jpg": "A"})
    photos = [album / "a.jpg", album / "gone.jpg"]
    plan = collect.plan(photos, tmp_path / "out", Transfer.MOVE, Conflict.RENAME, no_original)
    assert list(collect.rehearse(plan)) == [
        Collected(plan.actions[0]),
        Collected(plan.actions[1], "it is no longer there"),
        CollectSummary(Transfer.MOVE, tmp_path / "out", 1, 0, 0, 1, dry_run=True),
    ]
    assert tree(tmp_path) == {"album/a.jpg": "A"}


def test_symbolic_links_are_absolute_and_refreshed_only_when_asked(tmp_path: Path) -> None:
    album, out = grow(tmp_path / "album", {"x.jpg": "X"}), tmp_path / "out"
    collected([album / "x.jpg"], out, Transfer.SYMLINK)
    assert tree(out) == {"x.jpg": f"-> {album}/x.jpg"}
    lines, _ = collected([album / "x.jpg"], out, Transfer.SYMLINK)
    assert lines == [("x.jpg", Step.ALREADY_THERE, None)]
    moved = album.rename(tmp_path / "moved")
    collected([moved / "x.jpg"], out, Transfer.SYMLINK, Conflict.OVERWRITE)
    assert tree(out) == {"x.jpg": f"-> {moved}/x.jpg"}


def test_a_link_is_not_taken_for_a_copy(tmp_path: Path) -> None:
    album, out = grow(tmp_path / "album", {"x.jpg": "X"}), tmp_path / "out"
    collected([album / "x.jpg"], out, Transfer.SYMLINK)
    lines, _ = collected([album / "x.jpg"], out, Transfer.MOVE)
    assert lines == [("x (2).jpg", Step.TRANSFER, None)]
    assert (out / "x (2).jpg").read_text() == "X"


def test_a_hard_link_to_another_disk_proposes_a_copy(tmp_path: Path) -> None:
    with other_disk(tmp_path) as disk:
        album = grow(disk / "album", {"x.jpg": "X"})
        lines, _ = collected([album / "x.jpg"], tmp_path / "out", Transfer.HARDLINK)
    reason = "it is on another disk than the destination, and hard links cannot cross disks; use --copy"
    assert lines == [("x.jpg", Step.TRANSFER, reason)]
    assert list((tmp_path / "out").iterdir()) == []


def test_an_interrupt_leaves_no_half_photo(tmp_path: Path) -> None:
    album = grow(tmp_path / "album", {"a.jpg": "A", "b.jpg": "B"})
    photos = [album / "a.jpg", album / "b.jpg"]
    events = collect.carry_out(
        collect.plan(photos, tmp_path / "out", Transfer.COPY, Conflict.RENAME, no_original)
    )
    next(events)
    events.close()  # type: ignore[attr-defined]  # carry_out is a generator; its contract is only an iterator
    assert tree(tmp_path / "out") == {"a.jpg": "A"}
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out/a.jpg"]


# ---- the room and the name ---------------------------------------------------------------------


def test_only_dead_rooms_are_swept(tmp_path: Path) -> None:
    grow(tmp_path, {".chueok-dead.part/half": "…", ".chueok-x.part.jpg": "a photo"})
    with Workroom(tmp_path) as room, room.slot() as staged:
        staged.write_text("alive")
        sweep(tmp_path)
        assert staged.read_text() == "alive"
        assert stat.S_IMODE(staged.parent.stat().st_mode) == 0o700
        assert not (tmp_path / ".chueok-dead.part").exists()
    assert tree(tmp_path) == {".chueok-x.part.jpg": "a photo"}


def test_a_new_name_never_replaces(tmp_path: Path) -> None:
    grow(tmp_path, {"a": "A", "b": "B"})
    with pytest.raises(FileExistsError):
        rename_new(tmp_path / "a", tmp_path / "b")
    rename_new(tmp_path / "a", tmp_path / "c")
    assert tree(tmp_path) == {"b": "B", "c": "A"}
