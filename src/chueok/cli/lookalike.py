"""`chueok lookalike`: who in a gallery looks most like somebody."""

from __future__ import annotations

from chueok.cli import options
from chueok.cli.app import app
from chueok.cli.session import Session, command
from chueok.errors import ExitCode
from chueok.flow.lookalike import find_lookalikes
from chueok.flow.people import FaceChoice
from chueok.output.card import check_card, write_card
from chueok.records import Note


@command(app)
def lookalike(
    session: Session,
    selfie: options.Selfie,
    gallery: options.GallerySource = None,
    top: options.Top = None,
    card: options.Card = None,
    face: options.FaceNumber = None,
    largest: options.Largest = False,
    json: options.Json = False,
) -> int:
    """Who in a gallery looks most like the person in a photo.

    The percentage is (1 + similarity) / 2: 50 % means no likeness at all. The percentile says how many of this
    gallery's pairs of different people are less alike. Ends with 1 when the gallery shows no face.
    """
    if card is not None:
        check_card(card)
    create = gallery is not None
    with session.library(create=create) as library, session.output(json=json) as output:
        found = find_lookalikes(library, selfie, gallery, top, choice=FaceChoice(face, largest))
        output.show_all(found.notes, found.answers, [found.summary])
        if not found.answers:
            return ExitCode.NOTHING_FOUND
        if card is not None:
            write_card(card, selfie, found.probe_face, found.answers[0], library.settings)
            output.show(Note(f"the picture is {card.absolute()}"))
    return ExitCode.SOME_UNREADABLE if found.unreadable else 0
