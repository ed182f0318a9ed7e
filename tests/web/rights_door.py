"""A server at whose door a test says who asks: a header of the test's own sets ``state.principal`` as sign-in does."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from tests.web.conftest import Door, serving

from cocket.core.config import Settings
from cocket.core.principal import STRANGER, Principal
from cocket.web.rights.door import Guard

HEADER = "x-test-principal"


def person(name: str, *roles: str, **more) -> Principal:
    return Principal(name, "person", frozenset(roles), proved="session", **more)


@contextmanager
def saying_who(path, settings: Settings | None = None, *, demo: bool = False) -> Iterator[Door]:
    with pytest.MonkeyPatch.context() as patch:
        whole = Guard.__call__

        async def called(self, scope, receive, send):
            if scope["type"] == "http":
                given = dict(scope["headers"]).get(HEADER.encode())
                who = STRANGER if given is None else _read(given)
                scope.setdefault("state", {})["principal"] = who
            await whole(self, scope, receive, send)

        patch.setattr(Guard, "__call__", called)
        yield from serving(path, settings or Settings(), demo=demo)


def _read(given: bytes) -> Principal:
    raw = json.loads(given)
    sets = {k: frozenset(raw.pop(k, ())) for k in ("roles", "offices", "scopes")}
    return Principal(**sets, **raw)


def as_(door: Door, who: Principal) -> httpx.Client:
    """A client of theirs."""
    told = {
        name: getattr(who, name) for name in ("id", "kind", "holder", "authority", "proved", "second_factor")
    }
    told |= {name: sorted(getattr(who, name)) for name in ("roles", "offices", "scopes")}
    return httpx.Client(base_url=f"{door.url}/api/v1", timeout=60, headers={HEADER: json.dumps(told)})
