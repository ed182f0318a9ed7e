"""Malloc keeps little of what was freed, whatever threads come and go."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

LIFE = """
import ctypes, sys, threading
from cocket.core import allocator
if sys.argv[1] == "bound":
    assert allocator.bound()
libc = ctypes.CDLL(None)
held = []
def work():
    pieces = [bytearray(3000 + i % 5000) for i in range(2000)]
    held.extend(pieces[::50])
for _ in range(3):
    threads = [threading.Thread(target=work) for _ in range(24)]
    [t.start() for t in threads]
    [t.join() for t in threads]
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the limits are glibc's")
def test_few_arenas_whatever_threads_come_and_go() -> None:
    def arenas(how: str, **more: str) -> int:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
        done = subprocess.run(
            [sys.executable, "-c", LIFE, how],
            env={**clean, **more},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.count("<heap nr=")

    assert arenas("bound") <= 2
    assert arenas("not", MALLOC_ARENA_MAX="9") > 2, "else this test could not fail"
