"""Who asks, as routes see them: by what name it is recorded, at which office, what they may do beside the route's own action,
and which rows they see.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from cocket.core.errors import Forbidden
from cocket.core.principal import UNSIGNED, Principal
from cocket.engine.service import Service
from cocket.store.sight import Sight
from cocket.web.rights.engine import Policies, Wanted

PARTIAL: Final = frozenset({"trader", "partner-authority", "response-unit"})
"""Roles that see a part of the rows; who has no other role sees no more."""
OUTSIDE: Final = frozenset({"trader", "partner-authority"})
"""Roles of people outside the administration: officers' names and what they think of a risk are not for them."""


@dataclass(frozen=True, slots=True)
class Asker:
    """One request's. ``sight`` is None for who sees every row."""

    who: Principal
    policies: Policies
    service: Service
    purpose: str = "duty"
    sight: Sight | None = None

    @property
    def signed(self) -> bool:
        """Whether people sign in here; if not, whatever a request says of itself holds."""
        return self.who is not UNSIGNED

    @property
    def outside(self) -> bool:
        """Whether somebody outside the administration asks."""
        return self.sight is not None and bool(self.who.roles) and self.who.roles <= OUTSIDE

    def by(self, said: str | None, default: str = "api") -> str:
        """The name that stands in records: where people sign in, theirs, whatever was said."""
        return self.who.id if self.signed else (said or default)

    def may(self, action: str, resource: str, *, office: str | None = None) -> None:
        """Raises ``Forbidden`` in words if they may not."""
        wanted = Wanted(action, resource, office=office, purpose=self.purpose)
        decision = self.policies.decide(self.who, wanted, self.service.clock.now_us())
        if not decision.allowed:
            raise Forbidden(decision.words(self.who, wanted))

    def office(self, said: str | None) -> str | None:
        """The office at which something is done: the one that was said, or their own if they have one only."""
        if said is None and self.signed and len(self.who.offices) == 1:
            return next(iter(self.who.offices))
        return said

    def looking(self) -> Sight | None:
        """What they see as of now: for what goes on for longer than a request."""
        return None if self.sight is None else replace(self.sight, now_us=self.service.clock.now_us())

    def seen(self, mrns: Collection[str], part: str) -> set[str]:
        """Of which of these movements they see a part."""
        if self.sight is None:
            return set(mrns)
        return self.service.folder.sights.seen(self.sight.of(part), mrns)


def sight_of(who: Principal, part: str, now_us: int) -> Sight | None:
    """What somebody sees of the rows; None for all of them."""
    if who is UNSIGNED or who.kind == "device" or not who.roles <= PARTIAL:
        return None
    return Sight(
        holder=who.holder if "trader" in who.roles else None,
        unit=who.id if "response-unit" in who.roles else None,
        authority=who.authority if "partner-authority" in who.roles else None,
        part=part,
        now_us=now_us,
    )
