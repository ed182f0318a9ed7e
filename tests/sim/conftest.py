import pytest

from cocket.sim.script import Script, write


@pytest.fixture(scope="session")
def script() -> Script:
    return write()
