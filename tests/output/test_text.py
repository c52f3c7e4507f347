"""Names are shown without tricks, numbers with units."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chueok.output.text import bytes_size, duration, plural, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("가족 여행/엄마.jpg", "가족 여행/엄마.jpg"),
        (unicodedata.normalize("NFD", "엄마"), "엄마"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("gpj.\u202eexe", "gpj.\\u202eexe"),
        ("a\u2066b\u2069", "a\\u2066b\\u2069"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),
        (os.fsdecode(b"caf\xe9.jpg"), "caf\\xe9.jpg"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        (Path("a/b.jpg"), "a/b.jpg"),
    ],
)
def test_what_could_steer_a_terminal_is_shown_as_an_escape(text: object, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters(), max_size=40))
def test_no_text_reaches_a_screen_with_a_control_character(text: str) -> None:
    shown = printable(text)
    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert not {unicodedata.bidirectional(character) for character in shown} & {
        *("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    }
    shown.encode("utf-8")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0.00 s"),
        (0.034, "0.03 s"),
        (4.21, "4.2 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations_have_the_unit_a_person_would_use(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_sizes_are_decimal() -> None:
    shown = [bytes_size(size) for size in (0, 999, 1000, 1_262_733, 111_898_327, 5_500_000_000)]
    assert shown == ["0 bytes", "999 bytes", "1.0 kB", "1.3 MB", "111.9 MB", "5.5 GB"]


def test_counts_agree_with_their_nouns() -> None:
    shown = [plural(1, "photo"), plural(0, "face"), plural(12345, "photo"), plural(2, "person")]
    assert shown == ["1 photo", "0 faces", "12,345 photos", "2 people"]
