"""Marks of one person, planted everywhere where something that tells of people can stand."""

from __future__ import annotations

import json

from cocket.core.clock import rfc3339

NDJSON = {"content-type": "application/x-ndjson"}
LAT, LON = 12.345678901, -7.654321098


def good(answer):
    assert answer.status_code in {200, 201}, answer.text
    return answer.json()


class Planted:
    """Marks of a name, everywhere where something that tells of people can stand."""

    def __init__(self, door, clock, name: str, box: str) -> None:
        self.name, self.door, self.mrn = name, door, f"26NL{name}"
        self.mark = f"ZQ{name}QZ"
        now = rfc3339(clock.now_us())
        good(
            door.put(f"/movements/{self.mrn}?by=officer-{self.mark}", json={"holder": f"holder {self.mark}"})
        )
        for event, more in (
            ("lodge", {}),
            ("note", {"reason": f"said {self.mark}", "details": {"phone": self.mark}}),
        ):
            good(door.post(f"/movements/{self.mrn}/events", json={"event": event, **more}))
        manifest = (
            f"manifest: {self.mrn}\nbill of lading,container,description,packages,gross mass kg,consignee\n"
            f"B{name},{box},tea,1,2,{self.mark}\n"
        )
        self.document = good(
            door.post("/documents", params={"name": f"{self.mark}.csv"}, content=manifest.encode())
        )["id"]
        photo = b"\xff\xd8\xff\xe0" + self.mark.encode() + b"\xff\xd9"
        answer = door.post(
            f"/movements/{self.mrn}/evidence", content=photo, headers={"content-type": "image/jpeg"}
        )
        self.evidence = good(answer)["id"]
        transport = {"plate": f"PL {self.mark}", "device_id": f"PHONE-{name}", "mrns": [self.mrn]}
        good(door.put(f"/transports/T-{name}", json=transport))
        code = good(door.post("/codes", json={"purpose": "transit", "mrn": self.mrn}))
        good(door.post("/scans", json={"code": code["text"], "lat_deg": LAT, "lon_deg": LON}))
        rows = [
            {"device_id": f"D-{name}", "observed_at": now, "card_id": f"card-{self.mark}", "lat_deg": 1.0, "lon_deg": 1.0},
            {"device_id": f"PHONE-{name}", "observed_at": now, "card_id": f"phone-{self.mark}", "lat_deg": 1.0, "lon_deg": 1.0},
        ]  # fmt: skip
        good(door.post("/observations", content="\n".join(map(json.dumps, rows)), headers=NDJSON))
