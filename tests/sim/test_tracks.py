"""The excerpt: real positions, unaltered, attributed, small, and made again from the source."""

import os
from importlib import resources
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
import pytest

from cocket.sim import tracks

DATA = resources.files("cocket.sim") / "data"
SOURCE = Path(os.environ.get("COCKET_CONFORMANCE_DATA", "../shared/data")) / "gps" / "shenzhen-taxis.csv"


def test_180_vehicles_in_order_of_time_within_the_window():
    loaded = tracks.load()
    assert len(loaded) == len({t.vehicle for t in loaded}) == 180
    assert sum(len(t.t_s) for t in loaded) > 100_000
    for track in loaded:
        assert (np.diff(track.t_s) >= 0).all()
        assert track.t_s[0] >= tracks.WINDOW_S[0]
        assert track.t_s[-1] <= tracks.WINDOW_S[1]
        assert np.diff(track.t_s).max(initial=0) <= tracks.MAX_GAP_S


def test_it_is_small_and_attributed():
    assert len((DATA / "shenzhen.parquet").read_bytes()) < 1_200_000
    assert "Copyright (c) 2021, Qing Yu" in (DATA / "LICENSE").read_text()
    assert "Redistribution and use in source and binary forms" in (DATA / "LICENSE").read_text()
    assert "transbigdata" in (DATA / "NOTICE").read_text()


def test_vehicles_wait_at_the_forecourts():
    loaded = tracks.load()
    lat, lon = (np.concatenate([getattr(t, n) for t in loaded]) for n in ("lat_deg", "lon_deg"))
    for point in tracks.CONTROL_POINTS:
        away = np.hypot((lat - point.forecourt_lat_deg) * 110_738, (lon - point.forecourt_lon_deg) * 102_861)
        assert np.count_nonzero(away < 300) > 20, point.name


def test_the_excerpt_is_what_its_notice_says():
    if not SOURCE.is_file():
        pytest.skip(f"{SOURCE} is absent: set COCKET_CONFORMANCE_DATA")
    names = ["vehicle", "time", "lon", "lat", "occupied", "speed"]
    source = pcsv.read_csv(
        SOURCE,
        read_options=pcsv.ReadOptions(column_names=names),
        convert_options=pcsv.ConvertOptions(column_types={"time": pa.string()}),
    )
    with (DATA / "shenzhen.parquet").open("rb") as f:
        assert pq.read_table(f).equals(tracks.excerpt(source))
