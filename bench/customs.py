"""The customs file: declarations read and stored, codes scanned at two gates at once, decisions before a barrier."""

from __future__ import annotations

import http.client
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from lxml import etree

from bench.measure import Section, percentile, timed
from bench.server import Server, serving
from cocket.core.ids import iso6346_check_digit
from cocket.customs.formats import recognise

LANES = 8
GATES = 2


def mrn_of(number: int) -> str:
    """An MRN with its right check digit."""
    head = f"26NL{number:012d}J"
    return head + str(iso6346_check_digit(head))


def declaration(number: int, items: int = 10) -> bytes:
    """A transit declaration (CC015C) of ``items`` goods items in two sealed containers: what a truck of groupage looks like."""
    goods = "".join(
        f"""<ConsignmentItem><goodsItemNumber>{i}</goodsItemNumber><declarationGoodsItemNumber>{i}</declarationGoodsItemNumber>
<Commodity><descriptionOfGoods>parts of telephones, lot {number}-{i}</descriptionOfGoods>
<CommodityCode><harmonizedSystemSubHeadingCode>851779</harmonizedSystemSubHeadingCode></CommodityCode>
<GoodsMeasure><grossMass>100</grossMass></GoodsMeasure></Commodity>
<Packaging><sequenceNumber>1</sequenceNumber><typeOfPackages>CT</typeOfPackages><numberOfPackages>10</numberOfPackages>
<shippingMarks>M{i}</shippingMarks></Packaging></ConsignmentItem>"""
        for i in range(1, items + 1)
    )
    equipment = "".join(
        f"""<TransportEquipment><sequenceNumber>{e}</sequenceNumber>
<containerIdentificationNumber>MSKU9070323</containerIdentificationNumber><numberOfSeals>1</numberOfSeals>
<Seal><sequenceNumber>1</sequenceNumber><identifier>S{number}-{e}</identifier></Seal></TransportEquipment>"""
        for e in (1, 2)
    )
    return f"""<ncts:CC015C PhaseID="NCTS5.1" xmlns:ncts="http://ncts.dgtaxud.ec">
<messageSender>TRADER</messageSender><messageRecipient>NTA.NL</messageRecipient>
<preparationDateAndTime>2026-11-20T08:00:00</preparationDateAndTime><messageIdentification>M{number}</messageIdentification>
<messageType>CC015C</messageType>
<TransitOperation><LRN>L{number}</LRN><declarationType>T1</declarationType><additionalDeclarationType>A</additionalDeclarationType>
<security>0</security><reducedDatasetIndicator>0</reducedDatasetIndicator><bindingItinerary>0</bindingItinerary></TransitOperation>
<CustomsOfficeOfDeparture><referenceNumber>NL000432</referenceNumber></CustomsOfficeOfDeparture>
<CustomsOfficeOfDestinationDeclared><referenceNumber>DE003302</referenceNumber></CustomsOfficeOfDestinationDeclared>
<HolderOfTheTransitProcedure><identificationNumber>NL123456789</identificationNumber></HolderOfTheTransitProcedure>
<Guarantee><sequenceNumber>1</sequenceNumber><guaranteeType>1</guaranteeType></Guarantee>
<Consignment><countryOfDispatch>NL</countryOfDispatch><countryOfDestination>DE</countryOfDestination>
<containerIndicator>1</containerIndicator><grossMass>{100 * items}</grossMass>{equipment}
<HouseConsignment><sequenceNumber>1</sequenceNumber><grossMass>{100 * items}</grossMass>{goods}</HouseConsignment>
</Consignment></ncts:CC015C>""".encode()


class Lane:
    """One kept-alive connection that remembers how long each answer took."""

    def __init__(self, server: Server) -> None:
        self._connection = http.client.HTTPConnection(server.host, server.port, timeout=120)
        self.answers_s: list[float] = []

    def ask(
        self, method: str, path: str, body: bytes, media_type: str = "application/json"
    ) -> dict[str, Any]:
        """The answer's JSON; anything but 2xx raises."""
        began = perf_counter()
        self._connection.request(method, "/api/v1" + path, body, {"Content-Type": media_type})
        answer = self._connection.getresponse()
        text = answer.read()
        self.answers_s.append(perf_counter() - began)
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]!r}")
        found: dict[str, Any] = json.loads(text)
        return found


def at_once(server: Server, work: Sequence[Callable[[Lane], None]]) -> tuple[float, list[float]]:
    """Everybody works over a connection of his own; (seconds, time of each answer)."""
    lanes = [Lane(server) for _ in work]
    errors: list[BaseException] = []

    def run(one: Callable[[Lane], None], lane: Lane) -> None:
        try:
            one(lane)
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=pair) for pair in zip(work, lanes, strict=True)]
    with timed() as watch:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if errors:
        raise RuntimeError(f"{len(errors)} lanes failed, the first: {errors[0]!r}")
    return watch.s, [s for lane in lanes for s in lane.answers_s]


def commits_per_s(place: Path, size: int, n: int) -> float:
    """What SQLite alone does: one row of ``size`` bytes a commit, on the disk before the next (synchronous=FULL)."""
    file = place / "plain.sqlite"
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)")
    bodies = [os.urandom(size) for _ in range(n)]
    with timed() as watch:
        for body in bodies:
            connection.execute("INSERT INTO t (body) VALUES (?)", (body,))
    connection.close()
    file.unlink()
    return n / watch.s


def documents(place: Path, *, quick: bool) -> Section:
    section = Section("documents", "How many declarations a second are read, and stored for good?")
    n = 400 if quick else 3000
    bodies = [declaration(i) for i in range(n)]
    size = len(bodies[0])
    section.sizes = {"declarations": n, "bytes each": size, "connections": LANES}
    recognise.read(bodies[0], "")
    with timed() as parse:
        for body in bodies:
            etree.fromstring(body)
    with timed() as read:
        for body in bodies:
            recognise.read(body, "")
    section.add(
        "parsed, checked against the schema, mapped (one core)",
        n / read.s,
        "documents/s",
        than=("lxml parses the same bytes", n / parse.s),
    )
    plain = commits_per_s(place, size // 4, min(n, 1000))
    with serving(place / "documents") as server:
        cpu = server.cpu_s()

        def lane(i: int) -> Callable[[Lane], None]:
            def work(mine: Lane) -> None:
                for body in bodies[i::LANES]:
                    mine.ask("POST", "/documents?name=d.xml", body, "application/xml")

            return work

        took, answers = at_once(server, [lane(i) for i in range(LANES)])
        cpu = server.cpu_s() - cpu
    section.add(
        "sent over HTTP, stored and led to their movement",
        n / took,
        "documents/s",
        than=("SQLite commits of one row", plain),
    )
    section.add("processor time of the server", 1000 * cpu / n, "ms/document")
    section.add("answered, p50", 1000 * percentile(answers, 0.5), "ms")
    section.add("answered, p99", 1000 * percentile(answers, 0.99), "ms")
    section.remarks.append(
        "each document is one transaction with its own fsync; eight connections wait for one writer"
    )
    return section


def scans(place: Path, *, quick: bool) -> Section:
    section = Section(
        "scans", "How many codes a second are scanned at two gates at once, each good for one use?"
    )
    n = 200 if quick else 2000
    section.sizes = {"codes": n, "gates": GATES}
    plain = commits_per_s(place, 300, min(n, 1000))
    with serving(place / "scans") as server:
        texts: list[str] = []
        issuing = Lane(server)
        for i in range(n):
            code = issuing.ask(
                "POST", "/codes", json.dumps({"purpose": "manifest", "mrn": mrn_of(i)}).encode()
            )
            texts.append(code["text"])
        accepted: list[int] = [0] * GATES

        def gate(g: int) -> Callable[[Lane], None]:
            def work(mine: Lane) -> None:
                for text in texts:
                    body = json.dumps({"code": text, "gate": f"G{g}", "by": "bench"}).encode()
                    accepted[g] += mine.ask("POST", "/scans", body)["outcome"] == "accepted"

            return work

        took, answers = at_once(server, [gate(g) for g in range(GATES)])
    if sum(accepted) != n:
        raise RuntimeError(f"{n} codes were accepted {sum(accepted)} times")
    section.add(
        "scans, every code once at each gate",
        GATES * n / took,
        "scans/s",
        than=("SQLite commits of one row", plain),
    )
    section.add("accepted, of as many codes", sum(accepted), "codes", than=("codes issued", n))
    section.add("answered, p50", 1000 * percentile(answers, 0.5), "ms")
    section.add("answered, p99", 1000 * percentile(answers, 0.99), "ms", value_at_most=50)
    return section


def gate(place: Path, *, quick: bool) -> Section:
    section = Section("gate", "How long does a barrier wait for its decision?")
    n = 200 if quick else 2000
    section.sizes = {"movements": n, "documents": n, "gates": GATES}
    with serving(place / "gate") as server:
        desk = Lane(server)
        movements = [{"mrn": mrn_of(i)} for i in range(n)]
        desk.ask("POST", "/movements", json.dumps(movements).encode())
        for g in range(GATES):
            desk.ask("PUT", f"/gates/G{g}", json.dumps({"name": f"gate {g}", "kind": "port"}).encode())
        for i in range(n):
            transport = {"plate": f"KB{i:05d}", "mrns": [mrn_of(i)]}
            desk.ask("PUT", f"/transports/T{i}", json.dumps(transport).encode())
            desk.ask("POST", "/codes", json.dumps({"purpose": "container-pass", "mrn": mrn_of(i)}).encode())
            desk.ask("POST", "/documents?name=d.xml", declaration(i, 2), "application/xml")
        opened = [0] * GATES

        def barrier(g: int, share: range) -> Callable[[Lane], None]:
            def work(mine: Lane) -> None:
                for i in share:
                    body = json.dumps(
                        {"direction": "in", "plate": f"KB {i:05d}", "plate_confidence": 0.98}
                    ).encode()
                    opened[g] += mine.ask("POST", f"/gates/G{g}/arrivals", body)["decision"] == "open"

            return work

        alone_s, alone = at_once(server, [barrier(0, range(n // 2))])
        both_s, both = at_once(server, [barrier(g, range(n // 2, n)) for g in range(GATES)])
    if sum(opened) != n:
        raise RuntimeError(f"{n} vehicles with a pass were let in {sum(opened)} times")
    section.add("one gate, p50", 1000 * percentile(alone, 0.5), "ms")
    section.add("one gate, p99", 1000 * percentile(alone, 0.99), "ms", value_at_most=50)
    section.add(
        "two gates that want the same vehicles, p99", 1000 * percentile(both, 0.99), "ms", value_at_most=50
    )
    section.add(
        "decisions of two gates",
        len(both) / both_s,
        "decisions/s",
        than=("of one gate", len(alone) / alone_s),
    )
    section.remarks.append(
        "each vehicle of the second half came to both gates at once; exactly one let it in"
    )
    return section
