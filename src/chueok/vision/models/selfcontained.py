"""That an ONNX network is all in one file: what it would read beside it was never verified.

A tensor may say that its numbers lie in another file, which ONNX Runtime reads from the current folder when a
network is given as bytes. Only the .onnx file's sha256 is known, so such a network is never run. This file walks
the protocol buffers itself: `import onnx` would take 0.15 s of every command that looks at a face.
"""

from __future__ import annotations

from collections.abc import Iterator

from chueok.errors import ModelInvalid

# The fields of onnx.proto (IR version 13) through which a message leads to tensors; a test compares with onnx
LEADS: dict[str, dict[int, str]] = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto",
        6: "GraphProto",
        10: "TensorProto",
        11: "GraphProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
}
EXTERNAL_DATA, DATA_LOCATION = 13, 14  # TensorProto: where the numbers lie; 0 for inside
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = (
    0,
    1,
    2,
    5,
)  # wire types (protobuf.dev/programming-guides/encoding)
_LONGEST_VARINT = 10  # bytes


def check_self_contained(network: bytes, name: str) -> None:
    """Nothing, when every number of an ONNX network is in these bytes. `name` begins the sentence of ModelInvalid."""
    waiting = [("ModelProto", memoryview(network))]
    try:
        while waiting:
            kind, message = waiting.pop()
            for field, value in _fields(message):
                if kind == "TensorProto" and (field == EXTERNAL_DATA or (field == DATA_LOCATION and value)):
                    raise ModelInvalid(
                        f"{name} keeps a part of its numbers in other files, which nobody has verified; "
                        "it is not used. Save it as one file: onnx.save(onnx.load(FILE), FILE)."
                    )
                inner = LEADS.get(kind, {}).get(field)
                if inner and isinstance(value, memoryview):
                    waiting.append((inner, value))
    except (IndexError, ValueError) as error:
        raise ModelInvalid(f"{name} is damaged or is not an ONNX model; install it again.") from error


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The number and value of each field; those of fixed length are left out. Raises IndexError, ValueError."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        field, wire = (tag & 0xFFFF_FFFF) >> 3, tag & 7  # parsers drop higher bits
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield field, value
        elif wire == _BYTES:
            length, at = _varint(message, at)
            if length > len(message) - at:
                raise ValueError
            yield field, message[at : at + length]
            at += length
        elif wire in (_EIGHT_BYTES, _FOUR_BYTES):
            at += 8 if wire == _EIGHT_BYTES else 4
        else:
            raise ValueError  # groups, which ONNX has none of


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """The whole number that begins at `at`, and where it ends."""
    number = 0
    for place in range(_LONGEST_VARINT):
        byte = message[at + place]
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number, at + place + 1
    raise ValueError
