"""The canonical model: what it refuses, and that threads may come first at once."""

import subprocess
import sys

import msgspec
import pytest

from cocket.customs.model import as_customs

RACE = """
import sys, threading
sys.setswitchinterval(1e-6)
from cocket.customs.model import as_customs
gate = threading.Barrier(16)
def work():
    gate.wait()
    for _ in range(20):
        as_customs({"consignments": [{"equipment": [{"seals": [{"id": "S"}], "dangerous_goods": [{"un": "1"}]}]}]})
threads = [threading.Thread(target=work) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_a_name_that_is_not_declared_cannot_be_written() -> None:
    with pytest.raises(msgspec.ValidationError, match="colour"):
        as_customs({"consignments": [{"items": [{"colour": "red"}]}]})


def test_the_first_to_read_may_be_many_at_once() -> None:
    """Two runs of three crashed the process here (msgspec 0.22), until the type was worked out at import."""
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", RACE], check=False, capture_output=True)
        assert done.returncode == 0, done.stderr
