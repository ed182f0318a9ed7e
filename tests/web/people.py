"""A server at which people sign in, and people with a browser each, for the tests of sign-in."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

import httpx
import pyotp
from tests.web.conftest import Door, serving

from cocket.core.clock import WallClock, rfc3339
from cocket.core.config import Access, Settings

CHEAP = {"argon2_memory_kib": 8, "argon2_passes": 1}
"""Hashing that costs nothing; tests/access/test_passwords.py looks at the real one."""
PASSWORD = "brown kettle under a stairway"
_numbers = count(1)


@dataclass
class Hands:
    """A clock whose hands a test turns."""

    kind: str = "wall"
    speed: float = 1.0
    ahead_s: float = 0.0
    real: WallClock = field(default_factory=WallClock)

    def now_us(self) -> int:
        return self.real.now_us() + int(self.ahead_s * 1e6)


@dataclass
class Office:
    """The door of such a server, and its clock."""

    door: Door
    clock: Hands
    owner: "Browser | None" = None
    opened: list[httpx.Client] = field(default_factory=list)

    def client(self, **more) -> httpx.Client:
        """A program without any cookie."""
        client = httpx.Client(
            base_url=f"{self.door.url}/api/v1", timeout=60, verify=False, **more
        )  # plain HTTP: no certificates to load
        self.opened.append(client)
        return client

    def browser(self, name: str = "", **headers: str) -> "Browser":
        fields = {"origin": self.door.url, "sec-fetch-site": "same-origin", **headers}
        return Browser(self, self.client(headers=fields), name)

    def founded(self) -> "Browser":
        """The owner, by the link of the console."""
        if self.owner is None:
            secret = self.door.access.accounts.owner_link(by="test")
            self.owner = self.browser("boss")
            body = {"token": secret, "name": "boss", "password": PASSWORD}
            answer = self.owner.http.post("/owner-link", json=body)
            assert answer.status_code == 200, answer.text
        elif not self.owner.signed_in():
            assert self.owner.sign_in().status_code == 200
        return self.owner

    def person(self, *roles: str, sign_in: bool = True, **more) -> "Browser":
        """Somebody with an account and a password."""
        name = more.pop("name", f"person-{next(_numbers)}")
        made = self.founded().http.post("/accounts", json={"name": name, "roles": list(roles), **more})
        assert made.status_code == 201, made.text
        browser = self.browser(name)
        secret = made.json()["link"].partition("#")[2]
        answer = browser.http.post("/account-link", json={"token": secret, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        if not sign_in:
            browser.http.cookies.clear()
        return browser

    def later(self, seconds: float) -> str:
        return rfc3339(self.clock.now_us() + int(seconds * 1e6))


@dataclass
class Browser:
    """Somebody's browser."""

    office: Office
    http: httpx.Client
    name: str
    totp: str = ""

    def sign_in(self, password: str = PASSWORD, name: str | None = None) -> httpx.Response:
        return self.http.post("/sign-in", json={"name": name or self.name, "password": password})

    def signed_in(self) -> bool:
        return self.http.get("/me").status_code == 200

    @property
    def secret(self) -> str:
        """What the session cookie holds."""
        return next(c.value for c in self.http.cookies.jar if c.name.endswith("cocket"))

    def code(self) -> str:
        """What the app shows. Turns the clock on first, for each code is good once."""
        self.office.clock.ahead_s += 30
        return pyotp.TOTP(self.totp).at(self.office.clock.now_us() // 1_000_000)

    def with_second_factor(self) -> list[str]:
        begun = self.http.post("/me/totp", json={"password": PASSWORD})
        assert begun.status_code == 200, begun.text
        self.totp = begun.json()["secret"]
        done = self.http.put("/me/totp", json={"code": self.code()})
        assert done.status_code == 200, done.text
        return done.json()["codes"]


@contextmanager
def office(path, **access) -> Iterator[Office]:
    """A server with sign-in on loopback, and a clock to turn."""
    clock = Hands()
    settings = Settings(access=Access(sign_in=True, **{**CHEAP, **access}))
    serve = serving(path, settings, access_clock=clock)
    here = Office(next(serve), clock)
    try:
        yield here
    finally:
        for client in here.opened:
            client.close()
        next(serve, None)
