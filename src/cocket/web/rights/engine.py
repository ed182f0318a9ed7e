"""Decides: may somebody do something? By the policies, denying by default, each decision made once and remembered."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import cedarpy

from cocket.core.errors import BadSetting
from cocket.core.principal import ROLES, UNSIGNED, Principal
from cocket.web.rights.actions import ACTIONS
from cocket.web.rights.schema import PURPOSES, schema, statements

OWN_FILE: Final = Path(__file__).with_name("policies.cedar")
_MOST: Final = 8192
"""Decisions that are remembered before all are forgotten at once."""
_HOUR_US: Final = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants: an action on a kind of thing, perhaps at an office, for a purpose."""

    action: str
    resource: str
    personal: bool = False
    office: str | None = None
    purpose: str = "duty"


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether it is allowed; if not, ``forbidden`` names the policies that forbid it, and ``roles`` who would be permitted."""

    allowed: bool
    forbidden: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()

    def words(self, who: Principal, wanted: Wanted) -> str:
        """Why not, for the person who asked."""
        what = f"{wanted.action} ({ACTIONS.get(wanted.action, 'an action')})"
        if "office-of-ones-own" in self.forbidden:
            return f"{what} at office {wanted.office} is not for {who.id}, who acts for {', '.join(sorted(who.offices))}"
        if "scope-of-the-token" in self.forbidden:
            return f"{what} is not among what {who.id} was made for: {', '.join(sorted(who.scopes))}"
        if "known-purpose" in self.forbidden:
            return (
                f"{wanted.purpose[:64]!r} is no purpose that is known here; there are {', '.join(PURPOSES)}"
            )
        if self.forbidden:
            return f"{what} for the purpose {wanted.purpose} is refused by the policy {', '.join(self.forbidden)}"
        has = ", ".join(sorted(who.roles)) or "no role"
        if not self.roles:
            return f"{what} is given to no role; {who.id} has {has}"
        return f"{what} needs one of the roles {', '.join(self.roles)}; {who.id} has {has}"


class Policies:
    """The policies of Cocket, and a site's own; parsed and checked once.

    ``allowed`` may be called from any thread. Raises ``BadSetting`` naming the file, the line and what is wrong with it.
    """

    def __init__(self, site: Path | None = None) -> None:
        texts = [checked(OWN_FILE)]
        if site is not None:
            texts.append(checked(site))
        self._policies = cedarpy.PolicySet.from_str("\n".join(texts))
        self._known: dict[tuple[Any, ...], Decision] = {}
        self._roles: dict[tuple[Wanted, int], tuple[str, ...]] = {}

    def decide(self, who: Principal, wanted: Wanted, now_us: int) -> Decision:
        """The decision at a moment of our clock; hours and weekdays are those of UTC."""
        if who is UNSIGNED:
            return _YES
        hour = now_us // _HOUR_US
        key = (
            who.roles,
            wanted.action,
            wanted.resource,
            wanted.personal,
            wanted.office,
            wanted.purpose,
            hour,
            who.kind,
            who.offices,
            who.scopes,
            who.holder is None,
            who.authority,
            who.proved,
            who.second_factor,
        )
        found = self._known.get(key)
        if found is None:
            found = self._decide(who, wanted, hour)
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[key] = found
        return found

    def _decide(self, who: Principal, wanted: Wanted, hour: int) -> Decision:
        answer = self._ask(who, wanted, hour)
        if answer.allowed:
            return _YES
        forbidden = tuple(
            dict.fromkeys(
                answer.diagnostics.id_annotations_by_reason.get(r, r) for r in answer.diagnostics.reasons
            )
        )
        if forbidden:
            return Decision(False, forbidden)
        return Decision(False, (), self._permitted(wanted, hour))

    def _permitted(self, wanted: Wanted, hour: int) -> tuple[str, ...]:
        """The roles that would be permitted, each by itself: what a refusal tells."""
        key = (wanted, hour)
        found = self._roles.get(key)
        if found is None:
            probes = (Principal(r, "person", frozenset({r}), holder="-", authority="-") for r in ROLES)
            found = tuple(who.id for who in probes if self._ask(who, wanted, hour).allowed)
            if len(self._roles) >= _MOST:
                self._roles.clear()
            self._roles[key] = found
        return found

    def _ask(self, who: Principal, wanted: Wanted, hour: int) -> cedarpy.AuthzResult:
        attributes: dict[str, Any] = {
            "kind": who.kind,
            "offices": sorted(who.offices),
            "scopes": sorted(who.scopes),
            "proved": who.proved,
            "secondFactor": who.second_factor,
        }
        attributes |= {
            k: v for k, v in (("holder", who.holder), ("authority", who.authority)) if v is not None
        }
        asker = {"type": "Asker", "id": "asker"}
        thing = {"type": "Thing", "id": wanted.resource}
        entities = [
            {
                "uid": asker,
                "attrs": attributes,
                "parents": [{"type": "Role", "id": r} for r in who.roles if r in ROLES],
            },
            {"uid": thing, "attrs": {"personal": wanted.personal}, "parents": []},
        ]
        context: dict[str, Any] = {
            "action": wanted.action,
            "purpose": wanted.purpose,
            "hour": hour % 24,
            "weekday": (hour // 24 + 3) % 7 + 1,  # 1 January 1970 was a Thursday
        }
        if wanted.office is not None:
            context["office"] = wanted.office
        request = {
            "principal": asker,
            "action": {"type": "Action", "id": wanted.action},
            "resource": thing,
            "context": context,
        }
        answer = cedarpy.is_authorized(request, self._policies, json.dumps(entities), _schema())
        if answer.diagnostics.errors:
            raise RuntimeError(f"policies cannot be evaluated: {'; '.join(answer.diagnostics.errors)}")
        return answer


_YES: Final = Decision(True)


@cache
def _schema() -> cedarpy.Schema:
    return cedarpy.Schema.from_str(schema())


def checked(file: Path) -> str:
    """A file of policies as text; ``BadSetting`` names what is wrong in it, with the line on which its policy begins."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"policies {file}: cannot be read: {error}") from error
    begins = statements(text)
    for line, statement in begins:
        try:
            one = cedarpy.PolicySet.from_str(statement)
        except ValueError as error:
            raise BadSetting(
                f"policies {file}, line {line}: this policy is not understood: {error}"
            ) from error
        if "?principal" in statement or "?resource" in statement or len(one) != 1:
            raise BadSetting(
                f"policies {file}, line {line}: a template is no policy; write out whom it is for"
            )
    result = cedarpy.validate_policies(text, _schema())
    for fault in result.errors:
        number = fault.policy_id.removeprefix("policy")
        line = begins[int(number)][0] if number.isdigit() and int(number) < len(begins) else 1
        what = fault.error.partition(f"`{fault.policy_id}`, ")[2] or fault.error
        raise BadSetting(f"policies {file}, line {line}: {what}")
    return text
