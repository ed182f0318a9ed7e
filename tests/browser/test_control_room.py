"""What an operator does in a shift, in a real browser against a real server."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta

from playwright.sync_api import expect


def now(house):
    return datetime.fromisoformat(house.get("/health")["now"])


def cut(house, lane, names, i, **more):
    """A rope is cut on the i-th vehicle, now."""
    return house.observe([house.row(names(i)[0], now(house), *lane(0.5, i), rope_cut=True, **more)])


def alert_of(house, until, code, mrn):
    until(lambda: house.alerts(code=code, mrn=mrn), f"{code} on {mrn}")
    return house.alerts(code=code, mrn=mrn)[0]["id"]


def test_the_live_map_shows_vehicles_alerts_and_an_honest_clock(house, open_desk):
    desk = open_desk(house.address)
    page = desk.page
    expect(page.get_by_test_id("line")).to_have_text("Live")
    expect(page.get_by_test_id("in-view")).to_have_text(re.compile(r"^24 vehicles in view"))
    first = house.alerts(code="seal-cut", order="urgent")[0]
    expect(desk.row(first["id"])).to_contain_text("Seal cut")
    expect(desk.row(first["id"])).to_contain_text(first["equipment_id"])
    shot = page.locator(".maplibregl-canvas").screenshot()
    assert len(shot) > 8_000, "the map is one flat colour"
    assert page.title().endswith("Cocket")
    assert desk.troubles == []


def test_nothing_is_fetched_from_elsewhere(house, open_desk):
    desk = open_desk(house.address)
    expect(desk.page.get_by_test_id("in-view")).to_contain_text("24")
    with desk.page.expect_request(re.compile("countries-10m")):
        desk.page.reload()
    foreign = [url for url in desk.asked if not url.startswith((house.address, "blob:", "data:"))]
    assert foreign == []


def test_a_new_alert_appears_by_itself_and_is_announced(house, open_desk, until, lane, names):
    desk = open_desk(house.address)
    expect(desk.page.get_by_test_id("line")).to_have_text("Live")
    expect(desk.rows.first).to_be_visible()
    cut(house, lane, names, 5)
    found = alert_of(house, until, "seal-cut", names(5)[2])
    desk.page.get_by_label("Search alerts").fill(names(5)[1])
    expect(desk.row(found)).to_contain_text("The rope of the seal")
    expect(desk.page.get_by_test_id("announcer")).to_contain_text(names(5)[1])


def test_one_alert_from_raised_to_closed_by_keyboard_and_a_second_desk_sees_it(
    house, open_desk, until, lane, names
):
    cut(house, lane, names, 6)
    found = alert_of(house, until, "seal-cut", names(6)[2])
    first = open_desk(f"{house.address}/alerts", operator=None)
    second = open_desk(f"{house.address}/alerts/{found}", operator="Ben Okoro")
    state = second.page.get_by_test_id("alert-state")
    expect(state).to_have_text("Raised")

    keys = first.page.keyboard
    expect(first.rows.first).to_be_visible()
    keys.press("/")
    keys.type(names(6)[1])
    expect(first.rows.first).to_have_attribute("data-alert", found)  # the worst of what is found
    keys.press("Enter")
    keys.press("j")
    expect(first.row(found)).to_have_attribute("aria-selected", "true")
    keys.press("t")  # a raised alert is not triaged before it is acknowledged
    expect(first.page.get_by_role("dialog")).to_have_count(0)
    keys.press("a")
    expect(first.page.get_by_role("dialog")).to_contain_text("Who is at this desk?")
    keys.type("Ada Diallo")
    keys.press("Enter")
    expect(first.row(found)).to_contain_text("Acknowledged")
    expect(state).to_have_text("Acknowledged")
    expect(second.page.get_by_text("Acknowledged by Ada Diallo").first).to_be_visible()

    keys.press("t")
    expect(first.page.get_by_role("dialog")).to_contain_text("What is it?")
    keys.press("4")
    expect(state).to_have_text("Triaged")
    keys.press("r")
    keys.press("2")
    expect(state).to_have_text("Unit dispatched")

    keys.press("c")
    expect(first.page.get_by_role("dialog")).to_contain_text("Close this alert")
    keys.press("Enter")
    expect(first.page.get_by_role("alert")).to_contain_text("Write the cause")
    assert house.get(f"/alerts/{found}")["state"] == "unit-dispatched"
    keys.type("rope cut by a thief, seal replaced")
    keys.press("Enter")
    expect(state).to_have_text("Closed")
    expect(first.row(found)).to_have_count(0)
    closed = house.get(f"/alerts/{found}")
    assert (closed["state"], closed["triage"], closed["cause"]) == (
        "closed",
        "genuine",
        "rope cut by a thief, seal replaced",
    )
    assert [step["by"] for step in closed["history"] if step["to"] == "acknowledged"] == ["Ada Diallo"]
    assert first.troubles == second.troubles == []


def test_the_queue_is_filtered_and_ordered(house, open_desk):
    desk = open_desk(f"{house.address}/alerts")
    options = desk.rows
    expect(options.first).to_be_visible()
    desk.page.get_by_role("button", name="Critical").click()
    expect(options.filter(has_text="Seal cut").first).to_be_visible()
    expect(options.filter(has_text="Zone left")).to_have_count(0)
    desk.page.get_by_role("button", name="Filters").click()
    desk.page.get_by_label("Kind").select_option("speeding")
    expect(desk.page.get_by_text("No alert fits this filter.")).to_be_visible()
    desk.page.get_by_role("button", name="Clear").click()
    expect(options.first).to_be_visible()
    desk.page.keyboard.press("Escape")
    desk.page.keyboard.press("?")
    expect(desk.page.get_by_role("dialog")).to_contain_text("Keyboard")


def test_a_lost_line_loses_nothing(house, open_desk, until, lane, names):
    cut(house, lane, names, 7)
    found = alert_of(house, until, "seal-cut", names(7)[2])
    desk = open_desk(f"{house.address}/alerts/{found}")
    expect(desk.page.get_by_test_id("alert-state")).to_have_text("Raised")

    desk.context.set_offline(True)
    expect(desk.page.get_by_test_id("line-lost")).to_be_visible()
    desk.page.keyboard.press("a")
    expect(desk.page.get_by_test_id("alert-state")).to_have_text("Acknowledged")
    expect(desk.row(found)).to_contain_text("Not yet sent")
    assert house.get(f"/alerts/{found}")["state"] == "raised"
    cut(house, lane, names, 8)
    missed = alert_of(house, until, "seal-cut", names(8)[2])

    desk.context.set_offline(False)
    expect(desk.page.get_by_test_id("line-lost")).to_have_count(0)
    until(lambda: house.get(f"/alerts/{found}")["state"] == "acknowledged", "the action to arrive")
    expect(desk.row(found)).not_to_contain_text("Not yet sent")
    desk.page.get_by_label("Search alerts").fill(names(8)[1])
    expect(desk.row(missed)).to_be_visible()


def test_an_action_survives_a_closed_page_and_a_faster_colleague_wins(house, open_desk, until, lane, names):
    for i in (9, 10):
        cut(house, lane, names, i)
    kept = alert_of(house, until, "seal-cut", names(9)[2])
    taken = alert_of(house, until, "seal-cut", names(10)[2])
    desk = open_desk(f"{house.address}/alerts/{kept}")
    expect(desk.page.get_by_test_id("alert-state")).to_have_text("Raised")
    desk.context.set_offline(True)
    expect(desk.page.get_by_test_id("line-lost")).to_be_visible()
    desk.page.keyboard.press("a")
    desk.page.get_by_label("Search alerts").fill(names(10)[1])
    desk.page.keyboard.press("Enter")
    desk.page.keyboard.press("j")
    expect(desk.row(taken)).to_have_attribute("aria-selected", "true")
    desk.page.keyboard.press("a")
    expect(desk.row(taken)).to_contain_text("Not yet sent")
    house.patch(f"/alerts/{taken}", {"state": "acknowledged", "by": "Ben Okoro"})
    house.patch(f"/alerts/{taken}", {"state": "closed", "by": "Ben Okoro", "cause": "seen to"})

    desk.page.close()
    desk.context.set_offline(False)
    again = desk.context.new_page()
    again.goto(f"{house.address}/alerts")
    until(lambda: house.get(f"/alerts/{kept}")["state"] == "acknowledged", "the kept action to arrive")
    expect(again.get_by_role("alert").filter(has_text="Taken back: Acknowledged")).to_be_visible()
    assert house.get(f"/alerts/{taken}")["cause"] == "seen to"


def test_a_movement_is_replayed(house, open_desk, names):
    desk = open_desk(f"{house.address}/movements/{names(0)[2]}")
    page = desk.page
    expect(page.get_by_role("heading", name=names(0)[2])).to_be_visible()
    expect(page.get_by_text("Accumulators")).to_be_visible()
    expect(page.locator(".plot canvas")).to_have_count(4)
    slider = page.get_by_label("Moment of the replay")
    end = float(slider.get_attribute("max"))
    start = float(slider.get_attribute("min"))
    assert end - start > 20 * 60_000
    slider.focus()
    page.keyboard.press("Home")
    assert float(slider.input_value()) == start
    page.keyboard.press("ArrowRight")
    stepped = float(slider.input_value())
    assert start < stepped <= start + 61_000, "one step is one observation"
    page.keyboard.press("ArrowLeft")
    assert float(slider.input_value()) == start
    plot = page.locator("figure", has_text="Speed").locator(".plot")
    at_the_start = plot.screenshot()
    before = page.get_by_test_id("moment").inner_text()
    page.get_by_test_id("play").click()
    expect(page.get_by_test_id("play")).to_have_text(re.compile("Pause"))
    page.wait_for_function(
        "([s, at]) => Number(document.querySelector('input[type=range]').value) > at", arg=[0, stepped]
    )
    page.get_by_test_id("play").click()
    assert page.get_by_test_id("moment").inner_text() != before
    assert plot.screenshot() != at_the_start, "the upright line of the plots follows the slider"
    page.locator("body").press("End")
    slider.focus()
    page.keyboard.press("End")
    expect(page.locator("figure", has_text="Seal").locator("b")).to_contain_text("rope cut")
    assert desk.troubles == []


def test_movements_are_found_and_lead_to_their_page_and_device(house, open_desk, names):
    desk = open_desk(f"{house.address}/movements")
    page = desk.page
    expect(page.locator("tbody tr")).to_have_count(24)
    page.get_by_label("Search movements").fill(names(12)[1])
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("link", name=names(12)[2]).click()
    expect(page).to_have_url(re.compile(f"/movements/{names(12)[2]}$"))
    page.get_by_role("link", name=names(12)[0]).click()
    expect(page.get_by_role("heading", name=names(12)[0])).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("Speed")).first).to_contain_text(
        "34 km/h".replace(" ", "\u202f")
    )
    page.go_back()
    expect(page.get_by_role("heading", name=names(12)[2])).to_be_visible()


def test_a_bad_row_is_mended_in_quarantine(house, open_desk, names):
    bad = house.row(names(15)[0], house.origin - timedelta(minutes=2), 22.53, 114.0) | {"battery_pct": 640.0}
    assert house.observe([bad])["rejected"] == 1
    desk = open_desk(f"{house.address}/quarantine")
    page = desk.page
    page.get_by_role("link", name=re.compile("battery_pct")).first.click()
    expect(page.locator("pre")).to_contain_text("640")
    box = page.get_by_label("Mended row (JSON)")
    expect(box).to_have_value(re.compile("640"))
    box.fill("{ not json")
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_role("status")).to_contain_text("not a JSON object")
    box.fill(json.dumps(bad | {"battery_pct": 64.0}))
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_role("status")).to_contain_text("Taken")


def test_dark_and_light(house, open_desk):
    dark = open_desk(house.address, color_scheme="dark").page
    ground = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0)"
    assert dark.evaluate(ground) < 120
    dark.get_by_role("button", name="Light colours").click()
    assert dark.evaluate(ground) > 600
    dark.reload()
    assert dark.evaluate(ground) > 600
    light = open_desk(house.address, color_scheme="light").page
    expect(light.get_by_role("button", name="Dark colours")).to_be_visible()
    assert light.evaluate(ground) > 600


def test_french(house, open_desk):
    desk = open_desk(house.address, locale="fr-FR")
    page = desk.page
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    expect(page.get_by_role("link", name="Mouvements")).to_be_visible()
    expect(page.get_by_text(re.compile("Le câble du scellé de MSKU")).first).to_be_visible()
    page.get_by_label("Langue").select_option("en")
    expect(page.get_by_text(re.compile("The rope of the seal on MSKU")).first).to_be_visible()
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_what_is_wrong_with_cocket_itself_stands_in_the_head(house, open_desk):
    alarms: list[dict[str, str]] = []
    seen = (
        "document.dispatchEvent(new Event('visibilitychange'))"  # it asks at once, not only every ten seconds
    )

    def health(route):
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "alarms": alarms})

    desk = open_desk(house.address, locale="fr-FR")
    page = desk.page
    page.route("**/api/v1/health", health)
    page.reload()
    expect(page.get_by_role("link", name="Mouvements")).to_be_visible()
    expect(page.get_by_test_id("alarms")).to_have_count(0)
    alarms.append(
        {
            "code": "disk-low",
            "since": house.origin.isoformat(),
            "detail": "12 MiB <b>of</b> 9,000 MiB are free",
            "do": "Make room.",
        }
    )
    mark = page.get_by_test_id("alarms")
    page.evaluate(seen)
    expect(mark).to_have_text("Le disque est presque plein")
    mark.press("Enter")
    dialog = page.get_by_role("dialog", name="Ce qui ne va pas dans Cocket même")
    expect(dialog).to_contain_text("12 MiB <b>of</b> 9,000 MiB are free")
    expect(dialog).to_contain_text("Libérez de la place")
    alarms.clear()
    page.evaluate(seen)
    expect(dialog).to_contain_text("Tout est rentré dans l’ordre.")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(mark).to_have_count(0)
