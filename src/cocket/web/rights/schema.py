"""The Cedar schema that policies are checked against, made from the actions; and where in a file each policy begins."""

from __future__ import annotations

from typing import Final

from cocket.core.principal import ROLES
from cocket.web.rights.actions import ACTIONS, GROUPS

PURPOSES: Final = ("duty", "investigation", "audit", "data-subject", "statistics", "agreement")
"""What people are looked at for; ``duty`` where nothing is said."""

_HEAD: Final = """\
entity Role enum [{roles}];
entity Asker in [Role] {{
  kind: String,
  offices: Set<String>,
  scopes: Set<String>,
  holder?: String,
  authority?: String,
  proved: String,
  secondFactor: Bool,
}};
entity Thing {{ personal: Bool }};
type Context = {{ action: String, purpose: String, hour: Long, weekday: Long, office?: String }};
"""


def schema() -> str:
    """As Cedar writes it (Cedar policy language, "Human-readable schema format")."""
    above: dict[str, list[str]] = {}
    for group, members in GROUPS.items():
        for member in members:
            above.setdefault(member, []).append(group)
    lines = [_HEAD.format(roles=", ".join(f'"{r}"' for r in ROLES))]
    lines += [f'action "{group}"{_within(above.get(group, []))};' for group in GROUPS]
    lines += [
        f'action "{action}"{_within(above.get(action, []))} appliesTo {{'
        " principal: [Asker], resource: [Thing], context: Context };"
        for action in ACTIONS
    ]
    return "\n".join(lines) + "\n"


def _within(groups: list[str]) -> str:
    quoted = ", ".join(f'"{g}"' for g in groups)
    return f" in [{quoted}]" if groups else ""


def statements(text: str) -> list[tuple[int, str]]:
    """Each policy of a file with the line on which it begins; what follows the last semicolon too, if it is more than space."""
    found: list[tuple[int, str]] = []
    line = start = 1
    part: list[str] = []
    i = 0
    while i < len(text):
        c = text[i]
        end = i + 1
        if text.startswith("//", i):
            end = text.find("\n", i)
            i = len(text) if end < 0 else end
            continue
        if c == '"':
            while end < len(text) and text[end] != '"':
                end += 2 if text[end] == "\\" else 1
            end = min(end + 1, len(text))
        if not part and not c.isspace():
            start = line
        if part or not c.isspace():
            part.append(text[i:end])
        line += text.count("\n", i, end)
        if c == ";":
            found.append((start, "".join(part)))
            part = []
        i = end
    if part:
        found.append((start, "".join(part)))
    return found
