"""Signing in with a real browser: the first owner, an account by a link, a second factor, out again; and none of it without."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import expect

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "ui/node_modules/axe-core/axe.min.js"
RUN = """() => axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
  .then(({ violations }) => violations.map((v) => `${v.id}: ` + v.nodes.slice(0, 4).map((n) => n.html.slice(0, 180)).join(' | ')))"""
OVERFLOW = """() => document.documentElement.scrollWidth <= document.documentElement.clientWidth ? []
  : [...document.querySelectorAll('*')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 120))"""
PASSWORD = "brown kettle under a stairway"


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    """A server at which people sign in: its address, and the owner's link."""
    folder = tmp_path_factory.mktemp("office")
    settings = folder / "settings.toml"
    settings.write_text("[access]\nsign_in = true\nargon2_memory_kib = 8\nargon2_passes = 1\n")
    command = [
        sys.executable,
        "-m",
        "cocket",
        "serve",
        "--data",
        str(folder / "data"),
        "--port",
        "0",
        "--settings",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, str(settings)],
            env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            address = process.stdout.readline().strip()
            link = process.stdout.readline().strip()
            assert link.startswith("be the owner"), link
            yield address, link.partition(": ")[2]
        finally:
            process.terminate()
            process.wait(30)


def looked_at(page) -> None:
    """axe finds nothing and nothing hangs over, on a phone as on a desk."""
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    for width in (360, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(OVERFLOW) == [], f"{page.url} at {width} px"
        page.evaluate(AXE.read_text())
        assert page.evaluate(RUN) == [], page.url


def test_from_the_first_owner_to_signing_out(office, open_desk) -> None:
    address, link = office
    boss = open_desk(link, operator=None)
    page = boss.page
    expect(page).not_to_have_url(re.compile("#"))  # the secret leaves the address bar
    looked_at(page)
    page.get_by_label("Name").fill("boss")
    page.get_by_label("Password", exact=True).fill("Password1234!")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("guessers try first")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("line")).to_have_class(re.compile("open"))
    expect(page.get_by_role("link", name="Your account: boss")).to_be_visible()

    page.goto(f"{address}/accounts")
    page.get_by_role("button", name="New account").click()
    page.get_by_label("Name", exact=True).fill("amina")
    page.get_by_label("Gate officer").check()
    looked_at(page)
    page.get_by_role("button", name="Save").click()
    invitation = page.get_by_test_id("account-link").inner_text()
    expect(page.get_by_role("cell", name="amina", exact=True)).to_be_visible()
    looked_at(page)

    amina = open_desk(invitation, operator=None, color_scheme="light", locale="fr-FR")
    expect(amina.page.get_by_text("Pour le compte amina")).to_be_visible()
    looked_at(amina.page)
    amina.page.get_by_label("Mot de passe", exact=True).fill(PASSWORD)
    amina.page.keyboard.press("Enter")
    amina.page.get_by_role("link", name="Votre compte: amina").click()
    factor = amina.page.locator("section", has=amina.page.locator("#factor"))
    factor.get_by_label("Mot de passe", exact=True).fill(PASSWORD)
    factor.get_by_role("button").click()
    secret = amina.page.get_by_test_id("totp-key").inner_text()
    looked_at(amina.page)
    used = pyotp.TOTP(secret).now()
    factor.get_by_label("Code de l’application").fill(used)
    factor.get_by_role("button").click()
    recovery = amina.page.get_by_test_id("recovery").locator("li")
    expect(recovery).to_have_count(10)
    spare = recovery.first.inner_text()
    looked_at(amina.page)
    amina.page.get_by_test_id("sign-out").click()
    expect(amina.page).to_have_url(f"{address}/sign-in")
    looked_at(amina.page)
    amina.page.goto(f"{address}/movements")
    amina.page.get_by_label("Nom").fill("amina")
    amina.page.get_by_label("Mot de passe", exact=True).fill(PASSWORD)
    amina.page.keyboard.press("Enter")
    amina.page.get_by_label("Code de votre application").fill(spare)
    looked_at(amina.page)
    amina.page.keyboard.press("Enter")
    expect(amina.page.get_by_role("link", name="Votre compte: amina")).to_be_visible()
    expect(amina.page).to_have_url(f"{address}/movements")
    expect(amina.page.get_by_role("link", name="Comptes")).to_have_count(0)

    page.goto(f"{address}/account")
    tokens = page.locator("section", has=page.locator("#tokens"))
    tokens.get_by_label("Name of the program").fill("scanner-7")
    tokens.get_by_role("button", name="Make a token").click()
    expect(page.get_by_test_id("new-token")).to_contain_text("ckt_")
    tokens.get_by_role("button", name="Revoke the token scanner-7").click()
    expect(tokens.get_by_text("good no more")).to_be_visible()
    looked_at(page)
    page.get_by_role("button", name="Sign out everywhere").click()
    expect(page).to_have_url(f"{address}/sign-in")
    page.goto(address)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_nothing_of_it_shows_where_nobody_signs_in(house, open_desk) -> None:
    desk = open_desk(house.address)
    expect(desk.page.get_by_test_id("line")).to_have_class(re.compile("open"))
    expect(desk.page.get_by_test_id("sign-out")).to_have_count(0)
    desk.page.goto(f"{house.address}/sign-in")
    expect(desk.page.get_by_text("Nobody signs in here")).to_be_visible()
    desk.page.goto(f"{house.address}/accounts")
    expect(desk.page.get_by_role("heading", name="No such page")).to_be_visible()
    assert desk.troubles == []
