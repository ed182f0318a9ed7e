"""A real server with a small world in it, and real browsers that look at it.

The server is `cocket serve` in a process of its own on a port of the system's choice; everything in it
arrives through HTTP. The browser is Chromium: the one that CHROMIUM names, or the first on the path. A
missing browser, or a control room that is not built, is a failure: nothing here is skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "src" / "cocket" / "web" / "static"
#: How long a page may take to show what it must; a busy machine draws slowly. Speed is not judged by it.
PATIENCE_MS = 30_000
#: Headless Chromium draws with the processor here: WebGL2 has to be allowed to.
FLAGS = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(
    scope="module"
)  # Playwright keeps an event loop running, which tests of other rooms must not meet
def browser() -> Iterator[Browser]:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not path:
        pytest.fail("no Chromium: install it, or name it in CHROMIUM; these tests are never skipped")
    if not (STATIC / "index.html").is_file():
        pytest.fail(f"the control room is not built ({STATIC}): run `make ui`")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield made
        made.close()


def stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass
class House:
    """The running server, and words for filling it."""

    address: str
    api: httpx.Client
    origin: datetime
    sequence: dict[str, int] = field(default_factory=dict)

    def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._good(self.api.put(path, json=body))

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        return self._good(self.api.get(path, params=query))

    def patch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._good(self.api.patch(path, json=body))

    @staticmethod
    def _good(answer: httpx.Response) -> dict[str, Any]:
        assert answer.is_success, f"{answer.request.method} {answer.request.url}: {answer.text}"
        return answer.json() if answer.content else {}

    def row(self, device: str, at: datetime, lat: float, lon: float, **more: Any) -> dict[str, Any]:
        self.sequence[device] = self.sequence.get(device, 0) + 1
        return {
            "device_id": device,
            "sequence": self.sequence[device],
            "observed_at": at.isoformat().replace("+00:00", "Z"),
            "lat_deg": lat,
            "lon_deg": lon,
            "speed_mps": 9.5,
            "course_deg": 45.0,
            "fix_valid": True,
            "locked": True,
            "rope_inserted": True,
            "rope_cut": False,
            "battery_pct": 88.0,
            "temp_c": 4.5,
        } | more

    def observe(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        return self._good(self.api.post("/observations", json=rows))

    def alerts(self, **query: Any) -> list[dict[str, Any]]:
        return list(self.get("/alerts", limit=200, **query)["items"])


VEHICLES = 24
START = (113.95, 22.51)
END = (114.07, 22.60)


def place(share: float, lane: int) -> tuple[float, float]:
    lon = START[0] + (END[0] - START[0]) * share
    lat = START[1] + (END[1] - START[1]) * share
    return lat + (lane % 5 - 2) * 0.0003, lon


def device(i: int) -> str:
    return f"ESL-{4000 + i}"


def equipment(i: int) -> str:
    return f"MSKU{1_000_000 + i * 7}"


def mrn(i: int) -> str:
    return f"26CN{i:013d}X"


def furnish(house: House) -> None:
    """Two offices, a corridor, zones, 24 movements under seal, and their last half hour."""
    for office, name, lat, lon in (
        ("SZB", "Shenzhen Bay Control Point", START[1], START[0]),
        ("HUA", "Huanggang Inland Depot", END[1], END[0]),
    ):
        house.put(
            f"/offices/{office}",
            {"id": office, "name": name, "country": "CN", "lat_deg": lat, "lon_deg": lon},
        )
    line = {"type": "LineString", "coordinates": [list(START), [114.01, 22.55], list(END)]}
    house.put(
        "/corridors/bay-north",
        {"type": "Feature", "geometry": line, "properties": {"half_width_m": 900, "name": "Bay – North"}},
    )
    for zone, kind, lon, lat in (
        ("z-bay", "departure", *START),
        ("z-hua", "destination", *END),
        ("z-depot", "restricted", 114.05, 22.53),
    ):
        ring = [
            [lon - 0.01, lat - 0.008],
            [lon + 0.01, lat - 0.008],
            [lon + 0.01, lat + 0.008],
            [lon - 0.01, lat + 0.008],
            [lon - 0.01, lat - 0.008],
        ]
        house.put(
            f"/zones/{zone}",
            {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": [ring]},
                "properties": {"kind": kind, "name": zone},
            },
        )
    start = house.origin - timedelta(minutes=30)
    rows = []
    for i in range(VEHICLES):
        house.put(
            f"/devices/{device(i)}",
            {"id": device(i), "class": "e-seal", "maker": "Maker", "model": "M1", "report_interval_s": 300},
        )
        house.put(
            f"/movements/{mrn(i)}",
            {
                "mrn": mrn(i),
                "corridor": "bay-north",
                "departure_office": "SZB",
                "destination_office": "HUA",
                "departed_at": start.isoformat(),
                "limit_at": (start + timedelta(hours=9)).isoformat(),
                "risk": "medium",
                "consignments": [
                    {
                        "ucr": f"26CN9144{i:04d}",
                        "hs": "850760",
                        "description": "Accumulators",
                        "gross_mass_kg": 12_400.0,
                    }
                ],
            },
        )
        answer = house.api.post(
            "/bindings",
            json={
                "device_id": device(i),
                "equipment_id": equipment(i),
                "mrn": mrn(i),
                "from": start.isoformat(),
                "to": None,
                "by": "desk",
            },
        )
        assert answer.status_code == 201, answer.text
        for minute in range(1, 30):
            share = (0.3 + 0.6 * i / VEHICLES) * minute / 30
            rows.append(
                house.row(
                    device(i), start + timedelta(minutes=minute), *place(share, i), battery_pct=95.0 - minute
                )
            )
    assert house.observe(rows)["accepted"] == len(rows)
    cut = [
        house.row(device(i), house.origin - timedelta(seconds=20 - i), *place(0.4, i), rope_cut=True)
        for i in range(4)
    ]
    house.observe(cut)


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    log = (folder / "serve.log").open("w")
    command = [
        sys.executable,
        "-m",
        "cocket",
        "serve",
        "--data",
        str(folder / "data"),
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--listen",
        "tcp:127.0.0.1:0=jt701",
    ]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    if not address.startswith("http://"):
        stop(process)
        pytest.fail(f"cocket serve said {address!r}\n{(folder / 'serve.log').read_text()[-2000:]}")
    try:
        with httpx.Client(base_url=f"{address}/api/v1", timeout=60) as api:
            health = api.get("/health").raise_for_status().json()
            origin = datetime.fromisoformat(health["now"]).astimezone(UTC)
            made = House(address, api, origin.replace(microsecond=0))
            furnish(made)
            until(lambda: len(made.alerts(code="seal-cut")) == 4, "four cut seals to be found")
            yield made
    finally:
        stop(process)
        log.close()


def until(true: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Ask again until it holds. How long it takes is not judged here; that it never comes is."""
    from time import monotonic, sleep

    last = monotonic() + seconds
    while not true():
        assert monotonic() < last, f"waited for {what}"
        sleep(0.1)


@pytest.fixture(name="until", scope="session")
def until_fixture() -> Callable[..., None]:
    return until


@dataclass
class Desk:
    """One operator's browser: a page, and what went wrong on it."""

    page: Page
    context: BrowserContext
    troubles: list[str]
    asked: list[str]

    @property
    def rows(self) -> Any:
        """The alerts in the queue that are drawn."""
        return self.page.locator("[data-alert]")

    def row(self, alert: str) -> Any:
        return self.page.locator(f'[data-alert="{alert}"]')


@pytest.fixture
def open_desk(browser: Browser) -> Iterator[Callable[..., Desk]]:
    """Opens a browser of its own at an address: `open_desk(url, operator="Ada", locale="fr-FR", …)`."""
    contexts: list[BrowserContext] = []

    def make(url: str, *, operator: str | None = "Ada Diallo", script: str = "", **options: Any) -> Desk:
        options = {
            "viewport": {"width": 1440, "height": 900},
            "locale": "en-GB",
            "color_scheme": "dark",
        } | options
        context = browser.new_context(**options)
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        if operator:
            context.add_init_script(
                f"localStorage.getItem('cocket.operator') ?? localStorage.setItem('cocket.operator', {operator!r})"
            )
        if script:
            context.add_init_script(script)
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        troubles: list[str] = []
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "console",
            lambda said: (
                troubles.append(f"{said.text} {said.location.get('url', '')}")
                if said.type == "error"
                else None
            ),
        )
        page.goto(url)
        return Desk(page, context, troubles, asked)

    yield make
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def names() -> Callable[[int], tuple[str, str, str]]:
    """(device, equipment, mrn) of the i-th vehicle."""
    return lambda i: (device(i), equipment(i), mrn(i))


@pytest.fixture(scope="session")
def lane() -> Callable[[float, int], tuple[float, float]]:
    """(lat, lon) of a place along the corridor."""
    return place
