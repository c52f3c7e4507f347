"""The names in a destination folder as they will be: who stands where, who is a twin, which name is free."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chueok.errors import OperationFailed
from chueok.flow.transfer import NotDone, digest, opened

LONGEST_NAME = 255  # bytes: NAME_MAX of ext4, XFS, Btrfs; APFS, NTFS and exFAT (255 units) allow no less
_SUFFIX_BYTES = len(" (999999)")  # kept free in every cut stem, so that all suffixes cut at one place
_LONGEST_EXTENSION = 16  # bytes; what follows a longer last dot is prose, not a file type
_SUFFIXED = re.compile(r"(.*) \([1-9][0-9]{0,5}\)", re.DOTALL)


def fold(name: str) -> str:
    """The name as a case-insensitive, Unicode-normalising file system (APFS, exFAT) would compare it."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def suffixed(name: str, number: int) -> str:
    """`name (number)` before the extension; the stem is cut between characters where 255 bytes ask for it."""
    stem, extension = _split(name)
    return f"{_cut(stem, extension)} ({number}){extension}"


def _split(name: str) -> tuple[str, str]:
    """Stem and extension with its dot; a name that only starts with a dot has no extension."""
    extension = Path(name).suffix
    if len(os.fsencode(extension)) > _LONGEST_EXTENSION:
        extension = ""
    return name.removesuffix(extension), extension


def _cut(stem: str, extension: str) -> str:
    """As much of the stem as leaves room for the extension and any suffix."""
    while len(os.fsencode(stem)) > LONGEST_NAME - _SUFFIX_BYTES - len(os.fsencode(extension)):
        stem = stem[:-1]
    return stem


def _family(name: str) -> str:
    """What a name and all its suffixed forms have in common."""
    stem, extension = _split(name)
    return fold(_cut(stem, extension) + extension)


def _families(name: str) -> Iterator[str]:
    """The families a name belongs to: its own and, for `x (2).jpg`, that of `x.jpg`."""
    yield _family(name)
    stem, extension = _split(name)
    if plain := _SUFFIXED.fullmatch(stem):
        yield _family(plain[1] + extension)


@dataclass(slots=True, eq=False)
class Place:
    """One name in the destination and what will stand there."""

    name: str
    content: Path  # the file to read for what will stand here: the file itself, or the photo that arrives
    mode: int  # st_mode of what stands there now; a regular file's for an arriving photo
    kept: bool = False  # a photo of this collection stands here or will: never displaced


class Shelf:
    """The destination's names while a plan is made. Reads files only to compare contents."""

    def __init__(self, folder: Path, *, through_links: bool) -> None:
        """List the folder; a folder that does not exist yet is empty.

        through_links: a symbolic link counts as the photo it leads to. Raises OperationFailed for a folder
        that cannot be listed.
        """
        self._through_links = through_links
        self._places: dict[str, Place] = {}
        self._folded: defaultdict[str, list[str]] = defaultdict(list)
        self._relatives: defaultdict[tuple[str, int], list[Place]] = defaultdict(list)
        self._next: defaultdict[str, int] = defaultdict(lambda: 2)
        self._identities: dict[Path, tuple[int, int]] = {}  # device and inode
        self._digests: dict[tuple[int, int], str | None] = {}
        for name in _listing(folder):
            self._put(Place(name, folder / name, _mode(folder / name)))

    def twin(self, photo: Path) -> Place | None:
        """A place under the photo's name, or one of its suffixed names, that holds the photo's content."""
        known = self._stat(photo)
        relatives = self._relatives.get((_family(photo.name), known.st_size), ()) if known else ()
        twins = [place for place in relatives if self._same(photo, place.content)]
        return min(twins, key=lambda place: place.name != photo.name, default=None)

    def occupant(self, name: str) -> Place | None:
        """What holds this name, or one that some file systems take for the same."""
        if name in self._places:
            return self._places[name]
        alike = self._folded.get(fold(name))
        return self._places[alike[0]] if alike else None

    def free_name(self, name: str) -> str:
        """The next suffixed form of the name that nothing holds."""
        family = _family(name)
        while self.occupant(candidate := suffixed(name, self._next[family])):
            self._next[family] += 1
        return candidate

    def arrive(self, photo: Path, name: str) -> None:
        """The photo will stand under this name, in place of whatever does."""
        if name in self._places:
            self._drop(name)
        self._put(Place(name, photo, _mode(photo), kept=True))

    def rename(self, place: Place, name: str) -> None:
        """What stands at the place will stand under this name."""
        self._drop(place.name)
        self._put(Place(name, place.content, place.mode, place.kept))

    def _put(self, place: Place) -> None:
        self._places[place.name] = place
        self._folded[fold(place.name)].append(place.name)
        for key in self._keys(place):
            self._relatives[key].append(place)

    def _drop(self, name: str) -> None:
        place = self._places.pop(name)
        self._folded[fold(name)].remove(name)
        for key in self._keys(place):
            self._relatives[key].remove(place)

    def _keys(self, place: Place) -> list[tuple[str, int]]:
        """Family and size of what can be a twin: regular files, and links where links count."""
        if not (stat.S_ISREG(place.mode) or (self._through_links and stat.S_ISLNK(place.mode))):
            return []
        known = self._stat(place.content)
        return [(family, known.st_size) for family in _families(place.name)] if known else []

    def _same(self, photo: Path, content: Path) -> bool:
        """Whether both are one file, or hold the same bytes; what cannot be read equals nothing."""
        if content not in self._identities or photo not in self._identities:
            return False
        if self._identities[photo] == self._identities[content]:
            return True
        mine = self._digest(photo)
        return mine is not None and mine == self._digest(content)

    def _stat(self, path: Path) -> os.stat_result | None:
        """What the path leads to; its device and inode are remembered. None where it leads nowhere."""
        try:
            known = path.stat()
        except OSError:
            return None
        self._identities[path] = (known.st_dev, known.st_ino)
        return known

    def _digest(self, path: Path) -> str | None:
        """The hash of a file's content, read once for all its names; None where it cannot be read."""
        identity = self._identities[path]
        if identity not in self._digests:
            try:
                with opened(path, follow=self._through_links) as file:
                    self._digests[identity] = digest(file)
            except (OSError, NotDone):
                self._digests[identity] = None
        return self._digests[identity]


def _listing(folder: Path) -> list[str]:
    """The names in a folder, sorted; none when it does not exist."""
    try:
        return sorted(path.name for path in folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise OperationFailed(
            f"the folder {folder} cannot be listed ({error.strerror}); choose another destination"
        ) from error


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except OSError:  # gone since it was listed: the name stays taken, which is always safe
        return 0
