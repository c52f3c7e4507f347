"""Readers for a ReadingPool that crash, hang, swallow memory or answer, as their task says."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from tests.vision import pictures

from chueok.errors import ModelInvalid, ModelMissing, UnreadablePhoto
from chueok.records import PhotoReading
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


def _own_process(number: int) -> PhotoReading:
    return reading(os.getpid())


def _answer_a_function(number: int) -> Any:
    return lambda: number


def _answer_much(number: int) -> PhotoReading:
    return PhotoReading(b"\0" * number, number, 1, 1, None, None, ())


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
    "answer much": _answer_much,
    "count imports": _count_imports,
}
