"""A scenario as it is told while it runs: lines of given, when and then, each with its mark.

``then`` compares; the first expectation that fails ends the story with ``Unmet``, which says what was expected and what came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Kind = Literal["given", "when", "then", "measured"]
_MOST: Final = 600
"""Characters of a value that are shown."""


class Unmet(Exception):
    """An expectation failed: which, what was expected, and what came."""

    def __init__(self, text: str, expected: Any, got: Any) -> None:
        super().__init__(text)
        self.text = text
        self.expected = expected
        self.got = got


@dataclass(frozen=True, slots=True)
class Line:
    """One line. ``good`` is False only for the expectation that failed."""

    kind: Kind
    text: str
    good: bool = True
    expected: str | None = None
    got: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        shown = {"kind": self.kind, "text": self.text, "good": self.good}
        return shown if self.good else {**shown, "expected": self.expected, "got": self.got}


@dataclass
class Story:
    """One run of a scenario or of a twin. ``say`` is told each line as it is written; ``look`` is the control room's page that shows it."""

    say: Callable[[Line], None] = lambda _line: None
    lines: list[Line] = field(default_factory=list)
    measures: dict[str, float] = field(default_factory=dict)
    look: str = "/"

    def given(self, text: str, got: Any = True, expected: Any = True) -> None:
        """What is there before; it has to be so as well."""
        if got != expected:
            raise Unmet(text, expected, got)
        self._line(Line("given", text))

    def when(self, text: str) -> None:
        """What happens."""
        self._line(Line("when", text))

    def then(self, text: str, got: Any, expected: Any = True) -> None:
        """What has to be so afterwards."""
        if got != expected:
            raise Unmet(text, expected, got)
        self._line(Line("then", text))

    def holds(self, text: str, whole: Iterable[Any], parts: Iterable[Any]) -> None:
        """All ``parts`` have to be among what came; more may be."""
        got = set(whole)
        if not got >= set(parts):
            raise Unmet(text, f"all of {sorted(set(parts))}", sorted(got))
        self._line(Line("then", text))

    def refused(self, text: str, answer: Any, *rules: str) -> None:
        """A problem or a refused scan has to name these rules among its reasons."""
        reasons = answer.get("reasons") or answer.get("errors") or []
        got = [r.get("rule") for r in reasons]
        if not set(got) >= set(rules):
            raise Unmet(text, f"refused for {', '.join(rules)}", answer)
        detail = next(r["detail"] for r in reasons if r.get("rule") == rules[0])
        self._line(Line("then", f"{text}: {', '.join(rules)} — {detail}"))

    def within(self, text: str, seconds: float, most: float, promised: float) -> None:
        """It may not have taken longer than ``most``, which forgives a busy machine; what it took is kept beside what is promised."""
        self.measures[text] = round(seconds, 4)
        if seconds > most:
            raise Unmet(text, f"at most {most:g} s", f"{seconds:.3f} s")
        verdict = "kept" if seconds <= promised else "NOT kept on this machine"
        self._line(Line("measured", f"{text}: {seconds:.3f} s (promised {promised:g} s: {verdict})"))

    def failed(self, error: Unmet) -> None:
        """Write down the expectation that failed."""
        self._line(Line("then", error.text, False, _shown(error.expected), _shown(error.got)))

    def _line(self, line: Line) -> None:
        self.lines.append(line)
        self.say(line)


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _MOST else f"{text[:_MOST]} … ({len(text)} characters)"
