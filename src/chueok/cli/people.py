"""`chueok people`: who is enrolled."""

from __future__ import annotations

from typing import Annotated

import typer

from chueok.cli import options
from chueok.cli.app import people_app
from chueok.cli.session import Session, command
from chueok.flow import people
from chueok.flow.forget import forget_person
from chueok.records import Note


@command(people_app, "list")
def list_people(session: Session, json: options.Json = False) -> int:
    """Everybody who is enrolled."""
    with session.library() as library, session.output(json=json) as output:
        everybody = library.catalog.people.all()
        for person in everybody:
            output.show(person)
        if not everybody:
            output.show(Note("nobody is enrolled yet: chueok enroll NAME PHOTO"))
    return 0


@command(people_app)
def show(session: Session, name: options.PersonName, json: options.Json = False) -> int:
    """One person and the references they are matched by."""
    with session.library() as library, session.output(json=json) as output:
        output.show(people.find_person(library, name))
    return 0


@command(people_app)
def rename(
    session: Session,
    name: options.PersonName,
    new_name: Annotated[str, typer.Argument(metavar="NEW", help="The new name.")],
    json: options.Json = False,
) -> int:
    """Give a person another name."""
    with session.library() as library, session.output(json=json) as output:
        output.show(people.rename(library, name, new_name))
    return 0


@command(people_app)
def forget(session: Session, name: options.PersonName) -> int:
    """Remove a person's name, references and embeddings for good.

    Photos in albums stay indexed, and no photo is touched.
    """
    with session.library() as library, session.output() as output:
        output.show(Note(forget_person(library, name)))
    return 0
