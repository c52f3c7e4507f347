"""Action after action: what became of each, what it means for the next, and the sum of it all."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from pathlib import Path

from chueok.errors import OperationFailed
from chueok.flow.transfer import NotDone
from chueok.records import Action, Collected, CollectSummary, Step, Transfer

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}  # what the next photo would meet as well

_REASONS = {
    errno.ENOENT: "it is no longer there",
    errno.EACCES: "permission denied",
    errno.ENOTDIR: "a file stands where its folder was",
    errno.ELOOP: "it is a symbolic link",
    errno.EEXIST: "another file has taken its name meanwhile; run the same command again",
    errno.EFBIG: "it is too large for the destination's file system",
    errno.ENAMETOOLONG: "its name is too long for the destination's file system",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the disk is read-only",
}


def each(
    actions: Iterable[Action], do: Callable[[Action], Action], folder: Path
) -> Generator[Collected, None, Counter[Step | None]]:
    """Do every action; count them by step, those that failed under None. Raises OperationFailed."""
    tally: Counter[Step | None] = Counter()
    for action in actions:
        try:
            done, error, hopeless = do(action), None, False
        except NotDone as reason:
            done, error, hopeless = action, str(reason), False
        except OSError as problem:
            error = _REASONS.get(problem.errno or 0, os.strerror(problem.errno or errno.EIO))
            done, hopeless = action, problem.errno in _FULL or not folder.is_dir()
        tally[None if error else done.step] += 1
        yield Collected(done, error)
        if hopeless:
            finished = tally[Step.TRANSFER] + tally[Step.REPLACE]
            why = error if folder.is_dir() else f"{folder} is gone"
            raise OperationFailed(
                f"stopped because {why}; photos done: {finished}. "
                "Put that right and run the same command again: it goes on from there"
            )
    return tally


def summary(
    tally: Counter[Step | None], transfer: Transfer, destination: Path, manifest: Path | None
) -> CollectSummary:
    """The last event of a collection, from how often each step was taken (None: failed)."""
    return CollectSummary(
        transfer=transfer,
        destination=destination,
        done=tally[Step.TRANSFER] + tally[Step.REPLACE],
        already_there=tally[Step.ALREADY_THERE],
        skipped=tally[Step.SKIPPED],
        failed=tally[None],
        manifest=manifest,
    )
