"""Pictures of known people to measure with: a folder per person, or Labeled Faces in the Wild's own layout."""

from __future__ import annotations

import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from chueok.errors import UsageError
from chueok.flow.paths import as_path, real
from chueok.flow.walk import is_photo_name
from chueok.lab.comparisons import Pair
from chueok.lab.crops import archived
from chueok.lab.pair_files import Folds, nfc, read_pairs
from chueok.library import CATALOG, is_library
from chueok.records import Box, Reference
from chueok.store.catalog import Catalog

PAIRS, ARCHIVE = "pairs.txt", "images.tar"
_LAYOUT = (
    "a data set is a folder with a sub-folder of pictures for each person (two people or more, two pictures or more of "
    f"some), LFW's {PAIRS} beside its pictures or their {ARCHIVE}, or a library of chueok's with people enrolled"
)


@dataclass(frozen=True, slots=True)
class LabelledPicture:
    """A picture and who it shows."""

    name: str  # below the data set's folder, or a library's `person/number`; no two are alike
    person: str  # NFC
    path: Path  # links followed; of a picture in an archive: as if that were a folder
    data: bytes | None = field(default=None, repr=False)  # the content of one in an archive
    face: Box | None = None  # where the face is, in pixels of the upright picture; None: in the middle
    sha256: bytes | None = None  # what the content must be; None: anything

    def read(self) -> bytes:
        """The file's content. Raises UnreadablePhoto."""
        from chueok.vision.files import read_file

        return read_file(self.path) if self.data is None else self.data


@dataclass(frozen=True, slots=True)
class Dataset:
    """Pictures of known people, and the pairs its makers want compared."""

    path: Path
    pictures: tuple[LabelledPicture, ...]  # by name
    folds: Folds = ()  # numbers count `pictures`
    only_folds: bool = (
        False  # whether nothing is known of other pairs; then people are who is one by the pairs
    )
    loose: tuple[str, ...] = ()  # pictures that lie beside the people's folders: nobody's, left out

    @property
    def people(self) -> int:
        """How many people there are."""
        return len({picture.person for picture in self.pictures})


def open_dataset(path: Path | str, pairs: Path | None = None) -> Dataset:
    """The data set at a path: LFW where there is a pairs.txt, a library's enrolled people, else a folder per person.

    A person's pictures may lie in sub-folders; hidden files and folders, and files not named as pictures, are passed
    over. pairs: a file of pairs to compare (see pair_files), instead of the data set's own; it makes a data set of any
    folder of pictures. Raises UsageError, saying what a data set must look
    like.
    """
    folder = as_path(path)
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; {_LAYOUT}")
    try:
        is_lfw = (folder / PAIRS).is_file()
        dataset = _lfw(folder) if is_lfw else _enrolled(folder) if is_library(folder) else _folders(folder)
        if pairs is not None and not dataset.pictures:
            dataset = _of_nobody(folder)
        if is_lfw or pairs is not None:
            dataset = _with_pairs(dataset, pairs or folder / PAIRS)
    except (OSError, tarfile.TarError) as error:
        raise UsageError(f"{folder} cannot be read as a data set: {error}") from error
    _check(dataset)
    return dataset


def unlabelled(album: Path) -> tuple[LabelledPicture, ...]:
    """The pictures below a folder, of nobody known, by name. Raises UsageError where there are none."""
    try:
        found = [path for path in sorted(album.rglob("*")) if _is_picture(path.relative_to(album))]
        pictures = tuple(
            LabelledPicture(str(path.relative_to(album)), "", real(path)) for path in found if path.is_file()
        )
    except OSError as error:
        raise UsageError(f"{album} cannot be read as an album: {error}") from error
    if not pictures:
        raise UsageError(f"{album} is not a folder with photos; give a folder that has some")
    return pictures


def _check(dataset: Dataset) -> None:
    """Raise UsageError for what nothing can be measured with."""
    counts = Counter(picture.person for picture in dataset.pictures)
    if not counts:
        beside = ", though pictures lie loose in it" if dataset.loose else ""
        raise UsageError(f"{dataset.path} holds no pictures of anybody{beside}; {_LAYOUT}")
    if len(counts) == 1:
        raise UsageError(
            f"{dataset.path} shows one person only, {next(iter(counts))}, so there is nobody to be told from; {_LAYOUT}"
        )
    if max(counts.values()) == 1:
        raise UsageError(f"{dataset.path} has one picture of each person, so no two of the same; {_LAYOUT}")


# ---- a folder per person -------------------------------------------------------------------------


def _folders(folder: Path) -> Dataset:
    entries = [entry for entry in sorted(folder.iterdir()) if not entry.name.startswith(".")]
    pictures = [
        LabelledPicture(str(path.relative_to(folder)), nfc(entry.name), real(path))
        for entry in entries
        if entry.is_dir()
        for path in sorted(entry.rglob("*"))
        if _is_picture(path.relative_to(folder)) and path.is_file()
    ]
    loose = [entry.name for entry in entries if is_photo_name(entry.name) and entry.is_file()]
    return Dataset(folder, tuple(pictures), loose=tuple(loose))


def _is_picture(path: PurePath | str) -> bool:
    """Whether a file at this path below a data set is taken for a picture: neither it nor a folder above is hidden."""
    path = PurePath(path)
    return is_photo_name(path.name) and not any(part.startswith(".") for part in path.parts)


# ---- a library -----------------------------------------------------------------------------------


def _enrolled(folder: Path) -> Dataset:
    """The references of the people whom a library knows, named `person/number`. Raises ChueokError."""
    with closing(Catalog(folder / CATALOG)) as catalog:
        pictures = [
            picture
            for person in catalog.people.all()
            for number, reference in enumerate(person.references, 1)
            for picture in _reference(catalog, f"{nfc(person.name)}/{number}", reference)
        ]
    return Dataset(folder, tuple(pictures))


def _reference(catalog: Catalog, name: str, reference: Reference) -> Iterator[LabelledPicture]:
    """The picture of a reference, and where in it the face is."""
    for face_id, picture_id in catalog.faces.pictures_of([reference.face_id]).items():
        (face,) = (face for face in catalog.faces.of_pictures([picture_id])[picture_id] if face.id == face_id)
        yield LabelledPicture(
            name,
            name.rpartition("/")[0],
            real(reference.source),
            face=face.detection.box,
            sha256=catalog.faces.sha256(picture_id),
        )


# ---- LFW -----------------------------------------------------------------------------------------


def _lfw(folder: Path) -> Dataset:
    """LFW: pictures are known by their file's name, as Abel_Pacheco_0001.jpg, wherever it lies."""
    archive = folder / ARCHIVE
    pictures = sorted(
        _archived(archive) if archive.is_file() else _unpacked(folder), key=lambda picture: picture.name
    )
    return Dataset(folder, tuple(pictures))


def _archived(archive: Path) -> Iterator[LabelledPicture]:
    for name, data in archived(archive, _is_picture):
        yield LabelledPicture(name, _person(name), archive / name, data)


def _unpacked(folder: Path) -> Iterator[LabelledPicture]:
    for path in folder.rglob("*"):
        if _is_picture(path.relative_to(folder)) and path.is_file():
            yield LabelledPicture(str(path.relative_to(folder)), _person(path.name), real(path))


def _person(file: str) -> str:
    """Abel_Pacheco of Abel_Pacheco_0001.jpg."""
    stem = Path(file).stem
    return nfc(stem.rpartition("_")[0] or stem)


# ---- pairs ---------------------------------------------------------------------------------------


def _of_nobody(folder: Path) -> Dataset:
    """All pictures of a folder; whom they show is to be told from pairs."""
    pictures = [
        LabelledPicture(str(path.relative_to(folder)), "", real(path))
        for path in sorted(folder.rglob("*"))
        if _is_picture(path.relative_to(folder)) and path.is_file()
    ]
    return Dataset(folder, tuple(pictures))


def _with_pairs(dataset: Dataset, path: Path) -> Dataset:
    """The data set with the pairs of a file. Raises UsageError.

    Where a decision contradicts the folders these are not people's; then nothing counts but the pairs.
    """
    pictures = dataset.pictures
    folds = read_pairs(path, [picture.name for picture in pictures])
    if pictures[0].person and all(
        pair.same == (pictures[pair.first].person == pictures[pair.second].person)
        for fold in folds
        for pair in fold
    ):
        return replace(dataset, folds=folds)
    listed = sorted({number for fold in folds for pair in fold for number in (pair.first, pair.second)})
    place = {number: row for row, number in enumerate(listed)}
    folds = tuple(
        tuple(Pair(place[pair.first], place[pair.second], pair.same) for pair in fold) for fold in folds
    )
    named = _people_of_pairs([pictures[number] for number in listed], folds)
    return replace(dataset, pictures=named, folds=folds, loose=(), only_folds=True)


def _people_of_pairs(pictures: Sequence[LabelledPicture], folds: Folds) -> tuple[LabelledPicture, ...]:
    """The pictures; who is one with whom by the pairs is called by the first of those pictures."""
    of = list(range(len(pictures)))

    def first(number: int) -> int:
        while of[number] != number:
            of[number] = number = of[of[number]]
        return number

    for pair in (pair for fold in folds for pair in fold if pair.same):
        low, high = sorted((first(pair.first), first(pair.second)))
        of[high] = low
    return tuple(
        replace(picture, person=nfc(pictures[first(number)].name)) for number, picture in enumerate(pictures)
    )
