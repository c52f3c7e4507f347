"""Everything that can go wrong, as sentences that say what to do next.

ChueokError                exit 6   an operation failed
├── UsageError             exit 2   the request cannot be understood
├── NoUsableFace           exit 4   a reference shows no face, or several
├── ReferenceUnreadable    exit 4   a reference cannot be read as a picture
├── ModelMissing           exit 5   weights are not on this machine
├── ModelInvalid           exit 6   weights or a manifest are not what they should be
├── FetchFailed            exit 6   a download ended without a verified file
├── OperationFailed        exit 6   disk full, no permission
├── CatalogDamaged         exit 6   the catalog file cannot be trusted
├── IndexDamaged           exit 6   the index file cannot be trusted: it is rebuilt from the catalog
├── NoLibrary              exit 10  nothing has been indexed yet
├── LibraryLocked          exit 11  another run is writing
├── LibraryTooNew          exit 12  written by a newer chueok
└── ModelMismatch          exit 12  the library speaks another embedding space

UnreadablePhoto is not a ChueokError: it concerns one photo, and a scan goes on.
"""

from __future__ import annotations

import enum


class ExitCode(enum.IntEnum):
    """What a command ends with; an error of the tree above brings its own."""

    DONE = 0
    NOTHING_FOUND = 1
    SOME_UNREADABLE = 3  # done, but some photos could not be read
    FAILED = 6
    INTERRUPTED = 130  # 128 + the signal's number, as shells have it
    TERMINATED = 143


class ChueokError(Exception):
    """An error a user can act on; `str(error)` is the whole message."""

    exit_code = 6


class UsageError(ChueokError):
    """The request cannot be understood or contradicts itself."""

    exit_code = 2


class NoUsableFace(ChueokError):
    """A reference shows no face, or several and nobody said which."""

    exit_code = 4


class ReferenceUnreadable(ChueokError):
    """A reference file cannot be read as a picture."""

    exit_code = 4


class ModelMissing(ChueokError):
    """The weights of a model are not on this machine; the message names the command that gets them."""

    exit_code = 5


class ModelInvalid(ChueokError):
    """A weights file or manifest is not what it should be."""


class FetchFailed(ChueokError):
    """A download ended without a verified file."""


class OperationFailed(ChueokError):
    """The machine said no: disk full, no permission, read-only folder."""


class CatalogDamaged(ChueokError):
    """The catalog file cannot be trusted."""


class IndexDamaged(ChueokError):
    """The index file is not the one that was saved; it is built anew from the catalog."""


class NoLibrary(ChueokError):
    """Nothing has been indexed yet."""

    exit_code = 10


class LibraryLocked(ChueokError):
    """Another run is writing to this library."""

    exit_code = 11


class LibraryTooNew(ChueokError):
    """The library was written by a newer chueok."""

    exit_code = 12


class ModelMismatch(ChueokError):
    """The library holds embeddings of another model; embedding spaces never meet."""

    exit_code = 12


class UnreadablePhoto(Exception):
    """One photo cannot be read; `str(error)` is the reason, in words for its owner."""

    def __init__(self, reason: str, *, transient: bool = False) -> None:
        """transient: not the photo's fault but a network drive's or another program's; to be tried again.

        A photo that takes too long or too much memory will do so again: that is not transient.
        """
        super().__init__(reason)
        self.transient = transient
