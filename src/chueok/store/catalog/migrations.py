"""The catalog's schema, one numbered function per change; a landed function is never edited."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

Migration = Callable[[sqlite3.Connection], None]


def m001_photos_faces_people(connection: sqlite3.Connection) -> None:
    """Photos are files, pictures are contents. Faces belong to contents: a moved file keeps them."""
    for statement in _M001.split(";"):
        if statement.strip():
            connection.execute(statement)


_M001 = """
create table meta (
    key text primary key,
    value text not null
);
create table models (
    id integer primary key,
    name text not null,
    key text not null unique,
    dimension integer not null check (dimension > 0)
);
create table albums (
    id integer primary key,
    path blob not null unique,
    added_at text not null
);
create table pictures (
    id integer primary key,
    sha256 blob not null unique check (length(sha256) = 32),
    bytes integer not null,
    width integer not null,
    height integer not null,
    taken_at text,
    damage text
);
create index pictures_by_size on pictures (bytes);
create table photos (
    id integer primary key,
    album_id integer not null references albums (id) on delete cascade,
    folder blob not null,
    name blob not null,
    picture_id integer references pictures (id),
    device integer not null,
    inode integer not null,
    size integer not null,
    mtime_ns integer not null,
    ctime_ns integer not null,
    error text,
    unreadable_sha256 blob,
    missing integer not null default 0,
    unique (folder, name),
    check ((picture_id is null) = (error is not null))
);
create index photos_by_picture on photos (picture_id);
create table faces (
    id integer primary key autoincrement,
    picture_id integer not null references pictures (id) on delete cascade,
    x real not null,
    y real not null,
    width real not null,
    height real not null,
    probability real not null,
    landmarks blob not null check (length(landmarks) = 80)
);
create index faces_by_picture on faces (picture_id);
create table vectors (
    model_id integer not null references models (id),
    face_id integer not null references faces (id) on delete cascade,
    vector blob not null,
    unique (model_id, face_id)
);
create index vectors_by_face on vectors (face_id);
create table people (
    id integer primary key,
    name text not null unique,
    enrolled_at text not null
);
create table person_references (
    id integer primary key,
    person_id integer not null references people (id) on delete cascade,
    face_id integer not null references faces (id) on delete cascade,
    source blob not null,
    crop blob not null,
    crop_pixels integer not null,
    crop_x real not null,
    crop_y real not null,
    crop_width real not null,
    unique (person_id, face_id)
);
create index references_by_face on person_references (face_id);
create table indexes (
    model_id integer primary key references models (id),
    stamp text not null
);
create table scans (
    id integer primary key,
    started_at text not null,
    finished_at text,
    outcome text
);
create table destinations (
    path blob primary key
)
"""


def m002_calibrations(connection: sqlite3.Connection) -> None:
    """A library's own thresholds, by model."""
    for statement in _M002.split(";"):
        if statement.strip():
            connection.execute(statement)


_M002 = """
create table calibrations (
    model_id integer primary key references models (id) on delete cascade,
    people_pairs integer not null,
    faces integer not null,
    made_at text not null
);
create table calibrated_rates (
    model_id integer not null references calibrations (model_id) on delete cascade,
    place integer not null,
    far real not null,
    threshold real not null,
    low real not null,
    high real not null,
    primary key (model_id, place)
)
"""


def m003_folders(connection: sqlite3.Connection) -> None:
    """Folders whose photos were all found unchanged; any change to what is known of one of them forgets its folder."""
    for statement in _M003:
        connection.execute(statement)


_M003 = (
    "create table folders (path blob primary key, photos integer not null, looks blob not null)",
    "create trigger photo_added after insert on photos"
    " begin delete from folders where path = new.folder; end",
    "create trigger photo_changed after update on photos"
    " begin delete from folders where path in (old.folder, new.folder); end",
    "create trigger photo_forgotten after delete on photos"
    " begin delete from folders where path = old.folder; end",
)

MIGRATIONS: Sequence[Migration] = (m001_photos_faces_people, m002_calibrations, m003_folders)
