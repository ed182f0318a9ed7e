"""docs/rights.md: who may do what, as the policies decide it, and which route is what."""

from __future__ import annotations

from typing import Final

from cocket.core.principal import ROLES, Principal
from cocket.web.rights.actions import ACTIONS, EVENT_ACTIONS, EVENT_OFFICES
from cocket.web.rights.asker import PARTIAL
from cocket.web.rights.engine import Policies, Wanted
from cocket.web.rights.schema import PURPOSES, schema
from cocket.web.rights.table import RIGHTS

_NOON_US: Final = 43_200_000_000
_SHORT: Final = {
    "operator": "OP",
    "supervisor": "SU",
    "sealing-officer": "SE",
    "gate-officer": "GA",
    "analyst": "AN",
    "risk-manager": "RI",
    "response-unit": "RU",
    "integrator": "IN",
    "trader": "TR",
    "partner-authority": "PA",
    "auditor": "AU",
    "data-protection-officer": "DP",
    "owner": "OW",
}

_INTRO: Final = f"""\
# Rights

Written by `make docs` from `src/cocket/web/rights`; do not edit.

Where people sign in (`access.sign_in`), every request is asked who it is of and what it is, and the policies in
[`policies.cedar`](../src/cocket/web/rights/policies.cedar) say whether it may be. What no policy permits is refused. Where nobody signs in
(on loopback, in the demo) nothing is refused, and `by` is what a request says.

- **401** is for who has not signed in, **403** for who may not: it names the action and the roles that may. A thing outside what
  somebody may see is **404**, in the words of one that is not there.
- **Offices.** Who works at offices acts for these only: `office` of an event or scan has to be one of theirs, and is filled in if they
  have one. Release, sealing and departure are recorded by the office of departure that the movement names, unsealing, examination and
  discharge by that of destination; arrival by whichever office it happens at. Who has no office in their account acts for all.
- **Names.** Where people sign in, `by` in records is who signed in, whatever the query or body says.
- **Purpose.** The first word of the header `X-Purpose` ({", ".join(PURPOSES)}); `duty` if there is none. `statistics` shows nothing that tells of people.
- **Two persons.** What `gateway.two_persons` lists is asked for by one person and approved by another; tokens and devices are no persons.
  Names that differ in case, spaces or forms of letters are one person's. With `customs.waiver_persons = 2` a departure
  without an armed seal takes the waivers of two. What opens a lock (`password`) is shown to nobody once it was given.
- **Tokens** do what their scopes name, among what their roles may. An event of a movement needs `movement:act` and its own action.
- **Part of the rows** (○ below). A *trader* sees movements whose `holder_id` (or, without one, `holder`) is theirs, with documents, codes and
  the public part of alerts: no officer's name or remark, no risk, cause or threshold. A *response unit* sees the alerts that the unit of
  its name was sent to, and their movements. A *partner authority* sees what grants say (`POST /api/v1/grants`): of which movements, which
  parts, from when to when. Each list leaves the rest out in its own query, so its pages and cursors are those of a list of their own;
  the live stream is asked of the store for them, and has no figures. Routes that are not kept to rows are closed to them, whatever a site's
  policies say.

## A site's own policies

`access.policies` names a file in the same language ([Cedar](https://docs.cedarpolicy.com)). It may permit more, and whatever it forbids is
forbidden. It is checked at the start against the schema below; what is wrong is named with file and line, and the server does not start.

```cedar
// Nobody discharges at night or on Sundays (UTC), and unlocking takes a second factor.
@id("by-day")
forbid (principal, action == Action::"movement:discharge", resource)
when {{ context.hour < 6 || context.hour >= 22 || context.weekday == 7 }};

@id("second-factor")
forbid (principal, action == Action::"command:approve", resource)
unless {{ principal.secondFactor }};
```

## Roles and actions

As the policies decide, for a person of one role. ● yes · ○ yes, of the rows that they see
"""


def rights_page() -> str:
    """The page."""
    out = [_INTRO, "| action | means | " + " | ".join(_SHORT[r] for r in ROLES) + " |"]
    out.append("|---|---|" + "---|" * len(ROLES))
    policies = Policies()
    for action, words in ACTIONS.items():
        marks = [_mark(policies, role, action) for role in ROLES]
        out.append(f"| `{action}` | {words} | {' | '.join(marks)} |")
    out += [
        "",
        " · ".join(f"{short} {role}" for role, short in _SHORT.items()),
        "",
        "## Events of a movement",
        "",
    ]
    out += ["| event | action | by whom at which office |", "|---|---|---|"]
    places = {
        "departure_office": "the office of departure",
        "destination_office": "the office of destination",
    }
    for event, action in EVENT_ACTIONS.items():
        out.append(
            f"| `{event}` | `{action}` | {places.get(EVENT_OFFICES.get(event, ''), 'any of their own')} |"
        )
    out += ["", "## Routes", "", "People: the answer tells of people; each such read is in the audit.", ""]
    out += ["| route | action | people | rows kept to |", "|---|---|---|---|"]
    for right in RIGHTS:
        action = f"`{right.action}`" if right.action else f"public: {right.public}"
        personal = "yes" if right.personal else ""
        out.append(f"| `{right.method} {right.path}` | {action} | {personal} | {right.rows} |")
    out += [
        "",
        "## Schema",
        "",
        "What policies are checked against.",
        "",
        "```cedarschema",
        schema().rstrip(),
        "```",
        "",
    ]
    return "\n".join(out)


def _mark(policies: Policies, role: str, action: str) -> str:
    who = Principal(role, "person", frozenset({role}), holder="-", authority="-")
    if not policies.decide(who, Wanted(action, "page"), _NOON_US).allowed:
        return ""
    return "○" if role in PARTIAL and action != "account:own" else "●"
