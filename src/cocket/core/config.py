"""Settings: one typed table, read from TOML, every key with its unit and meaning.

``cocket serve --settings FILE`` reads a file; a flag of the command line wins over it; what neither names keeps
its default. The page docs/settings.md is generated from this file and tested against it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from cocket.core.errors import BadSetting

Port = Annotated[int, Meta(ge=0, le=65535)]
Positive = Annotated[int, Meta(gt=0)]
Seconds = Annotated[float, Meta(gt=0)]


class Http(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The HTTP door."""

    host: Annotated[str, Meta(description="address to listen on")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="port to listen on; 0 takes a free one")] = 8460
    max_body_bytes: Annotated[Positive, Meta(description="largest body taken, bytes after decompression")] = (
        32 * 1024 * 1024
    )
    max_rows: Annotated[Positive, Meta(description="most observations in one body")] = 200_000


class Ingest(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """From a door to the log."""

    queue_rows: Annotated[Positive, Meta(description="observations that may wait for the log before 429")] = (
        400_000
    )
    group_rows: Annotated[Positive, Meta(description="most observations in one group commit")] = 20_000
    max_lag_rows: Annotated[
        Positive, Meta(description="stored observations that may wait for the detectors before 429")
    ] = 5_000_000


class Detect(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """From the log to alerts."""

    batch_rows: Annotated[Positive, Meta(description="most observations handled in one step")] = 20_000
    tick_s: Annotated[
        Seconds, Meta(description="seconds of our clock between two ticks (silence, overstay)")
    ] = 1.0
    rerun_s: Annotated[
        Seconds, Meta(description="least seconds between two passes over journeys that late data touched")
    ] = 0.5
    checkpoint_rows: Annotated[
        Positive, Meta(description="observations between two checkpoints of state")
    ] = 2_000_000
    checkpoint_s: Annotated[Seconds, Meta(description="seconds between two checkpoints while data comes")] = (
        60.0
    )
    rules: Annotated[
        str, Meta(description="rules file (TOML) taken over at start; empty keeps what is stored")
    ] = ""


class History(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """From the log to Parquet."""

    compact_rows: Annotated[
        Positive, Meta(description="observations in the log before they move to history")
    ] = 1_000_000
    compact_s: Annotated[Seconds, Meta(description="longest an observation stays in the log, seconds")] = (
        900.0
    )
    retention_days: Annotated[
        int, Meta(ge=0, description="days by event time that history is kept; 0 keeps it for ever")
    ] = 0


class Map(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The control room's map."""

    tiles: Annotated[
        str, Meta(description="raster tile URL template with {z}/{x}/{y}; empty uses the bundled base map")
    ] = ""
    attribution: Annotated[str, Meta(description="what the tiles' owner wants named on the map")] = ""


class Settings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """All settings."""

    http: Http = Http()
    ingest: Ingest = Ingest()
    detect: Detect = Detect()
    history: History = History()
    map: Map = Map()


def load(path: Path | None) -> Settings:
    """Settings from a TOML file, or the defaults for None. Raises ``BadSetting`` naming file and key."""
    if path is None:
        return Settings()
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Settings)
    except OSError as error:
        raise BadSetting(f"settings file {path} cannot be read: {error.strerror}") from error
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise BadSetting(f"settings file {path}: {error}") from error


def overridden(settings: Settings, **sections: dict[str, Any]) -> Settings:
    """A copy in which the given keys of the given sections are set; None values are passed over."""
    changed = {}
    for section, values in sections.items():
        given = {k: v for k, v in values.items() if v is not None}
        changed[section] = msgspec.structs.replace(getattr(settings, section), **given)
    return msgspec.structs.replace(settings, **changed)
