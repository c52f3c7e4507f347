"""Views: shaped as networks take them, decided by their seed, and still pictures of the faces."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from chueok.lab.views import Variety, Views, plain
from chueok.vision.align import ARCFACE_TEMPLATE
from chueok.vision.align import TEMPLATE_PIXELS as SIDE

QUIET = Variety(**dict.fromkeys(Variety.__slots__, 0.0))
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def crops() -> Tensor:
    """Six smooth pictures, all there."""
    small = torch.rand((6, 3, 5, 5), generator=Generator().manual_seed(7)) * 255
    large = torch.nn.functional.interpolate(small, (SIDE, SIDE), mode="bicubic").clamp(0, 255)
    alpha = torch.full((6, 1, SIDE, SIDE), 255.0)
    return torch.cat([large, alpha], 1).permute(0, 2, 3, 1).round().byte()


def _views(crops: Tensor, variety: Variety, seed: int = 1) -> Tensor:
    return Views(variety, CPU)(crops, Generator().manual_seed(seed))


def test_views_are_bytes_as_networks_take_them(crops: Tensor) -> None:
    views = _views(crops, Variety())
    assert (views.shape, views.dtype) == ((6, 3, SIDE, SIDE), torch.uint8)


def test_the_seed_decides_every_view(crops: Tensor) -> None:
    first = _views(crops, Variety())
    assert torch.equal(first, _views(crops, Variety()))
    assert not torch.equal(first, _views(crops, Variety(), seed=2))


def test_crops_are_not_changed(crops: Tensor) -> None:
    before = crops.clone()
    _views(crops, Variety())
    assert torch.equal(crops, before)


def test_without_variety_faces_are_only_mirrored(crops: Tensor) -> None:
    for view, crop in zip(_views(crops, QUIET), plain(crops), strict=True):
        apart = [(view.int() - side.int()).abs().max() for side in (crop, crop.flip(2))]
        assert min(apart) <= 1


def test_light_changes_no_face_beyond_knowing(crops: Tensor) -> None:
    lit = _views(crops, replace(QUIET, light=1.0))
    assert not torch.equal(lit, _views(crops, QUIET))
    for view, crop in zip(lit, plain(crops), strict=True):
        grey, true = view.float().mean(0), crop.float().mean(0)
        alike = [float(np.corrcoef(grey.flatten(), side.flatten())[0, 1]) for side in (true, true.flip(1))]
        assert max(alike) > 0.5


def test_a_framed_face_is_there_and_black_beyond() -> None:
    white = torch.full((400, 3, SIDE, SIDE), 255.0)
    framed = _quiet(framed=1.0)._frame(white, Generator().manual_seed(1))[:, 0]
    assert (framed.eq(0) | framed.eq(255)).all()
    columns, rows = np.array(ARCFACE_TEMPLATE).round().astype(int).T
    assert framed[:, rows, columns].eq(255).all(1).float().mean() > 0.95  # eyes, nose and mouth
    assert framed[:, 0, 0].eq(0).float().mean() > 0.95
    assert 0.5 < framed.eq(255).float().mean() < 0.9


@pytest.fixture
def faces(crops: Tensor) -> Tensor:
    return plain(crops).float()


def _quiet(**kinds: float) -> Views:
    """Views without variety but for the kinds given."""
    return Views(Variety(**{**dict.fromkeys(Variety.__slots__, 0.0), **kinds}), CPU)


def _moved_ramps(**kinds: float) -> Tensor:
    """Where 400 views take the pixels of a row through the middle and of one near the top: (2, 400, 112), black 0."""
    ramps = torch.arange(1.0, SIDE + 1).expand(400, 3, SIDE, SIDE)
    moved = _quiet(**kinds)._move(ramps, Generator().manual_seed(5))
    return moved[:, 0, [SIDE // 2, 8], :].transpose(0, 1) - 1


def _from_the_middle(places: Tensor) -> Tensor:
    """How far the middle column's pixels come from, left or right of the middle; mirrors do not change it."""
    return (places[..., SIDE // 2 - 1 : SIDE // 2 + 1].mean(-1) - (SIDE - 1) / 2).abs()


MEAN = (2 / torch.pi) ** 0.5  # of the absolute value of a normal number of spread 1


def test_shifts_are_in_pixels() -> None:
    middle = _from_the_middle(_moved_ramps(shift=3.0)[0])
    assert middle.mean() == pytest.approx(3.0 * MEAN, rel=0.2)


def test_turns_are_in_degrees() -> None:
    top = _from_the_middle(_moved_ramps(turn=6.0)[1])  # 47.5 pixels above the middle
    assert top.mean() == pytest.approx(47.5 * math.radians(6.0) * MEAN, rel=0.2)


def test_sizes_are_shares() -> None:
    rows = _moved_ramps(size=0.06)[0]
    steps = (rows[:, 70] - rows[:, 40]).abs() / 30
    assert steps.log().abs().mean() == pytest.approx(0.06 * MEAN, rel=0.2)


def test_bends_are_in_pixels_at_their_places() -> None:
    middle = _from_the_middle(_moved_ramps(bend=1.2)[0])  # the third of five places lies there
    assert middle.mean() == pytest.approx(1.2 * MEAN, rel=0.25)


def test_coarse_and_blurred_faces_have_less_detail_and_the_same_brightness(faces: Tensor) -> None:
    noisy = faces + 40 * torch.randn(faces.shape, generator=Generator().manual_seed(3))
    for kind in ("coarse", "blurred"):
        soft = _quiet(**{kind: 1.0})._soften(noisy, Generator().manual_seed(1))
        inner = (slice(None), slice(None), slice(8, -8), slice(8, -8))
        detail = [
            (picture[..., 1:] - picture[..., :-1]).abs().mean() for picture in (soft[inner], noisy[inner])
        ]
        assert detail[0] < 0.8 * detail[1], kind
        torch.testing.assert_close(soft[inner].mean(), noisy[inner].mean(), atol=1.0, rtol=0)


def test_a_mixed_face_lies_between_the_two_it_is_made_of(faces: Tensor) -> None:
    mixed = _quiet(mixed=1.0)._mix(faces, Generator().manual_seed(1))
    assert not torch.equal(mixed, faces)
    assert (mixed <= faces.max(0).values + 0.01).all()
    assert (mixed >= faces.min(0).values - 0.01).all()


def test_a_cover_is_a_rectangle_of_at_most_half_a_side(faces: Tensor) -> None:
    covered = _quiet(covered=1.0)._cover(faces, Generator().manual_seed(1))
    hidden = [torch.where((face != before).any(0)) for face, before in zip(covered, faces, strict=True)]
    sides = [int(places.max() - places.min()) for pair in hidden for places in pair if len(places)]
    assert len(sides) >= len(faces)  # a face may be covered with itself
    assert max(sides) <= SIDE // 2


def test_noise_and_compression_touch_their_shares_of_the_batch(faces: Tensor) -> None:
    spoilt = _quiet(noisy=0.5)._spoil(faces, Generator().manual_seed(1))
    assert [not torch.equal(*pair) for pair in zip(spoilt, faces, strict=True)] == [True] * 3 + [False] * 3
    bytes_ = faces.byte()
    squeezed = _quiet(compressed=0.5)._compress(bytes_, Generator().manual_seed(1))
    assert [not torch.equal(*pair) for pair in zip(squeezed, bytes_, strict=True)] == [False] * 3 + [True] * 3


def test_behind_a_crop_stands_nothing_a_colour_or_another_picture(crops: Tensor) -> None:
    images = crops.permute(0, 3, 1, 2).float().repeat(40, 1, 1, 1)
    images[:, 3, :, : SIDE // 2] = 0
    filled = _quiet(behind=0.3)._fill(images, Generator().manual_seed(1))
    assert torch.equal(filled[..., SIDE // 2 :], images[:, :3, :, SIDE // 2 :])
    left = filled[..., : SIDE // 2].flatten(2)
    even = (left == left[:, :, :1]).all(2).all(1)
    black = (left == 0).all(2).all(1)
    shares = [float(kind.float().mean()) for kind in (black, even & ~black, ~even)]
    assert shares == pytest.approx([0.7 * 0.4, 0.7 * 0.6, 0.3], abs=0.1)


def test_plain_crops_are_on_black() -> None:
    crops = torch.full((1, SIDE, SIDE, 4), 200, dtype=torch.uint8)
    crops[..., 3] = 255
    crops[0, :, : SIDE // 2, 3] = 0
    image = plain(crops)
    assert image.shape == (1, 3, SIDE, SIDE)
    assert image[0, :, :, : SIDE // 2].eq(0).all()
    assert image[0, :, :, SIDE // 2 :].eq(200).all()
