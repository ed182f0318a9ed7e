"""Every route has a right, and every right a route: enumerated from the application itself."""

from collections import Counter

from fastapi.routing import APIRoute, iter_route_contexts

from cocket.core.clock import WallClock
from cocket.core.config import Settings
from cocket.customs.machines.movement import MOVEMENT
from cocket.engine.service import Service
from cocket.gateway.gateway import Gateway
from cocket.web.app import create_app
from cocket.web.control_room import ControlRoom
from cocket.web.rights.actions import ACTIONS, EVENT_ACTIONS, EVENT_OFFICES
from cocket.web.rights.table import RIGHTS, Lookup, named


def _app(path):
    with Service.open(path, WallClock(), Settings()) as service, Gateway(service) as gateway:
        return create_app(service, Settings(), gateway, demo=True)


def _routes(app) -> set[tuple[str, str]]:
    found = set()
    for route in iter_route_contexts(app.routes):
        assert isinstance(getattr(route, "original_route", route), APIRoute), (
            f"{route}: a mounted application or plain route is no route that the table of rights knows"
        )
        found |= {(method, route.path) for method in route.methods}
    return found


def test_every_route_has_a_right_and_every_right_a_route(tmp_path) -> None:
    app = _app(tmp_path / "folder")
    routes = _routes(app)
    rights = {(r.method, r.path) for r in RIGHTS}
    assert not routes - rights, "routes without a row in cocket.web.rights.table.RIGHTS"
    assert not rights - routes, "rows of RIGHTS without a route"
    assert len(RIGHTS) == len(rights)
    assert isinstance(app.router.default, ControlRoom), (
        "what answers every other address is public: it holds no data"
    )
    assert len(routes) > 120


def test_the_lookup_finds_what_the_router_finds() -> None:
    lookup = Lookup()
    for right in RIGHTS:
        path = right.path
        for n, name in enumerate(named(right, right.path)):
            path = path.replace("{" + name + "}", f"X{n}.y~{n}")
        assert lookup.find(right.method, path) is right
        assert list(named(right, path).values()) == [f"X{n}.y~{n}" for n in range(path.count(".y~"))]
        assert lookup.find(right.method, path + "/") is None
        assert lookup.find(right.method, path + "/x/y/z") is None
        assert lookup.find("TRACE", path) is None
    assert lookup.find("GET", "/api/v1/movements/") is None
    assert lookup.find("GET", "/api/v1//movements") is None
    assert lookup.find("POST", "/api/v1/stamps/checks").action == ""
    assert lookup.find("GET", "/api/v1/devices/commands/last").path.endswith("/devices/{id}/last")


def test_every_right_is_whole() -> None:
    for right in RIGHTS:
        assert bool(right.action) != bool(right.public), right
        assert not right.action or right.action in ACTIONS, right
        if right.public:
            assert len(right.public) > 20, f"{right.path}: say why everybody may"
            assert not right.personal, f"{right.path}: what is public holds nothing personal"
        if right.rows in {"movement", "document", "alert", "code", "binding"}:
            assert "{" in right.path, right
    used = Counter(r.action for r in RIGHTS) | Counter(EVENT_ACTIONS.values())
    assert set(ACTIONS) == set(used) - {""}, "an action that nothing needs, or one without words"


def test_every_event_of_a_movement_has_its_action() -> None:
    assert set(EVENT_ACTIONS) == set(MOVEMENT.events)
    assert set(EVENT_OFFICES) < set(EVENT_ACTIONS)
