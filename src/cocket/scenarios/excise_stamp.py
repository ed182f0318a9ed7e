"""An excise stamp that tells whether it is genuine.

System: Malaysia, tax stamp with an embedded certificate.

Given: a range of stamps with signed QR codes, issued to a manufacturer and activated.

When: a buyer scans a stamp.

Then: it is genuine, and of the product that it names; officers see its range and its checks; it can be verified without a network.

Twin: a forged stamp is false; one that was reported stolen, or is not active yet, is not valid; a genuine one that is scanned 300 km apart
within an hour is a suspected clone.
"""

from __future__ import annotations

import json
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cocket.customs.codes.claims import Stamp
from cocket.customs.codes.signing import keys_of, sign, verify
from cocket.scenarios.stage import Stage
from cocket.scenarios.story import Story

PRODUCT: Final = "Beer 0.33 l"
KUALA_LUMPUR: Final = {"lat_deg": 3.139, "lon_deg": 101.687}
SINGAPORE: Final = {"lat_deg": 1.352, "lon_deg": 103.820}
"""About 310 km from Kuala Lumpur."""


def play(stage: Stage, story: Story) -> None:
    """Genuine, with its history."""
    stamps, text = _given(stage, story)
    story.when("a buyer scans it in Kuala Lumpur")
    answer = _check(stage, text, KUALA_LUMPUR)
    story.then("it is genuine", answer["verdict"], "genuine")
    story.then("it names the product that it was made for", answer["product"], PRODUCT)
    story.then("the buyer is told nothing else", set(answer), {"verdict", "says", "product"})
    keys = keys_of(stage.get("/keys"))
    offline = verify(text, keys, stage.now())
    story.then("it verifies with the public keys alone", offline.refusal, None)
    history = stage.get(f"/stamps/ranges/{stamps['id']}")
    story.then(
        "officers see what happened to its range", [e["event"] for e in history["events"]], ["activate"]
    )
    checks = stage.get("/stamps/checks", serial=stamps["first"])["items"]
    story.then("and that it was checked, with the verdict", [c["verdict"] for c in checks], ["genuine"])
    place = [(c["lat_deg"], c["lon_deg"]) for c in checks]
    story.then("and where, to about a kilometre", place, [(3.14, 101.69)])


def forged(stage: Stage, story: Story) -> None:
    """The stamp was signed with another key"""
    stamps, text = _given(stage, story)
    story.when("somebody prints stamps of a key of their own, and alters one that is genuine")
    copy = sign(Stamp(stamps["first"], PRODUCT, None), Ed25519PrivateKey.generate())
    answer = _check(stage, copy, KUALA_LUMPUR)
    story.then("the one of another key is false", answer["verdict"], "false")
    story.then("and the answer names no product", answer["product"], None)
    altered = text[:-3] + ("A" if text[-3] != "A" else "B") + text[-2:]
    story.then("the altered one is false", _check(stage, altered, KUALA_LUMPUR)["verdict"], "false")
    story.then("the true one is still genuine", _check(stage, text, KUALA_LUMPUR)["verdict"], "genuine")


def clone(stage: Stage, story: Story) -> None:
    """The same stamp is scanned 300 km apart within an hour"""
    stamps, text = _given(stage, story)
    story.when("it is scanned in Kuala Lumpur, and minutes later in Singapore")
    story.then("the first scan finds it genuine", _check(stage, text, KUALA_LUMPUR)["verdict"], "genuine")
    answer = _check(stage, text, SINGAPORE)
    story.then("the second finds it suspect", answer["verdict"], "suspect")
    checks = stage.get("/stamps/checks", serial=stamps["first"])["items"]
    suspicions = checks[0]["suspicions"]
    story.then("officers see why", [s["rule"] for s in suspicions], ["impossible-travel"])

    story.then(
        "and it stays suspect wherever it turns up", _check(stage, text, KUALA_LUMPUR)["verdict"], "suspect"
    )


def stolen(stage: Stage, story: Story) -> None:
    """The stamps were reported stolen"""
    stamps, text = _given(stage, story)
    story.when("the range is reported stolen, then a buyer scans one of it")
    _happens(stage, stamps, "steal", "taken from the printing works")
    answer = _check(stage, text, KUALA_LUMPUR)
    story.then("it is not valid", (answer["verdict"], answer["product"]), ("not-active", None))


def not_activated(stage: Stage, story: Story) -> None:
    """The stamps were issued but not activated"""
    _, text = _given(stage, story, active=False)
    story.when("a buyer scans one of them")
    story.then("it is not valid", _check(stage, text, KUALA_LUMPUR)["verdict"], "not-active")


TWINS: Final = (forged, clone, stolen, not_activated)


def _given(stage: Stage, story: Story, *, active: bool = True) -> tuple[Any, str]:
    wanted = {"product": PRODUCT, "manufacturer": "Selangor Brewery", "count": 1000}
    stamps = stage.post("/stamps/ranges", wanted, status=201)
    if active:
        _happens(stage, stamps, "activate", "delivered to the manufacturer")
    lines = stage.get(
        f"/stamps/ranges/{stamps['id']}/labels.ndjson", first=stamps["first"], last=stamps["first"]
    )
    label = json.loads(lines)
    story.look = "/check"
    story.given(
        f"stamps {stamps['first']} to {stamps['last']} for {PRODUCT}, {'active' if active else 'not activated yet'}"
    )
    return stamps, label["text"]


def _happens(stage: Stage, stamps: Any, event: str, reason: str) -> None:
    body = {"event": event, "first": stamps["first"], "last": stamps["last"], "reason": reason}
    stage.post(f"/stamps/ranges/{stamps['id']}/events", body)


def _check(stage: Stage, text: str, place: dict[str, float]) -> Any:
    return stage.post("/stamps/checks", {"code": text, **place}, status=201)
