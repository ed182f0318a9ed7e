"""The helper of ``core.sandbox``: takes jobs from standard input, and forks for each."""

from __future__ import annotations

import json
import os
import selectors
import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from cocket.core.sandbox import LENGTH, Limits, Said, function_of


def serve(function: str, limits: Limits) -> None:
    """Jobs from standard input until it ends; one thread, so that a fork is whole."""
    call = function_of(function)
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a parser prints is no answer
    while len(head := source.read(LENGTH.size)) == LENGTH.size:
        kind, body = _job(call, source.read(LENGTH.unpack(head)[0]), limits)
        sink.write(kind + LENGTH.pack(len(body)) + body)
        sink.flush()


def _job(call: Any, data: bytes, limits: Limits) -> tuple[bytes, bytes]:
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(readable)
        _forked(call, data, limits, writable)
    os.close(writable)
    parts: list[bytes] = []
    size, late, end = 0, False, time.monotonic() + limits.wall_s
    with selectors.DefaultSelector() as waiting:
        waiting.register(readable, selectors.EVENT_READ)
        while True:
            left = end - time.monotonic()
            if left <= 0 or size > limits.answer:
                late = True
                break
            if waiting.select(left):
                part = os.read(readable, 1 << 20)
                if not part:
                    break
                parts.append(part)
                size += len(part)
    os.close(readable)
    if late:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    answer = b"".join(parts)
    if late:
        return b"f", f"it took longer than {limits.wall_s:g} s to read, or grew too large".encode()
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        spent = number in {signal.SIGXCPU, signal.SIGKILL}
        why = (
            f"it took more than {limits.cpu_s} s of a processor to read"
            if spent
            else f"its reader was broken by it (signal {number})"
        )
        return b"f", why.encode()
    if os.WEXITSTATUS(status) or not answer:
        return b"f", b"its reader was broken by it"
    return answer[:1], answer[1:]


def _forked(call: Any, data: bytes, limits: Limits, writable: int) -> NoReturn:
    code = 1
    try:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(
            nothing, 1
        )  # what a parser prints goes nowhere: standard error may be a file, which it may not write to
        os.dup2(nothing, 2)
        _limit(limits)
        try:
            out = b"v" + json.dumps(call(data)).encode()
        except Said as said:
            out = b"s" + json.dumps({"rule": said.rule, "detail": said.detail, "path": said.path}).encode()
        except MemoryError:
            out = f"fit takes more than {limits.memory >> 20} MiB to read".encode()
        with os.fdopen(writable, "wb") as sink:
            sink.write(out)
        code = 0
    finally:
        os._exit(code)


def _limit(limits: Limits) -> None:
    import resource

    statm = Path("/proc/self/statm")
    pages = statm.read_text(encoding="ascii").split() if statm.exists() else []
    have = int(pages[0]) * resource.getpagesize() if pages else 0
    for name, most in (
        (resource.RLIMIT_CPU, limits.cpu_s),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_AS, have + limits.memory),
    ):
        resource.setrlimit(name, (most, most))
    resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))


if __name__ == "__main__":
    name, cpu_s, wall_s, memory, answer = sys.argv[1:]
    serve(name, Limits(int(cpu_s), float(wall_s), int(memory), int(answer)))
