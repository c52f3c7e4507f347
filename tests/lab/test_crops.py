"""Crops: what is found in folders and tars, in which order, and what is refused."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chueok.errors import UsageError
from chueok.lab.crops import load_crops

SIDE = 112


def _picture(colour: tuple[int, ...], size: int = SIDE, kind: str = "png") -> bytes:
    file = io.BytesIO()
    mode = "RGBA" if len(colour) == 4 else "RGB"
    Image.new(mode, (size, size), colour).save(file, kind)
    return file.getvalue()


def _tar(path: Path, members: dict[str, bytes], links: dict[str, str] | None = None) -> None:
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)


def _colours(crops: np.ndarray) -> list[tuple[int, ...]]:
    assert crops.shape[1:] == (SIDE, SIDE, 4)
    assert crops.dtype == np.uint8
    return [tuple(map(int, crop[0, 0])) for crop in crops]


def test_a_folder_and_the_tars_in_it_are_one_collection_ordered_by_name(tmp_path: Path) -> None:
    source = tmp_path / "얼굴"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "z.PNG").write_bytes(_picture((3, 0, 0)))
    (source / "notes.txt").write_text("not a crop")
    _tar(
        source / "b.tar",
        {"x/2.png": _picture((2, 0, 0, 0)), "x/1.png": _picture((1, 0, 0)), "x/readme": b"-"},
    )
    assert _colours(load_crops(source)) == [(1, 0, 0, 255), (2, 0, 0, 0), (3, 0, 0, 255)]


def test_the_order_does_not_depend_on_what_the_folder_is_called(tmp_path: Path) -> None:
    for name in ("a", "z"):
        source = tmp_path / name
        (source / "deep").mkdir(parents=True)
        (source / "deep" / "1.png").write_bytes(_picture((3, 0, 0)))
        _tar(source / "c.tar", {"1.png": _picture((2, 0, 0))})
        _tar(source / "deep" / "b.tar", {"1.png": _picture((4, 0, 0))})
        (source / "b.png").write_bytes(_picture((1, 0, 0)))
        assert [red for red, *_ in _colours(load_crops(source))] == [1, 2, 3, 4]


def test_a_flat_folder_of_tars_is_ordered_by_tar_then_by_member(tmp_path: Path) -> None:
    _tar(tmp_path / "s-01.tar", {"a/1.png": _picture((3, 0, 0))})
    _tar(tmp_path / "s-00.tar", {"z/1.png": _picture((2, 0, 0)), "b/2.png": _picture((1, 0, 0))})
    assert [red for red, *_ in _colours(load_crops(tmp_path))] == [1, 2, 3]


def test_a_folder_named_as_a_crop_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "x.png").mkdir()
    (tmp_path / "x.png" / "1.png").write_bytes(_picture((1, 0, 0)))
    assert _colours(load_crops(tmp_path)) == [(1, 0, 0, 255)]


def test_a_link_in_a_tar_is_the_crop_it_leads_to(tmp_path: Path) -> None:
    _tar(tmp_path / "b.tar", {"2.png": _picture((1, 0, 0))}, links={"1.png": "2.png"})
    assert _colours(load_crops(tmp_path)) == [(1, 0, 0, 255)] * 2


@pytest.mark.parametrize("target", ["gone.png", "1.png"])
def test_a_link_in_a_tar_that_leads_nowhere_is_refused_by_name(tmp_path: Path, target: str) -> None:
    _tar(tmp_path / "b.tar", {"2.png": _picture((1, 0, 0))}, links={"1.png": target})
    with pytest.raises(UsageError) as refusal:
        load_crops(tmp_path)
    assert str(refusal.value) == f"{tmp_path}/b.tar: 1.png is a link that leads nowhere; pack it anew"


def test_one_tar_file_is_a_collection(tmp_path: Path) -> None:
    _tar(tmp_path / "b.tar", {"1.webp": _picture((0, 0, 0), kind="webp")})
    assert _colours(load_crops(tmp_path / "b.tar")) == [(0, 0, 0, 255)]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", b"", "holds no crops"),
        ("a.png", b"no picture", "not a readable picture"),
        ("a.png", _picture((0, 0, 0), 96), "96 x 96"),
        ("a.tar", b"no archive", "cannot be read as crops"),
    ],
)
def test_what_is_no_crop_is_refused_by_name(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=words):
        load_crops(tmp_path)


def test_a_missing_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refusal:
        load_crops(tmp_path / "nowhere")
    assert str(refusal.value) == (
        f"{tmp_path}/nowhere is not there; give a folder of aligned 112 x 112 pictures (WebP, PNG or JPEG), or of tar "
        "files with such pictures"
    )
