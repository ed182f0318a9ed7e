"""The table of rights: for every route the action that it is, on what, and whether its answer holds personal data.

What stands here decides: a request that no row is for is refused where people sign in, and a test fails for a route
without a row and for a row without a route. Personal is what tells of people outside the office: holders, drivers,
plates, phones, the ways of vehicles, photos and papers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Rows = Literal["", "own", "list", "movement", "document", "alert", "code", "binding"]
BASE: Final = "/api/v1"


@dataclass(frozen=True, slots=True)
class Right:
    """What one route is to the policies.

    ``action`` stands in ``actions.ACTIONS``; ``resource`` is a kind of thing. ``public`` is the reason why everybody
    may, and empty for all others. ``rows`` says how the route is kept to what somebody may see who sees only a part
    (a trader, a partner authority, a response unit): a ``list`` leaves the rest out itself, of a ``movement``, ``document``, ``alert``,
    ``code`` or ``binding`` the one in the path is looked up first; ``own`` is their own account; empty: such people have no business there.
    """

    method: str
    path: str
    action: str
    resource: str
    personal: bool = False
    rows: Rows = ""
    public: str = ""


def _v1(
    method: str,
    path: str,
    action: str,
    resource: str,
    *,
    personal: bool = False,
    rows: Rows = "",
    public: str = "",
) -> Right:
    return Right(method, BASE + path, action, resource, personal, rows, public)


RIGHTS: Final[tuple[Right, ...]] = (
    _v1("POST", "/observations", "observation:send", "observation"),
    _v1("GET", "/quarantine", "quarantine:read", "quarantine", personal=True),
    _v1("GET", "/quarantine/{number}", "quarantine:read", "quarantine", personal=True),
    _v1("POST", "/quarantine/{number}/replay", "quarantine:replay", "quarantine"),
    _v1("POST", "/frames/{protocol}", "observation:send", "observation"),
    _v1("GET", "/frames/{protocol}", "observation:send", "observation"),
    _v1("GET", "/protocols", "reference:read", "device"),
    _v1("GET", "/gateway", "system:read", "system"),
    _v1("PUT", "/zones/{id}", "reference:manage", "zone"),
    _v1("GET", "/zones/{id}", "reference:read", "zone"),
    _v1("DELETE", "/zones/{id}", "reference:manage", "zone"),
    _v1("GET", "/zones", "reference:read", "zone"),
    _v1("POST", "/zones", "reference:manage", "zone"),
    _v1("PUT", "/corridors/{id}", "reference:manage", "corridor"),
    _v1("GET", "/corridors/{id}", "reference:read", "corridor"),
    _v1("DELETE", "/corridors/{id}", "reference:manage", "corridor"),
    _v1("GET", "/corridors", "reference:read", "corridor"),
    _v1("POST", "/corridors", "reference:manage", "corridor"),
    _v1("PUT", "/offices/{id}", "reference:manage", "office"),
    _v1("GET", "/offices/{id}", "reference:read", "office"),
    _v1("DELETE", "/offices/{id}", "reference:manage", "office"),
    _v1("GET", "/offices", "reference:read", "office"),
    _v1("POST", "/offices", "reference:manage", "office"),
    _v1("PUT", "/devices/{id}", "device:manage", "device"),
    _v1("GET", "/devices/{id}", "reference:read", "device"),
    _v1("DELETE", "/devices/{id}", "device:manage", "device"),
    _v1("GET", "/devices", "reference:read", "device"),
    _v1("POST", "/devices", "device:manage", "device"),
    _v1("GET", "/devices/{id}/last", "position:read", "device", personal=True),
    _v1("GET", "/changes", "change:read", "change", personal=True),
    _v1("POST", "/devices/{id}/commands", "command:request", "command"),
    _v1("GET", "/commands", "command:read", "command"),
    _v1("GET", "/commands/{number}", "command:read", "command"),
    _v1("POST", "/commands/{number}/approve", "command:approve", "command"),
    _v1("POST", "/commands/{number}/cancel", "command:cancel", "command"),
    _v1("GET", "/movements", "movement:read", "movement", personal=True, rows="list"),
    _v1("POST", "/movements", "movement:declare", "movement", personal=True),
    _v1("PUT", "/movements/{mrn}", "movement:declare", "movement", personal=True),
    _v1("GET", "/movements/{mrn}", "movement:read", "movement", personal=True, rows="movement"),
    _v1("DELETE", "/movements/{mrn}", "movement:delete", "movement"),
    _v1("GET", "/movements/{mrn}/track", "movement:read", "track", personal=True, rows="movement"),
    _v1("POST", "/bindings", "binding:manage", "binding"),
    _v1("GET", "/bindings", "binding:read", "binding", rows="list"),
    _v1("GET", "/bindings/{number}", "binding:read", "binding", rows="binding"),
    _v1("PATCH", "/bindings/{number}", "binding:manage", "binding"),
    _v1("POST", "/documents", "document:send", "document", personal=True),
    _v1("GET", "/documents", "document:read", "document", personal=True, rows="list"),
    _v1("GET", "/documents/{id}", "document:read", "document", personal=True, rows="document"),
    _v1("GET", "/documents/{id}/original", "document:read", "document", personal=True, rows="document"),
    _v1("GET", "/documents/{id}/report", "document:read", "document", personal=True, rows="document"),
    _v1("POST", "/movements/{mrn}/events", "movement:act", "movement", personal=True, rows="movement"),
    _v1("GET", "/movements/{mrn}/events", "movement:read", "movement", personal=True, rows="movement"),
    _v1("GET", "/movements/{mrn}/messages/{kind}", "movement:read", "movement", personal=True),
    _v1("GET", "/feed", "feed:read", "movement", personal=True, rows="list"),
    _v1("POST", "/movements/{mrn}/evidence", "evidence:give", "evidence", personal=True, rows="movement"),
    _v1("GET", "/movements/{mrn}/evidence", "evidence:read", "evidence", personal=True, rows="movement"),
    _v1("GET", "/movements/{mrn}/evidence/{id}", "evidence:read", "evidence", personal=True, rows="movement"),
    _v1("GET", "/enquiries", "movement:read", "movement", personal=True),
    _v1("GET", "/kpis", "system:read", "system"),
    _v1("GET", "/movements/{mrn}/clean-trip", "report:read", "clean-trip", personal=True, rows="movement"),
    _v1(
        "GET", "/movements/{mrn}/clean-trip.pdf", "report:read", "clean-trip", personal=True, rows="movement"
    ),
    _v1("GET", "/movements/{mrn}/evidence-pack.zip", "evidence:export", "evidence", personal=True),
    _v1("GET", "/seals", "seal:read", "seal"),
    _v1("GET", "/seal-stock", "seal:read", "seal"),
    _v1("PUT", "/seals/{id}", "seal:manage", "seal"),
    _v1("GET", "/seals/{id}", "seal:read", "seal"),
    _v1("POST", "/seals/{id}/events", "seal:act", "seal"),
    _v1("GET", "/guarantees", "guarantee:read", "guarantee", personal=True),
    _v1("PUT", "/guarantees/{grn}", "guarantee:manage", "guarantee", personal=True),
    _v1("GET", "/guarantees/{grn}", "guarantee:read", "guarantee", personal=True),
    _v1("POST", "/guarantees/{grn}/events", "guarantee:act", "guarantee", personal=True),
    _v1("POST", "/codes", "code:issue", "code"),
    _v1("GET", "/codes", "code:read", "code", rows="list"),
    _v1("GET", "/codes/{number}", "code:read", "code", rows="code"),
    _v1("POST", "/codes/{number}/void", "code:void", "code"),
    _v1("GET", "/codes/{number}/qr.svg", "code:read", "code", rows="code"),
    _v1("GET", "/codes/{number}/qr.png", "code:read", "code", rows="code"),
    _v1("GET", "/codes/{number}/barcode.svg", "code:read", "code", rows="code"),
    _v1("GET", "/codes/{number}/barcode.png", "code:read", "code", rows="code"),
    _v1("GET", "/codes/{number}/label.pdf", "code:read", "code", rows="code"),
    _v1("GET", "/keys", "", "key", public="public keys: with them anybody checks a code without a network"),
    _v1("POST", "/keys/rotate", "key:manage", "key"),
    _v1("POST", "/keys/{kid}/revoke", "key:manage", "key"),
    _v1("POST", "/scans", "scan:make", "scan", personal=True),
    _v1("GET", "/scans", "scan:read", "scan", personal=True),
    _v1("POST", "/stamps/ranges", "stamp:issue", "stamp"),
    _v1("GET", "/stamps/ranges", "stamp:read", "stamp"),
    _v1("GET", "/stamps/ranges/{number}", "stamp:read", "stamp"),
    _v1("POST", "/stamps/ranges/{number}/events", "stamp:act", "stamp"),
    _v1("GET", "/stamps/ranges/{number}/labels.ndjson", "stamp:print", "stamp"),
    _v1("GET", "/stamps/ranges/{number}/labels.pdf", "stamp:print", "stamp"),
    _v1(
        "POST",
        "/stamps/checks",
        "",
        "stamp",
        public="whoever buys a stamped bottle may ask whether the stamp is genuine",
    ),
    _v1("GET", "/stamps/checks", "stamp:read", "stamp"),
    _v1("PUT", "/gates/{gate}", "reference:manage", "gate"),
    _v1("GET", "/gates", "reference:read", "gate"),
    _v1("GET", "/gates/{gate}", "reference:read", "gate"),
    _v1("POST", "/gates/{gate}/arrivals", "gate:pass", "gate", personal=True),
    _v1("GET", "/gates/{gate}/arrivals", "gate:read", "gate", personal=True),
    _v1("PUT", "/transports/{id}", "transport:declare", "transport", personal=True),
    _v1("GET", "/transports/{id}", "transport:read", "transport", personal=True),
    _v1("POST", "/transports/{id}/positions", "transport:report", "transport", personal=True),
    _v1("POST", "/movements/{mrn}/links", "link:make", "link", rows="movement"),
    _v1("GET", "/movements/{mrn}/links", "link:read", "link", rows="movement"),
    _v1("DELETE", "/movements/{mrn}/links/{token}", "link:revoke", "link", rows="movement"),
    _v1(
        "GET",
        "/trips/{token}",
        "",
        "link",
        public="the token in the address is the right; it shows no number and no name",
    ),
    _v1("PUT", "/units/{id}", "unit:manage", "unit", personal=True),
    _v1("GET", "/units", "unit:read", "unit", personal=True),
    _v1("GET", "/movements/{mrn}/case", "case:read", "case", personal=True),
    _v1("POST", "/movements/{mrn}/case/dispatch", "case:dispatch", "case", personal=True),
    _v1("GET", "/alerts", "alert:read", "alert", personal=True, rows="list"),
    _v1("GET", "/alerts/{alert_id}", "alert:read", "alert", personal=True, rows="alert"),
    _v1("PATCH", "/alerts/{alert_id}", "alert:triage", "alert", personal=True, rows="alert"),
    _v1("GET", "/audit", "audit:read", "audit", personal=True),
    _v1("GET", "/audit/head", "audit:read", "audit"),
    _v1("GET", "/persons/export", "person:export", "person", personal=True),
    _v1("GET", "/retention", "retention:read", "retention"),
    _v1("POST", "/grants", "grant:manage", "grant"),
    _v1("GET", "/grants", "grant:read", "grant"),
    _v1("DELETE", "/grants/{number}", "grant:manage", "grant"),
    _v1("GET", "/stream", "stream:read", "alert", personal=True, rows="list"),
    _v1("GET", "/health", "", "system", public="load balancers and the sign-in page ask whether it is up"),
    _v1("GET", "/stats", "system:read", "system"),
    _v1("GET", "/site", "system:read", "system"),
    _v1("GET", "/metrics", "system:read", "system"),
    _v1("GET", "/rules", "rules:read", "rules"),
    _v1("PUT", "/rules", "rules:manage", "rules"),
    _v1("GET", "/demo", "", "system", public="there is a story in a demo only, where nobody signs in"),
    _v1("PUT", "/demo", "demo:tell", "system"),
    _v1("GET", "/sign-in", "", "access", public="the page for signing in asks which ways there are"),
    _v1("POST", "/sign-in", "", "access", public="whoever signs in is a stranger until then"),
    _v1("POST", "/sign-in/totp", "", "access", public="the second step of signing in"),
    _v1(
        "POST",
        "/sign-out",
        "",
        "access",
        public="it wants a session, and ends it; there is nothing else to it",
    ),
    _v1("POST", "/owner-link", "", "access", public="the link from the console is the right, once"),
    _v1("POST", "/account-link/look", "", "access", public="the link from the owner is the right"),
    _v1("POST", "/account-link", "", "access", public="the link from the owner is the right, once"),
    _v1("GET", "/oidc/start", "", "access", public="whoever signs in is a stranger until then"),
    _v1("GET", "/oidc/callback", "", "access", public="whoever signs in is a stranger until then"),
    _v1("GET", "/me", "", "access", public="tells whoever asks who that is, and strangers 401"),
    _v1("PUT", "/me/password", "account:own", "access", rows="own"),
    _v1("POST", "/me/totp", "account:own", "access", rows="own"),
    _v1("PUT", "/me/totp", "account:own", "access", rows="own"),
    _v1("POST", "/me/totp/off", "account:own", "access", rows="own"),
    _v1("GET", "/sessions", "account:own", "access", rows="own"),
    _v1("DELETE", "/sessions/{session_id}", "account:own", "access", rows="own"),
    _v1("GET", "/tokens", "account:own", "access", rows="own"),
    _v1("POST", "/tokens", "account:own", "access", rows="own"),
    _v1("DELETE", "/tokens/{id}", "account:own", "access", rows="own"),
    _v1("GET", "/accounts", "account:manage", "access", personal=True),
    _v1("POST", "/accounts", "account:manage", "access"),
    _v1("GET", "/accounts/{name}", "account:manage", "access", personal=True),
    _v1("PATCH", "/accounts/{name}", "account:manage", "access"),
    _v1("POST", "/accounts/{name}/reset", "account:manage", "access"),
    Right("GET", "/metrics", "system:read", "system"),
    Right("GET", "/api/openapi.json", "", "page", public="what Cocket can do is public, as its source is"),
    Right("GET", "/api/docs", "", "page", public="the same as a page, for people"),
)
"""Every route, with the control room's pages beside them (``PAGES``)."""

PAGES: Final = Right(
    "GET",
    "/",
    "",
    "page",
    public="the control room as built: a program without data, and the page for signing in",
)
"""Every other address that is not under /api: files of the control room."""


class Lookup:
    """Finds the right of a request by method and path, as the router finds the route: by segments, a fixed one first."""

    def __init__(self, rights: tuple[Right, ...] = RIGHTS) -> None:
        self._root: dict[str, dict[str, object]] = {}
        for right in rights:
            node: dict[str, object] = self._root.setdefault(right.method, {})
            for part in right.path.strip("/").split("/"):
                child = node.setdefault("{" if part.startswith("{") else part, {})
                assert isinstance(child, dict)
                node = child
            node[""] = right

    def find(self, method: str, path: str) -> Right | None:
        """The right; None if no route is there."""
        return _find(self._root.get(method, {}), path.removeprefix("/").split("/"), 0)


def _find(node: Mapping[str, object], parts: list[str], i: int) -> Right | None:
    if i == len(parts):
        found = node.get("")
        return found if isinstance(found, Right) else None
    if not parts[i]:
        return None
    for key in (parts[i], "{"):
        child = node.get(key)
        if isinstance(child, dict):
            found = _find(child, parts, i + 1)
            if found is not None:
                return found
    return None


def named(right: Right, path: str) -> dict[str, str]:
    """What the path of a request gives for the names in its right's path: ``{"mrn": "26NL…"}``."""
    pairs = zip(right.path.split("/"), path.split("/"), strict=True)
    return {name[1:-1]: value for name, value in pairs if name.startswith("{")}
