"""Who counts as different people, and what a mirror, a collage, a burst or a sister does to the threshold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.flow.crowds import Crowd, as_faces

from chueok.flow.strangers import Strangers, grouped, strangers
from chueok.flow.thresholds import Tail
from chueok.measures import LeftOut

TRUTH = 0.378  # the similarity that one in a thousand pairs of these made-up people reach


def found(photos: list, enrolled: list[list[int]] | None = None) -> Strangers:  # type: ignore[type-arg]
    answer = strangers(as_faces(photos), enrolled or [])
    assert answer is not None
    return answer


def threshold(answer: Strangers) -> float:
    rate = Tail(answer.scores, resamplings=60).at(1e-3)
    assert rate is not None
    return rate.threshold


def test_an_album_without_labels_gives_the_threshold_of_its_people() -> None:
    answer = found(Crowd.of(150).photos(500))
    assert threshold(answer) == pytest.approx(TRUTH, abs=0.03)
    assert replace(answer.left_out, once=0) == LeftOut(0, 0, 0, 0, 0, 0)


def test_the_truth_of_these_tests_is_true() -> None:
    crowd = Crowd.of(1500, seed=9)
    faces = np.stack([crowd.face(person) for person in range(1500)])
    scores = (faces @ faces.T)[np.triu_indices(1500, 1)]
    assert np.quantile(scores, 0.999) == pytest.approx(TRUTH, abs=0.005)


def test_bursts_and_copies_change_nothing() -> None:
    crowd = Crowd.of(90)
    photos = crowd.photos(300)
    burst = [
        [face + crowd.rng.normal(0, 0.005, 128).astype(np.float32) for face in photo] for photo in photos[:40]
    ]
    burst = [[face / np.linalg.norm(face) for face in photo] for photo in burst]
    plain, copied = found(photos), found([*photos, *photos[:100], *burst * 5])
    assert copied.scores.similarities.tolist() == plain.scores.similarities.tolist()
    assert copied.left_out.copies == sum(len(photo) for photo in [*photos[:100], *photos[:40] * 5])


def test_mirrors_do_not_raise_the_threshold() -> None:
    photos = Crowd.of(90).photos(300)
    mirrored = [[*photo, photo[0]] if number % 10 == 0 else photo for number, photo in enumerate(photos)]
    plain, guarded = found(photos), found(mirrored)
    assert guarded.left_out.doubles == 30
    assert threshold(guarded) == pytest.approx(threshold(plain), abs=0.02)


def test_collages_of_one_person_do_not_raise_the_threshold() -> None:
    crowd = Crowd.of(90)
    photos = crowd.photos(300)
    collages = [[crowd.face(person) for _ in range(4)] for person in range(0, 90, 6)]
    plain, guarded = found(photos), found(photos + collages)
    assert guarded.left_out.doubles == len(collages)
    assert threshold(guarded) == pytest.approx(threshold(plain), abs=0.02)


def test_without_the_guards_they_would() -> None:
    photos = Crowd.of(90).photos(300)
    alike = np.concatenate([found(photos).scores.similarities, np.full(30, 0.99, np.float32)])
    assert np.quantile(alike, 0.999) > TRUTH + 0.2


def test_brothers_and_sisters_raise_the_threshold() -> None:
    crowd = Crowd.of(90)
    for first in range(0, 90, 6):
        crowd.make_siblings(first, first + 1, 0.75)
    families, strangers_only = found(crowd.photos(400)), found(Crowd.of(90).photos(400))
    assert threshold(families) > threshold(strangers_only) + 0.03


def test_twins_who_are_together_again_and_again_are_two_people() -> None:
    crowd = Crowd.of(90)
    crowd.make_siblings(0, 1, 0.99)
    photos = crowd.photos(300)
    together = [[crowd.face(0), crowd.face(1), crowd.face(3)] for _ in range(8)]
    left_out = found(photos + together).left_out
    assert left_out.lookalikes >= 1
    assert left_out.doubles <= 3  # where two of their pictures happened to be in different groups


def again(crowd: Crowd, photo: list) -> list:  # type: ignore[type-arg]
    """The same people a little later: faces 0.87 alike."""
    moved = [face + crowd.rng.normal(0, 0.05, 128).astype(np.float32) for face in photo]
    return [face / np.linalg.norm(face) for face in moved]


def test_references_say_who_is_one_person_and_who_are_two() -> None:
    crowd = Crowd.of(12)
    photos = [[crowd.face(2 * pair), crowd.face(2 * pair + 1)] for pair in range(6)]
    photos += [again(crowd, photo) for photo in photos]
    assert len(found(photos).scores.first) == 6
    assert len(found(photos, [[0], [2], [4]]).scores.first) == 6 + 3
    same = found(photos, [[0, 1]])
    assert (len(same.scores.first), same.left_out.same) == (5, 1)


def test_faces_of_one_photo_are_never_compared() -> None:
    crowd = Crowd.of(40)
    first = [crowd.face(person) for person in range(40)]
    assert strangers(as_faces([first])) is None
    light = 0.5 * crowd.face(0)  # what one photo adds to all its faces
    bright = [(face + light) / np.linalg.norm(face + light) for face in first[1:]]
    answer = found([bright, again(crowd, bright[:3]), *crowd.photos(40)])
    assert answer.left_out.once + answer.left_out.doubles > 0
    assert Tail(answer.scores).share_above(0.5) < 0.05


def test_nobody_with_anybody_says_nothing() -> None:
    crowd = Crowd.of(10)
    assert strangers(as_faces([[crowd.face(person)] for person in range(10)])) is None
    face = crowd.face(0)
    assert strangers(as_faces([[face, face], [face, face]])) is None


@pytest.mark.parametrize("seed", range(5))
def test_a_group_is_what_its_first_leads(seed: int) -> None:
    rows = Crowd.of(300, seed).photos(450)
    vectors = as_faces(rows).vectors
    groups = grouped(vectors, 0.5)
    leaders = {int(group): int(np.flatnonzero(groups == group)[0]) for group in np.unique(groups)}
    assert sorted(leaders) == list(range(len(leaders)))
    assert list(leaders.values()) == sorted(leaders.values())
    likeness = np.array([vectors[row] @ vectors[leaders[int(group)]] for row, group in enumerate(groups)])
    assert (likeness >= 0.5 - 1e-6).all()
    apart = vectors[list(leaders.values())] @ vectors[list(leaders.values())].T
    assert (apart[~np.eye(len(leaders), dtype=bool)] < 0.5 + 1e-6).all()
