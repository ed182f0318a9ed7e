"""Devices at the control room: what is asked of them, by whom, and through which doors they come."""

from __future__ import annotations

import re
import socket

import pytest
from playwright.sync_api import expect

SEAL = "8041300978"
#: A JT701 report as it goes over the wire, in hexadecimal; SEAL sent it.
FRAME = "2480413009781914002706102107544354193631006213423b00000000006c0700000000002064f91ea0671d000f0f0f6e"
AXE = "ui/node_modules/axe-core/axe.min.js"
RUN = """() => axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
  .then(({ violations }) => violations.map((v) => v.id + ': ' + v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join(' | ')))"""
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def seal(house):
    house.put(
        f"/devices/{SEAL}",
        {
            "class": "e-seal",
            "maker": "Jointech",
            "firmware": "2.13",
            "owner": "Customs",
            "state": "armed",
            "protocol": "jt701",
            "networks": ["127.0.0.0/8"],
        },
    )
    return SEAL


def ask(house, device, by, command="unlock", **parameters):
    """Over HTTP, as another system would."""
    answer = house.api.post(
        f"/devices/{device}/commands",
        params={"by": by},
        json={
            "command": command,
            "parameters": parameters or {"password": "888888"},
            "reason": f"{by} wants it",
        },
    )
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def send(house, frame=FRAME, protocol="jt701"):
    answer = house.api.post(f"/frames/{protocol}", content=frame, headers={"content-type": "text/plain"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def row_of(page, number):
    return page.locator(f'[data-command="{number}"]')


def violations(page, pytestconfig):
    page.evaluate((pytestconfig.rootpath / AXE).read_text())
    return page.evaluate(RUN)


def test_a_command_is_asked_for_by_keyboard_and_approved_by_another_person(house, open_desk, seal):
    first = open_desk(f"{house.address}/devices/{seal}", operator=None)
    page = first.page
    page.get_by_role("button", name="Ask for a command").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("Who is at this desk?")
    page.keyboard.type("Ada Diallo")
    page.keyboard.press("Enter")

    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"What should {seal} do?")
    expect(dialog).to_contain_text("Asked in the name of Ada Diallo")
    dialog.get_by_role("combobox", name="Command").select_option("unlock")
    dialog.get_by_label("Password").focus()
    page.keyboard.type("88")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("Write the reason")
    dialog.get_by_label(re.compile("^Reason")).fill("arrived at the office")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("six digits")
    dialog.get_by_label("Password").fill("888888")
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("status")).to_contain_text("another person has to approve")

    number = house.get("/commands", device_id=seal)["items"][0]["id"]
    mine = row_of(page, number)
    expect(mine.get_by_test_id("command-state")).to_have_text("Waits for approval")
    expect(mine).to_contain_text("by Ada Diallo")
    expect(mine).to_contain_text("arrived at the office")
    expect(mine).not_to_contain_text("888888")
    expect(mine.get_by_role("button", name="Approve")).to_be_disabled()
    expect(mine).to_contain_text("another person has to approve")
    assert house.get(f"/commands/{number}")["parameters"] == {"password": "••••••"}

    second = open_desk(f"{house.address}/devices/{seal}", operator="Brahim")
    row_of(second.page, number).get_by_role("button", name="Approve").click()
    expect(row_of(second.page, number).get_by_test_id("command-state")).to_have_text("Waits for the device")
    expect(row_of(second.page, number)).to_contain_text("by Brahim")
    expect(mine.get_by_test_id("command-state")).to_have_text("Waits for the device")
    kept = house.get(f"/commands/{number}")
    assert (kept["by"], kept["approved_by"], kept["state"]) == ("Ada Diallo", "Brahim", "queued")
    assert second.troubles == []


def test_numbers_are_sent_as_numbers_and_a_command_is_taken_back(house, open_desk, seal):
    page = open_desk(f"{house.address}/devices/{seal}").page
    page.get_by_role("button", name="Ask for a command").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("combobox", name="Command").select_option("interval")
    dialog.get_by_label("Seconds").fill("60")
    dialog.get_by_label(re.compile("^Reason")).fill("save the battery")
    dialog.get_by_role("button", name="Ask", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("sent when the device next speaks")
    made = house.get("/commands", device_id=seal)["items"][0]
    assert (made["command"], made["parameters"], made["state"]) == ("interval", {"seconds": 60}, "queued")
    row_of(page, made["id"]).get_by_role("button", name="Take back").focus()
    page.keyboard.press("Enter")
    expect(row_of(page, made["id"]).get_by_test_id("command-state")).to_have_text("Taken back")
    assert house.get(f"/commands/{made['id']}")["state"] == "cancelled"
    expect(page.locator(":focus")).to_have_text("Commands")  # the button is gone, the place is kept


def test_a_refusal_is_told_in_words(house, open_desk, seal):
    number = ask(house, seal, "Chen")
    page = open_desk(f"{house.address}/devices/{seal}").page
    button = row_of(page, number).get_by_role("button", name="Approve")
    expect(button).to_be_enabled()
    page.route("**/api/v1/commands?*", lambda route: route.abort())  # the page does not hear of what follows
    expect(page.get_by_role("alert")).to_contain_text("The server did not answer")
    house.api.post(f"/commands/{number}/cancel", params={"by": "Chen"}, json={}).raise_for_status()
    button.click()
    expect(page.get_by_role("alert").filter(has_text="The server refused")).to_be_visible()
    page.unroute("**/api/v1/commands?*")
    expect(row_of(page, number).get_by_test_id("command-state")).to_have_text("Taken back")
    expect(row_of(page, number)).to_contain_text("by Chen")


def test_a_connected_device_gets_the_command_and_its_answer_is_shown(house, open_desk, seal):
    """Over TCP, as a seal would: it reports, is asked to unlock, and answers."""
    for one in house.get("/commands", device_id=seal, state="queued")["items"]:
        house.api.post(f"/commands/{one['id']}/cancel", params={"by": "desk"}, json={}).raise_for_status()
    number = ask(house, seal, "Brahim")
    gateway = open_desk(f"{house.address}/gateway").page
    door = gateway.get_by_role("region", name="Doors").get_by_role("row", name=re.compile("TCP"))
    expect(door).to_contain_text("jt701")
    expect(gateway.get_by_test_id("devices-connected")).to_have_text("0")
    host, _, port = house.get("/gateway")["doors"][0].split()[1].rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as device:
        device.sendall(bytes.fromhex(FRAME))
        assert device.recv(100).startswith(b"(P69"), "the report is acknowledged"
        expect(gateway.get_by_test_id("connections")).to_have_text("1")
        expect(gateway.get_by_test_id("devices-connected")).to_have_text("1")
        page = open_desk(f"{house.address}/devices/{seal}").page
        row_of(page, number).get_by_role("button", name="Approve").click()
        assert device.recv(100) == b"(P43,888888)"
        expect(row_of(page, number).get_by_test_id("command-state")).to_have_text("Sent, no answer yet")
        device.sendall(f"({seal},P43,1)".encode())
        expect(row_of(page, number).get_by_test_id("command-state")).to_have_text("Done")
        expect(row_of(page, number).get_by_role("term").filter(has_text="Answered")).to_be_visible()
    expect(gateway.get_by_test_id("connections")).to_have_text("0")
    expect(gateway.get_by_role("row", name=re.compile("Connections that the device ended"))).to_be_visible()


def test_the_page_says_why_nothing_can_be_asked(house, open_desk, names):
    house.put("/devices/PORTAL-1", {"class": "portal", "protocol": "n42"})
    page = open_desk(f"{house.address}/devices/PORTAL-1").page
    expect(
        page.get_by_text(re.compile("No command can be asked for: the protocol .* has none"))
    ).to_be_visible()
    page.goto(f"{house.address}/devices/{names(2)[0]}")
    expect(page.get_by_text("the protocol is not known")).to_be_visible()
    expect(page.get_by_role("button", name="Ask for a command")).to_have_count(0)


def test_the_registry_says_what_the_device_is_held_to(house, open_desk, seal):
    page = open_desk(f"{house.address}/devices/{seal}", locale="fr-FR").page
    registry = page.get_by_role("region", name="Registre")
    for words in ("Micrologiciel", "2.13", "Armé", "jt701", "127.0.0.0/8", "non exigé"):
        expect(registry).to_contain_text(words)


def test_the_gateway_page_counts_what_devices_send(house, open_desk, seal):
    page = open_desk(f"{house.address}/").page
    page.get_by_role("button", name="System").click()
    page.get_by_role("link", name="Gateway").click()
    expect(page).to_have_url(re.compile("/gateway$"))
    expect(page.get_by_role("heading", name="Gateway")).to_be_visible()
    before = house.get("/gateway")["frames"].get("jt701", {}).get("observed", 0)
    assert send(house)["rejected"] == 0
    row = page.get_by_role("region", name="Frames").get_by_role("row", name=re.compile("jt701"))
    expect(row.get_by_role("cell").nth(1)).to_have_text(str(before + 1))
    assert house.get("/gateway")["frames"]["jt701"]["observed"] == before + 1
    page.goto(f"{house.address}/devices/{seal}")
    expect(page.get_by_role("row", name=re.compile("^Rope cut"))).to_be_visible()
    expect(page.get_by_text("What the quarantine holds")).to_be_visible()


def test_trouble_of_the_gateway_is_shown(house, open_desk):
    desk = open_desk(f"{house.address}/about")
    said = {
        "doors": ["tcp 0.0.0.0:5014 jt701", "mqtt 127.0.0.1:1883"],
        "connections": 12,
        "devices_connected": 11,
        "rows_waiting": 70_000,
        "failing": "the disk is full",
        "mapping_faults": ["my-sensor.toml: line 3 is wrong"],
        "events": {"connected": 12, "flooding": 2, "a-new-event": 1},
        "frames": {"jt701": {"observed": 9, "rejected": 3}},
    }
    desk.page.route("**/api/v1/gateway", lambda route: route.fulfill(json=said))
    desk.page.get_by_role("button", name="System").click()
    desk.page.get_by_role("link", name="Gateway").click()
    page = desk.page
    expect(page.get_by_test_id("failing")).to_contain_text("the disk is full")
    expect(page.get_by_text("my-sensor.toml: line 3 is wrong")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("Held back: more frames"))).to_contain_text("2")
    expect(page.get_by_role("row", name=re.compile("a-new-event"))).to_contain_text("1")
    expect(page.get_by_test_id("devices-connected")).to_have_text("11")
    assert desk.troubles == []


def test_an_alert_on_conduct_stands_without_a_movement(house, open_desk, until):
    twin = "8041300555"
    house.put(f"/devices/{twin}", {"class": "e-seal", "protocol": "jt701"})
    host, _, port = house.get("/gateway")["doors"][0].split()[1].rpartition(":")
    frame = bytes.fromhex(FRAME.replace(SEAL, twin))
    with (
        socket.create_connection((host, int(port)), timeout=30) as one,
        socket.create_connection((host, int(port)), timeout=30) as other,
    ):
        for device in (one, other, one):
            device.sendall(frame)
            device.recv(100)
    until(lambda: house.alerts(code="device-twice"), "the two connections to be noticed")
    alert = house.alerts(code="device-twice")[0]
    assert (alert["mrn"], alert["device_id"]) == (None, twin)
    desk = open_desk(f"{house.address}/alerts/{alert['id']}")
    expect(desk.row(alert["id"])).to_contain_text(twin)
    detail = desk.page.get_by_role("article", name="Alert")
    expect(detail).to_contain_text("On two connections at once")
    expect(detail).to_contain_text("none")
    expect(detail).not_to_contain_text("Zone")
    detail.get_by_role("link", name=twin).click()
    expect(desk.page.get_by_role("heading", name=twin)).to_be_visible()
    assert desk.troubles == []


def test_a_gateway_without_doors_says_so(house, open_desk):
    desk = open_desk(f"{house.address}/about")
    empty = {"doors": [], "connections": 0, "devices_connected": 0, "rows_waiting": 0}
    empty |= {"failing": None, "mapping_faults": [], "events": {}, "frames": {}}
    desk.page.route("**/api/v1/gateway", lambda route: route.fulfill(json=empty))
    desk.page.get_by_role("button", name="System").click()
    desk.page.get_by_role("link", name="Gateway").click()
    for words in ("No door is open for devices.", "No device has spoken", "Nothing has happened yet."):
        expect(desk.page.get_by_text(words)).to_be_visible()


def test_a_frame_of_a_device_waits_in_quarantine_and_is_read_again(house, open_desk):
    stranger = "8041300999"
    frame = FRAME.replace(SEAL, stranger)
    assert send(house, frame)["rejected"] == 1
    page = open_desk(f"{house.address}/quarantine?device={stranger}").page
    page.get_by_role("link", name=re.compile("unregistered-device")).first.click()
    expect(page.locator("pre")).to_contain_text("24 80 41 30 09 99")
    expect(page.get_by_role("definition").filter(has_text="jt701").first).to_be_visible()
    house.put(f"/devices/{stranger}", {"class": "e-seal"})
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_role("status")).to_contain_text("Taken")
    page.get_by_role("link", name=stranger, exact=True).click()
    expect(page.get_by_role("heading", name=stranger)).to_be_visible()


@pytest.mark.parametrize(("scheme", "width", "direction"), [("dark", 1440, "ltr"), ("light", 360, "rtl")])
def test_axe_finds_nothing_and_nothing_sticks_out(
    house, open_desk, seal, scheme, width, direction, pytestconfig
):
    number = ask(house, seal, "Ada Diallo")
    house.put("/devices/PORTAL-1", {"class": "portal", "protocol": "n42"})
    desk = open_desk(
        f"{house.address}/devices/{seal}", color_scheme=scheme, viewport={"width": width, "height": 800}
    )
    page = desk.page
    found = {}

    def look(name):
        expect(page.locator("[aria-busy=true]")).to_have_count(0)
        page.evaluate(f"document.documentElement.dir = '{direction}'")
        assert page.evaluate(OVERFLOW) <= 0, f"{name} is wider than {width} px"
        if violated := violations(page, pytestconfig):
            found[name] = violated

    expect(row_of(page, number)).to_be_visible()
    look("device")
    page.get_by_role("button", name="Ask for a command").click()
    page.get_by_role("dialog").get_by_role("button", name="Ask", exact=True).click()
    expect(page.get_by_role("alert")).to_be_visible()
    look("asking")
    for name in ("devices/PORTAL-1", "gateway", "quarantine"):
        page.goto(f"{house.address}/{name}")
        look(name)
    assert found == {}
