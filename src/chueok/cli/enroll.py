"""`chueok enroll`: name a person from reference photos."""

from __future__ import annotations

import time

from chueok.cli import options
from chueok.cli.app import app
from chueok.cli.session import Session, command
from chueok.flow.people import FaceChoice
from chueok.flow.people import enroll as enroll_person
from chueok.records import EnrollSummary


@command(app)
def enroll(
    session: Session,
    name: options.PersonName,
    references: options.References,
    face: options.FaceNumber = None,
    largest: options.Largest = False,
    json: options.Json = False,
) -> int:
    """Name a person from one or several photos; a known person gets more references."""
    started = time.monotonic()
    with session.library(create=True) as library, session.output(json=json) as output:
        enrolled = enroll_person(library, name, references, FaceChoice(face, largest))
        for record in enrolled:
            output.show(record)
        known = sum(record.already_known for record in enrolled)
        output.show(EnrollSummary(enrolled[0].name, len(enrolled), known, time.monotonic() - started))
    return 0
