"""A real server on a free port over a real data folder, in this process, shared by the tests of the doors."""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

import httpx
import pytest

from cocket.access.desk import AccessDesk
from cocket.core.clock import WallClock, rfc3339
from cocket.core.config import Settings, overridden
from cocket.engine.service import Service
from cocket.gateway.gateway import Gateway
from cocket.web.bodies import Intake
from cocket.web.server import listening, server

NDJSON = {"content-type": "application/x-ndjson"}
_numbers = count(1)


@dataclass
class Door:
    """A client of the server, and the service behind it."""

    url: str
    http: httpx.Client
    service: Service
    intake: Intake
    access: AccessDesk | None = None

    def name(self, kind: str) -> str:
        """A name that no other test has."""
        return f"{kind}-{next(_numbers)}"

    def at(self, seconds: float = 0) -> str:
        """A time so many seconds from now."""
        return rfc3339(self.service.clock.now_us() + int(seconds * 1e6))

    def put(self, path: str, document: dict) -> httpx.Response:
        return self.http.put(path, json=document)

    def observe(self, *rows: dict) -> dict:
        answer = self.http.post("/observations", content="\n".join(map(json.dumps, rows)), headers=NDJSON)
        assert answer.status_code == 200, answer.text
        return answer.json()

    @staticmethod
    def until(condition: Callable[[], bool]) -> None:
        """Wait for what another thread does; fails after a while."""
        for _ in range(1000):
            if condition():
                return
            time.sleep(0.01)
        raise AssertionError("it did not come about")

    def settled(self) -> None:
        assert self.service.wait_detected(60)

    def bound(
        self, *, mrn: str | None = None, device: str | None = None, from_s: float = -3600
    ) -> tuple[str, str]:
        """A movement with one device bound to it."""
        mrn, device = mrn or self.name("MRN"), device or self.name("SEAL")
        assert self.put(f"/movements/{mrn}", {"departed_at": self.at(from_s)}).status_code in {200, 201}
        body = {
            "device_id": device,
            "equipment_id": "MSKU9070323",
            "mrn": mrn,
            "from": self.at(from_s),
            "to": None,
        }
        assert self.http.post("/bindings", json=body).status_code == 201
        return mrn, device

    def cut(self) -> dict:
        """A fresh seal-cut alert."""
        mrn, device = self.bound()
        self.observe(
            {
                "device_id": device,
                "observed_at": self.at(-1),
                "rope_cut": True,
                "lat_deg": 22.5,
                "lon_deg": 114.1,
            }
        )
        self.settled()
        return self.http.get("/alerts", params={"mrn": mrn, "code": "seal-cut"}).json()["items"][0]

    @staticmethod
    def is_problem(answer: httpx.Response, status: int) -> dict:
        """Checks RFC 9457 and gives the problem."""
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["status"] == status
        assert {"type", "title", "detail"} <= set(problem)
        assert problem["detail"]
        return problem


def serving(path, settings: Settings, *, demo: bool = False, access_clock=None) -> Iterator[Door]:
    with Service.open(path, WallClock(), settings) as service, Gateway(service) as gateway:
        sock = listening("127.0.0.1", 0)
        http_server = server(service, settings, sock, gateway, demo=demo, access_clock=access_clock)
        thread = threading.Thread(target=http_server.run, kwargs={"sockets": [sock]})
        thread.start()
        try:
            while not http_server.started:
                assert thread.is_alive()
                time.sleep(0.01)
            scheme = "https" if settings.http.tls_certificate else "http"
            url = f"{scheme}://127.0.0.1:{sock.getsockname()[1]}"
            verify = (
                ssl.create_default_context(cafile=settings.http.tls_certificate)
                if scheme == "https"
                else True
            )
            with httpx.Client(base_url=f"{url}/api/v1", timeout=60, verify=verify) as client:
                yield Door(
                    url,
                    client,
                    service,
                    http_server.config.app.state.intake,
                    http_server.config.app.state.access,
                )
        finally:
            http_server.handle_exit(2, None)
            thread.join(30)
            assert not thread.is_alive()


@pytest.fixture(scope="session")
def door(tmp_path_factory) -> Iterator[Door]:
    yield from serving(tmp_path_factory.mktemp("data") / "folder", Settings())


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Iterator[Door]:
    """A server that takes little at once, and runs as a demo."""
    settings = overridden(Settings(), http={"max_body_bytes": 10_000, "max_rows": 20})
    yield from serving(tmp_path_factory.mktemp("small") / "folder", settings, demo=True)


@pytest.fixture
def fresh(tmp_path) -> Iterator[Door]:
    """A server of its own, for a test that writes whatever comes."""
    yield from serving(tmp_path / "fresh", Settings())
