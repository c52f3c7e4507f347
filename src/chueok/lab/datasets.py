"""Pictures of known people to measure with: a folder per person, or Labeled Faces in the Wild's own layout."""

from __future__ import annotations

import tarfile
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from chueok.errors import UsageError
from chueok.flow.paths import as_path, real
from chueok.flow.walk import is_photo_name
from chueok.lab.crops import archived
from chueok.lab.verification import Pair

PAIRS, ARCHIVE = "pairs.txt", "images.tar"
_LAYOUT = (
    "a data set is a folder with a sub-folder of pictures for each person (two people or more, two pictures or more of "
    f"some), or LFW's {PAIRS} beside its pictures or their {ARCHIVE}"
)


@dataclass(frozen=True, slots=True)
class LabelledPicture:
    """A picture and who it shows."""

    name: str  # below the data set's folder; no two are alike
    person: str  # NFC
    path: Path  # links followed; of a picture in an archive: as if that were a folder
    data: bytes | None = field(default=None, repr=False)  # the content of one in an archive

    def read(self) -> bytes:
        """The file's content. Raises UnreadablePhoto."""
        from chueok.vision.files import read_file

        return read_file(self.path) if self.data is None else self.data


@dataclass(frozen=True, slots=True)
class Dataset:
    """Pictures of known people, and the pairs its makers want compared."""

    path: Path
    pictures: tuple[LabelledPicture, ...]  # by name
    folds: tuple[tuple[Pair, ...], ...] = ()  # numbers count `pictures`
    loose: tuple[str, ...] = ()  # pictures that lie beside the people's folders: nobody's, left out

    @property
    def people(self) -> int:
        """How many people there are."""
        return len({picture.person for picture in self.pictures})


def open_dataset(path: Path | str) -> Dataset:
    """The data set at a path: LFW where there is a pairs.txt, else a folder per person.

    A person's pictures may lie in sub-folders; hidden files and folders, and files not named as pictures, are passed
    over. Raises UsageError, saying what a data set must look like.
    """
    folder = as_path(path)
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; {_LAYOUT}")
    try:
        dataset = _lfw(folder) if (folder / PAIRS).is_file() else _folders(folder)
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
        LabelledPicture(str(path.relative_to(folder)), _name(entry.name), real(path))
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


# ---- LFW -----------------------------------------------------------------------------------------


def _lfw(folder: Path) -> Dataset:
    """LFW: pictures are known by their file's name, as Abel_Pacheco_0001.jpg, wherever it lies."""
    archive = folder / ARCHIVE
    pictures = sorted(
        _archived(archive) if archive.is_file() else _unpacked(folder), key=lambda picture: picture.name
    )
    numbers: dict[str, int] = {}
    for number, picture in enumerate(pictures):
        stem = _name(Path(picture.name).stem)
        if numbers.setdefault(stem, number) != number:
            raise UsageError(
                f"{folder} has two pictures {stem}: {pictures[numbers[stem]].name} and {picture.name}"
            )
    return Dataset(folder, tuple(pictures), _folds(folder / PAIRS, numbers))


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
    return _name(stem.rpartition("_")[0] or stem)


def _folds(path: Path, numbers: dict[str, int]) -> tuple[tuple[Pair, ...], ...]:
    """The folds of a pairs.txt. Raises UsageError.

    Its first line says how many folds there are and how many pairs of either kind each has (one number: of a single
    fold); the others are pairs.
    """
    try:
        first, *lines = path.read_text("utf-8").splitlines()
        *folds, each = (int(number) for number in first.split())
    except ValueError as error:
        raise UsageError(f"{path} does not begin with LFW's counts, as `10 300`") from error
    pairs = [_pair(path, line, numbers) for line in lines if line.strip()]
    wanted, size = sum(folds) if folds else 1, 2 * each
    if size < 1 or len(pairs) != wanted * size:
        raise UsageError(f"{path} promises {wanted} x {size} pairs, but has {len(pairs)}")
    return tuple(tuple(pairs[start : start + size]) for start in range(0, len(pairs), size))


def _pair(path: Path, line: str, numbers: dict[str, int]) -> Pair:
    """`name i j` is one person, `name i other j` are two. Raises UsageError.

    Tabs between them, so that a name may have blanks; where a line has no tab, blanks.
    """
    line = _name(line.strip())
    words = line.split("\t" if "\t" in line else None)
    try:
        person, one, other, another = words if len(words) == 4 else (*words[:2], *words[:1], *words[2:])
        first, second = f"{person}_{int(one):04}", f"{other}_{int(another):04}"
        return Pair(numbers[first], numbers[second], same=len(words) == 3)
    except ValueError as error:
        raise UsageError(f"{path}: {line!r} is no pair; lines are `name i j` or `name i other j`") from error
    except KeyError as error:
        raise UsageError(f"{path} names {error.args[0]}, but there is no such picture beside it") from error


def _name(text: str) -> str:
    return unicodedata.normalize("NFC", text)
