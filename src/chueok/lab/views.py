"""Varied views of face crops: what distillation shows its teacher and its student.

Every view of a batch differs in place, size, form, sharpness, light and colour, and some are two faces in one: the
student learns how the teacher answers anything, not who is in the pictures. (Beyer et al. 2022, arXiv 2106.05237,
"Knowledge distillation: a good teacher is patient and consistent": strong views, and the same ones for both.)

Amounts without a reason beside them were chosen by eye, from sheets of views: a face must still be known again.

All random numbers come from one generator on the CPU, so a step's views depend on its seed alone, whatever the device.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor
from torch.nn import functional

from chueok.lab.backgrounds import BLACK, on_background
from chueok.vision.align import TEMPLATE_PIXELS as SIDE

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Variety:
    """How much views differ. Chances are shares of a batch; spreads are standard deviations; `light` is a factor."""

    mixed: float = 0.5  # two faces in one: more faces than anybody could collect
    turn: float = 6.0  # degrees: MTCNN's landmarks err by some, those of tilted or cut-off heads by more
    size: float = 0.06  # of the crop, in its logarithm, likewise
    shift: float = 3.0  # pixels, likewise
    stretch: float = 0.04  # width against height, and shear: other heads, other lenses
    bend: float = 1.2  # pixels, smooth, at 5 x 5 places: other features
    coarse: float = 0.25  # seen at 24 to 80 pixels and enlarged: the small faces of group photos
    blurred: float = 0.2  # out of focus or moved
    compressed: float = 0.2  # JPEG at quality 15 to 85
    noisy: float = 0.15
    light: float = 1.0  # of exposure, contrast, colours and light from one side
    grey: float = 0.1
    behind: float = 0.3  # with another picture where the crop's own ended; else one colour, or black
    framed: float = 0.0  # cut off tightly around the face, and black beyond: portraits, avatars
    covered: float = 0.3  # by a rectangle of up to half of each side: hands, masks, hair, the photo's border


# Nearer to what `chueok index` cuts from photos: those are sharp, go on where tight training pictures end (`behind`),
# and only the tightest end in black (`framed`)
CALM = Variety(
    mixed=0.1,
    turn=4.0,
    size=0.05,
    shift=2.0,
    stretch=0.02,
    bend=0.6,
    coarse=0.05,
    blurred=0.05,
    compressed=0.1,
    noisy=0.03,
    light=0.5,
    grey=0.05,
    behind=0.6,
    framed=0.2,
    covered=0.04,
)


class Views:
    """Makes views of crops on one device. side: of the crops, in pixels; amounts in pixels are for 112."""

    def __init__(self, variety: Variety, device: torch.device, side: int = SIDE) -> None:
        self._variety = variety
        self._device = device
        self._side = side

    def __call__(self, crops: Tensor, chance: Generator) -> Tensor:
        """crops: (n, 112, 112, 4) uint8 RGBA, alpha 0 where the picture had no pixels -> (n, 3, 112, 112) uint8."""
        images = crops.to(self._device).permute(0, 3, 1, 2).float()
        faces = self._fill(images, chance)
        faces = self._mix(faces, chance)
        if self._variety.framed:  # or it would cost time and random numbers
            faces = self._frame(faces, chance)
        faces = self._move(faces, chance)
        faces = self._soften(faces, chance)
        faces = self._light(faces, chance)
        faces = self._cover(faces, chance)
        faces = self._spoil(faces, chance)
        return self._compress(faces.clamp_(0, 255).round_().byte(), chance)

    def _fill(self, images: Tensor, chance: Generator) -> Tensor:
        """Put something behind the faces where the source picture ended: nothing, a colour, or another picture."""
        faces, alpha = images[:, :3], images[:, 3:] / 255
        colour = self._uniform((len(faces), 3, 1, 1), 0, 255, chance)
        colour = colour * self._happens(len(faces), 0.6, chance)
        picture = faces[self._order(len(faces), chance)]
        behind = torch.where(self._happens(len(faces), self._variety.behind, chance) > 0, picture, colour)
        return torch.lerp(behind, faces, alpha)

    def _mix(self, faces: Tensor, chance: Generator) -> Tensor:
        """Blend a face with another, more here and less there: from a morph of two to a collage of their features."""
        field = self._field(len(faces), 1, 4, chance) + self._normal((len(faces), 1, 1, 1), 1, chance)
        sharpness = self._uniform((len(faces), 1, 1, 1), math.log(0.5), math.log(12), chance).exp()
        share = torch.sigmoid(field * sharpness) * self._happens(len(faces), self._variety.mixed, chance)
        return torch.lerp(faces, faces[self._order(len(faces), chance)], share)

    def _frame(self, faces: Tensor, chance: Generator) -> Tensor:
        """Black beyond a rectangle around the face, upright in its photo but not in the crop."""
        n = len(faces)
        place = torch.arange(self._side, device=self._device) - (self._side - 1) / 2
        angle = self._normal((n, 1, 1, 1), math.radians(10), chance)
        middle = self._normal((2, n, 1, 1, 1), 4, chance)
        half = self._uniform(
            (2, n, 1, 1, 1), self._side / 3, self._side / 2, chance
        )  # nearly always with eyes and mouth
        # 8 pixels below the crop's middle: between it and the middle of the landmarks
        across, down = (
            place.view(1, 1, 1, self._side) - middle[0],
            place.view(1, 1, self._side, 1) - 8 - middle[1],
        )
        beyond = ((across * angle.cos() + down * angle.sin()).abs() > half[0]) | (
            (down * angle.cos() - across * angle.sin()).abs() > half[1]
        )
        return faces * ~(beyond & (self._happens(n, self._variety.framed, chance) > 0))

    def _move(self, faces: Tensor, chance: Generator) -> Tensor:
        """Mirror, turn, scale, shift, stretch and bend; black beyond the border, as chueok's own crops are."""
        n, variety = len(faces), self._variety
        angle = self._normal((n,), math.radians(variety.turn), chance)
        size = self._normal((n,), variety.size, chance).exp()
        wide, shear = self._normal((2, n), variety.stretch, chance)
        mirror = 1 - 2 * self._happens(n, 0.5, chance).flatten()
        shift = self._normal((2, n), variety.shift * 2 / self._side, chance)
        across, down = size * wide.exp(), size / wide.exp()
        rows = [
            torch.stack([mirror * across * angle.cos(), -down * angle.sin() + shear, shift[0]], 1),
            torch.stack([mirror * across * angle.sin(), down * angle.cos(), shift[1]], 1),
        ]
        grid = functional.affine_grid(torch.stack(rows, 1), list(faces.shape), align_corners=False)
        bend = self._field(n, 2, 5, chance).permute(0, 2, 3, 1) * (variety.bend * 2 / self._side)
        return functional.grid_sample(
            faces.contiguous(), grid + bend, "bilinear", "zeros", align_corners=False
        )

    def _soften(self, faces: Tensor, chance: Generator) -> Tensor:
        """Lower resolution and blur; one amount for every eighth of the batch, whose members are drawn by lot."""
        parts = list(faces.chunk(8))
        for number, part in enumerate(parts):
            if self._number(chance) < self._variety.coarse:
                side = round(24 * (80 / 24) ** self._number(chance))
                small = functional.interpolate(part, (side, side), mode="bilinear", antialias=True)
                part = functional.interpolate(small, (self._side, self._side), mode="bilinear")  # noqa: PLW2901
            if self._number(chance) < self._variety.blurred:
                part = self._blur(part, chance)  # noqa: PLW2901
            parts[number] = part
        return torch.cat(parts)

    def _blur(self, faces: Tensor, chance: Generator) -> Tensor:
        """A Gaussian, longer in one direction than in the other."""
        reach = torch.arange(-4.0, 5.0)
        kernels = []
        for _ in range(2):
            kernel = torch.exp(-0.5 * (reach / (0.3 + 1.7 * self._number(chance) ** 2)) ** 2)
            kernels.append((kernel / kernel.sum()).to(self._device))
        down = kernels[0].view(1, 1, 9, 1).expand(3, 1, 9, 1)
        across = kernels[1].view(1, 1, 1, 9).expand(3, 1, 1, 9)
        faces = functional.conv2d(faces, down, padding=(4, 0), groups=3)
        return functional.conv2d(faces, across, padding=(0, 4), groups=3)

    def _light(self, faces: Tensor, chance: Generator) -> Tensor:
        """Exposure, contrast, colour cast, saturation, and light from one side."""
        n, light = len(faces), self._variety.light
        grey = (faces * self._tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
        saturation = 1 + self._normal((n, 1, 1, 1), 0.25 * light, chance)
        saturation = saturation * (1 - self._happens(n, self._variety.grey, chance))
        faces = torch.lerp(grey, faces, saturation)
        exposure = self._normal((n, 1, 1, 1), 0.25 * light, chance)
        gain = (exposure + self._normal((n, 3, 1, 1), 0.06 * light, chance)).exp()
        ramp = torch.linspace(-1, 1, self._side, device=self._device)
        side = self._normal((2, n, 1, 1, 1), 0.15 * light, chance)
        gain = gain * (
            1 + side[0] * ramp.view(1, 1, 1, self._side) + side[1] * ramp.view(1, 1, self._side, 1)
        )
        faces = faces * gain + self._normal((n, 1, 1, 1), 12 * light, chance)
        # a bent tone curve: gamma's shape without its cost
        curve = self._uniform((n, 1, 1, 1), -0.5 * light, 0.5 * light, chance) / 255
        return faces + curve * faces * (255 - faces)

    def _cover(self, faces: Tensor, chance: Generator) -> Tensor:
        """Hide a rectangle behind a colour or a piece of another picture."""
        n = len(faces)
        place = torch.arange(self._side, device=self._device)
        inside = []
        for axis in ((n, 1, 1, self._side), (n, 1, self._side, 1)):
            middle, half = (
                self._uniform((n, 1), 0, self._side, chance),
                self._uniform((n, 1), 4, self._side / 4, chance),
            )
            inside.append(((place - middle).abs() < half).view(axis))
        hidden = inside[0] & inside[1] & (self._happens(n, self._variety.covered, chance) > 0)
        colour = self._uniform((n, 3, 1, 1), 0, 255, chance)
        other = faces[self._order(n, chance)]
        cover = torch.where(self._happens(n, 0.4, chance) > 0, other, colour)
        return torch.where(hidden, cover, faces)

    def _spoil(self, faces: Tensor, chance: Generator) -> Tensor:
        """Noise on the first of the batch, whose members are drawn by lot."""
        first = round(len(faces) * self._variety.noisy)
        strength = self._uniform((first, 1, 1, 1), 1, 14, chance)
        noise = torch.randn((first, 3, self._side, self._side), generator=chance).to(self._device)
        return torch.cat([faces[:first] + strength * noise, faces[first:]])

    def _compress(self, faces: Tensor, chance: Generator) -> Tensor:
        """JPEG on the last of the batch."""
        last = round(len(faces) * self._variety.compressed)
        if not last:
            return faces
        pixels = faces[-last:].permute(0, 2, 3, 1).cpu().numpy()
        qualities = torch.randint(15, 86, (last,), generator=chance).tolist()
        again = np.stack([_jpeg(face, quality) for face, quality in zip(pixels, qualities, strict=True)])
        return torch.cat([faces[:-last], torch.from_numpy(again).permute(0, 3, 1, 2).to(self._device)])

    def _field(self, n: int, channels: int, places: int, chance: Generator) -> Tensor:
        """A smooth random field of unit spread at its places: (n, channels, 112, 112)."""
        values = self._normal((n, channels, places, places), 1, chance)
        return functional.interpolate(values, (self._side, self._side), mode="bilinear", align_corners=True)

    def _happens(self, n: int, share: float, chance: Generator) -> Tensor:
        """(n, 1, 1, 1) float32: 1 with the given chance, else 0."""
        return (self._uniform((n, 1, 1, 1), 0, 1, chance) < share).float()

    def _uniform(self, shape: tuple[int, ...], low: float, high: float, chance: Generator) -> Tensor:
        return (torch.rand(shape, generator=chance) * (high - low) + low).to(self._device)

    def _normal(self, shape: tuple[int, ...], spread: float, chance: Generator) -> Tensor:
        return (torch.randn(shape, generator=chance) * spread).to(self._device)

    def _number(self, chance: Generator) -> float:
        return float(torch.rand((), generator=chance))

    def _order(self, n: int, chance: Generator) -> Tensor:
        return torch.randperm(n, generator=chance).to(self._device)

    def _tensor(self, values: list[float]) -> Tensor:
        return torch.tensor(values, device=self._device)


def plain(crops: Tensor) -> Tensor:
    """Crops as they are, on black: (n, 112, 112, 4) uint8 RGBA -> (n, 3, 112, 112) uint8."""
    return torch.from_numpy(on_background(crops.numpy(), BLACK)).permute(0, 3, 1, 2)


def _jpeg(face: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    file = io.BytesIO()
    Image.fromarray(face).save(file, "jpeg", quality=quality)
    return np.asarray(Image.open(file))
