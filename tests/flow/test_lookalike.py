"""Lookalikes: folders of pictures, folders of people, JSON of embeddings; percent and percentile by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from tests.fakes import make_tree

from chueok.errors import ModelMismatch, NoUsableFace, UsageError
from chueok.flow.lookalike import find_lookalikes, lookalike
from chueok.flow.people import enroll
from chueok.library import Library


def refuse(task: object) -> tuple[object, object]:
    raise AssertionError(f"{task} should not have been read")


@pytest.fixture
def selfie(tmp_path: Path) -> Path:
    return make_tree(tmp_path, {"selfie.png": ["mom"]}) / "selfie.png"


def test_one_picture_or_one_folder_per_person(library: Library, selfie: Path, tmp_path: Path) -> None:
    gallery = make_tree(
        tmp_path / "gallery",
        {
            "김철수.png": ["dad"],
            "older/1.png": ["mom-older"],
            "older/2.png": ["minjun"],
            "ex.png": ["ex"],
            "notes.txt": b"x",
        },
    )
    answers = lookalike(library, selfie, gallery)
    assert (answers[0].rank, answers[0].name) == (1, "older")
    assert {answer.name for answer in answers} == {"김철수", "older", "ex"}
    assert answers[0].reference == gallery / "older" / "1.png"
    assert [answer.similarity for answer in answers] == sorted((a.similarity for a in answers), reverse=True)
    assert len(lookalike(library, selfie, gallery, top=1)) == 1


def test_percent_and_percentile_are_what_they_say(library: Library, selfie: Path, tmp_path: Path) -> None:
    probe = np.zeros(128)
    red = np.array([250, 20, 20]) - 127.5
    probe[:3] = red / np.linalg.norm(red)
    across = np.zeros(128)
    across[5] = 2.0  # not of unit length, as other tools write them
    half = probe + across / 2
    file = tmp_path / "embeddings.json"
    file.write_text(
        json.dumps({"twin": list(probe), "stranger": list(across), "half": [list(half), list(-probe)]})
    )
    answers = {answer.name: answer for answer in lookalike(library, selfie, file)}
    assert answers["twin"].percent == pytest.approx(100, abs=1e-3)
    assert answers["stranger"].percent == pytest.approx(50, abs=1e-3)
    assert answers["half"].similarity == pytest.approx(math.sqrt(0.5), abs=1e-5)
    # Scores between different people: twin-stranger 0, twin-half .71, twin-(-half) -1, stranger-half .71, 0.
    assert answers["twin"].percentile == 100
    assert answers["stranger"].percentile == pytest.approx(20)
    assert answers["twin"].reference is None


def test_gallery_pictures_are_read_once(
    library: Library, selfie: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = make_tree(
        tmp_path / "gallery", {f"{name}.png": [name] for name in ("mom", "dad", "ex", "minjun", "aunt")}
    )
    before = lookalike(library, selfie, gallery)
    monkeypatch.setattr(library, "run_pool", lambda tasks: [refuse(task) for task in tasks])
    (gallery / "dad.png").rename(gallery / "father.png")
    after = lookalike(library, selfie, gallery)
    assert [answer.similarity for answer in after] == [answer.similarity for answer in before]
    assert before[0].name == after[0].name == "mom"


def test_pictures_that_cannot_stand_for_anybody_are_named(
    library: Library, selfie: Path, tmp_path: Path
) -> None:
    gallery = make_tree(
        tmp_path / "gallery", {"a.png": ["mom"], "nobody.png": [], "bad.jpg": b"x", "two.png": ["dad", "ex"]}
    )
    result = find_lookalikes(library, selfie, gallery)
    said = " ".join(note.message for note in result.notes)
    assert [word in said for word in ("nobody.png", "bad.jpg", "two.png shows 2 faces")] == [True] * 3
    assert (result.unreadable, result.summary.unusable, result.summary.people) == (1, 2, 2)


def test_links_to_pictures_are_followed(library: Library, selfie: Path, tmp_path: Path) -> None:
    gallery = make_tree(tmp_path / "gallery", {"a.png": ["dad"]})
    (gallery / "twin.png").symlink_to(make_tree(tmp_path, {"far/t.png": ["mom"]}) / "far" / "t.png")
    (tmp_path / "me.png").symlink_to(selfie)
    assert [answer.name for answer in lookalike(library, tmp_path / "me.png", gallery)] == ["twin", "a"]


def test_the_enrolled_people_are_the_default_gallery(library: Library, selfie: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nobody is enrolled"):
        lookalike(library, selfie)
    refs = make_tree(tmp_path / "refs", {"m.png": ["mom-older"], "d.png": ["dad"]})
    enroll(library, "엄마", [refs / "m.png"])
    enroll(library, "아빠", [refs / "d.png"])
    assert [answer.name for answer in lookalike(library, selfie)] == ["엄마", "아빠"]


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        ('{"a": [1, 2, 3]}', ModelMismatch, "3 numbers"),
        ("[]", UsageError, "holds no"),
        ("{", UsageError, "cannot be read as JSON"),
        ('{"a": ["x"]}', UsageError, "not a list of finite numbers"),
        ('{"a": []}', UsageError, "not a list of finite numbers"),
        (json.dumps({"a": [0.0] * 128}), UsageError, "not a list of finite numbers"),
        (json.dumps({"a": [math.nan] * 128}), UsageError, "not a list of finite numbers"),
    ],
)
def test_a_wrong_json_is_explained(
    library: Library, selfie: Path, tmp_path: Path, content: str, error: type[Exception], says: str
) -> None:
    (tmp_path / "g.json").write_text(content)
    with pytest.raises(error, match=says):
        lookalike(library, selfie, tmp_path / "g.json")


def test_a_gallery_that_is_not_there_or_empty_is_explained(
    library: Library, selfie: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        lookalike(library, selfie, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no pictures"):
        lookalike(library, selfie, tmp_path / "empty")
    gallery = make_tree(tmp_path / "g", {"a.png": []})
    assert lookalike(library, selfie, gallery) == []
    nobody = make_tree(tmp_path, {"nobody.png": []}) / "nobody.png"
    with pytest.raises(NoUsableFace):
        lookalike(library, nobody, gallery)
