"""Readers for a ReadingPool that crash, hang, swallow memory or answer, as their task says."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from tests.vision import pictures

from chueok.errors import ModelInvalid, ModelMissing, UnreadablePhoto
from chueok.records import FaceCrop, PhotoReading
from chueok.vision.answers import LENGTH_BYTES, LONGEST, encoded
from chueok.vision.decode import decode

Task = tuple[str, int]


class Particular(UnreadablePhoto):
    """A reason that cannot be made again from its sentence alone, and so not be unpickled."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(f"{what} in {where}")


def reading(number: int) -> PhotoReading:
    """What a reader answers to ("ok", number)."""
    return PhotoReading(b"\0" * 32, number, 640, 480, datetime(2019, 5, 2), None, ())


def act(task: Task) -> PhotoReading:
    """Do what the task says."""
    name, number = task
    return DEEDS[name](number)


def open_actor() -> Callable[[Task], PhotoReading]:
    return act


def open_missing() -> Callable[[Task], PhotoReading]:
    raise ModelMissing("run `chueok model fetch facenet`")


def open_broken() -> Callable[[Task], PhotoReading]:
    raise KeyError("weights")


def open_crashing() -> Callable[[Task], PhotoReading]:
    os.abort()


def open_slowly() -> Callable[[Task], PhotoReading]:
    time.sleep(1.5)
    return act


def _refuse(number: int) -> PhotoReading:
    raise UnreadablePhoto(f"no picture in file {number}")


def _refuse_in_particular(number: int) -> PhotoReading:
    raise Particular("no picture", f"file {number}")


def _fail(number: int) -> PhotoReading:
    raise RuntimeError(f"bug {number}")


def _give_up(number: int) -> PhotoReading:
    raise ModelInvalid("the weights are damaged")


def _segfault(number: int) -> PhotoReading:
    ctypes.string_at(0)
    return reading(number)


def _abort(number: int) -> PhotoReading:
    os.abort()


def _leave(number: int) -> PhotoReading:
    os._exit(number)


def _killed(number: int) -> PhotoReading:
    os.kill(os.getpid(), signal.SIGKILL)
    return reading(number)


def _swallow(number: int) -> PhotoReading:
    return reading(len(bytearray(number * 2**20)))


def _decode_a_bomb(megapixels: int) -> PhotoReading:
    row = b"\0" * 3 * 1000
    picture = decode(pictures.png(1000, megapixels * 1000, 8, 2, row, rows=1))
    return reading(picture.height)


def _sleep(number: int) -> PhotoReading:
    time.sleep(number)
    return reading(number)


def _sleep_in_c(number: int) -> PhotoReading:
    ctypes.PyDLL(None).sleep(number)  # holds the interpreter's lock, as a decoder does
    return reading(number)


def _shout(number: int) -> PhotoReading:
    os.write(2, b"libtiff says something\n")
    print("and so does the reader")
    return reading(number)


def _run_short(number: int) -> PhotoReading:
    raise UnreadablePhoto("the network drive is gone", transient=True)


def _own_process(number: int) -> PhotoReading:
    return reading(os.getpid())


def _answer_a_function(number: int) -> Any:
    return lambda: number


class Payload:
    """What pickle would run: a command that writes a file."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch taken-over",)


MESSAGES: dict[int, bytes] = {
    0: pickle.dumps(Payload()),
    1: b"",
    2: b"null",
    3: b'{"answer":null}',  # once more: the reader is open
    4: b'{"answer":{"sha256":"AAAA"}}',
    5: encoded(reading(5)).replace(b'"bytes":5', b'"bytes":"5"'),
    6: encoded(reading(6)).replace(b'"bytes":6', b'"bytes":1' + b"0" * 30),
    7: encoded(reading(7)).replace(b'"damage":null', b'"damage":7'),
    8: encoded(reading(8)).replace(b'"faces":[]', b'"faces":' + b"[" * 10_000 + b"]" * 10_000),
    9: encoded(reading(9)).replace(b'"faces":[]', b'"faces":[' + b"[]," * 2_000_000 + b"[]]"),
    10: encoded(UnreadablePhoto("x")).replace(b"UnreadablePhoto", b"os.system"),
    11: b'{"answer":' + b"1" * 10_000 + b"}",
}


def _take_over(number: int) -> PhotoReading:
    """Say something else than chueok would, as a decoder that runs the file's own code could."""
    _say(len(MESSAGES[number]).to_bytes(LENGTH_BYTES, "big") + MESSAGES[number])
    time.sleep(60)
    return reading(number)


def _promise(length: int) -> PhotoReading:
    """Announce an answer and never finish it."""
    _say(length.to_bytes(LENGTH_BYTES, "big") + b'{"answer":')
    time.sleep(60)
    return reading(length)


def _flood(number: int) -> PhotoReading:
    while True:
        _say(LONGEST.to_bytes(LENGTH_BYTES, "big") + b" " * 2**20)


def _say(message: bytes) -> None:
    os.write(int(sys.argv[1]), message)  # as pool.py starts a child: its end of the pipe


def _answer_the_payload(number: int) -> Any:
    return Payload()


def _answer_much(number: int) -> PhotoReading:
    crop = FaceCrop(b"\0" * number, 1, 0.0, 0.0, 1.0)
    return PhotoReading(bytes(32), number, 1, 1, None, None, (), (crop,))


def _count_imports(number: int) -> PhotoReading:
    return reading(len({"torch", "onnxruntime", "typer", "rich"} & set(sys.modules)))


DEEDS: dict[str, Callable[[int], PhotoReading]] = {
    "ok": reading,
    "refuse": _refuse,
    "refuse in particular": _refuse_in_particular,
    "fail": _fail,
    "give up": _give_up,
    "segfault": _segfault,
    "abort": _abort,
    "leave": _leave,
    "killed": _killed,
    "swallow": _swallow,
    "decode a bomb": _decode_a_bomb,
    "sleep": _sleep,
    "sleep in C": _sleep_in_c,
    "shout": _shout,
    "own process": _own_process,
    "answer a function": _answer_a_function,
    "answer the payload": _answer_the_payload,
    "take over": _take_over,
    "promise": _promise,
    "flood": _flood,
    "run short": _run_short,
    "answer much": _answer_much,
    "count imports": _count_imports,
}
