"""Forms of one network side by side: what each costs, and how near its answers are to the first one's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chueok.lab.timing import milliseconds
from chueok.measures import NetworkMeasured

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chueok.vision.base import Embedder


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """One form of a network, ready to answer."""

    name: str  # what a table calls it
    bytes: int  # size of the ONNX file
    embedder: Embedder


def compared(forms: Sequence[Form], crops: NDArray[np.uint8], rounds: int) -> tuple[NetworkMeasured, ...]:
    """Every form's size and time, and how near its embeddings are to the first's.

    crops: (n, 112, 112, 3) uint8 RGB; rounds: of timing, see `milliseconds`. Raises ModelInvalid for a form that cannot
    answer.
    """
    answers = [form.embedder.embed(list(crops)) for form in forms]
    times = milliseconds([form.embedder for form in forms], crops[0], rounds)
    return tuple(_measured(answers[0], forms, answers, times))


def _measured(
    first: NDArray[np.float32],
    forms: Sequence[Form],
    answers: Sequence[NDArray[np.float32]],
    times: Sequence[float],
) -> Iterator[NetworkMeasured]:
    for number, (form, answer, time) in enumerate(zip(forms, answers, times, strict=True)):
        if number == 0:
            yield NetworkMeasured(form.name, form.bytes, time, None, None)
        else:
            alike = (first * answer).sum(axis=1)
            worst = float(np.quantile(alike, 0.01))
            yield NetworkMeasured(form.name, form.bytes, time, float(alike.mean()), worst)
