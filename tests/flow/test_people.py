"""Enrolling, renaming and forgetting people; changing the model keeps them."""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.fakes import make_tree, photo

from chueok.errors import CatalogDamaged, NoLibrary, NoUsableFace, UsageError
from chueok.flow.find import Query, find, find_matches
from chueok.flow.forget import forget_everything, forget_path, forget_person
from chueok.flow.lookalike import lookalike
from chueok.flow.models import use_model
from chueok.flow.people import FaceChoice, enroll, find_person, rename
from chueok.flow.scan import scan
from chueok.flow.takeout import put_back, take_out
from chueok.library import Library
from chueok.records import CollectSummary, Conflict, PhotoIndexed, ScanSummary, Status, Transfer


@pytest.fixture
def refs(tmp_path: Path) -> Path:
    return make_tree(
        tmp_path / "refs", {"mom.png": ["mom"], "dad.png": ["dad"], "both.png": ["mom", "dad"], "no.png": []}
    )


def names(library: Library) -> list[tuple[str, int]]:
    return [(person.name, len(person.references)) for person in library.catalog.people.all()]


def test_a_person_gets_more_references_but_each_once(library: Library, refs: Path) -> None:
    first = enroll(library, "mom", [refs / "mom.png"])
    again = enroll(library, "mom", [refs / "mom.png", refs / "both.png"], FaceChoice(number=1))
    assert [record.already_known for record in first + again] == [False, True, False]
    assert names(library) == [("mom", 2)]


def test_enrolment_is_all_or_nothing(library: Library, refs: Path) -> None:
    with pytest.raises(NoUsableFace, match=r"no\.png"):
        enroll(library, "mom", [refs / "mom.png", refs / "no.png"])
    assert names(library) == []


def test_names_are_compared_composed(library: Library, refs: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "엄마")
    enroll(library, decomposed, [refs / "mom.png"])
    assert names(library) == [("엄마", 1)]
    assert find_person(library, decomposed).name == "엄마"


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "bell\a"])
def test_what_is_no_name_is_refused(library: Library, refs: Path, name: str) -> None:
    with pytest.raises(UsageError):
        enroll(library, name, [refs / "mom.png"])


def test_renaming_keeps_references_and_refuses_a_taken_name(library: Library, refs: Path) -> None:
    enroll(library, "mom", [refs / "mom.png"])
    enroll(library, "dad", [refs / "dad.png"])
    assert rename(library, "mom", "엄마").name == "엄마"
    with pytest.raises(UsageError, match="already somebody"):
        rename(library, "엄마", "dad")
    with pytest.raises(UsageError, match="nobody named 'mom'"):
        rename(library, "mom", "x")
    assert names(library) == [("dad", 1), ("엄마", 1)]


def traces(library: Library, vector: np.ndarray) -> list[str]:
    """The state files in which any 64 bytes of an embedding can be found."""
    data = vector.astype("<f4").tobytes()
    windows = [data[start : start + 64] for start in range(0, len(data) - 64, 16)]
    windows = [window for window in windows if window.strip(b"\0")]
    return [
        path.name
        for path in library.folder.iterdir()
        if any(window in path.read_bytes() for window in windows)
    ]


def test_a_forgotten_person_leaves_no_trace(library: Library, refs: Path, tmp_path: Path) -> None:
    list(scan(library, make_tree(tmp_path / "album", {"a.png": ["ex"]})))
    (enrolled,) = enroll(library, "mom", [refs / "mom.png"])
    (vector,) = library.catalog.faces.vectors(library.model_id, [enrolled.face.id])[1]
    list(scan(library))  # the index file now holds it too
    assert set(traces(library, vector)) >= {"faces-1.table"}
    forget_person(library, "mom")
    assert names(library) == []
    assert traces(library, vector) == []
    assert library.load_index()[1] == "ready"


def test_forgetting_a_folder_forgets_its_faces(library: Library, tmp_path: Path) -> None:
    album = make_tree(tmp_path / "album", {"a.png": ["ex"], "sub/b.png": ["dad"]})
    list(scan(library, album))
    forget_path(library, album / "sub")
    assert library.catalog.counts() == {"photos": 1, "pictures": 1, "faces": 1, "people": 0}
    forget_path(library, album)
    assert library.catalog.photos.albums() == []
    with pytest.raises(UsageError, match="nothing is known"):
        forget_path(library, album)


def test_forgetting_everything_leaves_an_empty_folder(
    open_fake: Callable[..., Library], tmp_path: Path
) -> None:
    with open_fake() as library:
        list(scan(library, make_tree(tmp_path / "album", {"a.png": ["ex"]})))
    (library.folder / "catalog.sqlite").write_bytes(b"damaged")
    forget_everything(library.folder)
    assert [path.name for path in library.folder.iterdir()] == ["lock"]
    with pytest.raises(NoLibrary):
        forget_everything(library.folder)
    with open_fake() as library:
        assert library.catalog.counts()["faces"] == 0


def test_another_model_keeps_people_even_without_their_reference_photos(
    open_fake: Callable[..., Library], refs: Path, tmp_path: Path
) -> None:
    album = make_tree(tmp_path / "album", {"a.png": ["mom", "dad"], "b.png": ["dad"], "gone.png": ["mom"]})
    with open_fake() as library:
        list(scan(library, album))
        enroll(library, "mom", [refs / "mom.png"])
        before = [match.photo.name for match in find_matches(library, "mom", limit=1)]
    (refs / "mom.png").unlink()
    (album / "gone.png").unlink()
    with open_fake(model="mobilefacenet", switch_model=True) as library:
        list(use_model(library))
    with open_fake() as library:
        assert library.card.name == "mobilefacenet"
        assert [match.photo.name for match in find_matches(library, "mom")] == before
        assert library.load_index()[1] == "ready"


def test_a_move_is_known_to_the_library_and_can_be_undone(
    library: Library, refs: Path, tmp_path: Path
) -> None:
    album = make_tree(tmp_path / "album", {"a.png": ["mom"], "b.png": ["dad"]})
    before = {path: path.read_bytes() for path in album.iterdir()}
    list(scan(library, album))
    enroll(library, "mom", [refs / "mom.png"])
    photos = [match.photo for match in find_matches(library, "mom")]
    *_, done = take_out(library, photos, tmp_path / "out", Transfer.MOVE, Conflict.RENAME)
    assert isinstance(done, CollectSummary) and done.done == 1 and done.manifest
    assert not (album / "a.png").exists()
    assert find_matches(library, "mom") == []
    list(put_back(library, done.manifest))
    assert {path: path.read_bytes() for path in album.iterdir()} == before
    assert [match.photo for match in find_matches(library, "mom")] == photos


def test_copies_inside_an_album_are_not_indexed(library: Library, refs: Path, tmp_path: Path) -> None:
    album = make_tree(tmp_path / "album", {"a.png": ["mom"], "b.png": ["dad"]})
    list(scan(library, album))
    enroll(library, "mom", [refs / "mom.png"])
    photos = [match.photo for match in find_matches(library, "mom")]
    list(take_out(library, photos, album / "of mom"))
    assert (album / "of mom" / "a.png").exists()
    list(scan(library))
    assert [match.photo for match in find_matches(library, "mom")] == photos


def test_a_person_forgotten_after_a_change_of_model_leaves_no_trace(
    open_fake: Callable[..., Library], refs: Path, tmp_path: Path
) -> None:
    with open_fake() as library:
        list(scan(library, make_tree(tmp_path / "album", {"a.png": ["ex"]})))
        (enrolled,) = enroll(library, "mom", [refs / "mom.png"])
        (vector,) = library.catalog.faces.vectors(library.model_id, [enrolled.face.id])[1]
        list(scan(library))
        (library.folder / "catalog.sqlite.v0.backup").write_bytes(vector.tobytes())
    with open_fake(model="mobilefacenet", switch_model=True) as library:
        list(use_model(library))
        forget_person(library, "mom")
        assert traces(library, vector) == []


def test_an_interrupted_forget_is_finished_by_the_next_writer(
    library: Library, refs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (enrolled,) = enroll(library, "mom", [refs / "mom.png"])
    (vector,) = library.catalog.faces.vectors(library.model_id, [enrolled.face.id])[1]
    list(scan(library, make_tree(tmp_path / "album", {"a.png": ["ex"]})))

    def killed() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(library.catalog, "wipe", killed)
        forget_person(library, "mom")
    assert traces(library, vector) != []
    list(scan(library))
    assert traces(library, vector) == []


def test_forgetting_a_path_forgets_references_and_galleries_too(
    library: Library, refs: Path, tmp_path: Path
) -> None:
    list(scan(library, make_tree(tmp_path / "album", {"a.png": ["ex"]})))
    enroll(library, "mom", [refs / "mom.png"])
    lookalike(library, refs / "dad.png", make_tree(tmp_path / "gallery", {"x.png": ["minjun"]}))
    said = forget_path(library, refs)
    assert "references of mom" in said and "in no album" in said
    assert library.catalog.counts()["pictures"] == 1
    forget_path(library, tmp_path / "album" / "a.png")
    assert library.catalog.counts()["pictures"] == 0


def test_nothing_in_an_album_is_overwritten_even_before_it_is_indexed(
    library: Library, refs: Path, tmp_path: Path
) -> None:
    album = make_tree(tmp_path / "album", {"1/x.png": ["mom"], "2/y.png": ["dad"]})
    list(scan(library, album))
    enroll(library, "mom", [refs / "mom.png"])
    make_tree(album, {"2/x.png": ["ex"]})
    before = (album / "2" / "x.png").read_bytes()
    photos = [match.photo for match in find_matches(library, "mom")]
    for conflict in (Conflict.OVERWRITE, Conflict.RENAME_EXISTING):
        list(take_out(library, photos, album / "2", Transfer.COPY, conflict))
        assert (album / "2" / "x.png").read_bytes() == before
    list(scan(library))
    assert library.catalog.photos.at(album / "2" / "x.png") is not None


def test_a_folder_of_copies_is_indexed_when_it_is_named(library: Library, refs: Path, tmp_path: Path) -> None:
    album = make_tree(tmp_path / "album", {"a.png": ["mom"]})
    list(scan(library, album))
    enroll(library, "mom", [refs / "mom.png"])
    list(take_out(library, [album / "a.png"], album / "of mom"))
    make_tree(album, {"of mom/new.png": ["mom"]})
    list(scan(library))
    assert len(find_matches(library, "mom")) == 1
    list(scan(library, album / "of mom"))
    assert len(find_matches(library, "mom")) == 3


def test_a_photo_replaced_since_it_was_indexed_is_neither_found_nor_moved(
    library: Library, refs: Path, tmp_path: Path
) -> None:
    album = make_tree(tmp_path / "album", {"a.png": ["mom"], "b.png": ["mom"]})
    list(scan(library, album))
    enroll(library, "mom", [refs / "mom.png"])
    (album / "a.png").write_bytes(photo(["dad"], "somebody else"))
    result = find(library, Query(persons=("mom",)))
    assert [match.photo.name for match in result.matches] == ["b.png"]
    assert ["changed since" in note.message for note in result.notes] == [True]


def test_somebody_enrolled_while_the_model_changes_is_kept(
    open_fake: Callable[..., Library], refs: Path, tmp_path: Path
) -> None:
    with open_fake() as library:
        list(scan(library, make_tree(tmp_path / "album", {"a.png": ["mom", "dad"]})))
    with open_fake() as other, open_fake(model="mobilefacenet", switch_model=True) as library:
        events = use_model(library)
        next(events)
        next(events)
        enroll(other, "dad", [refs / "dad.png"])
        list(events)
    with open_fake() as library:
        assert [match.photo.name for match in find_matches(library, "dad")] == ["a.png"]


@pytest.mark.parametrize("typed", [unicodedata.normalize("NFD", "엄마"), " 엄마", "엄마"])
def test_a_name_is_found_however_it_is_typed(
    library: Library, refs: Path, tmp_path: Path, typed: str
) -> None:
    list(scan(library, make_tree(tmp_path / "album", {"a.png": ["mom"], "b.png": ["mom", "dad"]})))
    enroll(library, "엄마", [refs / "mom.png"])
    enroll(library, "아빠", [refs / "dad.png"])
    for query in (
        Query(expression=typed),
        Query(persons=(typed,)),
        Query(persons=("아빠",), together_with=(typed,)),
    ):
        assert find(library, query).matches, query
    assert find(library, Query(persons=("아빠",), without=(typed,))).matches == []


def test_the_advice_for_a_damaged_catalog_works(open_fake: Callable[..., Library], tmp_path: Path) -> None:
    album = make_tree(tmp_path / "album", {"a.png": ["mom"]})
    with open_fake() as library:
        list(scan(library, album))
    (library.folder / "catalog.sqlite").write_bytes(b"")
    with pytest.raises(CatalogDamaged, match="is empty"):
        open_fake()
    (library.folder / "catalog.sqlite").unlink()
    with open_fake() as library:
        list(scan(library, album))
        assert library.catalog.counts()["faces"] == 1


def test_a_library_that_cannot_be_written_still_answers(
    open_fake: Callable[..., Library], refs: Path, tmp_path: Path
) -> None:
    with open_fake() as library:
        list(scan(library, make_tree(tmp_path / "album", {"a.png": ["mom"]})))
        enroll(library, "mom", [refs / "mom.png"])
    code = (
        "import sys; from tests.fakes import FAKES; from pathlib import Path\n"
        "from chueok.library import open_library; from chueok.settings import Settings\n"
        "from chueok.flow.find import find_matches; from chueok.flow.status import status\n"
        "folder = Path(sys.argv[1])\n"
        "settings = Settings(library=folder, models=folder, cache=folder, threshold=0.9)\n"
        "with open_library(settings=settings, source=FAKES) as library:\n"
        "    print(len(find_matches(library, 'mom')), status(library).photos)\n"
    )
    disk = tmp_path / "disk"
    disk.mkdir()
    mounts = (
        'mount -t tmpfs none "$1" && cp -a "$2"/. "$1" && mount -o remount,ro "$1" || exit 77\n'
        'exec "$3" -B -c "$4" "$1"'
    )
    inside = ["sh", "-c", mounts, "-", str(disk), str(library.folder), sys.executable, code]
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", *inside],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"no private mounts here: {done.stderr}")
    assert (done.stdout.split(), done.stderr) == (["1", "1"], "")


def test_a_reference_that_was_edited_keeps_its_person_through_a_change_of_model(
    open_fake: Callable[..., Library], tmp_path: Path
) -> None:
    names = ("mom", "dad", "ex", "minjun")
    album = make_tree(tmp_path / "album", {f"{name}.png": [name] for name in names})
    with open_fake() as library:
        list(scan(library, album))
        for name in names:
            enroll(library, name, [album / f"{name}.png"])
        (album / "copy of mom.png").write_bytes((album / "mom.png").read_bytes())
        for name in names[:3]:
            (album / f"{name}.png").write_bytes(photo([name], "edited"))  # the same face in another file
        list(scan(library))
    with open_fake(model="mobilefacenet", switch_model=True) as library:
        events = list(use_model(library))
        assert not [event for event in events if isinstance(event, PhotoIndexed) and event.error]
    with open_fake() as library:
        found = {name: {match.photo.name for match in find_matches(library, name)} for name in names}
    assert found == {"mom": {"mom.png", "copy of mom.png"}} | {name: {f"{name}.png"} for name in names[1:]}


def test_a_change_of_model_drops_what_was_kept_of_galleries(
    open_fake: Callable[..., Library], refs: Path, tmp_path: Path
) -> None:
    with open_fake() as library:
        list(scan(library, make_tree(tmp_path / "album", {"a.png": ["ex"]})))
        lookalike(library, refs / "dad.png", make_tree(tmp_path / "gallery", {"x.png": ["minjun"]}))
    with open_fake(model="mobilefacenet", switch_model=True) as library:
        *_, done = use_model(library)
        assert isinstance(done, ScanSummary) and done.counts[Status.FAILED] == 0
        assert library.catalog.counts()["pictures"] == 1


def test_pictures_can_be_read_while_a_scan_runs(library: Library, refs: Path, tmp_path: Path) -> None:
    album = make_tree(tmp_path / "album", {f"{number}.png": ["mom"] for number in range(6)})
    asked = iter([refs / "mom.png", refs / "dad.png", refs / "both.png"])
    for event in scan(library, album):
        if isinstance(event, PhotoIndexed) and (path := next(asked, None)):
            assert library.read(path).faces
    assert library.catalog.counts()["photos"] == 6


def test_references_are_forgotten_by_their_path_however_they_were_given(
    library: Library, refs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(refs)
    monkeypatch.chdir(tmp_path / "elsewhere")
    enroll(library, "mom", ["../refs/mom.png"])
    enroll(library, "dad", [tmp_path / "link" / "dad.png"])
    assert "references of dad, mom" in forget_path(library, refs)
    with pytest.raises(UsageError, match="nothing is known"):
        forget_path(library, tmp_path / "no such place")


def test_a_named_folder_of_copies_stays_indexed(library: Library, refs: Path, tmp_path: Path) -> None:
    album = make_tree(tmp_path / "album", {"a.png": ["mom"]})
    list(scan(library, album))
    enroll(library, "mom", [refs / "mom.png"])
    list(take_out(library, [album / "a.png"], album / "of mom"))
    list(scan(library, album / "of mom"))
    *_, summary = scan(library)
    assert isinstance(summary, ScanSummary) and summary.missing == 0
    assert len(find_matches(library, "mom")) == 2
