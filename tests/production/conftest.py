"""A whole site, for real: PostgreSQL, three NATS servers, two workers and a web door, each a process."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.watching.conftest import Receiver

from cocket.core.errors import BadSetting
from cocket.up import Production, Wanted

SETTINGS = """[detect]
tick_s = 0.1
rerun_s = 0.05
checkpoint_rows = 150
checkpoint_s = 0.5
batch_rows = 40

[gateway]
unregistered = "admit"

[watching]
otlp_endpoint = "%s"
"""


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """Where all processes of the site send their spans."""
    with Receiver() as running:
        yield running


@pytest.fixture(scope="module")
def site(receiver: Receiver) -> Iterator[Production]:
    """Two workers, four partitions. Not in pytest's own folder: PostgreSQL runs as another user under root."""
    folder = Path(tempfile.mkdtemp(prefix="cocket-site-"))
    folder.chmod(0o755)
    settings = folder / "given.toml"
    settings.write_text(SETTINGS % receiver.url)
    listen = ("tcp:0=gt06", "mqtt")
    said: list[str] = []
    try:
        with Production(
            Wanted(folder / "site", 2, 3, 4, 0, listen, settings, lease_s=2.0), said.append
        ) as running:
            yield running
    except BadSetting as error:
        pytest.skip(str(error))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
