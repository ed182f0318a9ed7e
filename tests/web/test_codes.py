"""Codes, scans and stamps through the public doors: what an office, two gates and a citizen see."""

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import zxingcpp
from PIL import Image

from cocket.cli import main

CHAIN = ("manifest", "declaration", "payment", "container-pass", "release", "exit")


def issue(door, **body) -> dict:
    answer = door.http.post("/codes", json={"purpose": "exit", "mrn": door.name("MRN"), **body})
    assert answer.status_code == 201, answer.text
    return answer.json()


def scan(door, text: str, **body) -> dict:
    answer = door.http.post("/scans", json={"code": text, **body})
    assert answer.status_code == 201, answer.text
    return answer.json()


def stamps(door, n: int = 50) -> dict:
    body = {"product": "Whisky 0.7 l", "manufacturer": "Highland Ltd", "count": n}
    answer = door.http.post("/stamps/ranges", json=body, params={"by": "amina"})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    event = {"event": "activate", "first": made["first"], "last": made["last"], "reason": "delivered"}
    assert door.http.post(f"/stamps/ranges/{made['id']}/events", json=event).status_code == 201
    return made


def printed(door, made: dict) -> list[dict]:
    answer = door.http.get(f"/stamps/ranges/{made['id']}/labels.ndjson")
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def check(door, text: str, **place) -> dict:
    answer = door.http.post("/stamps/checks", json={"code": text, **place})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_six_desks_in_turn_and_the_exit_at_a_second_gate(door) -> None:
    """sad-barcode with its twin, read by the bar codes that were printed."""
    mrn = door.name("MRN")
    codes = {p: issue(door, purpose=p, mrn=mrn) for p in CHAIN}
    early = scan(door, codes["exit"]["short"], gate="G1")
    assert (early["outcome"], early["reasons"][0]["rule"]) == ("refused", "out-of-order")
    for purpose in CHAIN:
        picture = door.http.get(f"/codes/{codes[purpose]['id']}/barcode.png")
        bars = zxingcpp.read_barcodes(Image.open(io.BytesIO(picture.content)).convert("L"))[0]
        answer = scan(door, bars.symbology_identifier + bars.text + "\r", gate="G1", by="amina")
        assert (answer["outcome"], answer["purpose"], answer["mrn"]) == ("accepted", purpose, mrn)
    blocked = scan(door, codes["exit"]["text"], gate="G2", by="li")
    assert (blocked["outcome"], blocked["reasons"][0]["rule"]) == ("refused", "already-used")
    assert (blocked["first_use"]["gate"], blocked["first_use"]["by"]) == ("G1", "amina")
    assert door.http.get(f"/codes/{codes['exit']['id']}").json()["state"] == "used"
    kept = door.http.get("/scans", params={"mrn": mrn}).json()["items"]
    assert [s["outcome"] for s in kept] == ["refused", *["accepted"] * 6, "refused"]
    assert [s["id"] for s in door.http.get("/scans", params={"code_id": codes["exit"]["id"]}).json()["items"]] == [
        blocked["id"], kept[1]["id"], early["id"],
    ]  # fmt: skip


def test_a_transit_that_has_not_arrived_is_not_acquitted(door) -> None:
    """acquit-qr's twin as far as codes go: refused with a reason, and the code stays good."""
    code = issue(door, purpose="transit")
    answer = scan(door, code["text"], gate="G1", office="NL000432", lat_deg=52.1, lon_deg=4.3)
    assert answer["outcome"] == "refused"
    assert answer["reasons"]
    assert answer["first_use"] is None
    assert door.http.get(f"/codes/{code['id']}").json()["state"] == "valid"


def test_two_gates_and_many_codes(door) -> None:
    """Each code is sent by two gates at the same moment, over HTTP: exactly one is let through."""
    texts = [issue(door, purpose="manifest")["text"] for _ in range(25)]
    ready = threading.Barrier(2)

    def gate(name: str) -> list[dict]:
        answers = []
        with httpx.Client(base_url=door.http.base_url, timeout=60) as client:
            for text in texts:
                ready.wait()
                answers.append(client.post("/scans", json={"code": text, "gate": name}).json())
        return answers

    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(gate, ["G1", "G2"]))
    for pair in zip(*both, strict=True):
        assert sorted(a["outcome"] for a in pair) == ["accepted", "refused"]
        winner = next(a for a in pair if a["outcome"] == "accepted")
        loser = next(a for a in pair if a["outcome"] == "refused")
        assert loser["reasons"][0]["rule"] == "already-used"
        assert loser["first_use"] == winner["first_use"]
        assert loser["first_use"]["gate"] == winner["gate"]


@pytest.mark.parametrize("ending", ["qr.svg", "qr.png", "label.pdf", "barcode.svg", "barcode.png"])
def test_every_picture_of_a_code(door, ending) -> None:
    code = issue(door, equipment_id="MSKU9070323", gate="G1")
    answer = door.http.get(f"/codes/{code['id']}/{ending}")
    assert answer.status_code == 200
    kinds = {"svg": "image/svg+xml", "png": "image/png", "pdf": "application/pdf"}
    assert answer.headers["content-type"] == kinds[ending[-3:]]
    if ending.endswith("png"):
        read = zxingcpp.read_barcodes(Image.open(io.BytesIO(answer.content)).convert("L"))
        assert read[0].text == (code["text"] if "qr" in ending else code["short"].replace("-", ""))
    door.is_problem(door.http.get(f"/codes/999999999/{ending}"), 404)


def test_a_paper_that_was_lost(door) -> None:
    mrn = door.name("MRN")
    lost = issue(door, purpose="manifest", mrn=mrn)
    problem = door.is_problem(door.http.post("/codes", json={"purpose": "manifest", "mrn": mrn}), 409)
    assert problem["errors"][0]["rule"] == "already-issued"
    void = door.http.post(f"/codes/{lost['id']}/void", json={"reason": "lost"}, params={"by": "amina"})
    assert (void.json()["state"], void.json()["void"]["by"]) == ("void", "amina")
    door.is_problem(door.http.post(f"/codes/{lost['id']}/void", json={"reason": "lost"}), 409)
    new = issue(door, purpose="manifest", mrn=mrn)
    assert scan(door, lost["text"])["reasons"][0]["rule"] == "void"
    assert scan(door, new["text"])["outcome"] == "accepted"
    assert [c["id"] for c in door.http.get("/codes", params={"mrn": mrn}).json()["items"]] == [
        new["id"],
        lost["id"],
    ]


def test_pages(door) -> None:
    mrn = door.name("MRN")
    ids = [issue(door, mrn=mrn, equipment_id=f"C{n}")["id"] for n in range(5)]
    found, cursor = [], None
    for _ in range(3):
        params = {"mrn": mrn, "limit": 2, **({"cursor": cursor} if cursor else {})}
        page = door.http.get("/codes", params=params).json()
        found += [c["id"] for c in page["items"]]
        cursor = page["next"]
    assert found == ids[::-1]
    assert cursor is None
    for path in ("/codes", "/scans", "/stamps/ranges", "/stamps/checks"):
        door.is_problem(door.http.get(path, params={"cursor": "x"}), 400)


@pytest.mark.parametrize(
    ("path", "body", "where"),
    [
        ("/codes", {"purpose": "party", "mrn": "26NL"}, "/purpose"),
        ("/codes", {"purpose": "exit"}, "/mrn"),
        ("/codes", {"purpose": "exit", "mrn": "26NL", "valid_to": "2001-01-01T00:00:00Z"}, "/valid_to"),
        ("/codes", {"purpose": "exit", "mrn": "26NL", "equipment_id": "é" * 40}, "/equipment_id"),
        ("/scans", {"code": ""}, "/code"),
        ("/scans", {"code": "x", "lat_deg": 1.0}, "/lon_deg"),
        ("/scans", {"code": "x", "at": "2999-01-01T00:00:00Z"}, "/at"),
        ("/stamps/ranges", {"product": "", "manufacturer": "x", "count": 1}, "/product"),
        ("/stamps/ranges", {"product": "x", "manufacturer": "x", "count": 0}, "/count"),
        ("/stamps/checks", {"code": "x", "lat_deg": 91.0, "lon_deg": 0.0}, "/lat_deg"),
    ],
)
def test_bad_input_is_named_with_its_place(door, path, body, where) -> None:
    problem = door.is_problem(door.http.post(path, json=body), 422)
    assert problem["errors"][0]["path"] == where


def test_a_citizen_tells_true_from_false(door) -> None:
    """excise-stamp with both twins."""
    made = stamps(door)
    labels = printed(door, made)
    assert [line["serial"] for line in labels] == list(range(made["first"], made["last"] + 1))
    text = labels[7]["text"]
    good = check(door, text, lat_deg=3.139, lon_deg=101.687)
    assert (good["verdict"], good["product"]) == ("genuine", "Whisky 0.7 l")
    forged = check(door, text[:-5] + "00000")
    assert (forged["verdict"], forged["product"]) == ("false", None)
    assert forged.keys() == good.keys()
    far = check(door, text, lat_deg=6.1, lon_deg=101.687)
    assert far["verdict"] == "suspect"
    seen = door.http.get("/stamps/checks", params={"serial": labels[7]["serial"]}).json()["items"]
    assert [c["verdict"] for c in seen] == ["suspect", "genuine"]
    assert seen[0]["suspicions"][0]["rule"] == "impossible-travel"
    assert [c["serial"] for c in door.http.get("/stamps/checks", params={"verdict": "suspect", "limit": 1}).json()["items"]] == [
        labels[7]["serial"]
    ]  # fmt: skip


def test_stamps_on_their_way(door) -> None:
    made = stamps(door)
    f = made["first"]
    path = f"/stamps/ranges/{made['id']}/events"
    steal = {"event": "steal", "first": f, "last": f + 9, "reason": "a lorry was robbed"}
    answer = door.http.post(path, json=steal, params={"by": "li"}).json()
    assert [(r["first"] - f, r["last"] - f, r["state"]) for r in answer["states"]] == [
        (0, 9, "stolen"),
        (10, 49, "active"),
    ]
    assert door.http.get(f"/stamps/ranges/{made['id']}").json() == answer
    problem = door.is_problem(door.http.post(path, json=steal), 409)
    assert problem["errors"][0]["rule"] == "impossible-transition"
    door.is_problem(door.http.get(f"/stamps/ranges/{made['id']}/labels.ndjson"), 409)
    labels = {"first": f + 10, "last": f + 12}
    sheet = door.http.get(f"/stamps/ranges/{made['id']}/labels.pdf", params=labels)
    assert sheet.headers["content-type"] == "application/pdf"
    assert sheet.content.startswith(b"%PDF-")
    door.is_problem(door.http.get("/stamps/ranges/999999999/labels.pdf"), 404)
    listed = door.http.get("/stamps/ranges", params={"limit": 1}).json()["items"][0]
    assert (listed["id"], listed["states"]) == (made["id"], answer["states"])


def test_keys_rotate_and_papers_are_checked_without_a_network(fresh, tmp_path, capsys) -> None:
    """A server of its own: what it signs is checked by the command line with the keys of GET /keys alone."""
    keys = tmp_path / "keys.json"

    def verified(text: str, *more: str) -> tuple[int, dict]:
        keys.write_text(fresh.http.get("/keys").text)
        code = main(["verify-code", text, "--keys", str(keys), *more])
        return code, json.loads(capsys.readouterr().out)

    code = issue(fresh, purpose="transit", equipment_id="MSKU9070323")
    stamp = printed(fresh, stamps(fresh))[0]
    assert verified(stamp["text"])[1]["says"]["serial"] == stamp["serial"]
    done, said = verified(code["text"])
    assert (done, said["genuine"], said["says"]["mrn"]) == (0, True, code["mrn"])
    assert verified(code["text"], "--at", "2099-01-01T00:00:00Z") == (
        1,
        {**said, "genuine": False, "refusal": {"rule": "expired", "detail": f"it was valid until {code['valid_to']}"}},
    )  # fmt: skip

    new = fresh.http.post("/keys/rotate", json={"reason": "a new year"}, params={"by": "amina"})
    assert new.status_code == 201
    assert [k["state"] for k in fresh.http.get("/keys").json()["keys"]] == ["current", "retired"]
    assert verified(code["text"])[0] == 0
    other = issue(fresh, purpose="manifest")
    assert other["kid"] == new.json()["kid"]
    assert scan(fresh, other["text"])["outcome"] == "accepted"

    assert (
        fresh.http.post(f"/keys/{code['kid']}/revoke", json={"reason": "stolen"}).json()["state"] == "revoked"
    )
    assert verified(code["text"])[1]["refusal"]["rule"] == "revoked-key"
    assert scan(fresh, code["text"])["reasons"][0]["rule"] == "revoked-key"
    assert check(fresh, stamp["text"])["verdict"] == "false"
    fresh.is_problem(fresh.http.post(f"/keys/{code['kid']}/revoke", json={"reason": "again"}), 409)
    fresh.is_problem(fresh.http.post(f"/keys/{'0' * 16}/revoke", json={"reason": "none"}), 404)
    assert "PRIVATE" not in fresh.http.get("/keys").text
    assert all("d" not in key for key in fresh.http.get("/keys").json()["keys"])
