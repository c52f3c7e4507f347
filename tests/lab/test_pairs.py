"""Pairs made from a data set: nobody in two folds, nothing twice, and the file that evaluation takes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes import FAKES, make_tree

from chueok.errors import UsageError
from chueok.lab.comparisons import Pair
from chueok.lab.datasets import open_dataset
from chueok.lab.pair_files import COLUMNS, read_pairs
from chueok.lab.pairs import as_line, make_pairs, write_pairs
from chueok.measures import PairsSummary
from chueok.records import Note
from chueok.settings import Settings

PEOPLE = ["mom"] * 4 + ["dad"] * 3 + ["ex"] * 2 + ["aunt"]


@given(st.lists(st.sampled_from("abcdefgh"), min_size=8, max_size=40), st.integers(1, 3), st.integers(0, 9))
def test_folds_share_nobody_and_hold_every_pair_of_one_person(
    people: list[str], folds: int, seed: int
) -> None:
    try:
        made = make_pairs(people, folds=folds, seed=seed)
    except UsageError:
        several = sum(people.count(person) > 1 for person in set(people))
        assert len(set(people)) < 2 * folds or several < folds
        return
    inside = [{people[row] for pair in fold for row in (pair.first, pair.second)} for fold in made]
    assert all(one.isdisjoint(other) for one, other in combinations(inside, 2))
    everything = [pair for fold in made for pair in fold]
    assert len(everything) == len(set(everything))
    assert all(pair.same == (people[pair.first] == people[pair.second]) for pair in everything)
    assert {(pair.first, pair.second) for pair in everything if pair.same} == {
        pair for pair in combinations(range(len(people)), 2) if people[pair[0]] == people[pair[1]]
    }


def test_as_many_pairs_of_two_people_as_of_one_so_many_or_all() -> None:
    def counts(**options: int | None) -> tuple[int, int]:
        pairs = [pair for fold in make_pairs(PEOPLE, **options) for pair in fold]  # type: ignore[arg-type]
        return sum(pair.same for pair in pairs), sum(not pair.same for pair in pairs)

    assert counts() == (10, 10)
    assert counts(negatives=3) == (10, 3)
    assert counts(negatives=None) == (10, 35)
    assert counts(negatives=99) == (10, 35)
    assert counts(negatives=5, folds=2) == (10, 5)


def test_the_same_seed_makes_the_same_pairs() -> None:
    assert make_pairs(PEOPLE, seed=1) == make_pairs(PEOPLE, seed=1)
    assert make_pairs(PEOPLE, seed=1) != make_pairs(PEOPLE, seed=2)


def test_too_many_folds_are_refused() -> None:
    with pytest.raises(
        UsageError, match=r"4 people are too few: each fold needs two people.*; give fewer --folds"
    ):
        make_pairs(PEOPLE, folds=3)
    with pytest.raises(UsageError, match=r"two pictures of one of them$"):
        make_pairs(["mom", "dad"])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "library", tmp_path / "models", tmp_path / "cache", jobs=1)


def test_what_is_written_is_read_again_and_a_picture_without_a_face_is_counted(
    tmp_path: Path, settings: Settings
) -> None:
    tree: dict[str, Sequence[str] | bytes] = {
        "김/1,2.png": ["mom"],
        "김/2.png": ["mom"],
        "김/3.png": [],
        "dad/1.png": ["dad"],
    }
    dataset, file = open_dataset(make_tree(tmp_path / "set", tree)), tmp_path / "pairs.csv"
    with file.open("wb") as stream:
        *notes, summary = write_pairs(dataset, stream, settings, negatives=None, source=FAKES)
    assert [note.message for note in notes if isinstance(note, Note)] == [
        f"{tmp_path}/set: no face was found in 1 of 4 pictures: 김/3.png"
    ]
    assert isinstance(summary, PairsSummary)
    assert (summary.positive, summary.negative, summary.faceless, summary.people) == (1, 2, 1, 2)
    assert file.read_text("utf-8").splitlines() == [
        "file_x,file_y,Decision,fold",
        '"김/1,2.png",김/2.png,yes,1',
        'dad/1.png,"김/1,2.png",no,1',
        "dad/1.png,김/2.png,no,1",
    ]
    again = open_dataset(tmp_path / "set", file)
    assert again.folds == ((Pair(1, 2, same=True), Pair(0, 1, same=False), Pair(0, 2, same=False)),)


@pytest.mark.parametrize("name", ["a,b.jpg", 'a"b.jpg', "a\u2028b.jpg", "a\nb.jpg", "a\udcffb.jpg", "김.jpg"])
def test_any_file_name_is_read_again(tmp_path: Path, name: str) -> None:
    file = tmp_path / "pairs.csv"
    file.write_bytes(as_line(COLUMNS) + as_line((name, "b.jpg", "yes", "1")))
    assert read_pairs(file, ["b.jpg", name]) == ((Pair(0, 1, same=True),),)


def test_too_few_people_are_told_before_anything_is_read(tmp_path: Path, settings: Settings) -> None:
    tree: dict[str, Sequence[str] | bytes] = {"a/1.png": ["mom"], "a/2.png": ["mom"], "b/1.png": ["dad"]}
    dataset = open_dataset(make_tree(tmp_path / "set", tree))
    read: list[int] = []
    with pytest.raises(UsageError, match="2 people are too few"):
        list(
            write_pairs(
                dataset,
                io.BytesIO(),
                settings,
                folds=2,
                source=FAKES,
                progress=lambda done, _: read.append(done),
            )
        )
    assert read == []


def test_a_table_makes_a_data_set_of_a_flat_folder_in_which_nothing_else_is_known(tmp_path: Path) -> None:
    names = ("1.png", "2.png", "3.png", "4.png", "5.png")
    folder = make_tree(tmp_path / "set", {name: ["mom"] for name in names})
    table = tmp_path / "pairs.csv"
    table.write_text(
        '\ufeff"file_x",file_y,Decision\r\n1.png,2.png,Yes\r\n2.png,4.png,1\r\n5.png,1.png,No\r\n'
    )
    dataset = open_dataset(folder, table)
    assert [(picture.name, picture.person) for picture in dataset.pictures] == [
        ("1.png", "1.png"), ("2.png", "1.png"), ("4.png", "1.png"), ("5.png", "5.png"),
    ]  # fmt: skip
    assert dataset.folds == ((Pair(0, 1, same=True), Pair(1, 2, same=True), Pair(0, 3, same=False)),)
    assert dataset.only_folds


def test_where_decisions_contradict_the_folders_only_the_pairs_count(tmp_path: Path) -> None:
    tree: dict[str, Sequence[str] | bytes] = {
        f"{batch}/{number}.png": ["mom"] for batch in "ab" for number in "12"
    }
    folder, table = make_tree(tmp_path / "set", tree), tmp_path / "pairs.csv"
    table.write_text("file_x,file_y,Decision\na/1.png,a/2.png,yes\nb/1.png,b/2.png,yes\na/1.png,b/1.png,no\n")
    assert not open_dataset(folder, table).only_folds
    table.write_text("file_x,file_y,Decision\na/1.png,b/1.png,yes\na/2.png,b/2.png,no\n")
    dataset = open_dataset(folder, table)
    assert dataset.only_folds
    assert [picture.person for picture in dataset.pictures] == ["a/1.png", "a/2.png", "a/1.png", "b/2.png"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file_x,file_y,Decision\na/1.png,a/2.png,maybe\n", "line 2: the decision is 'maybe'"),
        (
            "file_x,file_y,Decision\na/1.png,a/9.png,yes\n",
            "line 2 names 'a/9.png', but there is no such picture",
        ),
        ("file_x,file_y,Decision\n", "has no pairs"),
        ("hello\n", "does not begin with LFW's counts"),
        ("file_x,file_y,Decision\na/1.png\n", "line 2: the decision is ''"),
        ("file_x,file_y\na/1.png,a/2.png\n", "has no column Decision"),
        ("file_x,file_y,Decision\na/1.png,a/1.png,yes\n", "line 2 compares 'a/1.png' with itself"),
        (
            "file_x,file_y,Decision\na/1.png,a/2.png,yes\na/2.png,a/1.png,no\n",
            "line 3 contradicts an earlier one",
        ),
    ],
)
def test_a_file_that_is_none_is_explained(tmp_path: Path, text: str, words: str) -> None:
    folder = make_tree(tmp_path / "set", {"a/1.png": ["mom"], "a/2.png": ["mom"], "b/1.png": ["dad"]})
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(UsageError, match=words):
        open_dataset(folder, tmp_path / "pairs.csv")
    with pytest.raises(UsageError, match="cannot be read as pairs"):
        open_dataset(folder, tmp_path / "absent.csv")
