"""What a library knows: albums, photos, faces, failures, sizes."""

from __future__ import annotations

from chueok.library import Library
from chueok.measures import CalibrationStatus
from chueok.records import LibraryStatus


def status(library: Library) -> LibraryStatus:
    """Everything `chueok status` says. The index file is checked, not repaired."""
    counts = library.catalog.counts()
    _, state = library.load_index()
    return LibraryStatus(
        library=library.folder,
        model=library.card.name,
        albums=tuple(library.catalog.photos.album_statuses()),
        photos=counts["photos"],
        pictures=counts["pictures"],
        faces=counts["faces"],
        people=counts["people"],
        failures=tuple(library.catalog.photos.failures()),
        catalog_bytes=sum(
            path.stat().st_size for path in library.folder.glob("catalog.sqlite*") if path.is_file()
        ),
        index_bytes=library.index_path.stat().st_size if library.index_path.is_file() else 0,
        index_state="ready" if state == "behind" else state,  # it is brought up in memory when it is searched
        last_scan=library.catalog.last_scan(),
        scan_running=library.is_being_written(),
        calibration=calibration(library),
    )


def calibration(library: Library) -> CalibrationStatus | None:
    """The library's own threshold for its model, and how many faces there are by now."""
    stored = library.catalog.calibrations.of(library.model_id)
    faces, _ = library.catalog.faces.count_and_sum(library.model_id)
    return None if stored is None else CalibrationStatus(stored, faces)
