"""A parser in a process with limits: what bombs it costs one answer, and the next is read as ever."""

from __future__ import annotations

import os

import pytest

from cocket.core.sandbox import CAN_FORK, Limits, Said, Sandbox, SandboxFailed

pytestmark = pytest.mark.skipif(
    not CAN_FORK, reason="this system has no fork: parsers run in the process itself"
)
SMALL = Limits(cpu_s=1, wall_s=4, memory=256 << 20, answer=1 << 20)


@pytest.fixture
def sandbox(tmp_path, monkeypatch):
    """A parser that does what its input says."""
    (tmp_path / "evil_parser.py").write_text(
        """
import os, time
from cocket.core.sandbox import Said
def parse(data):
    what = data.decode()
    if what == "spin":
        while True: pass
    if what == "sleep": time.sleep(60)
    if what == "eat": return len(bytearray(2 << 30))
    if what == "die": os.abort()
    if what == "exit": os._exit(0)
    if what == "raise": raise ValueError("a broken file")
    if what == "say": raise Said("too-large", "it is too large", "/x")
    if what == "talk": return "x" * (4 << 20)
    if what == "print": print("not an answer")
    if what.startswith("write "):
        with open(what[6:], "w") as f: f.write("x" * 10)
    if what == "pid": return os.getpid()
    return {"read": what}
"""
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    found = Sandbox("evil_parser:parse", SMALL)
    yield found
    found.close()


def test_what_goes_wrong_costs_one_answer(sandbox, tmp_path) -> None:
    assert sandbox.run(b"hello") == {"read": "hello"}
    for what, says in (
        (b"spin", "processor|longer"),
        (b"sleep", "longer than 4 s"),
        (b"eat", "MiB"),
        (b"die", "broken"),
        (b"exit", "broken"),
        (b"raise", "broken"),
        (b"talk", "too large"),
    ):
        with pytest.raises(SandboxFailed, match=says):
            sandbox.run(what)
        assert sandbox.run(b"again") == {"read": "again"}, what
    with pytest.raises(Said) as said:
        sandbox.run(b"say")
    assert (said.value.rule, said.value.detail, said.value.path) == ("too-large", "it is too large", "/x")
    assert sandbox.run(b"print") == {"read": "print"}, "what a parser prints is no answer"
    target = tmp_path / "written"
    with pytest.raises(SandboxFailed):
        sandbox.run(f"write {target}".encode())
    assert not target.exists() or target.stat().st_size == 0, "it can write no byte to a file"


def test_each_job_is_a_process_of_its_own_and_a_helper_that_died_is_started_anew(sandbox) -> None:
    first, second = sandbox.run(b"pid"), sandbox.run(b"pid")
    assert first != second
    assert os.getpid() not in {first, second}
    sandbox._helper.kill()
    sandbox._helper.wait()
    assert sandbox.run(b"hello") == {"read": "hello"}
