"""Data sets: a folder per person, LFW's layout packed and unpacked, and what is neither."""

from __future__ import annotations

import io
import tarfile
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import pytest

from chueok.errors import UsageError
from chueok.lab.comparisons import Pair
from chueok.lab.datasets import Dataset, LabelledPicture, open_dataset

LFW = ("Kim_Gu/Kim_Gu_0001.jpg", "Kim_Gu/Kim_Gu_0002.jpg", "Abe_Yi/Abe_Yi_0001.jpg", "Abe_Yi/Abe_Yi_0010.jpg")
PAIRS = "2\t1\nKim_Gu\t1\t2\nKim_Gu\t1\tAbe_Yi\t10\nAbe_Yi\t1\t10\nAbe_Yi\t1\tKim_Gu\t2\n"


def folder_of(root: Path, names: Iterable[str]) -> Path:
    """Files under a root, each holding its own name."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name, encoding="utf-8")
    return root


def lfw(root: Path, pairs: str = PAIRS, names: Iterable[str] = LFW) -> Path:
    folder_of(root, names)
    (root / "pairs.txt").write_text(pairs, encoding="utf-8")
    return root


def test_a_folder_is_a_person(tmp_path: Path) -> None:
    root = folder_of(
        tmp_path, ["엄마/b.jpg", "엄마/old/a.PNG", "dad/1.webp", "dad/notes.txt", "dad/.x.jpg", "README"]
    )
    assert open_dataset(root) == Dataset(
        root,
        (
            LabelledPicture("dad/1.webp", "dad", root / "dad/1.webp"),
            LabelledPicture("엄마/b.jpg", "엄마", root / "엄마/b.jpg"),
            LabelledPicture("엄마/old/a.PNG", "엄마", root / "엄마/old/a.PNG"),
        ),
    )


def test_pictures_in_nobodys_folder_are_left_out_and_named(tmp_path: Path) -> None:
    root = folder_of(tmp_path, ["mom/1.jpg", "mom/2.jpg", "dad/1.jpg", "who.jpg", ".hidden/1.jpg"])
    dataset = open_dataset(root)
    assert (dataset.people, len(dataset.pictures), dataset.loose) == (2, 3, ("who.jpg",))


def test_hidden_folders_and_folders_named_as_pictures_are_no_pictures(tmp_path: Path) -> None:
    files = ["mom/1.jpg", "mom/.thumbs/1.jpg", "mom/old/.thumbs/2.jpg", "dad/x.jpg/1.png", "dad/2.jpg"]
    root = folder_of(tmp_path / ".set", files)  # what lies above a data set hides nothing
    dataset = open_dataset(root)
    assert [picture.name for picture in dataset.pictures] == ["dad/2.jpg", "dad/x.jpg/1.png", "mom/1.jpg"]


def test_hidden_files_and_folders_are_no_pictures_of_lfw(tmp_path: Path) -> None:
    root = lfw(tmp_path, names=(*LFW, ".trash/Kim_Gu_0001.jpg", "x.jpg/notes.txt"))
    assert [picture.name for picture in open_dataset(root).pictures] == sorted(LFW)


def test_a_name_is_one_person_however_it_is_written(tmp_path: Path) -> None:
    root = folder_of(tmp_path, ["\u1112\u1161\u11ab/1.jpg", "dad/1.jpg", "dad/2.jpg"])
    assert {picture.person for picture in open_dataset(root).pictures} == {"\ud55c", "dad"}


def test_links_to_pictures_are_followed(tmp_path: Path) -> None:
    originals = folder_of(tmp_path / "originals", ["a.jpg"])
    root = folder_of(tmp_path / "set", ["mom/1.jpg", "dad/1.jpg"])
    (root / "mom/2.jpg").symlink_to(originals / "a.jpg")
    pictures = {picture.name: picture.read() for picture in open_dataset(root).pictures}
    assert pictures == {"mom/1.jpg": b"mom/1.jpg", "mom/2.jpg": b"a.jpg", "dad/1.jpg": b"dad/1.jpg"}


@pytest.mark.parametrize(("on_disk", "in_pairs"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_names_in_pairs_are_found_however_they_are_written(
    tmp_path: Path, on_disk: str, in_pairs: str
) -> None:
    pairs, names = PAIRS.replace("Kim_Gu", "김구"), [name.replace("Kim_Gu", "김구") for name in LFW]
    names = [unicodedata.normalize(on_disk, name) for name in names]  # type: ignore[arg-type]
    root = lfw(tmp_path, unicodedata.normalize(in_pairs, pairs), names)  # type: ignore[arg-type]
    assert open_dataset(root).folds == FOLDS


def test_names_in_pairs_may_have_blanks(tmp_path: Path) -> None:
    pairs, names = PAIRS.replace("Kim_Gu", "Kim Gu"), [name.replace("Kim_Gu", "Kim Gu") for name in LFW]
    assert open_dataset(lfw(tmp_path, pairs, names)).folds == FOLDS


def test_pairs_without_tabs_are_parted_by_blanks(tmp_path: Path) -> None:
    assert open_dataset(lfw(tmp_path, PAIRS.replace("\t", "  "))).folds == FOLDS


FOLDS = (
    (Pair(2, 3, same=True), Pair(2, 1, same=False)),
    (Pair(0, 1, same=True), Pair(0, 3, same=False)),
)


def test_lfw_unpacked_has_its_folds_and_names(tmp_path: Path) -> None:
    dataset = open_dataset(lfw(tmp_path))
    assert [(picture.name, picture.person) for picture in dataset.pictures] == [
        ("Abe_Yi/Abe_Yi_0001.jpg", "Abe_Yi"),
        ("Abe_Yi/Abe_Yi_0010.jpg", "Abe_Yi"),
        ("Kim_Gu/Kim_Gu_0001.jpg", "Kim_Gu"),
        ("Kim_Gu/Kim_Gu_0002.jpg", "Kim_Gu"),
    ]
    assert dataset.folds == FOLDS


def test_lfw_in_its_archive_is_the_same(tmp_path: Path) -> None:
    root = lfw(tmp_path, names=())
    with tarfile.open(root / "images.tar", "w") as archive:
        for name in (*LFW, "README", ".trash/Kim_Gu_0001.jpg"):
            member = tarfile.TarInfo(name)
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
    dataset = open_dataset(root)
    assert dataset.folds == FOLDS
    assert {picture.name: picture.read().decode() for picture in dataset.pictures} == dict(
        zip(LFW, LFW, strict=True)
    )


def test_an_archive_with_a_link_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    root = lfw(tmp_path, names=())
    with tarfile.open(root / "images.tar", "w") as archive:
        link = tarfile.TarInfo("Kim_Gu/Kim_Gu_0001.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "gone.jpg"
        archive.addfile(link)
    with pytest.raises(
        UsageError, match=r"images\.tar: Kim_Gu/Kim_Gu_0001\.jpg is a link that leads nowhere"
    ):
        open_dataset(root)


def test_one_number_before_the_pairs_is_one_fold(tmp_path: Path) -> None:
    dataset = open_dataset(lfw(tmp_path, PAIRS.replace("2\t1", "2", 1)))
    assert dataset.folds == (FOLDS[0] + FOLDS[1],)


@pytest.mark.parametrize(
    ("pairs", "complaint"),
    [
        ("", "does not begin with LFW's counts"),
        ("two\n", "does not begin with LFW's counts"),
        (PAIRS.replace("2\t1", "3\t1", 1), "promises 3 x 2 pairs, but has 4"),
        ("0\n", "promises 1 x 0 pairs, but has 0"),
        (PAIRS.replace("Kim_Gu\t1\t2", "Kim_Gu\t1"), "'Kim_Gu\\t1' is no pair; lines are `name i j`"),
        (PAIRS.replace("Kim_Gu\t1\t2", "Kim_Gu\tone\t2"), "'Kim_Gu\\tone\\t2' is no pair"),
        (PAIRS.replace("10\nAbe", "11\nAbe"), "names Abe_Yi_0011, but there is no such picture beside it"),
    ],
)
def test_pairs_that_are_not_lfws_are_refused_with_the_line(
    tmp_path: Path, pairs: str, complaint: str
) -> None:
    with pytest.raises(UsageError) as refusal:
        open_dataset(lfw(tmp_path, pairs))
    assert complaint in str(refusal.value)


def test_a_picture_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"two pictures Kim_Gu_0001: Kim_Gu/Kim_Gu_0001\.jpg and copy/Kim_Gu_0001\.jpg"
    ):
        open_dataset(lfw(tmp_path, names=(*LFW, "copy/Kim_Gu_0001.jpg")))


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (
            [],
            "holds no pictures of anybody; a data set is a folder with a sub-folder of pictures for each person",
        ),
        (["1.jpg", "2.jpg"], "holds no pictures of anybody, though pictures lie loose in it"),
        (["mom/notes.txt"], "holds no pictures of anybody; "),
        (["mom/1.jpg", "mom/2.jpg"], "shows one person only, mom, so there is nobody to be told from"),
        (["mom/1.jpg", "dad/1.jpg"], "has one picture of each person, so no two of the same"),
    ],
)
def test_what_nothing_can_be_measured_with_is_refused(
    tmp_path: Path, names: list[str], complaint: str
) -> None:
    with pytest.raises(UsageError) as refusal:
        open_dataset(folder_of(tmp_path, names))
    assert complaint in str(refusal.value)


def test_a_file_or_nothing_is_no_data_set(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", folder_of(tmp_path, ["a.jpg"]) / "a.jpg"):
        with pytest.raises(UsageError, match="is not a folder; a data set is a folder"):
            open_dataset(path)


def test_a_broken_archive_is_refused(tmp_path: Path) -> None:
    root = lfw(tmp_path)
    (root / "images.tar").write_bytes(b"no archive")
    with pytest.raises(UsageError, match="cannot be read as a data set: file could not be opened"):
        open_dataset(root)


def test_the_development_folds_of_lfw_are_two_of_six_hundred_pairs(shared: Path) -> None:
    dataset = open_dataset(shared / "faces/lfw")
    assert (len(dataset.pictures), [len(fold) for fold in dataset.folds]) == (1583, [600, 600])
    assert sum(pair.same for fold in dataset.folds for pair in fold) == 600
    people = [picture.person for picture in dataset.pictures]
    assert all(
        (people[pair.first] == people[pair.second]) == pair.same for fold in dataset.folds for pair in fold
    )
