"""Cocket watches itself, without anything beside it: what goes wrong, since when, and what to do.

An alarm begins when its condition has held for ``rise_s`` and ends when the condition has been well past (the limit
for ending is easier than that for beginning) for ``fall_s``: what hovers about a limit is one alarm, not a hundred.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from cocket.core.errors import CocketError

if TYPE_CHECKING:
    from cocket.engine.service import Service

LOOK_S: Final = 1.0
WINDOW_S: Final = 300.0
"""The quarantine's growth is counted over so long."""
_FALL_S: Final = 5.0
_LEAST_DEVICES: Final = 5
_MIB: Final = 1 << 20
_NAMED: Final = 5

Level = Literal["bad", "between", "good"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """How one thing stands: ``bad`` begins an alarm, ``good`` ends it, ``between`` leaves it as it is."""

    code: str
    level: Level
    detail: str
    do: str
    rise_s: float = 0.0
    fall_s: float = _FALL_S


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm that stands. ``since_us`` is of our clock, ``detail`` is how it stands now, ``do`` what helps."""

    code: str
    since_us: int
    detail: str
    do: str


@dataclass(slots=True)
class _State:
    turned_s: float | None = None
    alarm: Alarm | None = None


class Standing:
    """The alarms that stand, by code; ``judge`` takes one look. Seconds are of a monotonic clock."""

    def __init__(self) -> None:
        self._states: dict[str, _State] = {}

    def judge(self, look: Look, now_s: float, now_us: int) -> Alarm | None:
        """Take it in; gives the alarm as it stands after it, None if there is none."""
        state = self._states.setdefault(look.code, _State())
        toward: Level = "good" if state.alarm else "bad"
        if look.level != toward:
            state.turned_s = None
            if state.alarm and look.level == "bad":
                state.alarm = Alarm(look.code, state.alarm.since_us, look.detail, look.do)
            return state.alarm
        if state.turned_s is None:
            state.turned_s = now_s
        if now_s - state.turned_s >= (look.fall_s if state.alarm else look.rise_s):
            state.alarm = None if state.alarm else Alarm(look.code, now_us, look.detail, look.do)
            state.turned_s = None
        return state.alarm


class Alarms:
    """One thread that looks every second; ``current`` may be asked from any."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._settings = service.settings.watching
        self._standing = Standing()
        self._found: dict[int, Alarm | None] = {}
        self._blind: set[int] = set()
        self._current: tuple[Alarm, ...] = ()
        self._rejected = deque([(time.monotonic(), service.folder.log.totals().rejected)])
        self.also: list[Callable[[], Look]] = []
        """What those above the engine look at besides: the gateway's doors."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cocket-alarms", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        self._thread.join()

    @property
    def current(self) -> tuple[Alarm, ...]:
        """The alarms that stand, in the order of what is worst."""
        return self._current

    def _run(self) -> None:
        while not self._stop.wait(LOOK_S):
            self.look(time.monotonic())

    def look(self, now_s: float) -> None:
        """Look at everything once. What cannot be seen at the moment stays as it was seen last."""
        now_us = self._service.clock.now_us()
        before = {a.code for a in self._current}
        for i, seen in enumerate(self._looks(now_s)):
            try:
                self._found[i] = self._standing.judge(seen(), now_s, now_us)
                self._blind.discard(i)
            except (CocketError, OSError):
                if i not in self._blind:
                    log.exception("Cocket could not look at a part of itself; it tries again")
                self._blind.add(i)
        self._current = tuple(a for _, a in sorted(self._found.items()) if a is not None)
        for alarm in self._current:
            if alarm.code not in before:
                log.warning("alarm %s: %s", alarm.code, alarm.detail)
        for code in sorted(before - {a.code for a in self._current}):
            log.warning("alarm %s is over", code)

    def _looks(self, now_s: float) -> Iterator[Callable[[], Look]]:
        if self._service.site is not None:
            yield from self._service.site.watch.looks()
        yield self._detectors
        yield self._writing
        yield self._damage
        yield self._disk
        yield self._lag
        yield self._clock
        yield lambda: self._quarantine(now_s)
        yield self._silent
        yield self._customs_clock
        yield self._backup
        yield from self.also

    def _detectors(self) -> Look:
        failure = self._service.failure
        return Look(
            "detectors-failing",
            "bad" if failure is not None else "good",
            failure or "",
            "Observations are kept and answered, but alerts may be missing. If the disk or the database refuses, mend that: "
            "they go on by themselves. What they fail on is set aside in the quarantine: send it to Cocket's makers.",
            fall_s=0.0,
        )

    def _writing(self) -> Look:
        refused = self._service.figures.refused
        return Look(
            "log-refused",
            "bad" if refused else "good",
            f"the log cannot be written: {refused}",
            "Nothing is lost: senders are answered 503 and devices are not acknowledged, so they send again. Make room on "
            "the data folder's disk, or see why it does not take writes.",
            fall_s=0.0,
        )

    def _damage(self) -> Look:
        damage = self._service.measures.history_damage()
        return Look(
            "history-damaged",
            "bad" if damage else "good",
            f"history files are not as they were written: {damage}",
            "Tracks and late data that need them fail and say so. Run `cocket doctor`, and put the files back from a backup.",
        )

    def _disk(self) -> Look:
        free, total = self._service.measures.disk()
        least = self._settings.disk_free_mib * _MIB
        return Look(
            "disk-low",
            "bad" if free < least else "good" if free > least * 1.1 else "between",
            f"{free // _MIB:,} MiB of {total // _MIB:,} MiB are free on the data folder's disk",
            "Make room, or let history go sooner (history.retention_days). Without room nothing more is taken.",
        )

    def _lag(self) -> Look:
        lag_s = self._service.lag_s
        limit = self._settings.lag_s
        waits = f"; {self._service.lag:,} wait" if lag_s >= limit / 2 else ""
        return Look(
            "detectors-lag",
            "bad" if lag_s > limit else "good" if lag_s < limit / 2 else "between",
            f"the oldest undetected observation has waited {lag_s:.0f} s{waits}",
            "Alerts come late by so much. More comes in than one machine detects, or a device uploads days at once: see "
            "cocket_step_seconds and cocket_reruns_total, and give it more cores or workers.",
        )

    def _clock(self) -> Look:
        ahead_s, devices = self._service.figures.skew()
        limit = self._settings.clock_skew_s * self._service.clock.speed
        behind = ahead_s < 0
        off = abs(ahead_s) / (5 if behind else 1)  # a delay on the way looks like a clock that is behind
        level: Level = "bad" if devices >= _LEAST_DEVICES and off > limit else "good"
        if level == "good" and devices >= _LEAST_DEVICES and off > limit / 2:
            level = "between"
        return Look(
            "clock-skew",
            level,
            f"the clocks of {devices} devices are {abs(ahead_s):.0f} s {'behind' if behind else 'ahead of'} ours in the "
            "median",
            "So many devices are seldom wrong together: see whether this machine's clock is right (timedatectl, chronyc "
            "tracking). "
            + (
                "If it is, what they send is held up on the way."
                if behind
                else "Times further ahead than five minutes move no journey."
            ),
            rise_s=5.0,
        )

    def _quarantine(self, now_s: float) -> Look:
        rejected = self._service.folder.log.totals().rejected
        while self._rejected and self._rejected[0][0] < now_s - WINDOW_S:
            self._rejected.popleft()
        self._rejected.append((now_s, rejected))
        grown = rejected - self._rejected[0][1]
        limit = self._settings.quarantine_rows
        level: Level = "bad" if grown >= limit else "good" if grown < limit / 2 else "between"
        detail = f"{grown:,} rows were refused within {WINDOW_S / 60:.0f} minutes"
        if level == "bad":
            detail += self._causes()
        return Look(
            "quarantine-growing",
            level,
            detail,
            "Look at the newest in the quarantine: a device with new firmware, a door with the wrong protocol, a sender "
            "that is not registered. After a fix they can be sent again from there.",
        )

    def _causes(self) -> str:
        rows, _ = self._service.folder.log.quarantined(50)
        rules = Counter((row["rule"], row["source"].partition("/")[0]) for row in rows)
        return "".join(
            f", most by {source} that break the rule {rule}" for (rule, source), _ in rules.most_common(1)
        )

    def _silent(self) -> Look:
        silent = self._service.silent_sources()
        names = sorted(silent, key=lambda name: -silent[name])
        shown = ", ".join(f"{name} for {silent[name] / 60:.0f} min" for name in names[:_NAMED])
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        return Look(
            "source-silent",
            "bad" if silent else "good",
            f"silent, and used to talk: {shown}{more}",
            "See whether the sender, the network or the firewall before the door is down. A door that is no longer used "
            "is forgotten at the next start.",
        )

    def _customs_clock(self) -> Look:
        failure = self._service.customs_clock_failure
        return Look(
            "customs-clock-stopped",
            "bad" if failure else "good",
            f"the customs file's terms are not recorded: {failure}",
            "Nothing is lost: what falls due is recorded as of its moment, once the database answers again.",
            rise_s=5.0,
        )

    def _backup(self) -> Look:
        age_s, limit_h = self._service.backup_age_s(), self._settings.backup_age_h
        old = limit_h > 0 and (age_s is None or age_s > limit_h * 3600)
        said = "there is none yet" if age_s is None else f"the last is {age_s / 3600:.0f} h old"
        return Look(
            "backup-old",
            "bad" if old else "good",
            f"of backups, {said}; at most {limit_h:g} h are wanted",
            "Run `cocket backup`, and see why the one that runs by itself did not.",
            fall_s=0.0,
        )
