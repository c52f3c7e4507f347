"""What a reading process may say to its parent, as bytes and back: nothing in them can run, or be anything else.

That process decodes hostile files, so its answers are not trusted either. They are JSON, never pickle, and the
declared types of the records say what each value must be; a decoder that was taken over can lie, but no more.
"""

from __future__ import annotations

import base64
import functools
import json
import math
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import datetime
from types import UnionType
from typing import Any, TypeAlias, cast, get_args, get_origin, get_type_hints

from chueok import errors
from chueok.errors import ChueokError, UnreadablePhoto
from chueok.records import PhotoReading

Pixels: TypeAlias = tuple[int, int, tuple[tuple[int, int, bytes], ...]]  # a photo's size; images cut from it
Error: TypeAlias = ChueokError | UnreadablePhoto
Answer: TypeAlias = PhotoReading | Pixels

# Bytes: more than 100 faces cut out as PNG (reader.CUT_OUT_PIXELS); a reading without them has thousands
LONGEST = 64 * 2**20
LENGTH_BYTES = 4  # before each message, big-endian
_MOST_VALUES = 10**6  # 30 a face; JSON of nothing but "[[],[]," would take twenty times its length in memory
_LONGEST_SENTENCE = 1000  # characters; chueok's own stay below
UNIT_TOLERANCE = 1e-3  # squared length of a float32 vector that was made a unit
_INTEGERS = range(-(2**63), 2**63)  # what SQLite can keep
_ERRORS: dict[str, type[ChueokError] | type[UnreadablePhoto]] = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, (ChueokError, UnreadablePhoto))
}


class Nonsense(Exception):
    """A message that no honest reading process sends."""


def encoded(answer: Answer | Error | None) -> bytes:
    """The message that says `answer`. Raises TypeError, ValueError for what is none of these, or too long."""
    message = json.dumps({"answer": _plain(answer)}, separators=(",", ":")).encode()
    if len(message) > LONGEST:
        raise ValueError(f"it has {len(message) >> 20} MB")
    return message


def decoded(message: bytes, expected: Any = Answer) -> Answer | Error | None:
    """What a message says: an answer of the `expected` type, an error, or None. Raises Nonsense."""
    if len(message) > LONGEST or message.count(b",") + message.count(b"[") > _MOST_VALUES:
        raise Nonsense
    try:
        value = json.loads(message)["answer"]
        if value is None:
            return None
        if "error" in value:
            return _error(**value)
        return _sound(cast("Answer", _typed(expected, value)))
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError, MemoryError) as error:
        raise Nonsense from error


# ---- the child's side ------------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    """A value in JSON's types; bytes and vectors as base64."""
    import numpy as np

    if isinstance(value, (ChueokError, UnreadablePhoto)):
        return _told(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    if isinstance(value, np.ndarray):
        return _plain(np.ascontiguousarray(value, "<f4").tobytes())
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.isoformat() if isinstance(value, datetime) else value


def _told(error: Error) -> dict[str, object]:
    """An error as the nearest of chueok's own and its sentence."""
    name = next(kind.__name__ for kind in type(error).__mro__ if _ERRORS.get(kind.__name__) is kind)
    return {"error": name, "sentence": str(error), "transient": getattr(error, "transient", False)}


# ---- the parent's side -----------------------------------------------------------------------------


def _error(error: str, sentence: str, transient: bool) -> Error:
    made = _ERRORS[error](_text(sentence)[:_LONGEST_SENTENCE])
    if isinstance(made, UnreadablePhoto):
        made.transient = transient is True
    return made


def _typed(kind: Any, value: Any) -> Any:
    """The value as what `kind`, a type that a record declares, says it is. Raises ValueError, TypeError."""
    if is_dataclass(kind) and isinstance(kind, type):
        hints = _hints(kind)
        if not isinstance(value, dict) or value.keys() != hints.keys():
            raise ValueError
        return kind(**{name: _typed(hints[name], value[name]) for name in hints})
    if isinstance(kind, UnionType):
        wanted = [part for part in get_args(kind) if is_dataclass(part) == isinstance(value, dict)]
        return None if value is None and type(None) in wanted else _typed(wanted[0], value)
    if get_origin(kind) is tuple:
        return _tuple(get_args(kind), value)
    return _LEAVES[(get_origin(kind) or kind).__name__](value)


def _sound(reading: Answer) -> Answer:
    """The answer, if it also keeps what types do not say and the catalog relies on. Raises ValueError."""
    if not isinstance(reading, PhotoReading):
        return reading
    import numpy as np

    sound = len(reading.sha256) == 32 and (reading.taken_at is None or reading.taken_at.tzinfo is None)
    for face in reading.faces:
        sound &= len(face.detection.landmarks) == 5
        sound &= bool(abs(np.dot(face.vector, face.vector) - 1) < UNIT_TOLERANCE)
    if not sound:
        raise ValueError
    return reading


@functools.cache
def _hints(record: type) -> dict[str, Any]:
    """The types that a record's fields are declared with."""
    import numpy as np
    from numpy.typing import NDArray

    return get_type_hints(record, None, {"np": np, "NDArray": NDArray})


def _tuple(kinds: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise TypeError
    if kinds[-1] is Ellipsis:
        kinds = kinds[:1] * len(value)
    return tuple(_typed(kind, part) for kind, part in zip(kinds, value, strict=True))


def _text(value: Any) -> str:
    """Text that any file can hold: names that are no Unicode are spelt out."""
    if not isinstance(value, str):
        raise TypeError
    return value.encode(errors="backslashreplace").decode()


def _whole(value: Any) -> int:
    if type(value) is not int or value not in _INTEGERS:
        raise ValueError
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError
    return cast("float", value)


def _bytes(value: Any) -> bytes:
    return base64.b64decode(value, validate=True)


def _vector(value: Any) -> Any:
    """(d,) float32, finite."""
    import numpy as np

    vector = np.frombuffer(_bytes(value), "<f4").copy()
    if not np.isfinite(vector).all():
        raise ValueError
    return vector


_LEAVES: dict[str, Callable[[Any], Any]] = {
    "str": _text,
    "int": _whole,
    "float": _number,
    "bytes": _bytes,
    "datetime": datetime.fromisoformat,
    "ndarray": _vector,
}
