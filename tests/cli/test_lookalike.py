"""`chueok lookalike` from outside: folders, JSON and enrolled people as galleries."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.cli.conftest import Chueok, Sample

pytestmark = [pytest.mark.weights, pytest.mark.usefixtures("library")]

RANKING = ["Eileen Collins", "그레이스 호퍼", "The Photographer"]
FAR_APART = 0.3  # similarity below which two people of the sample are; its strangers stay under 0.22


def test_a_gallery_of_a_picture_or_a_folder_per_person(chueok: Chueok, sample: Sample) -> None:
    arguments = ("lookalike", sample.folder / "selfie.jpg", "--gallery", sample.folder / "gallery")
    plain = chueok(*arguments)
    answer = chueok(*arguments, "--json")
    first, *others = answer.of_type("lookalike")
    assert [line.split("\t")[0] for line in plain.lines] == RANKING
    assert "50 % means similarity 0" in plain.err
    assert first == {
        "schema": 1,
        "type": "lookalike",
        "rank": 1,
        "name": "Eileen Collins",
        "similarity": pytest.approx(0.990, abs=0.01),
        "percent": pytest.approx((1 + first["similarity"]) / 2 * 100, abs=0.06),
        "percentile": 100.0,
        "reference": str(sample.folder / "gallery/Eileen Collins.jpg"),
        "face": first["face"],
    }
    assert [(other["rank"], other["name"], other["similarity"] < FAR_APART) for other in others] == [
        (2, RANKING[1], True),
        (3, RANKING[2], True),
    ]
    assert answer.summary | {"seconds": 0} == {
        "schema": 1,
        "type": "summary",
        "command": "lookalike",
        "probe": str(sample.folder / "selfie.jpg"),
        "people": 3,
        "pictures": 4,
        "unusable": 0,
        "model": "lite",
        "seconds": 0,
    }
    assert answer.imported.isdisjoint({"torch", "onnxruntime"}), "embeddings are kept by content"


def test_the_enrolled_people_are_the_gallery_when_none_is_given(chueok: Chueok, sample: Sample) -> None:
    card = chueok.room / "card.png"
    answer = chueok("lookalike", sample.folder / "selfie.jpg", "--top", "1", "--card", card, "--json")
    (best,) = answer.of_type("lookalike")
    assert (answer.code, best["name"], best["rank"]) == (0, "eileen", 1)
    assert best["reference"] == str(sample.folder / "references/eileen.jpg")
    assert card.stat().st_mode & 0o777 == 0o600
    with Image.open(card) as image:
        assert (image.format, image.width > image.height) == ("PNG", True)


def test_a_gallery_of_numbers_as_other_tools_write_it(chueok: Chueok, library: Path, sample: Sample) -> None:
    with sqlite3.connect(library / "catalog.sqlite") as catalog:
        query = (
            "select p.name, v.vector from people p join person_references r on r.person_id = p.id"
            " join vectors v on v.face_id = r.face_id"
        )
        vectors = {name: np.frombuffer(vector, "<f4") for name, vector in catalog.execute(query)}
    catalog.close()
    numbers = {
        "에일린": (vectors["eileen"] * 7).tolist(),
        "both": [vectors["grace"].tolist(), vectors["eileen"].tolist()],
        "grace": vectors["grace"].tolist(),
    }
    gallery = chueok.room / "embeddings.json"
    gallery.write_text(json.dumps(numbers), encoding="utf-8")
    answer = chueok("lookalike", sample.folder / "selfie.jpg", "--gallery", gallery, "--json")
    found = answer.of_type("lookalike")
    assert {line["name"] for line in found[:2]} == {"에일린", "both"}
    assert found[0]["similarity"] == found[1]["similarity"] == pytest.approx(0.966, abs=0.01)
    assert (found[2]["name"], found[2]["reference"], found[2]["face"]) == ("grace", None, None)


def test_pictures_without_use_are_named_and_the_rest_is_compared(
    chueok: Chueok, sample: Sample, make_folder: Callable[..., Path]
) -> None:
    gallery = make_folder(
        "gallery",
        {
            "Eileen.jpg": sample.folder / "gallery/Eileen Collins.jpg",
            "Mug.jpg": sample.album / "2017/IMG_0003.jpg",
            "Torn.jpg": b"no picture",
            "README.md": b"not asked",
        },
    )
    answer = chueok("lookalike", sample.folder / "selfie.jpg", "-g", gallery, "--json")
    assert (answer.code, [line["name"] for line in answer.of_type("lookalike")]) == (3, ["Eileen"])
    assert (answer.summary["people"], answer.summary["unusable"]) == (1, 2)
    assert answer.of_type("lookalike")[0]["percentile"] is None
    assert f"left out of the gallery: {gallery / 'Mug.jpg'}: no face was found" in answer.err
    assert f"left out of the gallery: {gallery / 'Torn.jpg'}: not a photo" in answer.err


def test_a_gallery_without_a_single_face_finds_nothing(
    chueok: Chueok, sample: Sample, make_folder: Callable[..., Path]
) -> None:
    gallery = make_folder("gallery", {"Mug.jpg": sample.album / "2017/IMG_0003.jpg"})
    answer = chueok("lookalike", sample.folder / "selfie.jpg", "-g", gallery, "--json", "--card", "card.png")
    assert (answer.code, answer.summary["people"], answer.summary["unusable"]) == (1, 0, 1)
    assert f"left out of the gallery: {gallery / 'Mug.jpg'}: no face was found" in answer.err
    assert not (chueok.room / "desk/card.png").exists()


@pytest.mark.usefixtures("library")
def test_a_picture_that_is_not_a_card_is_refused_before_the_work(chueok: Chueok, sample: Sample) -> None:
    mine = chueok.room / "mine.png"
    mine.write_bytes(b"a picture of mine")
    answer = chueok("lookalike", sample.folder / "selfie.jpg", "--card", mine)
    assert (answer.code, answer.out) == (2, b"")
    assert mine.read_bytes() == b"a picture of mine"


def test_a_selfie_of_several_people_needs_to_be_told_which(chueok: Chueok, sample: Sample) -> None:
    pair = sample.album / "2018/DSC_0102.jpg"
    refused = chueok("lookalike", pair)
    left, right = (chueok("lookalike", pair, "--face", number) for number in "12")
    assert refused.code == 4
    assert [answer.lines[0].split("\t")[0] for answer in (left, right)] == ["grace", "eileen"]


GALLERIES = {
    "not JSON": (b"{", 2, "cannot be read as JSON"),
    "not UTF-8": (b'{"\xff": [1]}', 2, "cannot be read as JSON"),
    "a list": (b"[[1, 2]]", 2, "holds no {name: [numbers]}"),
    "nobody": (b"{}", 2, "holds no {name: [numbers]}"),
    "words": (b'{"a": ["x"]}', 2, "the embedding of a is not a list of finite numbers"),
    "not a number": (b'{"a": [NaN, 1]}', 2, "the embedding of a is not a list of finite numbers"),
    "zeros": (b'{"a": [0, 0]}', 2, "the embedding of a is not a list of finite numbers"),
    "beyond floats": (
        b'{"a": [1' + b"0" * 400 + b"]}",
        2,
        "the embedding of a is not a list of finite numbers",
    ),
    "ragged": (b'{"a": [[1, 2], [3]]}', 2, "the embedding of a is not a list of finite numbers"),
    "nested": (b"[" * 100_000, 2, "cannot be read as JSON"),
    "another model": (b'{"a": [1, 2, 3]}', 12, "a has 3 numbers, but the model lite makes 128"),
}


@pytest.mark.parametrize(("content", "code", "sentence"), GALLERIES.values(), ids=GALLERIES)
def test_a_hostile_gallery_is_refused_with_a_sentence(
    chueok: Chueok, sample: Sample, content: bytes, code: int, sentence: str
) -> None:
    gallery = chueok.room / "gallery.json"
    gallery.write_bytes(content)
    answer = chueok("lookalike", sample.folder / "references/grace.jpg", "--gallery", gallery)
    assert (answer.code, answer.out) == (code, b"")
    assert sentence in answer.err
