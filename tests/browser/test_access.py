"""Every page, for everyone: axe-core finds nothing, narrow screens lose nothing, right-to-left holds."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

AXE = "ui/node_modules/axe-core/axe.min.js"
PAGES = [
    "live",
    "vehicle",
    "live-alert",
    "alerts",
    "alert",
    "movements",
    "movement",
    "device",
    "quarantine",
    "gateway",
    "about",
]
RUN = """() => axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
  .then(({ violations }) => violations.map((v) => `${v.id}: ${v.help}\\n  ` + v.nodes.slice(0, 4).map((n) => n.html.slice(0, 180) + ' | ' + n.failureSummary.split('\\n').slice(1, 2)).join('\\n  ')))"""
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def address_of(page, house, names):
    device, _, mrn = names(1)
    alert = house.alerts(code="seal-cut", mrn=mrn)[0]["id"]
    return (
        house.address
        + {
            "live": "/",
            "vehicle": f"/?vehicle={device}",
            "live-alert": f"/?alert={alert}",
            "alerts": "/alerts",
            "alert": f"/alerts/{alert}",
            "movements": "/movements",
            "movement": f"/movements/{mrn}",
            "device": f"/devices/{device}",
            "quarantine": "/quarantine",
            "gateway": "/gateway",
            "about": "/about",
        }[page]
    )


def settle(page):
    expect(page.get_by_test_id("line")).to_have_class(re.compile("open"))
    expect(page.locator("[aria-busy=true]")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_axe_finds_nothing(house, open_desk, names, scheme, pytestconfig):
    axe = pytestconfig.rootpath / AXE
    assert axe.is_file(), f"{axe} is missing: run `npm ci` in ui/"
    found = {}
    desk = open_desk(house.address, color_scheme=scheme)
    for name in PAGES:
        desk.page.goto(address_of(name, house, names))
        settle(desk.page)
        desk.page.evaluate(axe.read_text())  # not a script tag: the page's policy forbids those
        if violations := desk.page.evaluate(RUN):
            found[name] = violations
    assert found == {}, "\n".join(f"[{page}] {line}" for page, lines in found.items() for line in lines)


@pytest.mark.parametrize(("width", "direction"), [(360, "ltr"), (360, "rtl"), (1440, "rtl"), (2560, "ltr")])
def test_nothing_sticks_out(house, open_desk, names, width, direction):
    desk = open_desk(house.address, viewport={"width": width, "height": 780})
    for name in PAGES:
        desk.page.goto(address_of(name, house, names))
        settle(desk.page)
        desk.page.evaluate(f"document.documentElement.dir = '{direction}'")
        assert desk.page.evaluate(OVERFLOW) <= 0, f"{name} is wider than {width} px"
    assert desk.troubles == []


def test_a_phone_shows_map_and_queue_and_opens_an_alert(house, open_desk):
    desk = open_desk(house.address, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page = desk.page
    settle(page)
    assert page.locator(".maplibregl-canvas").bounding_box()["height"] > 150
    desk.rows.first.tap()
    expect(page.get_by_role("button", name="Acknowledge")).to_be_in_viewport()


def test_everything_is_reached_by_keyboard(house, open_desk):
    desk = open_desk(house.address)
    settle(desk.page)
    expect(desk.page.get_by_role("button", name="Zoom in")).to_be_visible()
    expect(desk.rows.first).to_be_visible()
    desk.page.keyboard.press("Tab")
    expect(desk.page.locator(":focus")).to_have_text("Skip to content")
    seen = []
    for _ in range(40):
        desk.page.keyboard.press("Tab")
        seen.append(
            desk.page.evaluate(
                "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent.trim()"
            )
        )
    assert {"Customs", "System", "Language", "Search alerts", "Alert queue", "Zoom in"} <= set(seen)


def test_motion_is_reduced_on_request(house, open_desk):
    desk = open_desk(house.address, reduced_motion="reduce")
    settle(desk.page)
    moving = "[...document.querySelectorAll('*')].filter((e) => getComputedStyle(e).animationName !== 'none').length"
    assert desk.page.evaluate(moving) == 0
