"""The names photos get: their own, else a suffix; stable between runs, safe on every file system."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.flow.trees import Tree, collected, counts, grow, no_original, tree

from chueok.flow import collect
from chueok.flow.shelf import LONGEST_NAME, fold, suffixed
from chueok.records import CollectSummary, Conflict, Step, Transfer


def test_photos_keep_their_names_and_their_times(tmp_path: Path) -> None:
    album = grow(tmp_path / "album", {"2019/a.jpg": "A", "b.jpg": "B"})
    os.utime(album / "b.jpg", ns=(1_000_000_007, 2_000_000_009))
    (album / "b.jpg").chmod(0o640)
    lines, summary = collected([album / "2019/a.jpg", album / "b.jpg"], tmp_path / "new/out")
    assert lines == [("a.jpg", Step.TRANSFER, None), ("b.jpg", Step.TRANSFER, None)]
    assert summary == CollectSummary(Transfer.COPY, tmp_path / "new/out", 2, 0, 0, 0)
    copy = (tmp_path / "new/out/b.jpg").stat()
    times = (copy.st_atime_ns, copy.st_mtime_ns)
    assert (times, stat.S_IMODE(copy.st_mode)) == ((1_000_000_007, 2_000_000_009), 0o640)
    assert tree(tmp_path) == {
        "album/2019/a.jpg": "A",
        "album/b.jpg": "B",
        "new/out/a.jpg": "A",
        "new/out/b.jpg": "B",
    }


def test_a_second_run_changes_nothing_whatever_the_order(tmp_path: Path) -> None:
    album = grow(tmp_path / "album", {f"{n}/x.jpg": f"photo {n}" for n in range(4)})
    photos = [album / f"{n}/x.jpg" for n in range(4)]
    collected(photos, tmp_path / "out")
    before = tree(tmp_path)
    lines, summary = collected(photos[::-1], tmp_path / "out")
    names = ["x (4).jpg", "x (3).jpg", "x (2).jpg", "x.jpg"]
    assert lines == [(name, Step.ALREADY_THERE, None) for name in names]
    assert counts(summary) == (0, 4, 0, 0)
    assert tree(tmp_path) == before


def test_a_gap_in_the_suffixes_hides_no_twin(tmp_path: Path) -> None:
    album = grow(tmp_path / "album", {f"{n}/x.jpg": f"photo {n}" for n in range(3)})
    photos = [album / f"{n}/x.jpg" for n in range(3)]
    collected(photos, tmp_path / "out")
    (tmp_path / "out/x (2).jpg").unlink()
    lines, _ = collected([photos[2]], tmp_path / "out")
    assert lines == [("x (3).jpg", Step.ALREADY_THERE, None)]


def test_the_same_content_arrives_once(tmp_path: Path) -> None:
    album = grow(tmp_path / "album", {"1/x.jpg": "same", "2/x.jpg": "same", "3/y.jpg": "same"})
    photos = [album / "1/x.jpg", album / "2/x.jpg", album / "3/y.jpg", album / "1/x.jpg"]
    lines, summary = collected(photos, tmp_path / "out")
    assert lines == [
        ("x.jpg", Step.TRANSFER, None),
        ("x.jpg", Step.ALREADY_THERE, None),
        ("y.jpg", Step.TRANSFER, None),
    ]
    assert counts(summary) == (2, 1, 0, 0)


def test_names_that_a_mac_takes_for_one_are_kept_apart(tmp_path: Path) -> None:
    nfc, nfd = "가족.jpg", "가족.jpg"
    album = grow(tmp_path / "album", {"1/X.JPG": "1", "2/x.jpg": "2", f"3/{nfc}": "3", f"4/{nfd}": "4"})
    photos = [album / "1/X.JPG", album / "2/x.jpg", album / f"3/{nfc}", album / f"4/{nfd}"]
    lines, _ = collected(photos, tmp_path / "out")
    assert [name for name, _, _ in lines] == ["X.JPG", "x (2).jpg", nfc, suffixed(nfd, 2)]
    assert len({fold(path.name) for path in (tmp_path / "out").iterdir()}) == 4


def test_a_thousand_photos_of_one_name_find_their_places_twice(tmp_path: Path) -> None:
    album = grow(tmp_path / "album", {f"{n}/IMG_0001.JPG": f"{n:04}" for n in range(1000)})
    photos = [album / f"{n}/IMG_0001.JPG" for n in range(1000)]
    plan = collect.plan(photos, tmp_path / "out", Transfer.HARDLINK, Conflict.RENAME, no_original)
    assert len({action.target for action in plan.actions}) == 1000
    list(collect.carry_out(plan))
    again = collect.plan(photos, tmp_path / "out", Transfer.COPY, Conflict.RENAME, no_original)
    assert [(a.source, a.target) for a in again.actions] == [(a.source, a.target) for a in plan.actions]
    assert {a.step for a in again.actions} == {Step.ALREADY_THERE}


HOSTILE = [b"-rf.jpg", b"a\nb.jpg", b"\x1b[31m.jpg", b"\xff\xfe.jpg", b".jpg", b" .jpg", b"a" * 251 + b".jpg"]
HOSTILE += [
    "가".encode() * 83 + b".jpg",
    b"x (2).jpg",
    b"x." + b"y" * 250,
    b"\xed\xa0\x80.jpg",
    "İ.jpg".encode(),
]


@pytest.mark.parametrize("raw", HOSTILE, ids=repr)
def test_hostile_names_arrive_twice_and_are_found_again(tmp_path: Path, raw: bytes) -> None:
    photos = []
    for number in (1, 2):
        photos.append(tmp_path / f"album{number}" / os.fsdecode(raw))
        photos[-1].parent.mkdir()
        photos[-1].write_text(str(number))
    _, first = collected(photos, tmp_path / "out")
    _, second = collected(photos[::-1], tmp_path / "out")
    assert (counts(first), counts(second)) == ((2, 0, 0, 0), (0, 2, 0, 0))
    assert (tmp_path / "out" / os.fsdecode(raw)).read_text() == "1"


NAMES = st.binary(min_size=1, max_size=LONGEST_NAME).filter(
    lambda raw: not set(b"/\0") & set(raw) and raw not in (b".", b"..")
)


@given(NAMES, st.integers(2, 999_999))
@example("각".encode() * 85, 999_999)
@example(b"x" * 200 + b"." + b"y" * 54, 12)
def test_a_suffixed_name_fits_and_is_another_name(raw: bytes, number: int) -> None:
    name = os.fsdecode(raw)
    other = suffixed(name, number)
    assert 1 <= len(os.fsencode(other)) <= LONGEST_NAME
    assert fold(other) != fold(name)
    assert "/" not in other


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    there=st.dictionaries(st.sampled_from(["x.jpg", "X.jpg", "x (2).jpg", "y"]), st.sampled_from("AB")),
    photos=st.lists(st.tuples(st.sampled_from(["x.jpg", "X.JPG", "y"]), st.sampled_from("ABC")), max_size=6),
    conflict=st.sampled_from(Conflict),
)
@example({"x.jpg": "A", "X.jpg": "A"}, [("x.jpg", "A"), ("X.JPG", "B"), ("x.jpg", "B")], Conflict.SKIP)
def test_a_plan_loses_nothing_and_settles(
    tmp_path_factory: pytest.TempPathFactory,
    there: Tree,
    photos: list[tuple[str, str]],
    conflict: Conflict,
) -> None:
    root = tmp_path_factory.mktemp("p")
    out = grow(root / "out", there)
    out.mkdir(exist_ok=True)
    album = grow(root / "album", {f"{n}/{name}": content for n, (name, content) in enumerate(photos)})
    sources = sorted(path for path in album.rglob("*") if path.is_file())
    _, first = collected(sources, out, conflict=conflict)
    settled = tree(root)
    lines, second = collected(sources, out, conflict=conflict)
    assert tree(root) == settled
    assert first.failed == second.failed == second.done == 0
    # a photo skipped for its name may be found again under the suffixed name its twin got
    assert second.skipped <= first.skipped
    skipped = {source for source, (_, step, _) in zip(sources, lines, strict=True) if step is Step.SKIPPED}
    arrived = set(tree(out).values())
    assert {source.read_text() for source in set(sources) - skipped} <= arrived
    if conflict is not Conflict.OVERWRITE:
        assert set(there.values()) <= arrived
