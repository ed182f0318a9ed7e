"""Errors for the person who reads them: what was wrong, where, and what to do."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Fault:
    """One broken rule in something that was given: ``path`` (field, index or JSON pointer), ``rule``, words."""

    path: str
    rule: str
    detail: str


@dataclass
class CocketError(Exception):
    """Base of every error that a person can cause and mend. ``detail`` is a whole sentence."""

    detail: str
    faults: list[Fault] = field(default_factory=list)

    def __str__(self) -> str:
        return self.detail


class Refused(CocketError):
    """What was given breaks a rule (HTTP 422)."""


class Malformed(CocketError):
    """What was given cannot be read at all (HTTP 400)."""


class NotFound(CocketError):
    """Nothing of that name is known (HTTP 404)."""


@dataclass
class Conflict(CocketError):
    """It contradicts what is there: an overlap, an impossible transition, a stale version (HTTP 409).

    Of a state machine: the ``state`` it is in, the ``event`` that is refused, and those that are ``allowed`` there.
    """

    state: str = ""
    event: str = ""
    allowed: tuple[str, ...] = ()


class ImpossibleTransition(Conflict):
    """A state machine does not know this event in this state."""


class TooLarge(CocketError):
    """More bytes or rows than a door takes at once (HTTP 413)."""


@dataclass
class Busy(CocketError):
    """Over capacity for now; try again after ``retry_after_s`` (HTTP 429)."""

    retry_after_s: int = 1


class NotSignedIn(CocketError):
    """Nobody has signed in, or what was shown is not good any more (HTTP 401)."""


class Forbidden(CocketError):
    """Whoever asks has no right to it (HTTP 403)."""


class DataDamaged(CocketError):
    """Stored data does not match its checksum or its schema; nothing was guessed."""


class BadSetting(CocketError):
    """A setting, rules file or mapping is wrong; names file, line or key."""


class Unavailable(CocketError):
    """Cocket itself cannot do it now: the disk refuses, or it is shutting down (HTTP 503). Nothing was taken."""


class Unsure(Unavailable):
    """Whether it was kept is not known: the connection was lost while it was committed (HTTP 503). Look, or repeat it."""
