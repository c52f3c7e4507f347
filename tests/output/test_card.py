"""The card shows both faces, whatever the name, and never takes a photo's place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from chueok.errors import OperationFailed, UsageError
from chueok.output import fonts
from chueok.output.card import write_card
from chueok.records import Box, Detection, Face, Lookalike

FACE = Face(1, Detection(Box(100, 100, 60, 80), 0.99, ()))
RED, BLUE, INK = (220, 30, 30), (30, 30, 220), (28, 28, 26)


def _photo(path: Path, color: tuple[int, int, int]) -> Path:
    Image.new("RGB", (300, 300), color).save(path, quality=95)
    return path


def _answer(reference: Path | None, name: str = "김민지") -> Lookalike:
    return Lookalike(1, name, 0.62, 99.4, reference, None if reference is None else FACE)


def test_both_faces_stand_side_by_side(tmp_path: Path) -> None:
    selfie, other = _photo(tmp_path / "a.jpg", RED), _photo(tmp_path / "b.jpg", BLUE)
    write_card(tmp_path / "card.png", selfie, FACE, _answer(other))
    card = Image.open(tmp_path / "card.png")
    assert (card.size, card.mode, card.info) == ((1200, 800), "RGB", {"Software": "chueok"})
    for x, color in ((320, RED), (880, BLUE)):
        pixel = card.getpixel((x, 310))
        assert isinstance(pixel, tuple)
        assert all(abs(a - b) < 8 for a, b in zip(pixel, color, strict=True))
    assert (tmp_path / "card.png").stat().st_mode & 0o777 == 0o600


def test_a_selfie_behind_a_link_is_shown(tmp_path: Path) -> None:
    (tmp_path / "link.jpg").symlink_to(_photo(tmp_path / "a.jpg", RED))
    write_card(tmp_path / "card.png", tmp_path / "link.jpg", FACE, _answer(None))
    pixel = Image.open(tmp_path / "card.png").getpixel((320, 310))
    assert isinstance(pixel, tuple)
    assert all(abs(a - b) < 8 for a, b in zip(pixel, RED, strict=True))


@pytest.mark.parametrize("name", ["", "x" * 500, "👩\u200d👧 \U000e0041", "a\nb\x1b[31m", "김민지"])
def test_any_name_gives_a_card_with_its_words_inside(tmp_path: Path, name: str) -> None:
    write_card(tmp_path / "card.png", tmp_path / "gone.jpg", FACE, _answer(None, name))
    card = Image.open(tmp_path / "card.png")
    edges = [card.crop((0, 0, 40, 800)), card.crop((1160, 0, 1200, 800))]
    assert [edge.getextrema() for edge in edges] == [((250, 250), (250, 250), (248, 248))] * 2


def test_without_a_font_for_a_name_its_escapes_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fonts, "CANDIDATES", (str(tmp_path / "no.ttf"),))
    assert [fonts.drawable(name) for name in ("Zoe", "김")] == ["Zoe", "\\uae40"]


def test_hangul_is_drawn_where_the_machine_has_a_font_for_it() -> None:
    if not any(Path(name).is_file() for name in fonts.CANDIDATES if "CJK" in name or "Nanum" in name):
        pytest.skip("no font with Hangul at the usual places")
    font = fonts.font_for("김민지", 40)
    assert fonts.drawable("김민지") == "김민지"
    assert bytes(font.getmask("김")) != bytes(font.getmask("민"))


def test_a_card_replaces_a_card_but_never_a_photo(tmp_path: Path) -> None:
    selfie, photo = _photo(tmp_path / "a.jpg", RED), _photo(tmp_path / "photo.png", BLUE)
    before = photo.read_bytes()
    with pytest.raises(UsageError, match="was not made by chueok; choose another name"):
        write_card(photo, selfie, FACE, _answer(selfie))
    assert photo.read_bytes() == before
    write_card(tmp_path / "card.png", selfie, FACE, _answer(selfie))
    write_card(tmp_path / "card.png", selfie, FACE, replace(_answer(selfie), name="again"))


def test_a_card_below_a_file_is_answered_with_a_sentence(tmp_path: Path) -> None:
    selfie = _photo(tmp_path / "a.jpg", RED)
    with pytest.raises(OperationFailed, match="cannot be written: Not a directory"):
        write_card(selfie / "card.png", selfie, FACE, _answer(selfie))


def test_a_card_is_named_as_the_png_it_is(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"name it like .*card\.png"):
        write_card(tmp_path / "card.jpg", tmp_path / "a.jpg", FACE, _answer(None))
