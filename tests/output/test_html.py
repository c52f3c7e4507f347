"""The page of results holds everything it needs, says no more than it should, and replaces only its own kind."""

from __future__ import annotations

import base64
import io
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from chueok.errors import OperationFailed, UsageError
from chueok.output.html import write_sheet
from chueok.records import Box, Detection, Face, FindSummary, Match

SUMMARY = FindSummary(("엄마", "<script>alert(1)</script>"), 2, 61, 0.42, "lite at FAR 1e-3", 0.03)
RED, BLUE = (220, 30, 30), (30, 30, 220)


BOX = Box(300, 50, 40, 40)


def _photo(path: Path) -> Path:
    """A blue photo with a red square as its face."""
    image = Image.new("RGB", (400, 200), BLUE)
    image.paste(RED, (300, 50, 340, 90))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def _match(match: Match, photo: Path, **changes: object) -> Match:
    face = Face(1, Detection(BOX, 0.99, ()))
    return replace(match, photo=photo, face=face, reference=photo, **changes)  # type: ignore[arg-type]  # fields of Match


class _Page(HTMLParser):
    """The tags with their attributes, and the text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str, attribute: str) -> list[str]:
        return [attributes.get(attribute) or "" for name, attributes in self.tags if name == tag]

    def images(self) -> list[Image.Image]:
        sources = self.all("img", "src")
        return [Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))) for source in sources]


def test_a_match_shows_its_photo_its_face_and_its_facts(tmp_path: Path, match: Match) -> None:
    photo = _photo(tmp_path / "가족 여행" / "엄마 #1?.jpg")
    write_sheet(tmp_path / "out.html", [_match(match, photo, person="엄마")], SUMMARY)
    page = _Page(tmp_path / "out.html")
    reference, thumbnail, near = page.images()
    assert (reference.size, thumbnail.size, near.size) == ((144, 72), (400, 200), (144, 144))
    assert _close(near.getpixel((72, 72)), RED)
    assert _close(near.getpixel((4, 4)), BLUE)
    assert page.all("i", "style") == ["left:75.00%;top:25.00%;width:10.00%;height:20.00%"]
    assert page.all("a", "href") == [photo.as_uri()] * 2
    assert "0.713" in page.text
    assert "2019-05-02" in page.text
    assert "엄마 #1?.jpg" in page.text


def _close(pixel: float | tuple[int, ...] | None, color: tuple[int, int, int]) -> bool:
    assert isinstance(pixel, tuple)
    return all(abs(a - b) < 30 for a, b in zip(pixel, color, strict=True))


def test_the_page_loads_nothing_from_anywhere(tmp_path: Path, match: Match) -> None:
    write_sheet(tmp_path / "out.html", [_match(match, _photo(tmp_path / "a.jpg"))], SUMMARY)
    page = _Page(tmp_path / "out.html")
    assert {source[:23] for source in page.all("img", "src")} == {"data:image/jpeg;base64,"}
    assert {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object"} == set()
    assert page.all("meta", "content")[2] == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert "url(" not in (tmp_path / "out.html").read_text(encoding="utf-8")


def test_names_are_text_not_markup(tmp_path: Path, match: Match) -> None:
    photo = _photo(tmp_path / "<b onload=x>\"'&\n\u202e.jpg")
    write_sheet(tmp_path / "out.html", [_match(match, photo, person="<i>mom</i>")], SUMMARY)
    page = _Page(tmp_path / "out.html")
    assert "<script>alert(1)</script>" in page.text
    assert "<b onload=x>\"'&\\n\\u202e.jpg" in page.text
    assert {tag for tag, _ in page.tags} & {"script", "b onload"} == set()


def test_a_photo_that_is_gone_keeps_its_place(tmp_path: Path, match: Match) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"")
    matches = [_match(match, tmp_path / "gone.jpg"), _match(match, broken)]
    write_sheet(tmp_path / "out.html", matches, SUMMARY)
    page = _Page(tmp_path / "out.html")
    assert page.images() == []
    assert "gone.jpg is not there any more, or cannot be read" in page.text
    assert "broken.jpg is not there any more, or cannot be read" in page.text


def test_a_reference_behind_a_link_is_shown_and_a_circle_of_links_is_not(
    tmp_path: Path, match: Match
) -> None:
    photo, link, circle = _photo(tmp_path / "a.png"), tmp_path / "link.png", tmp_path / "circle.png"
    link.symlink_to(photo)
    circle.symlink_to(circle)
    matches = [replace(_match(match, photo), reference=reference) for reference in (link, circle)]
    write_sheet(tmp_path / "out.html", matches, SUMMARY)
    page = _Page(tmp_path / "out.html")
    assert page.all("img", "title")[0] == "link.png"
    assert "circle.png is not there any more" in page.text


def test_a_name_that_is_not_utf8_has_a_link(tmp_path: Path, match: Match) -> None:
    photo = tmp_path / os.fsdecode(b"caf\xe9.jpg")
    write_sheet(tmp_path / "out.html", [_match(match, photo)], SUMMARY)
    assert _Page(tmp_path / "out.html").all("a", "href")[0].endswith("/caf%E9.jpg")


def test_the_page_is_private_and_leaves_no_other_file(tmp_path: Path, match: Match) -> None:
    for _ in range(2):  # the second replaces the first
        write_sheet(tmp_path / "out.html", [], SUMMARY)
    assert [path.name for path in tmp_path.iterdir()] == ["out.html"]
    assert (tmp_path / "out.html").stat().st_mode & 0o777 == 0o600


def test_a_file_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    photo = _photo(tmp_path / "a.jpg")
    before = photo.read_bytes()
    with pytest.raises(UsageError, match=re.escape(f"{photo} exists and was not made by chueok")):
        write_sheet(photo, [], SUMMARY)
    assert photo.read_bytes() == before


def test_a_folder_that_is_not_there_is_an_operation_that_failed(tmp_path: Path) -> None:
    with pytest.raises(OperationFailed, match="cannot be written: No such file or directory"):
        write_sheet(tmp_path / "no" / "out.html", [], SUMMARY)


def test_a_page_that_fails_half_way_leaves_the_old_one(tmp_path: Path, match: Match) -> None:
    page = tmp_path / "out.html"
    write_sheet(page, [], SUMMARY)
    before = page.read_bytes()
    with pytest.raises(ValueError, match="format code"):
        write_sheet(page, [replace(match, similarity="not a number")], SUMMARY)  # type: ignore[arg-type]  # it is meant to fail
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("out.html", before)]
