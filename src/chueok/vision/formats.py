"""What kind of picture a file is, by its first bytes, or in the owner's words why it is none."""

from __future__ import annotations

import enum

from chueok.errors import UnreadablePhoto


class PictureFormat(enum.StrEnum):
    """The formats chueok reads; any other that Pillow knows has been a way in for trouble (docs/engine.md)."""

    JPEG = "JPEG"  # MPO too: its first picture is a plain JPEG
    PNG = "PNG"
    GIF = "GIF"
    BMP = "BMP"
    TIFF = "TIFF"
    WEBP = "WebP"
    JPEG_2000 = "JPEG 2000"
    AVIF = "AVIF"
    HEIF = "HEIF"


_PICTURES = {
    b"\xff\xd8\xff": PictureFormat.JPEG,
    b"\x89PNG\r\n\x1a\n": PictureFormat.PNG,
    b"GIF87a": PictureFormat.GIF,
    b"GIF89a": PictureFormat.GIF,
    b"BM": PictureFormat.BMP,
    b"II*\0": PictureFormat.TIFF,
    b"MM\0*": PictureFormat.TIFF,
    b"II+\0": PictureFormat.TIFF,  # BigTIFF
    b"MM\0+": PictureFormat.TIFF,
    b"II\0*": PictureFormat.TIFF,  # two malformed headers that Pillow reads
    b"MM*\0": PictureFormat.TIFF,
    b"\xff\x4f\xff\x51": PictureFormat.JPEG_2000,
    b"\0\0\0\x0cjP  \r\n\x87\n": PictureFormat.JPEG_2000,
}
_STRANGERS = {  # what else is found in albums
    b"%PDF": "a PDF document",
    b"%!PS": "a PostScript document",
    b"8BPS": "a Photoshop document",
    b"\xff\x0a": "a JPEG XL picture, which chueok cannot read yet",
    b"\0\0\0\x0cJXL \r\n\x87\n": "a JPEG XL picture, which chueok cannot read yet",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1aE\xdf\xa3": "a video",
    b"RIFF": "a video or sound file",
    b"<": "a web page or drawing (HTML, XML or SVG)",
}
_BRANDS = {  # ISO/IEC 23000-22 (AVIF first: its files may carry the general HEIF brands too)
    PictureFormat.AVIF: frozenset(b"avif avis".split()),
    PictureFormat.HEIF: frozenset(b"heic heix hevc hevx heim heis hevm hevs mif1 msf1 mif2".split()),
}


def picture_format(data: bytes) -> PictureFormat:
    """The format of a file by its first bytes; raises UnreadablePhoto for anything that is not a picture."""
    if not data:
        raise UnreadablePhoto("the file is empty (0 bytes)")
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return PictureFormat.WEBP
    if data[4:8] == b"ftyp":
        return _media_format(data)
    for start, form in _PICTURES.items():
        if data.startswith(start):
            return form
    for start, stranger in _STRANGERS.items():
        if data.startswith(start):
            raise UnreadablePhoto(f"not a photo: it starts like {stranger}")
    if not data[:4096].strip(b"\0"):
        raise UnreadablePhoto("the file holds only zeros: its content was lost, perhaps on a failing disk")
    raise UnreadablePhoto("not a photo, or in a format that chueok does not know")


def _media_format(data: bytes) -> PictureFormat:
    """The picture format of an ISO media file (ISO/IEC 14496-12, 4.3) by the brands it lists."""
    length = min(int.from_bytes(data[:4], "big"), 256)  # 60 brands; real lists have ten
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, length, 4))}
    for form, known in _BRANDS.items():
        if brands & known:
            return form
    raise UnreadablePhoto("not a photo: it starts like a video")
