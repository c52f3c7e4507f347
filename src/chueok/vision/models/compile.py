"""Torch networks to ONNX files: compiled once per machine, in a child process, cached by the weights' sha256.

torch takes seconds to import and hundreds of megabytes to hold, so it never enters the process that reads
photos: `compiled` hands out files that ONNX Runtime opens, and only where one is missing does a child process
(`python -m chueok.vision.models.export`) build the network and write it.

To make a network compilable, write a builder, `def facenet(state: StateDict) -> Blueprint`, and describe it:
`Network("facenet", "chueok.vision.models.networks:facenet", weights, sha256)`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias

from chueok.errors import ModelInvalid, ModelMissing, OperationFailed

if TYPE_CHECKING:
    from torch import Tensor, nn

    StateDict: TypeAlias = dict[str, Tensor]

REVISION = 3  # raise it when export.py or a builder changes what is written: older files are then ignored


@dataclass(frozen=True, slots=True)
class Network:
    """A torch network that can be compiled, and the weights it is compiled with."""

    name: str  # begins the file's name
    builder: str  # "package.module:function", called in the child as function(state_dict) -> Blueprint
    weights: Path  # a state dict saved by torch; only opened when the network is not compiled yet
    sha256: str  # what the weights file must have, in hex; the cache's key


@dataclass(frozen=True, slots=True, eq=False)
class Blueprint:
    """What a builder returns: the module, ready for inference, and how it is called."""

    module: nn.Module
    example: Tensor  # an input of the module's usual shape, float32; at least 2 in every axis that may vary
    varying: tuple[int, ...] = (0,)  # axes of the input whose length may vary at run time: the batch
    outputs: tuple[str, ...] = ("embedding",)  # names for the module's outputs, in order


def is_compiled(cache: Path, networks: Sequence[Network]) -> bool:
    """Whether `compiled` would answer at once; otherwise it takes seconds, which the user should be told."""
    return all(_is_whole(_target(cache, network)) for network in networks)


def compiled(cache: Path, networks: Sequence[Network]) -> list[Path]:
    """The ONNX file of every network, in order; those not in `cache` (or damaged there) are compiled first.

    All missing ones share one child process. Processes that ask at the same time wait for the first and use
    its files. Call it before starting workers: the child would share their memory ceiling.

    Raises ModelMissing or ModelInvalid when weights are absent or differ from their sha256, OperationFailed
    when the cache cannot be written or the child fails.
    """
    if not is_compiled(cache, networks):
        try:
            with _locked(cache) as lock:
                _compile([network for network in networks if not is_compiled(cache, [network])], cache, lock)
        except OSError as error:
            raise OperationFailed(
                f"compiled networks cannot be kept in {cache}: {error.strerror or error}. "
                "Make room or set CHUEOK_CACHE to a folder you can write to, and try again."
            ) from error
    return [_target(cache, network) for network in networks]


def _target(cache: Path, network: Network) -> Path:
    """Where the compiled network lies: 16 hex digits (64 bits) of the key tell weights apart."""
    return cache / f"{network.name}-{network.sha256[:16]}-r{REVISION}.onnx"


def _digest_file(target: Path) -> Path:
    """The file beside a compiled network that says what it must be, in the format of `sha256sum`."""
    return target.with_name(target.name + ".sha256")


def _partial_file(target: Path) -> Path:
    """The name under which a network is written until it is whole."""
    return target.with_name(target.name + ".partial")


def _sha256(path: Path) -> str:
    """The file's sha256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_whole(target: Path) -> bool:
    """Whether the file is there and is, byte for byte, what was compiled."""
    with suppress(OSError, UnicodeDecodeError):
        return _digest_file(target).read_text("ascii").split(maxsplit=1)[:1] == [_sha256(target)]
    return False


@contextmanager
def _locked(cache: Path) -> Iterator[IO[bytes]]:
    """Hold the cache folder's lock, waiting for it; made with the folder, private to the user.

    The kernel frees the lock when its last holder dies: the child inherits it, so that a child which outlives
    its parent is never met by a second one writing the same file.
    """
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(cache / "compile.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


def _compile(networks: Sequence[Network], cache: Path, lock: IO[bytes]) -> None:
    """Compile the networks in one child process and give the files their final names."""
    if not networks:
        return
    for network in networks:
        _verify_weights(network)
    targets = [_target(cache, network) for network in networks]
    try:
        _export(
            [(n.builder, n.weights, _partial_file(t)) for n, t in zip(networks, targets, strict=True)], lock
        )
        for target in targets:
            _publish(target)
    finally:
        for target in targets:
            _partial_file(target).unlink(missing_ok=True)
    _sync(cache)


def _verify_weights(network: Network) -> None:
    """Raise ModelMissing or ModelInvalid unless the weights file is the one that is meant."""
    try:
        found = _sha256(network.weights)
    except OSError as error:
        raise ModelMissing(
            f"the weights of {network.name} cannot be read: {network.weights}: {error.strerror}. "
            "Install them again."
        ) from error
    if found != network.sha256:
        raise ModelInvalid(
            f"{network.weights} is not the weights file of {network.name}: its sha256 is {found[:16]}…, "
            f"not {network.sha256[:16]}…. Delete the file and install it again."
        )


def _export(jobs: Sequence[tuple[str, Path, Path]], lock: IO[bytes]) -> None:
    """Run the child over (builder, weights, file to write) and wait for it."""
    child = subprocess.run(
        # -P: a torch.py in the folder the user happens to stand in must not be imported
        [sys.executable, "-P", "-m", "chueok.vision.models.export"],
        input=json.dumps([(builder, *map(str, paths)) for builder, *paths in jobs]).encode(),
        capture_output=True,
        check=False,
        pass_fds=(lock.fileno(),),
    )
    if child.returncode == 0:
        return
    reason = f"the compiler was killed by signal {-child.returncode}; is there enough memory?"
    if child.returncode > 0:
        reason = (child.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"])[-1]
    raise OperationFailed(
        f"a network could not be compiled: {reason.removesuffix('.')}. Make room if the disk is full; "
        "otherwise reinstall chueok, which brings torch and facenet-pytorch back as they should be."
    )


def _publish(target: Path) -> None:
    """Give a finished file its final name, and say beside it what it must be.

    Two files cannot change at once: a crash in between leaves a digest that does not fit, and the network is
    compiled again.
    """
    partial = _partial_file(target)
    digest = f"{_sha256(partial)}  {target.name}\n"
    partial.chmod(0o600)
    _sync(partial)
    partial.replace(target)
    partial.touch(mode=0o600)
    partial.write_text(digest, "ascii")
    _sync(partial)
    partial.replace(_digest_file(target))


def _sync(path: Path) -> None:
    """Wait until the file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
