"""The customs file at the control room: documents, events by keyboard, codes at a gate, ledgers, and the pages for people outside."""

from __future__ import annotations

import os
import re
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .conftest import FLAGS

AXE = "ui/node_modules/axe-core/axe.min.js"
RUN = """() => axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
  .then(({ violations }) => violations.map((v) => v.id + ': ' + v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join(' | ')))"""
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
GRN = "26FR0000000000BR7"
WALKED = "26FR00000000000W0"
SCANNED = "26FR00000000000S0"
BOX = "MSKU1234565"


def act(house, mrn, event, **more):
    answer = house.api.post(f"/movements/{mrn}/events", params={"by": "Bea"}, json={"event": event} | more)
    assert answer.status_code == 201, answer.text
    return answer.json()


def issue(house, mrn, purpose):
    answer = house.api.post("/codes", params={"by": "Bea"}, json={"purpose": purpose, "mrn": mrn})
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def filed(house):
    """A guarantee, three seals, a draft, and a movement under way with codes for its papers."""
    house.put(
        f"/guarantees/{GRN}",
        {"holder": "Rhône Fret", "type": "1", "amount": "1000.00", "currency": "EUR"},
    )
    for seal in ("MEC-1", "MEC-2", "MEC.3"):
        house.put(f"/seals/{seal}", {"kind": "mechanical", "type_approval": "ISO 17712 H"})
    limit = (house.origin + timedelta(hours=30)).isoformat()
    for mrn in (WALKED, SCANNED):
        house.put(
            f"/movements/{mrn}",
            {"departure_office": "SZB", "destination_office": "HUA", "limit_at": limit, "risk": "low"},
        )
    act(house, SCANNED, "lodge")
    act(house, SCANNED, "accept")
    return house


def press(page: Page, event: str) -> None:
    """Choose what is to be recorded, by key."""
    page.locator(f'[data-event="{event}"]').focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()


def state_of(page: Page):
    return page.get_by_test_id("movement-state")


def test_a_sample_is_handed_in_and_read_and_a_damaged_one_refused_with_its_path(
    filed, open_desk, pytestconfig
):
    data = Path(os.environ.get("COCKET_CONFORMANCE_DATA", pytestconfig.rootpath.parent / "shared" / "data"))
    sample = data / "messages" / "ncts" / "samples" / "cc015c-valid-2.xml"
    if not sample.is_file():
        pytest.skip(f"{sample} is absent: set COCKET_CONFORMANCE_DATA")
    whole = sample.read_bytes()
    damaged = re.sub(rb"<LRN>[^<]*</LRN>", b"<LRN></LRN>", whole)
    assert damaged != whole
    desk = open_desk(f"{filed.address}/documents", **PHONE)
    page = desk.page
    named = [("whole.xml", whole), ("damaged.xml", damaged), ("again.xml", whole)]
    page.get_by_test_id("document-file").set_input_files(
        [{"name": name, "mimeType": "application/xml", "buffer": body} for name, body in named]
    )
    sent = page.get_by_test_id("sent")
    expect(sent.nth(0)).to_contain_text("Taken")
    expect(sent.nth(0)).to_contain_text("Transit declaration (CC015C)")
    expect(sent.nth(1)).to_contain_text("Refused. Nothing was changed.")
    expect(sent.nth(1)).to_contain_text("/CC015C/TransitOperation/LRN")
    expect(sent.nth(2)).to_contain_text("Known already")
    assert page.evaluate(OVERFLOW) <= 0
    sent.nth(0).get_by_role("link", name="Read it").click()
    expect(page.get_by_role("heading", name="Transit declaration (CC015C)")).to_be_visible()
    document = filed.get(page.url.rpartition("/documents/")[2].join(["/documents/", ""]))
    for item in document["consignments"][0]["items"][:3]:
        expect(page.get_by_role("table").first).to_contain_text(item["hs"])
    expect(page.get_by_role("link", name=re.compile("^Original"))).to_have_attribute(
        "href", f"/api/v1/documents/{document['id']}/original"
    )
    assert page.evaluate(OVERFLOW) <= 0


def test_a_movement_is_walked_by_keyboard_and_what_is_impossible_is_not_offered(filed, open_desk):
    desk = open_desk(f"{filed.address}/movements/{WALKED}", operator=None)
    page = desk.page
    expect(state_of(page)).to_have_text("Draft")
    offered = page.locator("[data-event]").evaluate_all("all => all.map((one) => one.dataset.event)")
    assert set(offered) == set(filed.get(f"/movements/{WALKED}")["allowed"])
    assert "arrive" not in offered

    page.locator('[data-event="lodge"]').focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("Who is at this desk?")
    page.keyboard.type("Ada Diallo")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"Record for {WALKED}")
    expect(dialog).to_contain_text("in the name of Ada Diallo")
    dialog.get_by_role("button", name="Record").focus()
    page.keyboard.press("Enter")
    expect(state_of(page)).to_have_text("Lodged")

    # Somebody else is faster: the refusal says why, and what is possible now.
    press(page, "accept")
    act(filed, WALKED, "accept")
    page.get_by_role("button", name="Record").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("“Accept” is not possible: the state is “Accepted”.")
    expect(page.get_by_role("alert")).to_contain_text("Reserve guarantee")
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    expect(state_of(page)).to_have_text("Accepted")

    press(page, "reserve-guarantee")
    for name, text in (("grn", GRN), ("amount", "1 000,01"), ("currency", "eur")):
        page.locator(f'[name="{name}"]').focus()
        page.keyboard.type(text)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("More than the guarantee covers.")
    page.locator('[name="amount"]').fill("999.95")
    page.keyboard.press("Enter")
    expect(state_of(page)).to_have_text("Guarantee reserved")
    expect(page.get_by_role("region", name="Guarantee", exact=True)).to_contain_text(
        "999.95 EUR".replace(" ", "\u00a0")
    )

    press(page, "decide-control")
    page.keyboard.press("Escape")
    act(filed, WALKED, "decide-control", control="none")
    page.reload()
    press(page, "seal")
    page.get_by_role("button", name="Record").click()
    expect(page.get_by_role("alert")).to_contain_text("mandatory")
    page.get_by_label("Seal", exact=True).fill("MEC-1")
    page.get_by_label("On equipment").fill(BOX)
    page.keyboard.press("Enter")
    expect(state_of(page)).to_have_text("Sealed")
    expect(page.get_by_role("region", name="Seals", exact=True)).to_contain_text("MEC-1")

    history = page.locator("[data-seq]")
    expect(history).to_have_count(5)
    expect(history.first).to_contain_text("by Ada Diallo")
    first = filed.get(f"/movements/{WALKED}/events")["items"][0]
    history.last.get_by_role("link", name=re.compile("As known then")).click()
    expect(page.get_by_test_id("known-at")).to_be_visible()
    expect(state_of(page)).to_have_text("Lodged")
    expect(page.locator("[data-event]")).to_have_count(0)
    expect(history).to_have_count(1)
    assert first["recorded_at"][:19] in page.url.replace("%3A", ":")
    page.get_by_role("link", name="Back to now").click()
    expect(state_of(page)).to_have_text("Sealed")


def test_a_gate_scans_by_hand_scanner_and_offline_nothing_is_accepted(filed, open_desk):
    first, second = issue(filed, SCANNED, "manifest"), issue(filed, SCANNED, "declaration")
    gate = open_desk(f"{filed.address}/scan", **PHONE)
    page = gate.page
    page.get_by_label("Gate").fill("N4")
    page.get_by_label("Gate").blur()
    # A hand scanner types wherever the page is, in a burst, and ends with Enter.
    page.keyboard.type(second["short"])
    page.keyboard.press("Enter")
    verdict = page.get_by_test_id("verdict")
    expect(verdict).to_have_attribute("data-outcome", "refused")
    expect(verdict).to_contain_text("A step before this one is missing.")
    page.keyboard.type(first["text"])
    page.keyboard.press("Enter")
    expect(verdict).to_have_attribute("data-outcome", "accepted")
    expect(verdict).to_contain_text(SCANNED)
    assert filed.get("/codes", mrn=SCANNED)["items"][-1]["first_use"]["gate"] == "N4"

    gate.context.set_offline(True)
    page.keyboard.type(second["short"])
    page.keyboard.press("Enter")
    expect(verdict).to_contain_text("This is no acceptance.")
    expect(verdict).to_have_attribute("data-outcome", "undecided")
    expect(page.get_by_test_id("offline")).to_contain_text("1 code is not decided")
    assert page.evaluate(OVERFLOW) <= 0
    gate.context.set_offline(False)
    expect(verdict).to_have_attribute("data-outcome", "accepted")
    expect(page.get_by_test_id("offline")).to_have_count(0)

    other = open_desk(f"{filed.address}/scan", operator="Ben", locale="fr-FR", **PHONE).page
    expect(other.get_by_label("Code", exact=True)).to_be_visible()
    other.keyboard.type(second["short"])
    other.keyboard.press("Enter")
    refused = other.get_by_test_id("verdict")
    expect(refused).to_have_attribute("data-outcome", "refused")
    expect(refused).to_contain_text("Le code a déjà été utilisé.")
    expect(refused).to_contain_text("porte N4, par Ada Diallo")


def test_a_camera_reads_the_code(filed, browser, tmp_path):
    """Chromium plays a film of the printed code where its camera would be."""
    code = issue(filed, WALKED, "manifest")
    film = tmp_path / "code.y4m"
    film.write_bytes(filmed(code["text"]))
    camera = [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    ]
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    filming = browser.browser_type.launch(executable_path=path, args=FLAGS + camera)
    try:
        context = filming.new_context(locale="en-GB", **PHONE)
        context.add_init_script("localStorage.setItem('cocket.operator', 'Ada Diallo')")
        page = context.new_page()
        page.goto(f"{filed.address}/scan")
        page.get_by_role("button", name="Camera on").tap()
        verdict = page.get_by_test_id("verdict")
        expect(verdict).to_have_attribute("data-outcome", "accepted")
        expect(verdict).to_contain_text(WALKED)
        # The film goes on, and the code with it: nothing more is read until somebody asks for the next.
        expect(page.get_by_role("button", name="Next code")).to_be_visible()
    finally:
        filming.close()
    assert len(filed.get("/scans", code_id=code["id"])["items"]) == 1


def filmed(text: str) -> bytes:
    """A film of one still picture of the code, 640 x 480, in greys (YUV4MPEG2)."""
    import segno

    rows = [
        list(row) for row in segno.make_qr(text, mode="alphanumeric", error="m", boost_error=False).matrix
    ]
    scale = 420 // len(rows)
    luma = bytearray(b"\xeb" * (640 * 480))
    left, top = (640 - scale * len(rows)) // 2, (480 - scale * len(rows)) // 2
    for y in range(scale * len(rows)):
        for x in range(scale * len(rows)):
            if rows[y // scale][x // scale]:
                luma[(top + y) * 640 + left + x] = 0x10
    frame = b"FRAME\n" + bytes(luma) + b"\x80" * (640 * 480 // 2)
    return b"YUV4MPEG2 W640 H480 F10:1 Ip A1:1 C420jpeg\n" + frame * 3


def test_the_stock_of_seals_and_the_ledger_of_guarantees(filed, open_desk):
    page = open_desk(f"{filed.address}/seals").page
    page.locator('[data-state="type-approved"]').click()
    page.get_by_role("link", name="MEC.3").click()
    expect(page.get_by_test_id("seal-state")).to_contain_text("Type-approved")
    press(page, "lose")
    page.get_by_role("button", name="Record").click()
    expect(page.get_by_role("alert")).to_contain_text("mandatory")
    page.get_by_label(re.compile("^Reason")).fill("fell off a pallet")
    page.get_by_role("button", name="Record").click()
    expect(page.get_by_test_id("seal-state")).to_contain_text("Lost")
    expect(page.get_by_text("fell off a pallet")).to_be_visible()
    page.reload()  # the address of a seal with a dot in its name is a page's, too
    expect(page.get_by_test_id("seal-state")).to_contain_text("Lost")

    page.goto(f"{filed.address}/guarantees")
    page.get_by_label("Search guarantees").fill("Rhône")
    page.get_by_role("link", name=GRN).click()
    held = filed.get(f"/guarantees/{GRN}")
    expect(page.get_by_test_id("available")).to_have_text(f"{float(held['available']):,.2f}\u00a0EUR")
    page.locator('[data-event="reserve"]').click()
    for name, text in (("mrn", SCANNED), ("amount", "1000.01"), ("currency", "EUR")):
        page.locator(f'[name="{name}"]').fill(text)
    page.get_by_role("button", name="Record").click()
    expect(page.get_by_role("alert")).to_contain_text("More than the guarantee covers.")
    expect(page.get_by_role("alert")).to_contain_text(f"available {held['available']} EUR")


def test_pages_for_people_outside_show_nothing_of_the_control_room(filed, open_desk):
    desk = open_desk(f"{filed.address}/check", operator=None, **PHONE)
    page = desk.page
    page.get_by_label("Code on the stamp").fill("NO STAMP OF OURS")
    page.get_by_label("Code on the stamp").press("Enter")
    expect(page.get_by_test_id("stamp-verdict")).to_have_attribute("data-verdict", "false")
    expect(page.get_by_test_id("stamp-verdict")).to_contain_text("False")
    expect(page.get_by_role("navigation")).to_have_count(0)
    expect(page.get_by_role("link")).to_have_count(0)
    asked = {url.partition("/api/v1")[2] for url in desk.asked if "/api/" in url}
    assert asked == {"/stamps/checks"}
    assert not [url for url in desk.asked if "Room" in url or "maplibre" in url]

    desk.troubles.clear()
    page.goto(f"{filed.address}/trip/nobody-gave-me-this")
    expect(page.get_by_test_id("trip-gone")).to_contain_text("expired, was revoked, or is not known")
    expect(page.get_by_role("navigation")).to_have_count(0)


def test_a_trader_follows_a_trip_by_its_link_until_it_is_revoked(filed, open_desk):
    page = open_desk(f"{filed.address}/movements/{SCANNED}").page
    page.get_by_role("button", name="Make a link").click()
    link = page.get_by_label("Address of the link").input_value()
    assert link.startswith(f"{filed.address}/trip/")
    trader = open_desk(link, operator=None, locale="fr-FR", color_scheme="light", **PHONE)
    expect(trader.page.get_by_test_id("trip-state")).to_have_text(
        {"accepted": "Accepté", "guarantee-reserved": "Garantie réservée"}[
            filed.get(f"/movements/{SCANNED}")["state"]
        ]
    )
    expect(trader.page.locator("main")).to_contain_text("Huanggang Inland Depot")
    asked = {url.partition("/api/v1")[2].rpartition("/")[0] for url in trader.asked if "/api/" in url}
    assert asked == {"/trips"}
    assert SCANNED not in trader.page.content()
    assert trader.page.evaluate(OVERFLOW) <= 0
    page.get_by_role("button", name=re.compile("^Revoke")).click()
    expect(page.get_by_text("shows nothing any more")).to_be_visible()
    trader.page.reload()
    expect(trader.page.get_by_test_id("trip-gone")).to_contain_text("a été révoqué")


@pytest.mark.parametrize("look", ["dark", "light phone"])
def test_axe_finds_nothing_and_nothing_sticks_out(filed, open_desk, look, pytestconfig):
    axe = (pytestconfig.rootpath / AXE).read_text()
    options = (
        {"color_scheme": "dark"} if look == "dark" else {"color_scheme": "light", "locale": "fr-FR"} | PHONE
    )
    page = open_desk(filed.address, **options).page
    found = {}
    for name in (
        "documents",
        f"movements/{SCANNED}",
        "seals",
        "seals/MEC-2",
        "guarantees",
        f"guarantees/{GRN}",
        "enquiries",
        "scan",
        "check",
        "trip/none",
    ):
        page.goto(f"{filed.address}/{name}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.locator("[aria-busy=true]")).to_have_count(0)
        page.evaluate(axe)
        if violations := page.evaluate(RUN):
            found[name] = violations
        if (wide := page.evaluate(OVERFLOW)) > 0:
            found[f"{name}, too wide"] = wide
    page.goto(f"{filed.address}/about")
    for menu in page.locator("[data-menu]").all():
        menu.get_by_role("button").focus()
        page.keyboard.press("ArrowDown")
        expect(menu.get_by_role("link").first).to_be_focused()
        page.evaluate(axe)
        if violations := page.evaluate(RUN):
            found["menu"] = violations
        if (wide := page.evaluate(OVERFLOW)) > 0:
            found["menu, too wide"] = wide
        page.keyboard.press("Escape")
        expect(menu.get_by_role("button")).to_be_focused()
        expect(menu.get_by_role("link")).to_have_count(0)
    assert found == {}
