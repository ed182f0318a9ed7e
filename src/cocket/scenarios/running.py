"""Running scenarios: a stage for them, each with its twins, and the tale of it in text or JSON."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from cocket.core.errors import BadSetting, Unavailable
from cocket.scenarios.catalogue import Play, Scenario, fact
from cocket.scenarios.stage import Stage, staged
from cocket.scenarios.story import Line, Story, Unmet

MARKS: Final = {"given": "given", "when": "when ", "then": "then ", "measured": "     "}


@dataclass(slots=True)
class Outcome:
    """How a scenario, or one of its twins, went."""

    id: str
    twin: str | None
    story: Story
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether every expectation was met."""
        return all(line.good for line in self.story.lines)

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "scenario": self.id,
            "twin": self.twin,
            "good": self.good,
            "seconds": round(self.seconds, 2),
            "measured": self.story.measures,
            "lines": [line.as_dict() for line in self.story.lines],
        }


@dataclass(slots=True)
class Run:
    """What to run, and how. ``scene``, ``twins``: whether to play the scenarios themselves, and their twins."""

    scenarios: Sequence[Scenario]
    scene: bool = True
    twins: bool = True
    keep: Path | None = None
    as_json: bool = False
    show: bool = False
    say: Callable[[str], None] = print
    outcomes: list[Outcome] = field(default_factory=list)

    def all(self) -> bool:
        """Play everything on one stage; whether everything was as it should be."""
        if (
            self.keep is not None
            and self.keep.exists()
            and (not self.keep.is_dir() or any(self.keep.iterdir()))
        ):
            raise BadSetting(f"--keep {self.keep}: scenarios want an empty folder; name a new one")
        with _ending_with_us(), tempfile.TemporaryDirectory(prefix="cocket-scenario-") as scratch:
            folder = self.keep or Path(scratch) / "data"
            with staged(folder, Path(scratch) / "server.log") as (stage, server):
                try:
                    for one in self.scenarios:
                        self._scenario(stage, one)
                except httpx.TransportError as error:
                    raise Unavailable(f"the server went away ({error}): {server.words()}") from error
                good = all(o.good for o in self.outcomes)
                if self.as_json:
                    self.say(json.dumps([o.as_dict() for o in self.outcomes], ensure_ascii=False))
                if self.show:
                    for page in dict.fromkeys(o.story.look for o in self.outcomes):
                        self.say(f"look at {stage.url}{page}")
                    self.say("the server stays up until Ctrl-C")
                    with suppress(KeyboardInterrupt):
                        server.wait()
        return good

    def _scenario(self, stage: Stage, one: Scenario) -> None:
        if self.scene:
            self._text(f"\n{one.id}: {one.title}")
            self._play(stage, one.id, None, one.play)
        for twin in one.twins if self.twins else ():
            self._text(f"\n{one.id}, twin: {fact(twin)}")
            self._play(stage, one.id, fact(twin), twin)

    def _play(self, stage: Stage, name: str, twin: str | None, play: Play) -> None:
        story = Story(self._line)
        outcome = Outcome(name, twin, story)
        self.outcomes.append(outcome)
        began = time.monotonic()
        try:
            play(stage, story)
        except Unmet as error:
            story.failed(error)
        except LookupError as error:
            at = traceback.extract_tb(error.__traceback__)[-1]
            story.failed(
                Unmet(
                    "the answer has what is asked of it",
                    at.line,
                    f"{error!r} in {Path(at.filename).name}, line {at.lineno}",
                )
            )
        outcome.seconds = time.monotonic() - began
        self._text(
            f"  {'as it should be' if outcome.good else 'NOT as it should be'}, {outcome.seconds:.1f} s"
        )

    def _line(self, line: Line) -> None:
        self._text(f"  {'✓' if line.good else '✗'} {MARKS[line.kind]} {line.text}")
        if not line.good:
            self._text(f"      expected: {line.expected}\n      got:      {line.got}")

    def _text(self, text: str) -> None:
        if not self.as_json:
            self.say(text)


@contextmanager
def _ending_with_us() -> Iterator[None]:
    """A SIGTERM ends the block as Ctrl-C does, so that the server ends with it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
