"""What a reading process says arrives as it was said, of the declared types, and nothing else arrives."""

from __future__ import annotations

from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from chueok import errors
from chueok.errors import ChueokError, ModelInvalid, UnreadablePhoto
from chueok.records import Box, Detection, FaceCrop, FaceReading, PhotoReading
from chueok.vision.answers import LONGEST, Answer, Nonsense, Pixels, decoded, encoded

FACE = Detection(
    Box(1.5, -2.25, 30, 1e-9), 0.1 + 0.2, ((1.0, 2.0), (3.5, 4.0), (5.0, 6.0), (7.0, 8.0), (9.0, 0.0))
)
UNIT = np.linspace(-1, 1, 128, dtype=np.float32)
UNIT /= np.linalg.norm(UNIT)
READING = PhotoReading(
    sha256=bytes(range(32)),
    bytes=2**40,
    width=640,
    height=480,
    taken_at=datetime(2019, 5, 2, 10, 11, 12, 130),
    damage="the file is cut off: 60 % of it could be read",
    faces=(FaceReading(FACE, UNIT),),
    crops=(FaceCrop(b"\x89PNG", 384, -1.5, 2.0, 30.25),),
)


def test_a_reading_arrives_as_it_was_said() -> None:
    heard = decoded(encoded(READING))
    assert isinstance(heard, PhotoReading)
    vector = heard.faces[0].vector
    assert (vector.dtype.name, vector.flags.writeable) == ("float32", True)
    np.testing.assert_array_equal(vector, READING.faces[0].vector)
    assert heard.faces[0].detection == FACE
    for field in fields(PhotoReading):
        if field.name != "faces":
            assert getattr(heard, field.name) == getattr(READING, field.name)


def test_what_is_not_known_stays_unknown() -> None:
    heard = decoded(encoded(PhotoReading(bytes(32), 0, 1, 1, None, None, ())))
    assert heard is not None
    assert asdict(heard) == asdict(PhotoReading(bytes(32), 0, 1, 1, None, None, ()))  # type: ignore[arg-type]
    assert decoded(encoded(None)) is None


def test_pixels_arrive_as_they_were_said() -> None:
    cut = (640, 480, ((2, 1, b"\0\1\2\3\4\5"), (1, 1, b"abc")))
    assert decoded(encoded(cut)) == cut
    assert decoded(encoded(cut), Pixels) == cut


@pytest.mark.parametrize(("said", "expected"), [(READING, Pixels), ((1, 1, ()), PhotoReading)])
def test_another_answer_than_the_expected_one_is_nonsense(said: Answer, expected: Any) -> None:
    with pytest.raises(Nonsense):
        decoded(encoded(said), expected)


KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_arrives_with_its_sentence(kind: type[ChueokError]) -> None:
    heard = decoded(encoded(kind("damaged: \n\U0001f600")))
    assert (type(heard), str(heard)) == (kind, "damaged: \n\U0001f600")


def test_an_error_of_another_kind_arrives_as_the_nearest_one() -> None:
    class Local(ModelInvalid):
        pass

    assert type(decoded(encoded(Local("x")))) is ModelInvalid


@pytest.mark.parametrize("transient", [False, True])
def test_whose_fault_it_was_arrives_too(transient: bool) -> None:
    heard = decoded(encoded(UnreadablePhoto("the file cannot be read", transient=transient)))
    assert isinstance(heard, UnreadablePhoto)
    assert heard.transient is transient


def test_text_that_no_file_could_hold_is_spelt_out_and_long_text_cut() -> None:
    heard = decoded(encoded(UnreadablePhoto("photo \udcff.jpg " + "x" * 5000)))
    assert str(heard).startswith("photo \\udcff.jpg x")
    assert len(str(heard)) == 1000


@pytest.mark.parametrize(
    ("honest", "lie"),
    [
        (b'"x":1.5', b'"x":NaN'),
        (b'"x":1.5', b'"x":1e999'),
        (b'"x":1.5', b'"x":true'),
        (b'"width":640', b'"width":640.0'),
        (b'"width":640', b'"width":9223372036854775808'),
        (b'"width":640', b'"width":640,"more":1'),
        (b'"width":640,', b""),
        (b'"taken_at":"2019', b'"taken_at":"x2019'),
        (b'"pixels":384', b'"pixels":[384]'),
        (b'"vector":"', b'"vector":"AADAfwAA'),  # a NaN, and another length
        (b'"vector":"', b'"vector":"*'),
        (b"[1.0,2.0]", b"[1.0,2.0,3.0]"),
    ],
)
def test_a_value_that_is_not_of_its_type_is_nonsense(honest: bytes, lie: bytes) -> None:
    message = encoded(READING)
    assert honest in message
    with pytest.raises(Nonsense):
        decoded(message.replace(honest, lie, 1))


@pytest.mark.parametrize("said", [object(), {1, 2}, lambda: 1, UnreadablePhoto, 1j])
def test_nothing_else_can_be_said(said: Any) -> None:
    with pytest.raises(TypeError):
        encoded(said)


def test_too_much_is_not_said_and_not_heard() -> None:
    with pytest.raises(ValueError, match="it has 85 MB"):
        encoded(PhotoReading(b"\0" * LONGEST, 1, 1, 1, None, None, ()))
    with pytest.raises(Nonsense):
        decoded(b" " * (LONGEST + 1))


def honest(**changes: object) -> PhotoReading:
    """A reading with one face, changed as a hijacked process might."""
    vector = np.zeros(128, np.float32)
    vector[0] = 1
    found = Detection(Box(1, 2, 3, 4), 0.99, ((1.0, 2.0),) * 5)
    fields: dict[str, Any] = {
        "sha256": bytes(32),
        "bytes": 1,
        "width": 2,
        "height": 3,
        "taken_at": None,
        "damage": None,
        "faces": (FaceReading(found, vector),),
    }
    return PhotoReading(**(fields | changes))


@pytest.mark.parametrize(
    "reading",
    [
        honest(sha256=b"abc"),
        honest(taken_at=datetime(2020, 1, 1, tzinfo=UTC)),
        honest(
            faces=(FaceReading(Detection(Box(1, 2, 3, 4), 0.9, ((1.0, 2.0),) * 3), np.ones(1, np.float32)),)
        ),
        honest(
            faces=(FaceReading(Detection(Box(1, 2, 3, 4), 0.9, ((1.0, 2.0),) * 5), np.ones(128, np.float32)),)
        ),
    ],
)
def test_a_reading_the_catalog_could_not_keep_is_nonsense(reading: PhotoReading) -> None:
    assert isinstance(decoded(encoded(honest()), PhotoReading), PhotoReading)
    with pytest.raises(Nonsense):
        decoded(encoded(reading), PhotoReading)


def test_a_number_beyond_all_bounds_is_nonsense() -> None:
    message = encoded(honest()).replace(b'"x":1', b'"x":1' + b"0" * 400)
    with pytest.raises(Nonsense):
        decoded(message, PhotoReading)
