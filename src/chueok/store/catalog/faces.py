"""Pictures (contents), the faces they show, and their embeddings by model."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chueok.errors import CatalogDamaged
from chueok.records import Box, Detection, Face, PhotoReading
from chueok.store.catalog.database import Database, chunks, damaged

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UNIT_TOLERANCE = 1e-3  # squared length of a float32 row that was made one; a flipped exponent is far off
FACE = "id, x, y, width, height, probability, landmarks"


@dataclass(frozen=True, slots=True)
class KnownPicture:
    """One content and how many faces it shows."""

    id: int
    faces: int
    damage: str | None


@dataclass(frozen=True, slots=True)
class FaceBox:
    """Where a face is."""

    id: int
    picture_id: int
    box: Box


_SCATTER, _MODULUS = 2_654_435_761, 4_294_967_291  # Knuth's multiplier, the largest prime of 32 bits


class Faces:
    """What is known of contents. Two files with the same bytes share one picture and its faces."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def picture(self, sha256: bytes, model_id: int) -> KnownPicture | None:
        """A content whose every face has a vector of this model."""
        row = self._db.row(
            "select p.id, count(f.id), p.damage, count(v.face_id) from pictures p"
            " left join faces f on f.picture_id = p.id"
            " left join vectors v on v.face_id = f.id and v.model_id = ?"
            " where p.sha256 = ? group by p.id",
            model_id,
            sha256,
        )
        return KnownPicture(row[0], row[1], row[2]) if row and row[1] == row[3] else None

    def sha256(self, picture_id: int) -> bytes:
        """The hash of a content."""
        return bytes(self._db.value("select sha256 from pictures where id = ?", picture_id))

    def has_picture_of_size(self, size: int) -> bool:
        """Whether some known content has this many bytes (a file of another size cannot be a copy of any)."""
        return bool(self._db.value("select 1 from pictures where bytes = ? limit 1", size))

    def put_picture(self, reading: PhotoReading, model_id: int) -> int:
        """Remember what a picture shows; the id of the content. What was already known of it stays."""
        known = self._db.value("select id from pictures where sha256 = ?", reading.sha256)
        if known is not None:
            self._put_vectors_of_known(int(known), reading, model_id)
            return int(known)
        picture_id = self._db.change(
            "insert into pictures (sha256, bytes, width, height, taken_at, damage) values (?, ?, ?, ?, ?, ?)",
            reading.sha256,
            reading.bytes,
            reading.width,
            reading.height,
            reading.taken_at.isoformat() if reading.taken_at else None,
            reading.damage,
        ).lastrowid
        for face in reading.faces:
            found = face.detection
            face_id = self._db.change(
                "insert into faces (picture_id, x, y, width, height, probability, landmarks)"
                " values (?, ?, ?, ?, ?, ?, ?)",
                picture_id,
                found.box.x,
                found.box.y,
                found.box.width,
                found.box.height,
                found.probability,
                struct.pack("<10d", *(value for point in found.landmarks for value in point)),
            ).lastrowid
            self.put_vector(model_id, int(face_id or 0), face.vector)
        return int(picture_id or 0)

    def _put_vectors_of_known(self, picture_id: int, reading: PhotoReading, model_id: int) -> None:
        by_detection = {face.detection: face.vector for face in reading.faces}
        for face in self.of_pictures([picture_id])[picture_id]:
            if face.detection in by_detection:
                self.put_vector(model_id, face.id, by_detection[face.detection])

    def put_vector(self, model_id: int, face_id: int, vector: NDArray[np.float32]) -> None:
        """Remember a face's embedding: (d,) float32, unit length."""
        self._db.change(
            "insert or ignore into vectors (model_id, face_id, vector) values (?, ?, ?)",
            model_id,
            face_id,
            vector.astype("<f4").tobytes(),
        )

    def of_pictures(self, picture_ids: Iterable[int]) -> dict[int, list[Face]]:
        """The faces of pictures, left to right; an empty list where nobody is."""
        found: dict[int, list[Face]] = {picture_id: [] for picture_id in picture_ids}
        for marks, chunk in chunks(list(found)):
            for row in self._db.rows(
                f"select picture_id, {FACE} from faces where picture_id in ({marks}) order by x, id", *chunk
            ):
                found[row[0]].append(face_from_row(row[1:]))
        return found

    def pictures_of(self, face_ids: Iterable[int]) -> dict[int, int]:
        """The picture each face belongs to."""
        found: dict[int, int] = {}
        for marks, chunk in chunks(list(face_ids)):
            found |= dict(self._db.rows(f"select id, picture_id from faces where id in ({marks})", *chunk))
        return found

    def count_and_sum(self, model_id: int) -> tuple[int, int]:
        """How many faces have a vector of this model, and the sum of their scattered ids.

        Ids are never given twice: the same pair means the same faces, but for a coincidence of one in billions.
        """
        count, total = self._db.row(
            f"select count(*), coalesce(sum(face_id * {_SCATTER} % {_MODULUS}), 0)"
            " from vectors where model_id = ?",
            model_id,
        )
        return count, total

    def ids(self, model_id: int) -> NDArray[np.int64]:
        """Every face with a vector of this model, rising: (n,) int64."""
        import numpy as np

        rows = self._db.rows("select face_id from vectors where model_id = ? order by face_id", model_id)
        return np.fromiter((row[0] for row in rows), np.int64)

    def vectors(
        self, model_id: int, face_ids: Iterable[int] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Embeddings of the given faces (None: all), by rising id: ids (n,) int64, vectors (n, d) float32.

        Faces without a vector of this model are left out. Raises CatalogDamaged for a vector that cannot be one.
        """
        import numpy as np

        dimension = int(self._db.value("select dimension from models where id = ?", model_id))
        if face_ids is None:
            rows = list(
                self._db.rows(
                    "select face_id, vector from vectors where model_id = ? order by face_id", model_id
                )
            )
        else:
            rows = []
            for marks, chunk in chunks(list(face_ids)):
                sql = f"select face_id, vector from vectors where model_id = ? and face_id in ({marks})"
                rows += self._db.rows(sql, model_id, *chunk)
            rows.sort()
        if any(len(row[1]) != 4 * dimension for row in rows):
            raise CatalogDamaged(damaged(self._db.path, "an embedding has the wrong length"))
        ids = np.array([row[0] for row in rows], np.int64)
        vectors = np.frombuffer(b"".join(row[1] for row in rows), "<f4").reshape(-1, dimension)
        lengths = np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64)
        if not (np.abs(lengths - 1) < UNIT_TOLERANCE).all():  # what is not a number is damaged too
            raise CatalogDamaged(damaged(self._db.path, "an embedding is not of unit length"))
        return ids, vectors

    def in_albums(self, model_id: int) -> list[FaceBox]:
        """Every face with a vector of this model whose picture is a photo that is there, by picture."""
        rows = self._db.rows(
            "select f.id, f.picture_id, f.x, f.y, f.width, f.height from faces f"
            " join vectors v on v.face_id = f.id and v.model_id = ?"
            " where exists (select 1 from photos where picture_id = f.picture_id and not missing)"
            " order by f.picture_id, f.id",
            model_id,
        )
        return [FaceBox(face_id, picture_id, Box(*box)) for face_id, picture_id, *box in rows]

    def pictures_without(self, model_id: int) -> list[int]:
        """Contents with a face that has no vector of this model."""
        rows = self._db.rows(
            "select distinct f.picture_id from faces f where not exists"
            " (select 1 from vectors v where v.face_id = f.id and v.model_id = ?)",
            model_id,
        )
        return [row[0] for row in rows]

    def drop_picture_if_unused(self, picture_id: int) -> None:
        """Delete a content with its faces and vectors unless a file or a reference still needs it."""
        self._db.change(
            "delete from pictures where id = ?1"
            " and not exists (select 1 from photos where picture_id = ?1)"
            " and not exists (select 1 from person_references r join faces f on f.id = r.face_id"
            "                 where f.picture_id = ?1)",
            picture_id,
        )

    def drop_unused_pictures(self) -> int:
        """Delete every content that no file and no reference needs; how many there were."""
        deleted = self._db.change(
            "delete from pictures where not exists (select 1 from photos where picture_id = pictures.id)"
            " and not exists (select 1 from person_references r join faces f on f.id = r.face_id"
            "                 where f.picture_id = pictures.id)"
        )
        return deleted.rowcount

    def detections(self, sha256: bytes) -> tuple[Detection, ...] | None:
        """The faces found in a content before, whatever models embedded them; None when it is not known."""
        picture_id = self._db.value("select id from pictures where sha256 = ?", sha256)
        if picture_id is None:
            return None
        return tuple(face.detection for face in self.of_pictures([picture_id])[picture_id])


def face_from_row(row: Any) -> Face:
    """A face from the columns of FACE."""
    face_id, x, y, width, height, probability, landmarks = row
    values = struct.unpack("<10d", landmarks)
    points = tuple(zip(values[::2], values[1::2], strict=True))
    return Face(face_id, Detection(Box(x, y, width, height), probability, points))


def scattered_sum(ids: NDArray[np.int64]) -> int:
    """The sum that `Faces.count_and_sum` has for these faces: (n,) int64."""
    return int((ids * _SCATTER % _MODULUS).sum())
