"""The clean-trip report, the discharge that it is the ground of, its PDF and the evidence pack, through the doors."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
import zipfile
import zlib
from dataclasses import dataclass

import pyarrow.parquet as pq
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from cocket.cli import main
from cocket.core.clock import US, rfc3339

MINUTES = 120
"""How long a trip takes."""
PICTURE = b"\x89PNG\r\n\x1a\npicture"


@dataclass
class Journey:
    """A trip of two hours that ended ten minutes ago, told to the doors event by event."""

    door: object
    mrn: str
    seal: str
    equipment: str = "MSKU9070323"

    def __post_init__(self) -> None:
        self.began_us = self.door.service.clock.now_us() - (MINUTES + 10) * 60 * US

    def at(self, minute: float) -> str:
        return rfc3339(self.began_us + round(minute * 60 * US))

    def act(self, *events: dict):
        return self.door.http.post(f"/movements/{self.mrn}/events", json=list(events), params={"by": "amina"})

    def done(self, *events: dict) -> dict:
        answer = self.act(*events)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def depart(self) -> None:
        """From the declaration to the road, under an armed seal."""
        self.report(-1)
        self.done(
            {"event": "lodge", "at": self.at(-10)},
            {"event": "accept", "at": self.at(-9)},
            {"event": "reserve-guarantee", "at": self.at(-8), "waiver": True},
            {"event": "decide-control", "at": self.at(-7)},
            {
                "event": "seal",
                "at": self.at(-6),
                "seals": [{"id": self.seal, "equipment_id": self.equipment}],
            },
            {"event": "release", "at": self.at(-1)},
            {"event": "depart", "at": self.at(0)},
        )

    def report(self, *minutes: float, **more) -> None:
        """A report of the seal at each minute; ``more`` is in each of them."""
        rows = [
            {
                "device_id": self.seal,
                "observed_at": self.at(m),
                "lat_deg": 50.0 + m * 0.005,
                "lon_deg": 8.0,
                "fix_valid": True,
                "locked": True,
                "rope_cut": False,
                "battery_pct": 80,
            }
            | more
            for m in minutes
        ]
        self.door.observe(*rows)

    def drive(self, begin: int = 0, end: int = MINUTES) -> None:
        self.report(*range(begin, end + 1))

    def arrive(self) -> None:
        self.done({"event": "arrive", "at": self.at(MINUTES)})

    def clean_trip(self) -> dict:
        self.door.settled()
        answer = self.door.http.get(f"/movements/{self.mrn}/clean-trip")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def rules(self) -> list[str]:
        return [r["rule"] for r in self.clean_trip()["reasons"]]

    def discharge(self):
        self.door.settled()
        return self.act({"event": "discharge", "automatic": True})

    def refused(self) -> list[str]:
        """The automatic discharge is refused; gives the rules that it names."""
        problem = self.door.is_problem(self.discharge(), 409)
        assert self.door.http.get(f"/movements/{self.mrn}").json()["state"] != "discharged"
        return [e["rule"] for e in problem["errors"]]


def declared(door, mrn: str | None = None) -> Journey:
    mrn, seal = mrn or door.name("TRIP"), door.name("SEAL")
    assert door.put(f"/devices/{seal}", {"class": "e-seal", "report_interval_s": 60}).status_code == 201
    declaration = {"limit_at": door.at(3600), "holder": "Société <Żółć> & Ζαχαρίας Київ 中远"}
    assert door.put(f"/movements/{mrn}", declaration).status_code == 201
    return Journey(door, mrn, seal)


@pytest.fixture
def journey(door) -> Journey:
    return declared(door)


@pytest.fixture
def arrived(journey) -> Journey:
    journey.depart()
    journey.drive()
    journey.arrive()
    return journey


def arrival_notification(mrn: str, at: str) -> bytes:
    """An NCTS phase 5 CC007C."""
    return f"""<ncts:CC007C PhaseID="NCTS5.1" xmlns:ncts="http://ncts.dgtaxud.ec">
<messageSender>TRADER</messageSender><messageRecipient>NTA.DE</messageRecipient>
<preparationDateAndTime>{at[:19]}</preparationDateAndTime><messageIdentification>A-1</messageIdentification>
<messageType>CC007C</messageType>
<TransitOperation><MRN>{mrn}</MRN><arrivalNotificationDateAndTime>{at[:19]}</arrivalNotificationDateAndTime>
<simplifiedProcedure>0</simplifiedProcedure></TransitOperation>
<CustomsOfficeOfDestinationActual><referenceNumber>DE003302</referenceNumber></CustomsOfficeOfDestinationActual>
<TraderAtDestination><identificationNumber>DE987654321</identificationNumber></TraderAtDestination>
<Consignment><LocationOfGoods><typeOfLocation>A</typeOfLocation><qualifierOfIdentification>V</qualifierOfIdentification>
<CustomsOffice><referenceNumber>DE003302</referenceNumber></CustomsOffice></LocationOfGoods></Consignment></ncts:CC007C>""".encode()


@pytest.fixture(scope="module")
def finished(door) -> Journey:
    """A trip that is only looked at: its arrival told by a document, with a photo, and a cut of the seal before the departure."""
    journey = declared(door, "26NL000000990777J5")
    journey.depart()
    journey.report(-5, rope_cut=True)
    journey.drive()
    document = arrival_notification(journey.mrn, journey.at(MINUTES))
    xml = {"content-type": "application/xml"}
    assert door.http.post("/documents", content=document, headers=xml).status_code == 201
    photo = {"content-type": "image/png"}
    answer = door.http.post(f"/movements/{journey.mrn}/evidence", content=PICTURE, headers=photo)
    assert answer.status_code == 201
    door.settled()
    return journey


def test_a_clean_trip_is_discharged_by_itself(arrived) -> None:
    report = arrived.clean_trip()
    assert report["reasons"] == []
    assert report["clean"] is True
    assert report["observations"] == MINUTES + 1
    assert report["coverage"] == 1.0
    assert report["longest_gap_s"] == 60
    # 0.6° along the meridian at 50° N: a degree of latitude is 111,229 m at 50° and 111,240 m at 50.6°
    assert report["distance_m"] == pytest.approx(0.6 * 111_235, rel=1e-4)
    seal = report["seals"][0]
    assert (seal["id"], seal["device_id"], seal["closed_throughout"]) == (arrived.seal, arrived.seal, True)
    assert arrived.discharge().status_code == 201
    events = arrived.door.http.get(f"/movements/{arrived.mrn}/events").json()["items"]
    assert events[-1]["event"] == "discharge"
    assert events[-1]["details"]["ground"] == "clean-trip report"


def test_arrival_and_discharge_in_one_breath(journey) -> None:
    """The discharge sees the arrival that is recorded in the same transaction, and what was found at it."""
    journey.depart()
    journey.drive()
    arrive = {"event": "arrive", "at": journey.at(MINUTES)}
    found = {"event": "verify-seals", "result": "broken", "at": journey.at(MINUTES + 0.5)}
    problem = journey.door.is_problem(journey.act(arrive, found, {"event": "discharge"}), 409)
    assert [e["rule"] for e in problem["errors"]] == ["seals-not-intact"]
    assert "no-arrival" in journey.rules()
    found["result"] = "intact"
    assert journey.done(arrive, found, {"event": "discharge", "automatic": True})["state"] == "discharged"


def test_a_seal_that_was_opened(journey) -> None:
    journey.depart()
    journey.drive(0, 60)
    journey.report(60.5, locked=False)
    journey.drive(61)
    journey.arrive()
    assert {"seal-opened", "seal-alert"} <= set(journey.refused())
    assert journey.clean_trip()["seals"][0]["closed_throughout"] is False
    assert journey.clean_trip()["seals"][0]["opened"] == {
        "what": "the lock was open",
        "at": journey.clean_trip()["seals"][0]["opened"]["at"],
    }
    assert {a["code"] for a in journey.clean_trip()["alerts"]} >= {"seal-opened"}


def test_after_an_examination_a_person_may_discharge_what_is_not_clean(journey) -> None:
    journey.depart()
    journey.drive(0, 60)
    journey.report(60.5, rope_cut=True)
    journey.drive(61)
    journey.arrive()
    assert "seal-opened" in journey.refused()
    journey.done({"event": "examine", "result": "satisfactory"})
    assert "seal-opened" in journey.refused()
    events = journey.done({"event": "discharge"})["events"]
    assert events[-1]["details"]["ground"] == "examination"
    assert "seal-opened" in events[-1]["details"]["not_clean"]


def test_a_gap(journey) -> None:
    """Forty minutes of silence, and the same trip once the missing reports have come in late."""
    journey.depart()
    journey.drive(0, 40)
    journey.drive(80)
    journey.arrive()
    report = journey.clean_trip()
    assert {"gap", "low-coverage", "seal-unknown"} <= {r["rule"] for r in report["reasons"]}
    assert report["longest_gap_s"] == 2400
    assert report["coverage"] == pytest.approx(80 / 120, abs=1e-4)
    assert report["equipment"][0]["gaps"] == [report["equipment"][0]["longest_gap"]]
    assert "gap" in journey.refused()
    journey.drive(41, 79)
    assert not {"gap", "low-coverage", "seal-unknown"} & set(journey.rules())
    assert journey.clean_trip()["coverage"] == 1.0


def test_an_alert_that_nobody_closed(arrived) -> None:
    """A seal alert from before the departure counts until it is closed as harmless; that it ended is not enough."""
    assert arrived.rules() == []
    # a cut that the seal tells of late, before the trip began
    arrived.report(-5, rope_cut=True)
    arrived.report(-4)
    assert arrived.rules() == ["seal-alert"]
    assert arrived.refused() == ["seal-alert"]
    alert = arrived.clean_trip()["alerts"][0]
    assert (alert["code"], alert["settled"], alert["ended_at"] is None) == ("seal-cut", False, False)
    act = f"/alerts/{alert['id']}"
    for step in ({"state": "acknowledged"}, {"state": "triaged", "triage": "technical"}):
        assert arrived.door.http.patch(act, json=step | {"by": "amina"}).status_code == 200
        assert arrived.rules() == ["seal-alert"]
    closing = {"state": "closed", "by": "amina", "cause": "a worn rope end"}
    assert arrived.door.http.patch(act, json=closing).status_code == 200
    assert arrived.rules() == []
    assert arrived.discharge().status_code == 201


def test_a_trip_without_an_end(journey) -> None:
    journey.depart()
    journey.drive()
    report = journey.clean_trip()
    # it has been silent since its last report, ten minutes ago
    assert [r["rule"] for r in report["reasons"]] == ["no-arrival", "open-alert"]
    assert report["observations"] == MINUTES + 1
    assert report["longest_gap_s"] >= 600
    journey.door.is_problem(journey.discharge(), 409)


def test_a_trip_that_is_only_declared(door) -> None:
    mrn = door.name("TRIP")
    assert door.put(f"/movements/{mrn}", {}).status_code == 201
    report = door.http.get(f"/movements/{mrn}/clean-trip").json()
    assert [r["rule"] for r in report["reasons"]] == ["no-departure", "no-arrival", "no-seal"]
    assert (report["observations"], report["coverage"], report["distance_m"]) == (0, 0.0, None)
    for path in ("clean-trip.pdf", "evidence-pack.zip"):
        assert door.http.get(f"/movements/{mrn}/{path}").status_code == 200
        door.is_problem(door.http.get(f"/movements/{mrn}-x/{path}"), 404)
    door.is_problem(door.http.get(f"/movements/{mrn}-x/clean-trip"), 404)


def test_an_incident_that_nobody_resolved(journey) -> None:
    journey.depart()
    journey.drive()
    accident = {"event": "report-incident", "kind": "accident", "reason": "a tyre", "at": journey.at(50)}
    journey.done(accident)
    journey.arrive()
    assert journey.refused() == ["open-incident"]


def test_an_incident_that_was_resolved(journey) -> None:
    journey.depart()
    journey.drive()
    accident = {"event": "report-incident", "kind": "accident", "reason": "a tyre", "at": journey.at(50)}
    journey.done(accident, {"event": "resolve-incident", "at": journey.at(60)})
    journey.arrive()
    assert journey.clean_trip()["incidents"][0]["resolved"] is True
    assert journey.discharge().status_code == 201


def test_a_seal_that_was_replaced_on_the_way(journey) -> None:
    journey.depart()
    journey.drive()
    accident = {"event": "report-incident", "kind": "reseal", "reason": "hinge bent", "at": journey.at(50)}
    new = {"id": journey.door.name("MECH"), "equipment_id": journey.equipment}
    reseal = {
        "event": "reseal",
        "reason": "hinge bent",
        "at": journey.at(55),
        "seals": [new],
        "replaces": [journey.seal],
    }
    journey.done(accident, reseal, {"event": "resolve-incident", "at": journey.at(60)})
    journey.arrive()
    assert {"seal-opened", "seal-unknown"} <= set(journey.rules())
    by_id = {s["id"]: s for s in journey.clean_trip()["seals"]}
    assert by_id[journey.seal]["off_at"] is not None
    assert by_id[new["id"]]["kind"] == "mechanical"


def test_a_late_arrival(door) -> None:
    mrn, seal = door.name("TRIP"), door.name("SEAL")
    late = Journey(door, mrn, seal)
    door.put(f"/devices/{seal}", {"class": "e-seal", "report_interval_s": 60})
    assert door.put(f"/movements/{mrn}", {"limit_at": late.at(MINUTES - 1)}).status_code == 201
    late.depart()
    late.drive()
    late.arrive()
    assert "late" in late.refused()


# the printed report


def read_pdf(data: bytes) -> tuple[int, str]:
    """Pages and text of a PDF, by the rules of ISO 32000 alone: streams inflated, strings taken out of what is drawn.

    Characters beyond ASCII have numbers of their own in an embedded font; they stay as they are.
    """
    assert data.startswith(b"%PDF-")
    assert data.rstrip().endswith(b"%%EOF")
    text = []
    for head, body in re.findall(rb"<<((?:(?!endobj).)*?)>>\s*stream\r?\n(.*?)endstream", data, re.DOTALL):
        if b"/Length1" in head or b"Flate" not in head:
            continue  # a font, or no text
        packed = body
        if b"ASCII85" in head:
            packed = base64.a85decode(body.strip().removesuffix(b"~>"))
        drawn = zlib.decompress(packed)
        text += re.findall(rb"\(((?:\\.|[^\\)])*)\) Tj", drawn)
    said = b"\n".join(text).decode("latin-1")
    return len(re.findall(rb"/Type /Page\b(?!s)", data)), re.sub(r"\\([()\\])", r"\1", said)


@pytest.mark.parametrize(
    ("lang", "title", "verdict", "foot"),
    [
        ("en", "Clean-trip report", "NOT A CLEAN TRIP", "Page {0} of {0}"),
        ("fr", "Rapport de trajet net", "TRAJET NON NET", "Page {0} sur {0}"),
    ],
)
def test_the_pdf(finished, lang, title, verdict, foot) -> None:
    answer = finished.door.http.get(f"/movements/{finished.mrn}/clean-trip.pdf", params={"lang": lang})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/pdf"
    pages, text = read_pdf(answer.content)
    for words in (title, verdict, f"MRN {finished.mrn}", finished.seal, "seal-alert", foot.format(pages)):
        assert words in text, words
    assert f"/Lang ({lang})".encode() in answer.content


def test_a_pdf_in_another_language(finished) -> None:
    where = f"/movements/{finished.mrn}/clean-trip.pdf"
    finished.door.is_problem(finished.door.http.get(where, params={"lang": "de"}), 422)


# the pack


@pytest.fixture(scope="module")
def packed(finished, tmp_path_factory):
    """Its evidence pack, as a file."""
    answer = finished.door.http.get(f"/movements/{finished.mrn}/evidence-pack.zip")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    assert int(answer.headers["content-length"]) == len(answer.content)
    path = tmp_path_factory.mktemp("pack") / "pack.zip"
    path.write_bytes(answer.content)
    return path


def independent(path) -> str | None:
    """As the README in the pack tells it, with hashlib and cryptography alone; gives the first thing that is wrong."""
    with zipfile.ZipFile(path) as pack:
        text = pack.read("manifest.json")
        key = load_pem_public_key(pack.read("public-key.pem"))
        assert isinstance(key, Ed25519PublicKey)
        try:
            key.verify(pack.read("manifest.sig"), text)
        except InvalidSignature:
            return "manifest.sig"
        listed = json.loads(text)["files"]
        for file in listed:
            data = pack.read(file["path"])
            if len(data) != file["size"] or hashlib.sha256(data).hexdigest() != file["sha256"]:
                return file["path"]
        extra = set(pack.namelist()) - {f["path"] for f in listed} - {"manifest.json", "manifest.sig"}
        return min(extra, default=None)


def rewritten(path, target, change) -> None:
    """The pack with ``change(name, data)`` in place of each file; None leaves one out."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = change(name, old.read(name))
            if data is not None:
                new.writestr(name, data)


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def test_the_pack_holds_all_and_is_signed(finished, packed, capsys, tmp_path) -> None:
    assert independent(packed) is None
    with zipfile.ZipFile(packed) as pack:
        names = pack.namelist()
        rows = pq.read_table(io.BytesIO(pack.read("observations.parquet")))
        csv = pack.read("observations.csv").decode().splitlines()
        alerts = json.loads(pack.read("alerts.json"))
        events = json.loads(pack.read("events.json"))
        report = json.loads(pack.read("clean-trip.json"))
        arrival = next(pack.read(n).decode() for n in names if n.endswith("/original.xml"))
        photos = [pack.read(n) for n in names if re.match("evidence/.*png", n)]
    assert names[-2:] == ["manifest.json", "manifest.sig"]
    # a report a minute on the way, one before the departure, the cut; the one before the binding is not of it
    assert rows.num_rows == MINUTES + 3
    assert len(csv) == rows.num_rows + 1
    assert set(rows["device_id"].to_pylist()) == {finished.seal}
    times = rows["observed_us"].to_pylist()
    assert times == sorted(times)
    codes = [a["code"] for a in alerts]  # where this test itself was slow there was silence once more
    assert codes[:3] == ["seal-cut", "silence", "silence"]
    assert set(codes[3:]) <= {"silence"}
    assert alerts[0]["history"] == []
    assert [e["event"] for e in events][-2:] == ["depart", "arrive"]
    assert report["reasons"][0]["rule"] == "seal-alert"
    assert photos == [PICTURE]
    assert arrival == arrival_notification(finished.mrn, finished.at(MINUTES)).decode()
    keys = tmp_path / "keys.json"
    keys.write_bytes(finished.door.http.get("/keys").content)
    assert main(["verify-pack", str(packed), "--keys", str(keys)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["good"], said["trusted"], said["mrn"]) == (True, True, finished.mrn)
    assert said["files"] == len(names) - 2
    assert main(["verify-pack", str(packed)]) == 0


def test_a_flipped_byte_in_any_file_is_found(packed, capsys, tmp_path) -> None:
    with zipfile.ZipFile(packed) as pack:
        names = pack.namelist()
    for touched in names:
        bad = tmp_path / "bad.zip"
        rewritten(packed, bad, lambda name, data, touched=touched: flipped(data) if name == touched else data)
        assert main(["verify-pack", str(bad)]) == 1, touched
        assert json.loads(capsys.readouterr().out)["faults"], touched


def test_a_flipped_byte_in_the_zip_itself_is_found(packed, capsys, tmp_path) -> None:
    whole = packed.read_bytes()
    bad = tmp_path / "bad.zip"
    with zipfile.ZipFile(packed) as pack:
        start = pack.getinfo("observations.parquet").header_offset + 200
    bad.write_bytes(whole[:start] + bytes([whole[start] ^ 1]) + whole[start + 1 :])
    assert main(["verify-pack", str(bad)]) == 1
    assert "observations.parquet" in capsys.readouterr().out
    bad.write_bytes(whole[: len(whole) // 2])
    assert main(["verify-pack", str(bad)]) == 1


def test_other_ways_to_cheat(packed, capsys, tmp_path) -> None:
    def verified(change) -> str:
        bad = tmp_path / "bad.zip"
        rewritten(packed, bad, change)
        assert main(["verify-pack", str(bad)]) == 1
        return " ".join(json.loads(capsys.readouterr().out)["faults"])

    assert "not in the pack" in verified(lambda n, d: None if n == "events.json" else d)
    assert "no manifest.sig" in verified(lambda n, d: None if n == "manifest.sig" else d)
    longer = verified(lambda n, d: d + b" " if n == "events.json" else d)
    assert "'events.json' is damaged, or has not the" in longer
    extra = tmp_path / "extra.zip"
    shutil.copy(packed, extra)
    with zipfile.ZipFile(extra, "a") as pack:
        pack.writestr("more.txt", b"more")
    assert main(["verify-pack", str(extra)]) == 1
    assert "not in its manifest" in capsys.readouterr().out
    # signed anew by somebody else: whole in itself, and none of ours
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "A" * 43}]}))
    assert main(["verify-pack", str(packed), "--keys", str(keys)]) == 1
    assert "none of the keys given" in capsys.readouterr().out


def test_bad_usage_of_verify_pack(packed, capsys, tmp_path) -> None:
    assert main(["verify-pack", str(tmp_path / "nothing.zip")]) == 2
    assert main(["verify-pack", str(packed), "--keys", str(tmp_path / "nothing.json")]) == 2
    (tmp_path / "keys.json").write_text("[]")
    assert main(["verify-pack", str(packed), "--keys", str(tmp_path / "keys.json")]) == 2
    assert "cannot be read" in capsys.readouterr().err
