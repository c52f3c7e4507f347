"""Who is enrolled, and the references they are matched by."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from chueok.records import Face, FaceCrop, Person, Reference
from chueok.store.catalog.database import Database, to_path
from chueok.store.catalog.faces import FACE, Faces, face_from_row

_FACE_OF_F = ", ".join(f"f.{column}" for column in FACE.split(", "))


class People:
    """What is known of people. Names arrive in NFC."""

    def __init__(self, database: Database, faces: Faces) -> None:
        self._db = database
        self._faces = faces

    def all(self) -> list[Person]:
        """Everybody enrolled, by name, with their references in the order they were added."""
        references: dict[str, list[Reference]] = {}
        dates: dict[str, str] = {}
        for name, enrolled_at, source, face_id in self._db.rows(
            "select p.name, p.enrolled_at, r.source, r.face_id from people p"
            " left join person_references r on r.person_id = p.id order by p.name, r.id"
        ):
            dates[name] = enrolled_at
            references.setdefault(name, [])
            if face_id is not None:
                references[name].append(Reference(to_path(source), face_id))
        return [
            Person(name, tuple(found), datetime.fromisoformat(dates[name]))
            for name, found in references.items()
        ]

    def add_reference(self, name: str, face_id: int, source: Path, crop: FaceCrop, now: datetime) -> bool:
        """Let a face stand for a person, enrolling them when they are new; False if it already did."""
        self._db.change(
            "insert into people (name, enrolled_at) values (?, ?) on conflict (name) do nothing",
            name,
            now.isoformat(),
        )
        added = self._db.change(
            "insert or ignore into person_references"
            " (person_id, face_id, source, crop, crop_pixels, crop_x, crop_y, crop_width)"
            " select id, ?, ?, ?, ?, ?, ?, ? from people where name = ?",
            face_id,
            os.fsencode(source),
            crop.png,
            crop.pixels,
            crop.x,
            crop.y,
            crop.width,
            name,
        )
        return added.rowcount > 0

    def reference_crops(self, picture_id: int) -> list[tuple[Face, Path, FaceCrop]]:
        """The reference faces of a content, where they came from, and their kept crops."""
        rows = self._db.rows(
            f"select {_FACE_OF_F}, r.source, r.crop, r.crop_pixels, r.crop_x, r.crop_y, r.crop_width"
            " from person_references r join faces f on f.id = r.face_id where f.picture_id = ?",
            picture_id,
        )
        return [(face_from_row(row[:7]), to_path(row[7]), FaceCrop(*row[8:])) for row in rows]

    def rename(self, old: str, new: str) -> None:
        """Give a person another name, which nobody may have."""
        self._db.change("update people set name = ? where name = ?", new, old)

    def delete_references(self, picture_ids: Iterable[int]) -> list[str]:
        """These contents stand for nobody any more; the names of those they stood for."""
        names: list[str] = []
        for picture_id in picture_ids:
            names += [
                row[0]
                for row in self._db.rows(
                    "select p.name from people p join person_references r on r.person_id = p.id"
                    " join faces f on f.id = r.face_id where f.picture_id = ?",
                    picture_id,
                )
            ]
            self._db.change(
                "delete from person_references where face_id in (select id from faces where picture_id = ?)",
                picture_id,
            )
        return sorted(set(names))

    def delete(self, name: str) -> None:
        """Forget a person, their references, and every content that was kept only for them."""
        picture_ids = [
            row[0]
            for row in self._db.rows(
                "select distinct f.picture_id from people p join person_references r on r.person_id = p.id"
                " join faces f on f.id = r.face_id where p.name = ?",
                name,
            )
        ]
        self._db.change("delete from people where name = ?", name)
        for picture_id in picture_ids:
            self._faces.drop_picture_if_unused(picture_id)
