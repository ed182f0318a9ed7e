"""Parsers that read what strangers send, in a process of their own with limits: a bomb or a broken codec costs a request, not the server.

A helper process is started at the first use. It imports the parser once, and forks for every job; the fork limits itself (CPU
seconds, address space, no file to write, a handful to open, no process to start), parses, answers in JSON and is gone.
The helper ends it when it takes too long. JSON and not pickles: an answer must not be able to run here.

``run`` raises ``SandboxFailed`` when the job was ended or died, and lets pass what the parser says (``Said``).
Where there is no fork (Windows) the parser runs in this process, under its own limits alone.
"""

from __future__ import annotations

import importlib
import json
import os
import struct
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import Any, Final

LENGTH: Final = struct.Struct(">Q")
CAN_FORK: Final = hasattr(os, "fork")


@dataclass
class Said(Exception):
    """What a parser refuses, with its rule; raised in the sandbox, and again here."""

    rule: str
    detail: str
    path: str = ""


class SandboxFailed(Exception):
    """The job was ended by a limit, or died; the message says which."""


@dataclass(frozen=True, slots=True)
class Limits:
    """``cpu_s`` and ``wall_s``: seconds; ``memory``: bytes of address space beyond what the helper has; ``answer``: bytes of JSON."""

    cpu_s: int = 20
    wall_s: float = 30.0
    memory: int = 1 << 30
    answer: int = 256 << 20


class Sandbox:
    """Jobs of one function, ``module:name``, which takes bytes and gives what JSON can say. Any thread may ``run``; one job at a time."""

    def __init__(self, function: str, limits: Limits | None = None) -> None:
        self._function = function
        self._limits = limits or Limits()
        self._lock = threading.Lock()
        self._helper: subprocess.Popen[bytes] | None = None

    def run(self, data: bytes) -> Any:
        """What the function makes of ``data``."""
        if not CAN_FORK:
            return function_of(self._function)(data)
        with self._lock:
            kind, body = self._asked(data)
        if kind == b"v":
            return json.loads(body)
        if kind == b"s":
            raise Said(**json.loads(body))
        raise SandboxFailed(body.decode("utf-8", "replace"))

    def close(self) -> None:
        """End the helper."""
        with self._lock:
            self._end()

    def _asked(self, data: bytes) -> tuple[bytes, bytes]:
        for is_last in (False, True):
            helper = self._helper = self._helper or self._started()
            assert helper.stdin is not None
            assert helper.stdout is not None
            try:
                helper.stdin.write(LENGTH.pack(len(data)))
                helper.stdin.write(data)
                helper.stdin.flush()
                head = helper.stdout.read(1 + LENGTH.size)
                if len(head) == 1 + LENGTH.size:
                    return head[:1], helper.stdout.read(LENGTH.unpack(head[1:])[0])
            except OSError:
                pass  # it is gone: told by the next line, once it was tried anew
            self._end()
            if is_last:
                break
        raise SandboxFailed("the process that reads such files died; its words are on standard error")

    def _started(self) -> subprocess.Popen[bytes]:
        limits = (str(getattr(self._limits, f)) for f in self._limits.__slots__)
        command = [sys.executable, "-m", "cocket.core.sandbox_helper", self._function, *limits]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - our own words

    def _end(self) -> None:
        if self._helper is not None:
            self._helper.kill()
            self._helper.communicate()
            self._helper = None


def function_of(name: str) -> Any:
    """``module:name``, imported."""
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)
