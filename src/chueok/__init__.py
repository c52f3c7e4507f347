"""Find the photos a person is in.

import chueok

with chueok.open_library() as library:
    for event in chueok.scan(library, "~/Photos"):
        print(event)
    for match in chueok.find_matches(library, "mom.jpg"):
        print(match.photo, match.similarity)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chueok.errors import ChueokError as ChueokError
    from chueok.flow.find import Query as Query
    from chueok.flow.find import find_matches as find_matches
    from chueok.flow.lookalike import lookalike as lookalike
    from chueok.flow.people import FaceChoice as FaceChoice
    from chueok.flow.people import enroll as enroll
    from chueok.flow.scan import ScanOptions as ScanOptions
    from chueok.flow.scan import scan as scan
    from chueok.flow.takeout import take_out as take_out
    from chueok.library import Library as Library
    from chueok.library import open_library as open_library
    from chueok.records import Conflict as Conflict
    from chueok.records import Face as Face
    from chueok.records import Lookalike as Lookalike
    from chueok.records import Match as Match
    from chueok.records import Person as Person
    from chueok.records import PhotoIndexed as PhotoIndexed
    from chueok.records import ScanSummary as ScanSummary
    from chueok.records import Transfer as Transfer

# Loaded when first used, so that the command line can start, and be stopped, before anything else is there.
_ROOMS = {
    "chueok.errors": ("ChueokError",),
    "chueok.flow.find": ("Query", "find_matches"),
    "chueok.flow.lookalike": ("lookalike",),
    "chueok.flow.people": ("FaceChoice", "enroll"),
    "chueok.flow.scan": ("ScanOptions", "scan"),
    "chueok.flow.takeout": ("take_out",),
    "chueok.library": ("Library", "open_library"),
    "chueok.records": (
        *("Conflict", "Face", "Lookalike", "Match"),
        *("Person", "PhotoIndexed", "ScanSummary", "Transfer"),
    ),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = list(_ROOM_OF)


def __getattr__(name: str) -> Any:
    """A public name, from the room it lives in."""
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'chueok' has no attribute {name!r}")
    return getattr(import_module(_ROOM_OF[name]), name)


def __dir__() -> list[str]:
    """The public names, for completion."""
    return __all__
