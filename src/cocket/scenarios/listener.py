"""A control room that listens to the live stream, and notes when each alert reached it."""

from __future__ import annotations

import json
import threading
import time
from types import TracebackType
from typing import Any, Final, Self

import httpx

from cocket.scenarios.stage import WAIT_S, Stage
from cocket.scenarios.story import Unmet

_POLL_S: Final = 0.005


class Listener:
    """As a context it listens. ``heard`` holds the alerts of one movement by code, with the moment (``time.monotonic``)."""

    def __init__(self, stage: Stage, mrn: str) -> None:
        self._stage = stage
        self._mrn = mrn
        self.heard: dict[str, tuple[float, dict[str, Any]]] = {}
        self._open = threading.Event()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._broke = ""

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._open.wait(WAIT_S):
            raise Unmet("the live stream is open", "an open stream", "none")
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._done.set()

    def when(self, code: str) -> float:
        """When the first alert of this code came; waits for it."""
        end = time.monotonic() + WAIT_S
        while code not in self.heard:
            if time.monotonic() > end:
                raise Unmet(
                    f"alert {code} comes over the live stream", code, f"{sorted(self.heard)}{self._broke}"
                )
            time.sleep(_POLL_S)
        return self.heard[code][0]

    def _run(self) -> None:
        try:
            self._listen()
        except (
            httpx.TransportError
        ) as error:  # the server ends when the stage does; ``when`` says so if that was too early
            self._broke = f"; the stream broke: {error}"

    def _listen(self) -> None:
        with (
            httpx.Client(timeout=httpx.Timeout(10.0, read=WAIT_S)) as client,
            client.stream(
                "GET", f"{self._stage.url}/api/v1/stream", params={"topics": "alerts,stats"}
            ) as answer,
        ):
            event = ""
            for line in answer.iter_lines():
                self._open.set()  # figures come once a second, the first at once
                if self._done.is_set():
                    return
                if line.startswith("event: "):
                    event = line.removeprefix("event: ")
                elif line.startswith("data: ") and event == "alert":
                    alert = json.loads(line.removeprefix("data: "))
                    if alert["mrn"] == self._mrn:
                        self.heard.setdefault(alert["code"], (time.monotonic(), alert))
