"""Text that is safe to show: file names without tricks, numbers with units."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chueok.measures import Interval

# What could steer a terminal, turn text around (bidi overrides) or hide in it: C0, C1, DEL, soft hyphen,
# directional marks and isolates, line and paragraph separators, invisible operators, BOM, tag characters,
# and lone surrogates, which is how Python holds the bytes of a name that is not UTF-8.
# The joiners U+200C and U+200D stay: emoji and Persian need them. Categories: Unicode 15, Cc, Cf, Cs, Zl, Zp.
UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff"
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_BYTE_SURROGATES = range(0xDC80, 0xDD00)  # PEP 383: byte 0x80 + n is held as U+DC80 + n


def printable(text: object) -> str:
    """A name or path for a screen: composed (NFC: macOS writes Hangul decomposed) and `escaped`."""
    return escaped(unicodedata.normalize("NFC", str(text)))


def escaped(text: str) -> str:
    r"""Text with unsafe characters as Python writes them: `\n`, `\x1b`, `\u202e`; a byte not in UTF-8 as `\xff`."""
    return UNSAFE.sub(lambda found: _escape(found[0]), text)


def _escape(character: str) -> str:
    code = ord(character)
    if code in _BYTE_SURROGATES:
        code -= 0xDC00
    if code <= 0xFF:
        return _SHORT.get(character, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def plural(count: int, noun: str) -> str:
    """`1 photo`, `12,345 photos`; `person` becomes `people`."""
    if count == 1:
        return f"1 {noun}"
    return f"{count:,} {'people' if noun == 'person' else noun + 's'}"


def duration(seconds: float) -> str:
    """Seconds in the unit a person would use: `0.03 s`, `4.2 s`, `3 min 20 s`, `2 h 05 min`."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def bytes_size(size: int) -> str:
    """Bytes in decimal units, as disks are sold and file managers show them: `1.3 MB`."""
    amount = float(size)
    for unit in ("bytes", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


TOO_FEW = "too few"  # pairs to say


def percent(share: float | None) -> str:
    """A share that was measured, or that there was too little to measure it."""
    return TOO_FEW if share is None else f"{100 * share:.2f} %"


def points(change: Interval | None) -> str:
    """Where a change lies with a confidence of 95 %, in percentage points."""
    return TOO_FEW if change is None else f"{100 * change.low:+.2f} to {100 * change.high:+.2f}"


def sure(share: float | None, interval: Interval | None) -> str:
    """A share that was measured, and where it lies with a confidence of 95 %."""
    if share is None or interval is None:
        return percent(share)
    return f"{percent(share)} ({100 * interval.low:.1f}-{100 * interval.high:.1f})"
