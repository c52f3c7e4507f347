"""Views: shaped as networks take them, decided by their seed, and still pictures of the faces."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from chueok.lab.views import SIDE, Variety, Views, plain

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


def test_without_variety_only_light_and_side_change(crops: Tensor) -> None:
    for view, crop in zip(_views(crops, QUIET), plain(crops), strict=True):
        grey, true = view.float().mean(0), crop.float().mean(0)
        alike = [float(np.corrcoef(grey.flatten(), side.flatten())[0, 1]) for side in (true, true.flip(1))]
        assert max(alike) > 0.5


def test_every_kind_of_variety_changes_views(crops: Tensor) -> None:
    quiet = _views(crops, QUIET)
    for kind in ("mixed", "coarse", "blurred", "compressed", "noisy"):
        changed = _views(crops, Variety(**{**dict.fromkeys(Variety.__slots__, 0.0), kind: 1.0}))
        assert not torch.equal(quiet, changed), kind


def test_where_a_crop_has_no_picture_something_stands(crops: Tensor) -> None:
    empty = crops.clone()
    empty[..., 3] = 0
    corners = {tuple(view[:, 0, 0].tolist()) for seed in range(5) for view in _views(empty, QUIET, seed)}
    assert len(corners) > 5


def test_plain_crops_are_on_black() -> None:
    crops = torch.full((1, SIDE, SIDE, 4), 200, dtype=torch.uint8)
    crops[..., 3] = 255
    crops[0, :, : SIDE // 2, 3] = 0
    image = plain(crops)
    assert image.shape == (1, 3, SIDE, SIDE)
    assert image[0, :, :, : SIDE // 2].eq(0).all()
    assert image[0, :, :, SIDE // 2 :].eq(200).all()
