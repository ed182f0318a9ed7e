"""Settings: one typed table, read from TOML, every key with its unit and meaning.

``cocket serve --settings FILE`` reads a file; a flag of the command line wins over it; what neither names keeps
its default. The page docs/settings.md is generated from this file and tested against it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

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
    tls_certificate: Annotated[
        str, Meta(description="certificate file (PEM, with its chain); with one the door speaks HTTPS only")
    ] = ""
    tls_key: Annotated[str, Meta(description="its key file (PEM)")] = ""
    tls_clients: Annotated[
        str,
        Meta(
            description="file of certificate authorities (PEM) whose certificates partner authorities may show; "
            "empty asks for none. Who they are stands in `access.authorities`"
        ),
    ] = ""


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
    folder: Annotated[
        str,
        Meta(
            description="folder of a site's history files, the same for all its processes; empty: `history` in the data folder"
        ),
    ] = ""
    objects: Annotated[
        str,
        Meta(
            description="object storage for a site's history files in place of a folder: "
            "`s3://bucket/prefix?endpoint=URL&region=NAME`, credentials from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ),
    ] = ""
    hot_days: Annotated[
        Positive, Meta(description="days by event time that a site keeps observations in PostgreSQL")
    ] = 14


class Gateway(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The doors for devices. What `listen` takes is told in docs/gateway.md."""

    listen: Annotated[
        tuple[str, ...], Meta(description='doors, such as "tcp:5023=gt06"; `--listen` adds to them')
    ] = ()
    host: Annotated[
        str, Meta(description="address on which devices' doors listen; empty: that of the HTTP door")
    ] = ""
    unregistered: Annotated[
        Literal["quarantine", "admit"],
        Meta(
            description="frames of a device that is not registered: kept in `quarantine`, or `admit`ted as untrusted, "
            "under the name `untrusted:…`, which is bound to nothing"
        ),
    ] = "quarantine"
    open_families: Annotated[
        tuple[str, ...], Meta(description="families of protocols whose devices need not be registered")
    ] = ("ship",)
    mappings: Annotated[str, Meta(description="folder of mapping files; each is a protocol by its name")] = ""
    max_connections: Annotated[Positive, Meta(description="connections at once; more are turned away")] = (
        20_000
    )
    max_per_address: Annotated[Positive, Meta(description="connections at once from one network address")] = (
        10_000
    )
    idle_s: Annotated[Seconds, Meta(description="seconds of silence after which a connection is closed")] = (
        3_600.0
    )
    frame_s: Annotated[
        Seconds, Meta(description="seconds in which a frame that has begun, or a first one, must be complete")
    ] = 60.0
    rate_per_s: Annotated[Seconds, Meta(description="frames a second that one device may keep up")] = 20.0
    burst: Annotated[
        Positive,
        Meta(description="frames that one device may send at once, as after hours without a network"),
    ] = 5_000
    max_bad_frames: Annotated[
        Positive, Meta(description="frames in a row that cannot be read before a connection is closed")
    ] = 20
    max_speed_mps: Annotated[
        Seconds, Meta(description="faster than this between two fixes is impossible")
    ] = 150.0
    twice_s: Annotated[
        Seconds,
        Meta(
            description="seconds within which an older connection must have spoken for a newer one to be a second"
        ),
    ] = 20.0
    replay_s: Annotated[
        Seconds, Meta(description="seconds after which a running number that was used up may not come again")
    ] = 600.0
    gather_s: Annotated[
        Seconds, Meta(description="seconds in which frames gather before they are written")
    ] = 0.01
    two_persons: Annotated[
        tuple[str, ...], Meta(description="commands that a second person must approve")
    ] = ("unlock", "text", "passthrough")
    command_s: Annotated[Seconds, Meta(description="seconds that a command waits for its device")] = 86_400.0
    tls_certificate: Annotated[str, Meta(description="certificate file (PEM) of `tls:` doors")] = ""
    tls_key: Annotated[str, Meta(description="its key file (PEM)")] = ""
    tls_clients: Annotated[
        str,
        Meta(
            description="file of authorities (PEM) whose certificates devices may show; empty asks for none"
        ),
    ] = ""
    tls_names: Annotated[
        bool,
        Meta(
            description="believe a registered device only if its certificate names it (DNS name or common name), or is the "
            "one that it is registered with"
        ),
    ] = False
    mqtt_topics: Annotated[
        dict[str, str],
        Meta(description="topic filters to protocols; `{device}` in place of a level is the device's name"),
    ] = {}
    mqtt_user: Annotated[str, Meta(description="name for a broker of your own")] = ""
    mqtt_password: Annotated[str, Meta(description="and its password")] = ""


class Customs(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The customs file: documents, movements, seals, guarantees, enquiries."""

    sensitive_risks: Annotated[
        tuple[str, ...],
        Meta(description="`risk` of a movement that may leave only with an armed seal or a recorded waiver"),
    ] = ("high",)
    sensitive_goods: Annotated[tuple[str, ...], Meta(description="`goods` of which the same holds")] = ()
    self_test_s: Annotated[
        Seconds, Meta(description="oldest report of an e-seal that counts for its self-test, seconds")
    ] = 900.0
    self_test_battery_pct: Annotated[
        float, Meta(ge=0, le=100, description="least battery charge with which an e-seal may be armed, %")
    ] = 15.0
    enquiry_after_days: Annotated[
        Positive, Meta(description="days from the limit date until the enquiry is opened by itself")
    ] = 7
    answer_days: Annotated[
        Positive, Meta(description="days in which the holder of the procedure has to answer an enquiry")
    ] = 28
    debt_after_days: Annotated[
        Positive, Meta(description="days from the limit date until a debt is established by itself")
    ] = 210
    acquit_needs_exit: Annotated[
        bool, Meta(description="a transit is acquitted by its code only after a gate has read its exit")
    ] = True
    clean_coverage: Annotated[
        float,
        Meta(
            ge=0, le=1, description="least share of a trip's time, 0 to 1, that reports cover on a clean trip"
        ),
    ] = 0.9
    clean_gap_s: Annotated[
        Seconds,
        Meta(
            description="longest time without a report on a clean trip, seconds; two reporting periods are always allowed"
        ),
    ] = 1800.0
    clean_period_s: Annotated[
        Seconds,
        Meta(
            description="reporting period, seconds, for clean trips where neither movement nor device names one"
        ),
    ] = 300.0
    max_document_bytes: Annotated[Positive, Meta(description="largest customs document taken, bytes")] = (
        16 * 1024 * 1024
    )
    max_evidence_bytes: Annotated[Positive, Meta(description="largest photo or paper taken, bytes")] = (
        10 * 1024 * 1024
    )
    waiver_persons: Annotated[
        Literal[1, 2],
        Meta(
            description="persons who must answer for a departure without an armed seal (waive-seal), each by themselves"
        ),
    ] = 1


class Codes(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Codes on papers, and excise stamps."""

    valid_days: Annotated[
        Positive, Meta(description="days that a code is good for when whoever issues it names no end")
    ] = 30
    check_days: Annotated[
        Positive,
        Meta(description="days that the public's checks of stamps, with their rounded positions, are kept"),
    ] = 30
    clone_speed_kmh: Annotated[
        Seconds,
        Meta(description="a stamp that went faster than this between two checks, km/h, was probably copied"),
    ] = 300.0
    clone_least_km: Annotated[
        Seconds, Meta(description="two checks nearer than this, km, say nothing about speed")
    ] = 10.0
    clone_checks: Annotated[
        Positive, Meta(description="a stamp checked more often than this in 24 hours was probably copied")
    ] = 50


class Gates(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Gates, phones in cabs, and links for traders."""

    plate_confidence: Annotated[
        float,
        Meta(ge=0, le=1, description="a plate that its reader is less sure of, from 0 to 1, was not read"),
    ] = 0.8
    position_m: Annotated[
        Seconds,
        Meta(
            description="farthest that a device may be from a gate at which it is, m; a gate may say its own"
        ),
    ] = 250.0
    position_s: Annotated[
        Seconds, Meta(description="oldest position that identifies a vehicle at a gate, seconds")
    ] = 120.0
    again_s: Annotated[
        Seconds,
        Meta(description="seconds in which a second gate of the same kind cannot be another way out"),
    ] = 300.0
    alert_severity: Annotated[
        Literal["warn", "high", "critical"],
        Meta(description="an open alert of this severity or a worse one, or any of a seal, stops a movement"),
    ] = "high"
    trip_link_days: Annotated[
        Positive, Meta(description="longest that a link for a trader may be good for, days")
    ] = 90


class Audit(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Who read personal data and who changed what. Changes are always recorded."""

    reads: Annotated[
        Literal["signed-in", "all"],
        Meta(
            description="which reads of personal data are recorded: of everybody who is `signed-in` (also by token or "
            "certificate), or `all`, also where nobody signs in and the entry can name nobody"
        ),
    ] = "signed-in"


class Store(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Where alerts, reference data and the customs file are kept."""

    url: Annotated[
        str,
        Meta(
            description="a PostgreSQL database, `postgresql://USER:PASSWORD@HOST:PORT/DATABASE` "
            "(`?host=/FOLDER` for a socket, `?sslmode=verify-full&sslrootcert=FILE` for TLS; without a password that of "
            "PGPASSWORD is taken); empty: SQLite in the data folder"
        ),
    ] = ""


class Log(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The log of a site past one machine: NATS JetStream, in partitions that workers share. It needs `store.url` as well."""

    url: Annotated[
        str,
        Meta(
            description="NATS servers, `nats://USER:PASSWORD@HOST:4222,HOST:4222` (`tls://` asks for TLS); "
            "empty: a log in the data folder, one process"
        ),
    ] = ""
    password_file: Annotated[
        str, Meta(description="file that holds the servers' password, in place of one in `url`")
    ] = ""
    timeout_s: Annotated[
        Seconds,
        Meta(
            description="seconds in which the servers must have stored a group before its senders are told to try again; "
            "a new leader takes up to 9"
        ),
    ] = 20.0
    site: Annotated[
        str, Meta(description="name of the site among those that share the servers: letters, digits, - and _")
    ] = "main"
    replicas: Annotated[int, Meta(ge=1, le=5, description="copies of the log, on as many servers")] = 3
    partitions: Annotated[
        Positive, Meta(description="partitions, a power of two; later by `cocket repartition`")
    ] = 8
    lease_s: Annotated[
        Seconds, Meta(description="seconds after which a worker that is not heard of loses its partitions")
    ] = 3.0
    submit_s: Annotated[
        Seconds,
        Meta(description="seconds in which a partition must have an owner again before doors answer 503"),
    ] = 15.0


class Watching(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How Cocket tells of itself: its log lines, traces, and the alarms about itself. See docs/watching.md."""

    log_format: Annotated[
        Literal["text", "json"],
        Meta(
            description="lines on standard error: `text` for people, `json` (one object a line) for machines"
        ),
    ] = "text"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="the least that is told; `info` has a line for each HTTP request"),
    ] = "warning"
    otlp_endpoint: Annotated[
        str,
        Meta(
            description="where traces go by OTLP/HTTP, such as http://127.0.0.1:4318/v1/traces; empty: no traces"
        ),
    ] = ""
    sample_ratio: Annotated[
        float, Meta(ge=0, le=1, description="share of the bodies of observations that are traced, 0 to 1")
    ] = 1.0
    worker_host: Annotated[
        str,
        Meta(
            description="address on which a worker of a site tells its figures over HTTP (`/metrics`, `/health`); empty: it does not"
        ),
    ] = "127.0.0.1"
    worker_port: Annotated[
        Port,
        Meta(
            description="and its port; 0 takes a free one, which it prints. `cocket work --port` wins over it"
        ),
    ] = 0
    lag_s: Annotated[
        Seconds, Meta(description="oldest that an undetected observation may be before an alarm, seconds")
    ] = 30.0
    quarantine_rows: Annotated[
        Positive, Meta(description="rows refused within five minutes that are an alarm")
    ] = 1_000
    silent_source_s: Annotated[
        Seconds,
        Meta(description="silence of a door or device family that used to talk until an alarm, seconds"),
    ] = 900.0
    disk_free_mib: Annotated[
        Positive, Meta(description="least room on the data folder's disk before an alarm, MiB")
    ] = 2_048
    clock_skew_s: Annotated[
        Seconds,
        Meta(description="devices' median difference to our clock that is an alarm, seconds"),
    ] = 60.0
    backup_age_h: Annotated[
        float,
        Meta(ge=0, description="oldest that the last backup may be before an alarm, hours; 0: no alarm"),
    ] = 0.0


class Retention(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How long what tells of people is kept; 0 keeps it for ever. Days count from when it was received or, of a movement, from its last
    event. An open enquiry, alert, case or debt keeps what it needs. Observations have `history.retention_days`, checks of stamps
    `codes.check_days`.
    """

    plate_reads_days: Annotated[
        int,
        Meta(
            ge=0,
            description="days that a plate read at a gate is kept which joined no movement; then dropped",
        ),
    ] = 30
    phone_positions_days: Annotated[
        int,
        Meta(
            ge=0,
            description="days that positions of transports' phones outside the zones for phones are kept; then dropped",
        ),
    ] = 1
    scan_positions_days: Annotated[
        int,
        Meta(ge=0, description="days that the position of a scan is kept; then the scan stays without it"),
    ] = 90
    quarantine_days: Annotated[
        int,
        Meta(ge=0, description="days that refused rows and frames are kept with their bytes; then dropped"),
    ] = 365
    sign_in_days: Annotated[
        int,
        Meta(ge=0, description="days that tries to sign in are kept, with network addresses; then dropped"),
    ] = 30
    evidence_days: Annotated[
        int,
        Meta(
            ge=0,
            description="days after a movement's end that its photos and papers are kept; their hashes stay",
        ),
    ] = 1095
    movement_days: Annotated[
        int,
        Meta(
            ge=0,
            description="days after a movement's end that names, plates, originals of documents and free text are kept; then it is made "
            "anonymous (customs records: at least 3 years, Regulation (EU) 952/2013, article 51)",
        ),
    ] = 3650
    audit_days: Annotated[
        int,
        Meta(
            ge=0,
            description="days that entries of the audit are kept; then its beginning is cut off, with an entry that says so",
        ),
    ] = 3650
    every_hours: Annotated[
        Seconds,
        Meta(
            description="hours from one run to the next; what was missed while the server stood is caught up"
        ),
    ] = 24.0


class Map(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The control room's map."""

    tiles: Annotated[
        str, Meta(description="raster tile URL template with {z}/{x}/{y}; empty uses the bundled base map")
    ] = ""
    attribution: Annotated[str, Meta(description="what the tiles' owner wants named on the map")] = ""


class Access(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Who comes in. What it means is told in docs/access.md."""

    sign_in: Annotated[
        bool,
        Meta(
            description="whether people and programs must sign in; without it Cocket listens on loopback only"
        ),
    ] = False
    origin: Annotated[
        str,
        Meta(
            description="address at which browsers reach Cocket, such as `https://cocket.example`; empty: as each "
            "request names it. OpenID Connect needs it"
        ),
    ] = ""
    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(
            description="addresses or networks of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed"
        ),
    ] = ()
    certificate_header: Annotated[
        bool,
        Meta(
            description="believe the `Client-Cert` field (RFC 9440) of trusted proxies, which then must drop a client's own"
        ),
    ] = False
    authorities: Annotated[
        dict[str, str],
        Meta(
            description="partner authorities by certificate: its DNS name, common name or `sha256:…`, to the authority's name"
        ),
    ] = {}
    session_idle_s: Annotated[
        Positive, Meta(description="seconds without a request after which a session ends")
    ] = 3_600
    session_s: Annotated[Positive, Meta(description="seconds after which a session ends in any case")] = (
        12 * 3_600
    )
    sessions_per_account: Annotated[
        Positive, Meta(description="sessions of one account at once; the oldest gives way")
    ] = 10
    token_days: Annotated[Positive, Meta(description="longest life of an API token, days")] = 365
    own_words: Annotated[
        tuple[str, ...],
        Meta(
            description="words that guessers know of this administration (its name, its places and systems); a password that is "
            "one or two of them or of the common ones, with digits and signs around, is refused"
        ),
    ] = ()
    free_attempts: Annotated[
        Positive, Meta(description="failed sign-ins in a row before the next must wait")
    ] = 5
    delay_s: Annotated[
        Positive, Meta(description="seconds of the first wait; each failure more doubles it")
    ] = 2
    most_delay_s: Annotated[Positive, Meta(description="longest wait, seconds")] = 900
    attempts_per_address: Annotated[
        Positive,
        Meta(description="failed sign-ins from one network address in 15 minutes before it must wait"),
    ] = 50
    argon2_memory_kib: Annotated[
        int,
        Meta(
            ge=8,
            description="memory of one password hash (argon2id), KiB; less than the default is for tests",
        ),
    ] = 19_456
    argon2_passes: Annotated[int, Meta(ge=1, description="and its passes over that memory")] = 2
    second_factor_roles: Annotated[
        tuple[str, ...],
        Meta(description="roles that must have a second factor: without one they can only set it up"),
    ] = ()
    oidc_issuer: Annotated[
        str, Meta(description="issuer (URL) of an OpenID Connect provider; empty: local accounts only")
    ] = ""
    oidc_client_id: Annotated[str, Meta(description="name under which the provider knows Cocket")] = ""
    oidc_client_secret: Annotated[str, Meta(description="its secret; better in a file")] = ""
    oidc_client_secret_file: Annotated[str, Meta(description="file that holds the secret, and no more")] = ""
    oidc_scopes: Annotated[
        tuple[str, ...], Meta(description="what is asked of the provider beside `openid`")
    ] = ("profile",)
    oidc_name_claim: Annotated[
        str, Meta(description="claim that names somebody in records (`by`); `sub` is always unique")
    ] = "sub"
    oidc_roles_claim: Annotated[str, Meta(description="claim that lists groups or roles")] = "groups"
    oidc_roles: Annotated[
        dict[str, str],
        Meta(description="values of that claim to roles of Cocket; others count for nothing"),
    ] = {}
    oidc_offices_claim: Annotated[
        str, Meta(description="claim that lists the customs offices of somebody; empty: all offices")
    ] = ""
    local_accounts: Annotated[
        bool, Meta(description="whether accounts of Cocket's own may sign in beside the provider's")
    ] = True
    policies: Annotated[
        str,
        Meta(
            description="file of policies (Cedar) added to those of Cocket; see docs/rights.md. Empty: none"
        ),
    ] = ""


class Settings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """All settings."""

    http: Http = Http()
    ingest: Ingest = Ingest()
    detect: Detect = Detect()
    history: History = History()
    gateway: Gateway = Gateway()
    customs: Customs = Customs()
    codes: Codes = Codes()
    gates: Gates = Gates()
    audit: Audit = Audit()
    store: Store = Store()
    log: Log = Log()
    watching: Watching = Watching()
    retention: Retention = Retention()
    map: Map = Map()
    access: Access = Access()


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
