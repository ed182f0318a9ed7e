"""Vehicles, papers and movements for the tests of gates, phones, trip links and cases."""

from __future__ import annotations

from tests.web.test_documents import cc015c, cc028c

WAY = {
    "accepted": ("lodge", "accept"),
    "control-decided": ("lodge", "accept", "reserve-guarantee", "decide-control"),
    "released": ("lodge", "accept", "reserve-guarantee", "decide-control", "release"),
    "departed": ("lodge", "accept", "reserve-guarantee", "decide-control", "release", "depart"),
}
WAY["en-route"] = (*WAY["departed"], "proceed")
WAY["arrived"] = (*WAY["en-route"], "arrive")
WAY["incident"] = (*WAY["en-route"], "report-incident")


def movement(door, state: str = "released", control: str = "none", **doc) -> str:
    """A movement that came so far."""
    mrn = door.name("MRN")
    assert door.put(f"/movements/{mrn}", doc).status_code == 201
    more = {
        "reserve-guarantee": {"waiver": "authorised"},
        "decide-control": {"control": control},
        "report-incident": {"reason": "a tyre burst"},
    }
    act(door, mrn, *({"event": e, **more.get(e, {})} for e in WAY.get(state, ())))
    return mrn


def act(door, mrn: str, *events: dict) -> None:
    if events:
        answer = door.http.post(f"/movements/{mrn}/events", json=list(events))
        assert answer.status_code == 201, answer.text


def state(door, mrn: str) -> str:
    return door.http.get(f"/movements/{mrn}").json()["state"]


def events(door, mrn: str) -> list[dict]:
    return door.http.get(f"/movements/{mrn}/events").json()["items"]


def transport(door, *mrns: str, **more) -> dict:
    """A transport declaration with a plate and a phone of its own."""
    number = door.name("T")
    doc = {"plate": plate(number), "device_id": f"PHONE-{number}", "mrns": list(mrns), **more}
    answer = door.put(f"/transports/{number}", doc)
    assert answer.status_code == 201, answer.text
    return answer.json()


def plate(name: str) -> str:
    return f"KB {name}"


def gate(door, kind: str, **more) -> str:
    name = door.name("GATE")
    place = {"lat_deg": 50.0, "lon_deg": 8.0, "radius_m": 200} if kind != "port" else {}
    answer = door.put(f"/gates/{name}", {"name": name, "kind": kind, **place, **more})
    assert answer.status_code == 201, answer.text
    return name


def arrive(door, gate_id: str, direction: str, **read) -> dict:
    answer = door.http.post(f"/gates/{gate_id}/arrivals", json={"direction": direction, **read})
    assert answer.status_code == 201, answer.text
    return answer.json()


def here(door, device: str, lat: float = 50.0, lon: float = 8.0, seconds: float = -1, **more) -> None:
    door.observe(
        {"device_id": device, "observed_at": door.at(seconds), "lat_deg": lat, "lon_deg": lon, **more}
    )


def rules(arrival: dict) -> list[str]:
    return [r["rule"] for r in arrival["reasons"]]


def code(door, purpose: str, mrn: str, **more) -> dict:
    answer = door.http.post("/codes", json={"purpose": purpose, "mrn": mrn, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


def send(door, data: bytes, name: str = "") -> dict:
    answer = door.http.post(
        "/documents",
        content=data,
        headers={"content-type": "application/octet-stream"},
        params={"name": name},
    )
    assert answer.status_code in {200, 201}, answer.text
    return answer.json()


def declared(door, truck: str, container: str) -> tuple[str, str]:
    """(MRN, document) of a declaration that names a truck and a container, in the words of NCTS."""
    lrn = door.name("LRN")
    mrn = f"26NLGATE{int(lrn.removeprefix('LRN-')):08d}J0"
    means = (
        "<DepartureTransportMeans><sequenceNumber>1</sequenceNumber><typeOfIdentification>30</typeOfIdentification>"
        f"<identificationNumber>{truck}</identificationNumber><nationality>KE</nationality></DepartureTransportMeans>"
    ).encode()
    data = cc015c(lrn).replace(b"MSKU9070323", container.encode())
    data = data.replace(b"</TransportEquipment>", b"</TransportEquipment>" + means)
    document = send(door, data)
    send(door, cc028c(lrn, mrn))
    return mrn, document["id"]


def manifest(door, container: str, booking: str) -> str:
    """A carrier's manifest that books a container; gives the document's id."""
    bill = door.name("BILL")
    rows = f"Voyage,226W\nBill of lading,Container,Booking,Description,Packages,Gross mass (kg)\n{bill},{container},{booking},telephones,10,1000\n"
    return send(door, rows.encode(), f"{bill}.csv")["id"]
