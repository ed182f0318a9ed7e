"""Who asks: the one word for a person, a token, a device or an authority behind a request.

Sign-in makes it, the policies judge it, the audit names it. Nothing else of a request says who somebody is.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["person", "token", "device", "authority", "nobody"]
ROLES: Final = (
    "operator",
    "supervisor",
    "sealing-officer",
    "gate-officer",
    "analyst",
    "risk-manager",
    "response-unit",
    "integrator",
    "trader",
    "partner-authority",
    "auditor",
    "data-protection-officer",
    "owner",
)
"""Roles of the field, and the owner, who installs Cocket and gives the others their rights."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who asks.

    ``id`` is what stands in records as ``by`` (``amina``, ``token:scanner-7``). ``offices``: the customs offices that
    somebody works at, empty for all. ``holder``: the identification (EORI, TIN) of the trader whom somebody acts for.
    ``authority``: the partner authority that somebody belongs to. ``scopes`` of a token: the actions that it is
    limited to, empty for all that its roles may do. ``proved``: how (``session``, ``token``, ``certificate``, ``none``).
    """

    id: str
    kind: Kind
    roles: frozenset[str] = frozenset()
    offices: frozenset[str] = frozenset()
    holder: str | None = None
    authority: str | None = None
    scopes: frozenset[str] = frozenset()
    proved: Literal["session", "token", "certificate", "none"] = "none"
    second_factor: bool = False


UNSIGNED: Final = Principal("api", "nobody", frozenset({"owner"}))
"""Everybody, where nobody signs in: on loopback, as in the demo. ``by`` of a request is then what it says."""

STRANGER: Final = Principal("stranger", "nobody")
"""Somebody who has not signed in, where people do."""


def same_person(one: str, other: str) -> bool:
    """Whether two names in records are one person's, however they are spelt: case, spaces and forms of letters apart."""
    return _plain(one) == _plain(other)


def _plain(name: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(c for c in folded if unicodedata.category(c)[0] not in "ZC")
