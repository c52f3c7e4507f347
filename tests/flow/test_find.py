"""Finding people: OR, AND, NOT, ONLY, dates, sizes; siblings are told apart; answers say why."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import pytest
from tests.fakes import make_tree, photo

from chueok.errors import NoUsableFace, ReferenceUnreadable, UsageError
from chueok.flow.find import Query, find, find_matches
from chueok.flow.people import FaceChoice, enroll
from chueok.flow.scan import scan
from chueok.flow.why import why
from chueok.library import Library

FAMILY: dict[str, Sequence[str] | bytes] = {
    "1 mom.png": ["mom"],
    "2 mom dad.png": ["mom", "dad"],
    "3 dad.png": ["dad"],
    "4 mom minjun ex.png": ["mom", "minjun", "ex"],
    "5 older.png": ["mom-older"],
    "6 nobody.png": [],
}


@pytest.fixture
def family(library: Library, tmp_path: Path) -> Library:
    """A library of the family album in which mom, dad, minjun and ex are enrolled."""
    list(scan(library, make_tree(tmp_path / "album", FAMILY)))
    for name in ("mom", "dad", "minjun", "ex"):
        enroll(library, name, [make_tree(tmp_path / "refs", {f"{name}.png": [name]}) / f"{name}.png"])
    return library


def found(library: Library, **query: object) -> list[str]:
    """The numbers of the photos found, as they are ordered."""
    return [match.photo.name[0] for match in find(library, Query(**query)).matches]  # type: ignore[arg-type]


def test_the_most_similar_photos_come_first_then_by_path(family: Library) -> None:
    assert found(family, expression="mom") == ["1", "2", "4", "5"]


@pytest.mark.parametrize(
    ("expression", "photos"),
    [
        ("dad", "23"),
        ("mom & dad", "2"),
        ("dad | minjun", "234"),
        ("mom & !dad", "145"),
        ("mom & !(dad | ex)", "15"),
        ("(mom & dad) | ex", "24"),
    ],
)
def test_expressions_select_photos(family: Library, expression: str, photos: str) -> None:
    assert sorted(found(family, expression=expression)) == list(photos)


def test_options_are_another_way_to_say_the_same(family: Library) -> None:
    assert sorted(found(family, persons=("dad", "minjun"))) == ["2", "3", "4"]
    assert found(family, persons=("mom",), together_with=("dad",)) == ["2"]
    assert sorted(found(family, persons=("mom",), without=("dad", "ex"))) == ["1", "5"]


def test_only_means_nobody_else(family: Library) -> None:
    assert sorted(found(family, persons=("mom",), only=True)) == ["1", "5"]
    assert found(family, persons=("mom",), together_with=("dad",), only=True) == ["2"]


def test_count_is_about_faces_in_the_photo(family: Library) -> None:
    assert sorted(found(family, expression="mom", count=(2, 3))) == ["2", "4"]
    assert found(family, expression="mom", count=(3, None)) == ["4"]


def test_limit_album_and_face_size_narrow_the_answer(family: Library, tmp_path: Path) -> None:
    assert found(family, expression="mom", limit=2) == ["1", "2"]
    assert found(family, expression="mom", album=tmp_path / "album") == ["1", "2", "4", "5"]
    assert found(family, expression="mom", album=tmp_path / "refs") == []
    with pytest.raises(UsageError, match="no such folder"):
        found(family, expression="mom", album=tmp_path / "elsewhere")
    assert found(family, expression="mom", min_face=64) == ["1", "2", "4", "5"]
    assert found(family, expression="mom", min_face=65) == []


def test_a_photo_without_a_date_is_dated_by_its_file(family: Library, tmp_path: Path) -> None:
    album = tmp_path / "album"
    for path in album.iterdir():
        os.utime(path, (datetime(2010 + int(path.name[0]), 6, 1).timestamp(),) * 2)
    list(scan(family))
    assert found(family, expression="mom", after=datetime(2012, 6, 1)) == ["2", "4", "5"]
    assert found(family, expression="mom", before=datetime(2012, 6, 1)) == ["1"]


def test_a_reference_photo_need_not_be_enrolled_or_in_an_album(family: Library, tmp_path: Path) -> None:
    reference = tmp_path / "someone.png"
    reference.write_bytes(photo(["dad"], "another"))
    (first, *_) = find_matches(family, reference)
    assert first.photo.name == "2 mom dad.png"
    assert first.reference == reference
    assert family.catalog.counts()["photos"] == 6


def test_a_known_reference_is_not_read_again(
    family: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = find_matches(family, tmp_path / "refs" / "dad.png")
    monkeypatch.setattr(family, "run_pool", None)  # a reader may not even be opened
    assert find_matches(family, tmp_path / "refs" / "dad.png") == before


def test_the_answer_names_the_best_of_several_references(family: Library, tmp_path: Path) -> None:
    older = make_tree(tmp_path / "refs", {"older.png": ["mom-older"]}) / "older.png"
    enroll(family, "mom", [older])
    by_photo = {match.photo.name[0]: match.reference.name for match in find_matches(family, "mom")}
    assert by_photo == {"1": "mom.png", "2": "mom.png", "4": "mom.png", "5": "older.png"}


def test_a_face_belongs_to_the_enrolled_person_it_is_most_similar_to(family: Library, tmp_path: Path) -> None:
    make_tree(tmp_path / "album", {"7 aunt.png": ["aunt"]})
    list(scan(family))
    assert "7" in found(family, expression="mom")
    enroll(family, "aunt", [make_tree(tmp_path / "refs", {"aunt.png": ["aunt"]}) / "aunt.png"])
    assert "7" not in found(family, expression="mom")
    assert found(family, expression="aunt")[0] == "7"
    verdict = why(family, tmp_path / "album" / "7 aunt.png", "mom").verdicts[0]
    assert (verdict.matched, verdict.runner_up) == (False, "aunt")
    assert verdict.similarity > verdict.threshold
    assert verdict.margin is not None and verdict.margin < 0


def test_without_a_sister_keeps_photos_of_the_one_she_resembles(family: Library, tmp_path: Path) -> None:
    enroll(family, "aunt", [make_tree(tmp_path / "refs", {"aunt.png": ["aunt"]}) / "aunt.png"])
    assert "1" in found(family, persons=("mom",), without=("aunt",))


def test_copies_of_a_photo_are_all_found_and_vanished_ones_are_not(family: Library, tmp_path: Path) -> None:
    album = tmp_path / "album"
    shutil.copy(album / "3 dad.png", album / "8 copy of dad.png")
    (album / "2 mom dad.png").unlink()
    list(scan(family))
    assert sorted(found(family, expression="dad")) == ["3", "8"]


def test_what_is_asked_wrongly_is_explained(family: Library, tmp_path: Path) -> None:
    for query, says in (
        (Query(), "say who is wanted"),
        (Query(without=("mom",)), "say who is wanted"),
        (Query(expression="!mom"), "also who is wanted"),
        (Query(expression="granny"), "enrolled are dad, ex, minjun, mom"),
        (Query(persons=("mom",), without=("granny",)), "neither an enrolled name nor a photo"),
    ):
        with pytest.raises(UsageError, match=says):
            find(family, query)
    with pytest.raises(ReferenceUnreadable, match="does not exist"):
        find_matches(family, tmp_path / "nowhere.png")


def test_a_reference_without_a_face_or_with_several_is_refused(family: Library, tmp_path: Path) -> None:
    album = tmp_path / "album"
    with pytest.raises(NoUsableFace, match="no face was found"):
        find_matches(family, album / "6 nobody.png")
    with pytest.raises(NoUsableFace, match=r"2 faces, left to right .* --largest"):
        find_matches(family, album / "2 mom dad.png")
    assert find_matches(family, album / "2 mom dad.png", choice=FaceChoice(number=2))[0].similarity > 0.99
    with pytest.raises(NoUsableFace, match="no face 3"):
        find_matches(family, album / "2 mom dad.png", choice=FaceChoice(number=3))
    (tmp_path / "text.jpg").write_bytes(b"hello")
    with pytest.raises(ReferenceUnreadable, match=r"text\.jpg cannot be used"):
        find_matches(family, tmp_path / "text.jpg")


def test_a_damaged_or_missing_index_changes_no_answer(
    family: Library, open_fake: Callable[..., Library]
) -> None:
    before = find(family, Query(expression="mom")).matches
    content = family.index_path.read_bytes()
    for damaged in (b"", content[: len(content) // 2], content[:-1] + bytes([content[-1] ^ 1]), b"\0" * 200):
        family.index_path.write_bytes(damaged)
        with open_fake() as library:
            result = find(library, Query(expression="mom"))
            assert result.matches == before
            assert ["index" in note.message for note in result.notes] == [True]
    family.index_path.unlink()
    with open_fake() as library:
        assert find(library, Query(expression="mom")).matches == before
        list(scan(library))
        assert library.load_index()[1] == "ready"


def test_a_library_of_before_there_were_tables_answers_and_is_brought_up(
    family: Library, open_fake: Callable[..., Library]
) -> None:
    before = find(family, Query(expression="mom")).matches
    stamp = {"sha256": "ab", "bytes": 700, "count": 5, "dimension": 128, "layout": "hnswlib-0.8/ip"}
    family.catalog.set_index_stamp(family.model_id, stamp)
    family.index_path.unlink()
    for name in ("faces-1.hnsw", "faces-1.hnsw.0123.partial", "faces-1.codes"):
        (family.folder / name).write_bytes(b"vectors")
    with open_fake() as library:
        result = find(library, Query(expression="mom"))
        assert (result.matches, result.notes) == (before, [])
        list(scan(library))
        assert library.load_index()[1] == "ready"
        assert not [*library.folder.glob("*hnsw*"), *library.folder.glob("*codes*")]


def test_faces_of_another_number_or_kind_make_the_table_stale(family: Library) -> None:
    family.refresh_index()
    assert family.load_index()[1] == "ready"
    rows = family.catalog.faces.ids(family.model_id)
    family.catalog._db.change("delete from vectors where face_id = ?", int(rows[0]))
    assert family.load_index() == (None, "stale")
    family.refresh_index()
    assert family.load_index()[1] == "ready"


def test_why_tells_every_face_of_a_photo(family: Library, tmp_path: Path) -> None:
    told = why(family, tmp_path / "album" / "2 mom dad.png", "dad")
    assert [verdict.matched for verdict in told.verdicts] == [True, False]
    assert told.verdicts[0].runner_up in {"mom", "minjun", "ex"}
    assert told.verdicts[0].reference.name == "dad.png"
    with pytest.raises(NoUsableFace, match="matches nobody"):
        why(family, tmp_path / "album" / "6 nobody.png", "dad")


def test_a_photo_dated_beyond_what_the_catalog_can_count_is_found(family: Library, tmp_path: Path) -> None:
    os.utime(tmp_path / "album" / "3 dad.png", ns=(2**63 + 5, 2**63 + 5))  # the year 2262
    list(scan(family))
    assert sorted(found(family, expression="dad")) == ["2", "3"]
