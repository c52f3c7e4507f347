"""Find the photos a person is in.

import chueok

with chueok.open_library() as library:
    for event in chueok.scan(library, "~/Photos"):
        print(event)
    for match in chueok.find_matches(library, "mom.jpg"):
        print(match.photo, match.similarity)
"""

from chueok.errors import ChueokError
from chueok.flow.find import Query, find_matches
from chueok.flow.lookalike import lookalike
from chueok.flow.people import FaceChoice, enroll
from chueok.flow.scan import ScanOptions, scan
from chueok.flow.takeout import take_out
from chueok.library import Library, open_library
from chueok.records import Conflict, Face, Lookalike, Match, Person, PhotoIndexed, ScanSummary, Transfer

__all__ = [
    "ChueokError",
    "Conflict",
    "Face",
    "FaceChoice",
    "Library",
    "Lookalike",
    "Match",
    "Person",
    "PhotoIndexed",
    "Query",
    "ScanOptions",
    "ScanSummary",
    "Transfer",
    "enroll",
    "find_matches",
    "lookalike",
    "open_library",
    "scan",
    "take_out",
]
