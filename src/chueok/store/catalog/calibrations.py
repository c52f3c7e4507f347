"""The thresholds a library was calibrated to, by model."""

from __future__ import annotations

from datetime import datetime

from chueok.measures import CalibratedRate, StoredCalibration
from chueok.store.catalog.database import Database


class Calibrations:
    """What is known of thresholds. Numbers over everybody: nobody's face is in them."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def of(self, model_id: int) -> StoredCalibration | None:
        """The calibration for a model; None where there is none."""
        if not self._db.value("select 1 from sqlite_master where name = 'calibrations'"):
            return None  # an older catalog on a full disk, which is read as it is
        row = self._db.row(
            "select people_pairs, faces, made_at from calibrations where model_id = ?", model_id
        )
        if row is None:
            return None
        rates = self._db.rows(
            "select far, threshold, low, high from calibrated_rates where model_id = ? order by place",
            model_id,
        )
        people_pairs, faces, made_at = row
        return StoredCalibration(
            tuple(CalibratedRate(*rate) for rate in rates),
            people_pairs,
            faces,
            datetime.fromisoformat(made_at),
        )

    def put(self, model_id: int, calibration: StoredCalibration) -> None:
        """Remember a calibration in place of the one before; to be called in a transaction."""
        self.delete(model_id)
        self._db.change(
            "insert into calibrations (model_id, people_pairs, faces, made_at) values (?, ?, ?, ?)",
            model_id,
            calibration.people_pairs,
            calibration.faces,
            calibration.made_at.isoformat(),
        )
        for place, rate in enumerate(calibration.rates):
            self._db.change(
                "insert into calibrated_rates (model_id, place, far, threshold, low, high) values (?, ?, ?, ?, ?, ?)",
                model_id,
                place,
                rate.far,
                rate.threshold,
                rate.low,
                rate.high,
            )

    def delete(self, model_id: int) -> bool:
        """Forget the calibration for a model; whether there was one."""
        return self._db.change("delete from calibrations where model_id = ?", model_id).rowcount > 0
