"""A movement's events, evidence, and the status feed."""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from cocket.core.clock import parse_rfc3339, rfc3339
from cocket.core.errors import Fault, Malformed, NotFound, Refused, TooLarge
from cocket.customs.transit.messages import Envelope
from cocket.customs.transit.view import event_shown
from cocket.store.file_events import Event
from cocket.web import answers, models_file
from cocket.web.asking import Asked, Asks, At, By, Cursor, IdPath, Limit, Text, known_query
from cocket.web.bodies import AnyBody, JsonBody, content_type, parsed, validated
from cocket.web.problems import declared
from cocket.web.rights.actions import EVENT_ACTIONS, EVENT_OFFICES

router = APIRouter(tags=["movements"], dependencies=[Depends(known_query)])

_ACT: Final = {
    "event": "reserve-guarantee",
    "office": "NL000432",
    "grn": "26NL0000010000018",
    "amount": "1250.00",
    "currency": "EUR",
}
_MOST: Final = 100
_SELF_TEST_WAIT_S: Final = 5.0
"""How long an arming waits for the detectors to take in what its seals have just reported."""
_EVIDENCE: Final = ("image/jpeg", "image/png", "application/pdf")
_MAGIC: Final = {
    "image/jpeg": b"\xff\xd8\xff",
    "image/png": b"\x89PNG\r\n\x1a\n",
    "application/pdf": b"%PDF-",
}


@router.post(
    "/movements/{mrn}/events",
    status_code=201,
    summary="Record what happened to a movement",
    response_model=models_file.Acted,
    responses=declared(400, 404, 408, 409, 413, 415, 422, 429),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "oneOf": [
                            {"$ref": "#/components/schemas/MovementAct"},
                            {
                                "type": "array",
                                "items": {"$ref": "#/components/schemas/MovementAct"},
                                "minItems": 1,
                            },
                        ]
                    },
                    "example": _ACT,
                }
            },
        }
    },
)
def act(service: Asked, asks: Asks, mrn: IdPath, body: JsonBody, by: By) -> Response:
    """One event, or an array of them, all or none, in the order given. What is impossible is refused with the state, the event and what is
    allowed; what lacks its ground (a guarantee, an armed seal, a clean trip) with the rule that it broke.

    Events count by event time (`at`); one that is told late is put in its place if everything after it stays possible. Where people sign
    in, each event needs a right of its own, and officers act at their own offices: `office` is filled with theirs if they have one only.
    """
    given = parsed(body)
    rows = given if isinstance(given, list) else [given]
    if not rows or len(rows) > _MOST:
        raise Malformed(f"send one event, or an array of 1 to {_MOST}")
    wanted = []
    for row in rows:
        validated(models_file.MovementAct, row)
        wanted.append(service.file.transit.wanted(_answered_for(asks, service, mrn, row), by=by))
    if any(w.event == "arm" for w in wanted):
        service.taken_in(_SELF_TEST_WAIT_S)
    if any(w.event == "discharge" for w in wanted):
        service.clean_trips.settle(mrn)
    steps = service.file.transit.act(mrn, wanted)
    service.reference_changed()
    now = service.file.view.whole(mrn)
    return answers.Json(
        {
            "mrn": mrn,
            "state": now["state"],
            "from_state": steps[0].from_state,
            "events": [event_shown(s) for s in steps],
            "allowed": now["allowed"],
        },
        201,
    )


def _answered_for(asks: Asks, service: Asked, mrn: str, row: dict[str, Any]) -> dict[str, Any]:
    """An event in the name and at the office of who asks; ``Forbidden`` if it is not theirs to record."""
    action = EVENT_ACTIONS.get(str(row["event"]))
    if not asks.signed or action is None:  # an unknown event is refused by the machine, in its words
        return row
    office = asks.office(row.get("office"))
    asks.may(action, "movement", office=office)
    place = EVENT_OFFICES.get(str(row["event"]))
    if asks.who.offices and place is not None:
        if office is None:
            detail = f"say at which office: {', '.join(sorted(asks.who.offices))}"
            raise Refused(detail, [Fault("/office", "required", detail)])
        declared_at = service.reference.get("movement", mrn).get(place)
        if declared_at is not None:
            asks.may(action, "movement", office=declared_at)
    return {**row, "by": asks.who.id, "office": office}


@router.get(
    "/movements/{mrn}/events",
    summary="What happened to a movement",
    response_model=models_file.EventPage,
    responses=declared(404, 422),
)
def events(service: Asked, mrn: IdPath, as_known_at: At = None) -> Response:
    """In the order of event time, each with who recorded it and when; as it was known at a moment, if asked."""
    known_us = None if as_known_at is None else parse_rfc3339(as_known_at)
    return answers.page(service.file.view.events(mrn, known_us), None)


_Id35 = Query(min_length=1, max_length=35)


@router.get(
    "/movements/{mrn}/messages/{kind}",
    summary="A movement's message to another system",
    response_model=None,
    responses={
        200: {
            "description": "XML, valid against the message's schema",
            "content": {"application/xml": {"schema": {"type": "string"}}},
        },
        **declared(404, 409, 422),
    },
)
def message(
    service: Asked,
    mrn: IdPath,
    kind: Annotated[str, Path(pattern="^(cc007c|cc044c|cc182c)$", description="the message")],
    sender: Annotated[str, _Id35] = "COCKET",
    recipient: Annotated[str, _Id35] = "NTA",
    trader: Annotated[str | None, Query(min_length=1, max_length=17, description="EORI or TIN")] = None,
    office: Annotated[
        str | None, Query(min_length=1, max_length=8, description="in place of the known one")
    ] = None,
) -> Response:
    """Arrival notification (CC007C), unloading remarks (CC044C) or forwarded incident (CC182C) from what was recorded.

    409 while what it would tell has not happened; 422 names what the file does not know.
    """
    service.reference.get("movement", mrn)
    data = service.file.messages.write(mrn, kind, Envelope(sender, recipient, trader, office))
    return Response(data, media_type="application/xml")


@router.get(
    "/feed",
    tags=["feed"],
    summary="The status feed",
    response_model=models_file.FeedPage,
    responses=declared(400, 422),
)
def feed(
    service: Asked,
    asks: Asks,
    after: Annotated[int, Query(ge=0, le=2**53, description="`next` of the page before; 0 begins")] = 0,
    limit: Limit = 100,
    mrn: Text = None,
    country: Annotated[
        str | None, Query(pattern="^[A-Z]{2}$", description="only movements whose route touches it")
    ] = None,
) -> Response:
    """Every event of movements, seals and guarantees, in the order of recording, without gaps: for partners and other systems."""
    found = service.file.feed(after, limit, mrn=mrn, country=country, sight=asks.sight)
    return answers.Json({"items": [_fed(e) for e in found.events], "next": found.next})


def _fed(event: Event) -> dict[str, Any]:
    return {
        "seq": event.seq,
        "machine": event.machine,
        "subject": event.subject,
        "mrn": event.mrn,
        "event": event.event,
        "from_state": event.from_state,
        "to_state": event.to_state,
        "at": rfc3339(event.at_us),
        "recorded_at": rfc3339(event.recorded_us),
        "by": event.by,
        "office": event.office,
        "reason": event.reason,
        "details": dict(event.details),
    }


def _evidence(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "sha256": row["sha256"].hex(),
        "size": row["size"],
        "media_type": row["media_type"],
        "received_at": rfc3339(row["received_us"]),
        "by": row["by"],
    }


@router.post(
    "/movements/{mrn}/evidence",
    status_code=201,
    summary="Give a photo or paper to a movement",
    response_model=models_file.EvidenceAnswer,
    responses=declared(400, 404, 408, 413, 415, 422, 429),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                t: {"schema": {"type": "string", "format": "binary"}, "example": "…"} for t in _EVIDENCE
            },
        }
    },
)
def give(service: Asked, request: Request, mrn: IdPath, body: AnyBody, by: By) -> Response:
    """A JPEG, PNG or PDF. Name its `id` in the `evidence` of an appeal, an incident or a note."""
    media_type = content_type(request)
    if media_type not in _EVIDENCE:
        raise HTTPException(415, f"{media_type!r} is not taken; send {', '.join(_EVIDENCE)}")
    most = service.settings.customs.max_evidence_bytes
    if len(body) > most:
        raise TooLarge(f"the file has {len(body)} bytes, at most {most} are taken")
    if not body.startswith(_MAGIC[media_type]):
        raise Malformed(f"the bytes are no {media_type}")
    service.reference.get("movement", mrn)
    digest = sha256(body).digest()
    row: dict[str, Any] = {
        "id": sha256(mrn.encode() + b"\0" + digest).hexdigest()[:32],
        "mrn": mrn,
        "sha256": digest,
        "media_type": media_type,
        "size": len(body),
        "received_us": service.clock.now_us(),
        "by": by,
        "body": body,
    }
    service.file.book.add_evidence(row)
    return answers.Json(_evidence(service.file.book.evidence(mrn, row["id"])[0]), 201)


@router.get(
    "/movements/{mrn}/evidence",
    summary="Photos and papers of a movement",
    response_model=models_file.EvidencePage,
    responses=declared(404, 422),
)
def evidence(service: Asked, mrn: IdPath) -> Response:
    """Without their bytes, oldest first."""
    service.reference.get("movement", mrn)
    return answers.page([_evidence(row) for row in service.file.book.evidence(mrn)], None)


@router.get(
    "/movements/{mrn}/evidence/{id}",
    summary="A photo or paper",
    response_model=None,
    responses={
        200: {
            "description": "the bytes",
            "content": {t: {"schema": {"type": "string", "format": "binary"}} for t in _EVIDENCE},
        },
        **declared(404, 422),
    },
)
def one_evidence(
    service: Asked,
    mrn: IdPath,
    id: Annotated[str, Path(pattern="^[0-9a-f]{32}$")],  # noqa: A002 - the contract's name
) -> Response:
    """Exactly what was given."""
    found = service.file.book.evidence(mrn, id)
    if not found:
        raise NotFound(f"movement {mrn!r} has no evidence {id!r}")
    return Response(found[0]["body"], media_type=found[0]["media_type"])


@router.get(
    "/enquiries",
    tags=["enquiries"],
    summary="Movements that are overdue or enquired about",
    response_model=models_file.EnquiryPage,
    responses=declared(422),
)
def enquiries(
    service: Asked,
    limit: Limit = 100,
    cursor: Cursor = None,
    state: Annotated[str | None, Query(pattern="^(overdue|enquiry|alternative-proof|debt|recovery)$")] = None,
) -> Response:
    """With the deadlines of each."""
    rows, following = service.file.view.enquiries(state, limit, cursor)
    return answers.page(rows, following)


@router.get("/kpis", tags=["system"], summary="Figures of the customs file", response_model=models_file.Kpis)
def kpis(service: Asked) -> Response:
    """Departures, how many sensitive ones under an armed seal, how transits end."""
    return answers.Json(service.file.kpis())
