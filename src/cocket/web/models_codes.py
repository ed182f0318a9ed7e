"""The shapes of answers about codes, keys, scans and stamps."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from cocket.web.models import Time

Purpose = Literal["transit", "manifest", "declaration", "payment", "container-pass", "release", "exit"]
StampState = Literal["issued", "active", "void", "stolen", "found"]
StampEvent = Literal["activate", "void", "steal", "find", "clear"]
Verdict = Literal["genuine", "suspect", "not-active", "false"]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FirstUse(_Answer):
    """The one use of a code."""

    scan_id: int
    at: Time
    gate: str | None
    by: str


class Voided(_Answer):
    """Since when a code is void, and why."""

    at: Time
    by: str
    reason: str


class CodeAnswer(_Answer):
    """A code on a paper."""

    id: int
    purpose: Purpose
    mrn: str
    equipment_id: str | None
    gate: Annotated[str | None, Field(description="the only gate at which it is accepted; null: any")]
    text: Annotated[
        str, Field(description="what the QR code says: COSE_Sign1 in base45", examples=["CKT1:…"])
    ]
    short: Annotated[str, Field(description="for hand and bar code", examples=["0123-4567-89ABC"])]
    kid: Annotated[str, Field(description="the key that signed it")]
    issued_at: Time
    issued_by: str
    valid_from: Time
    valid_to: Annotated[Time, Field(description="from this moment on it is expired")]
    state: Literal["valid", "used", "void", "expired"]
    first_use: FirstUse | None
    void: Voided | None


class CodePage(_Answer):
    """One page of codes."""

    items: list[CodeAnswer]
    next: str | None


class Jwk(_Answer):
    """A public key (RFC 8037), with its state and dates."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    alg: Literal["EdDSA"]
    kid: str
    x: Annotated[str, Field(description="the key, base64url")]
    state: Literal["current", "retired", "revoked"]
    created_at: Time
    retired_at: Time | None
    revoked_at: Time | None
    by: Annotated[str, Field(description="who made its latest step")]
    reason: str | None


class Jwks(_Answer):
    """A JWK set (RFC 7517)."""

    keys: list[Jwk]


class Reason(_Answer):
    """One reason against a scan."""

    rule: Annotated[str, Field(examples=["already-used"])]
    detail: str


class ScanAnswer(_Answer):
    """One scan and what came of it."""

    id: int
    outcome: Literal["accepted", "refused"]
    purpose: Purpose | None
    mrn: str | None
    equipment_id: str | None
    code_id: Annotated[int | None, Field(description="null: it is no code of ours")]
    at: Time
    recorded_at: Time
    gate: str | None
    office: str | None
    by: str
    lat_deg: float | None
    lon_deg: float | None
    reasons: list[Reason]
    first_use: Annotated[FirstUse | None, Field(description="of this code, by this scan or another")]
    effects: Annotated[list[dict[str, Any]], Field(description="what followed, as a document's effects")]
    state: Annotated[str | None, Field(description="of the movement, after the scan")]


class ScanPage(_Answer):
    """One page of scans."""

    items: list[ScanAnswer]
    next: str | None


class StampRun(_Answer):
    """Stamps of one state, both ends included."""

    first: int
    last: int
    state: StampState


class StampRange(_Answer):
    """A range of excise stamps."""

    id: int
    product: str
    manufacturer: str
    first: int
    last: int
    count: int
    valid_to: Time | None
    issued_at: Time
    issued_by: str
    states: list[StampRun]


class StampHappened(_Answer):
    """What happened to a part of a range."""

    event: StampEvent
    first: int
    last: int
    reason: str
    by: str
    at: Time


class StampRangeWhole(StampRange):
    """A range and all that happened to it, oldest first."""

    events: list[StampHappened]


class StampRangePage(_Answer):
    """One page of ranges."""

    items: list[StampRange]
    next: str | None


class StampVerdict(_Answer):
    """What the public is told."""

    verdict: Verdict
    says: str
    product: Annotated[str | None, Field(description="of a genuine and active stamp")]


class StampCheck(_Answer):
    """One check by the public, as officers see it."""

    id: int
    at: Time
    serial: Annotated[int | None, Field(description="null: it was no genuine stamp")]
    verdict: Verdict
    lat_deg: Annotated[float | None, Field(description="rounded to 0.01")]
    lon_deg: float | None
    suspicions: Annotated[list[Reason], Field(description="that arose from this check")]


class StampCheckPage(_Answer):
    """One page of checks."""

    items: list[StampCheck]
    next: str | None
