"""Get a model's weights onto this machine: from its address or from a file, verified, all or nothing."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from chueok.errors import ChueokError, FetchFailed, LibraryLocked, ModelInvalid, OperationFailed, UsageError
from chueok.vision.models.card import ModelCard
from chueok.vision.models.download import PAUSES, Download, download, write
from chueok.vision.models.manifest import read_manifest
from chueok.vision.models.registry import BUILT_IN, check_file_is_free, find_model, installed_path, verify
from chueok.vision.models.selfcontained import check_self_contained

Progress = Callable[[int, int], None]  # bytes there, bytes in all

_CHUNK = 1 << 20  # bytes copied and hashed at a time
_SNIFF = 64  # bytes that tell a web page or a Git LFS pointer from weights


def obtain(
    name: str, models_dir: Path, source: str | None = None, progress: Progress | None = None
) -> tuple[ModelCard, Path]:
    """What `chueok model fetch NAME [--from SOURCE]` does: the model's card and its verified weights.

    source: None for the model's own address; another http(s) address; a weights file; or a TOML manifest,
    which is installed together with the ONNX file beside it (or, without one, from the manifest's url).
    Raises UsageError, FetchFailed, ModelInvalid, LibraryLocked, OperationFailed.
    """
    if source is not None and source.endswith(".toml"):
        return _install_described(name, Path(source), models_dir, progress)
    card = find_model(name, models_dir)
    return card, fetch(card, models_dir, source, progress)


def fetch(
    card: ModelCard,
    models_dir: Path,
    source: str | None = None,
    progress: Progress | None = None,
    pauses: tuple[float, ...] = PAUSES,
) -> Path:
    """Bring the weights to `models_dir`, unless they are there and whole; returns where they are.

    source: None for the card's address, another http(s) address, or a file. A download that breaks off is
    kept (`.part`) and resumed by the next; what arrives is used only when its sha256 is the card's.
    pauses: seconds before each retry. Raises UsageError, FetchFailed, ModelInvalid, LibraryLocked, OperationFailed.
    """
    if source is not None and not source.startswith(("http://", "https://")):
        return install_from(card, Path(source), models_dir)
    if card.packaged:
        verify(card, models_dir)  # and if that fails, only a new installation helps
    if card.packaged or _is_whole(card, models_dir):
        return installed_path(card, models_dir)
    url = source or card.url
    if url is None:
        raise UsageError(
            f"the model {card.name!r} has no address. Install it from a file: "
            f"chueok model fetch {card.name} --from {card.file}"
        )
    with _part(card, models_dir) as part:
        if not _is_whole(card, models_dir):  # another run may have brought it while this one waited its turn
            _download_verified(card, Download(url, card.size, pauses), part, progress)
            _check_network(card, part)
            _publish(part, installed_path(card, models_dir))
    return installed_path(card, models_dir)


def install_from(card: ModelCard, file: Path, models_dir: Path) -> Path:
    """Install a weights file that is on this machine already; returns where it is now.

    Raises UsageError for no such file, ModelInvalid (saying what the file is instead, where that is known)
    and LibraryLocked, OperationFailed.
    """
    if not file.is_file():
        raise UsageError(f"there is no file {file}; --from takes the downloaded {card.file}")
    if card.packaged:
        raise UsageError(f"the model {card.name!r} comes with chueok; there is nothing to install")
    with _part(card, models_dir) as part:
        found = _copy(file, part)
        if found != card.sha256:
            beginning = _beginning(part)
            _empty(part)
            raise ModelInvalid(_not_the_file(card, file, found, beginning))
        _check_network(card, part)
        _publish(part, installed_path(card, models_dir))
    return installed_path(card, models_dir)


def _install_described(
    name: str, manifest: Path, models_dir: Path, progress: Progress | None
) -> tuple[ModelCard, Path]:
    """Install what a manifest describes: first the weights, then the manifest, so that none is without."""
    card = read_manifest(manifest)
    if card.name != name:
        raise UsageError(
            f"{manifest} describes {card.name!r}. Run: chueok model fetch {card.name} --from {manifest}"
        )
    if name in BUILT_IN:
        raise UsageError(f"{name!r} is a model of chueok's own; give yours another name in {manifest}")
    check_file_is_free(card, models_dir)
    beside = manifest.parent / card.file
    path = fetch(card, models_dir, str(beside.absolute()) if beside.is_file() else None, progress)
    kept = models_dir / f"{name}.toml"
    if manifest.resolve() != kept.resolve():
        _replace_with_copy(manifest, kept)
    return card, path


def _is_whole(card: ModelCard, models_dir: Path) -> bool:
    """Whether the weights are there and verified; damaged ones are as good as none."""
    try:
        verify(card, models_dir)
    except ChueokError:
        return False
    return True


@contextmanager
def _part(card: ModelCard, models_dir: Path) -> Iterator[IO[bytes]]:
    """The model's partial file, private and unbuffered, for one run at a time; kept where it holds something.

    The lock is a file of its own, since the partial one is renamed away. The kernel frees it when its holder
    dies.
    """
    partial = models_dir / f"{card.file}.part"
    try:
        models_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _open_private(models_dir / f".{card.file}.lock") as lock:
            _lock(lock, card)
            try:
                with _open_private(partial) as part:
                    yield part
            finally:
                if partial.exists() and not partial.stat().st_size:
                    partial.unlink()
    except OSError as error:
        raise OperationFailed(
            f"{models_dir} cannot be written: {error.strerror}. Make room, make it writable, or set "
            "CHUEOK_MODELS to another folder"
        ) from error


def _open_private(path: Path) -> IO[bytes]:
    """Open for reading and writing, made where it is missing, for the user's eyes only, never through a link."""

    def private(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_CREAT | os.O_NOFOLLOW, 0o600)

    return open(path, "r+b", buffering=0, opener=private)


def _lock(lock: IO[bytes], card: ModelCard) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise LibraryLocked(
            f"another run is fetching the model {card.name!r} at this moment; wait until it is done"
        ) from error


def _download_verified(card: ModelCard, wanted: Download, part: IO[bytes], progress: Progress | None) -> None:
    """Download and hash; a wrong whole that was resumed may be one file's head on another's tail: once more."""
    resumed = part.seek(0, os.SEEK_END) > 0
    try:
        download(wanted, part, progress)
    except FetchFailed as error:
        raise FetchFailed(f"{error}. {_by_hand(card)}") from error
    found = _sha256(part)
    if found == card.sha256:
        return
    beginning = _beginning(part)
    _empty(part)
    if resumed:
        _download_verified(card, wanted, part, progress)
        return
    raise FetchFailed(
        f"{wanted.url} sent {_kind(beginning)}: its sha256 is {found}, not the model's {card.sha256}. "
        f"Nothing of it was kept. {_by_hand(card)}"
    )


def _check_network(card: ModelCard, part: IO[bytes]) -> None:
    """Nothing, for weights that are one whole file; else nothing of it is kept. Raises ModelInvalid."""
    if card.needs_torch:
        return
    part.seek(0)
    try:
        check_self_contained(part.read(), f"the network of {card.name!r}")
    except ModelInvalid:
        _empty(part)
        raise


def _publish(part: IO[bytes], target: Path) -> None:
    """Give the verified file its final name, on the disk for good."""
    os.fsync(part.fileno())
    Path(part.name).replace(target)
    _sync_folder(target.parent)


def _replace_with_copy(source: Path, target: Path) -> None:
    """Copy a small file to its final name, all or nothing."""
    partial = target.with_name(f".{target.name}.part")
    try:
        with _open_private(partial) as part:
            _copy(source, part)
            _publish(part, target)
    except OSError as error:
        raise OperationFailed(f"{target} cannot be written: {error.strerror}") from error


def _copy(source: Path, part: IO[bytes]) -> str:
    """Fill the partial file with the source's content; returns the sha256 of what was written."""
    _empty(part)
    digest = hashlib.sha256()
    try:
        with source.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                write(part, chunk)
    except OSError as error:
        raise OperationFailed(f"{source} cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def _sha256(part: IO[bytes]) -> str:
    """The sha256 of what is on the disk, not of what was sent: the two differ after a resume."""
    part.seek(0)
    return hashlib.file_digest(part, "sha256").hexdigest()  # type: ignore[arg-type]  # any readable file


def _empty(part: IO[bytes]) -> None:
    part.seek(0)
    part.truncate()


def _beginning(part: IO[bytes]) -> bytes:
    part.seek(0)
    return part.read(_SNIFF)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _kind(beginning: bytes) -> str:
    """What a file that is no weights file is instead, by its first bytes."""
    if beginning.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, which only names the file"
    if beginning.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page"
    return "another file"


def _not_the_file(card: ModelCard, file: Path, found: str, beginning: bytes) -> str:
    """Why the file is not installed, and what it is where that is known."""
    for other in BUILT_IN.values():
        if found == other.sha256:
            command = f"chueok model fetch {other.name} --from {file}"
            return f"{file} is the model {other.name!r}, not {card.name!r}. Run: {command}"
    size = file.stat().st_size
    short = f"It has {size:,} bytes of {card.size:,}; was its download cut short?" if size < card.size else ""
    return (
        f"{file} is not the model {card.name!r} but {_kind(beginning)}: its sha256 is {found}, "
        f"not {card.sha256}. {short}".rstrip()
    )


def _by_hand(card: ModelCard) -> str:
    """The way that needs no chueok: another machine or a browser."""
    if card.url is None:
        return f"With the file at hand: chueok model fetch {card.name} --from {card.file}"
    return f"By hand: download {card.url} and run: chueok model fetch {card.name} --from {card.file}"
