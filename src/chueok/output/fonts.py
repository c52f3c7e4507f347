"""A font of this machine that can draw a name; Pillow's own (a subset of Aileron) has ASCII only."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

# Where Linux distributions, macOS and Windows keep fonts with Hangul, then the widest of the others.
CANDIDATES = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",  # Debian, Ubuntu: fonts-noto-cjk
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",  # Arch
    "/usr/share/fonts/google-noto-sans-cjk-fonts/NotoSansCJK-Regular.ttc",  # Fedora
    "/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/nanum/NanumGothic.ttf",  # Debian, Ubuntu: fonts-nanum
    "/usr/share/fonts/truetype/unfonts-core/UnDotum.ttf",
    "/System/Library/Fonts/AppleSDGothicNeo.ttc",
    "/System/Library/Fonts/Supplemental/AppleGothic.ttf",
    "C:/Windows/Fonts/malgun.ttf",
    "/System/Library/Fonts/Supplemental/Arial Unicode.ttf",
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
)
_NO_CHARACTER = "\U0010ffff"  # never assigned: every font draws its "missing" box for it
_TRIAL_SIZE = 24  # pixels; large enough that two different glyphs differ


def font_for(text: str, size: int) -> FreeTypeFont:
    """The first font that draws all of the text, at `size` pixels; Pillow's own when none does."""
    for name in (None, *CANDIDATES):
        font = _open(name, size)
        if font is not None and _draws(name, text):
            return font
    return _own(size)


def drawable(text: str) -> str:
    """The text, or, where no font here can draw it, with escapes for its letters beyond ASCII."""
    if any(_draws(name, text) for name in (None, *CANDIDATES)):
        return text
    return text.encode("ascii", "backslashreplace").decode("ascii")


def _draws(name: str | None, text: str) -> bool:
    return all(_has(name, character) for character in set(text) if not character.isspace())


@functools.cache
def _has(name: str | None, character: str) -> bool:
    """Whether the font has a glyph of its own for the character."""
    font = _open(name, _TRIAL_SIZE)
    return font is not None and bytes(font.getmask(character)) != bytes(font.getmask(_NO_CHARACTER))


@functools.cache
def _open(name: str | None, size: int) -> FreeTypeFont | None:
    """A font by its file, Pillow's own for None; None when it is not on this machine or not a font."""
    from PIL import ImageFont

    if name is None:
        return _own(size)
    if not Path(name).is_file():
        return None
    try:
        return ImageFont.truetype(name, size)
    except OSError:
        return None


def _own(size: int) -> FreeTypeFont:
    from PIL import ImageFont

    # With a size given, Pillow returns its embedded Aileron, a FreeType font (Pillow documentation, load_default).
    return cast("FreeTypeFont", ImageFont.load_default(size))
