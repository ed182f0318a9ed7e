"""Files dropped into a folder: each is taken once it no longer grows, and moved to ``done`` when all of it is durable.

What speaks a protocol is cut into frames as a stream is; what a mapping describes is read as ``cocket replay`` reads
it. A file that cannot be read goes to ``failed``, with the reason beside it. A crash in between means that the file is
read again: what is known folds as duplicates.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import pyarrow as pa

from cocket.core.doors import Decoded
from cocket.core.errors import BadSetting, Busy, CocketError, NotFound, Unavailable
from cocket.core.framing import Stream
from cocket.core.protocol import Protocol, Session
from cocket.gateway.intake import Speaker
from cocket.gateway.registry import Peer
from cocket.observations.frames import read_frame
from cocket.observations.readers import read_arrow, read_ndjson
from cocket.sources.mapping import load
from cocket.sources.messages import as_protocol
from cocket.sources.model import Mapping
from cocket.sources.rows import parts

if TYPE_CHECKING:
    from cocket.gateway.gateway import Gateway

_LOOK_S: Final = 0.5
_BLOCK: Final = 1 << 18
_ROWS: Final = 10_000

log = logging.getLogger(__name__)


def reads(gateway: Gateway, name: str) -> Protocol | Mapping:
    """What the files of a folder are: a protocol by its name, else a mapping (a file, or a shipped one). ``BadSetting``."""
    try:
        return gateway.protocol(name)
    except NotFound as unknown:
        try:
            mapping = load(name)
        except BadSetting as error:
            raise BadSetting(f"{unknown.detail}; and as a mapping: {error.detail}") from error
        return mapping if mapping.message is None else as_protocol(mapping)


async def watch_folder(gateway: Gateway, folder: Path, kind: Protocol | Mapping) -> None:
    """Take files until cancelled."""
    sizes: dict[Path, tuple[int, int]] = {}
    loop = asyncio.get_running_loop()
    failing = False
    while True:
        try:  # not on the loop: a folder of another machine may take its time, and devices do not wait for it
            ready = await loop.run_in_executor(None, _grown, folder, sizes)
        except OSError as error:
            if not failing:
                log.warning("the folder %s cannot be read (%s); trying again", folder, error)
                gateway.counts["folder-failed"] += 1
            failing, ready = True, []
        else:
            failing = False
        for path in ready:
            await _take(gateway, path, kind)
        await asyncio.sleep(_LOOK_S)


def _grown(folder: Path, sizes: dict[Path, tuple[int, int]]) -> list[Path]:
    """Files that are as they were at the last look; ``sizes`` is what they were."""
    ready: list[Path] = []
    for path in sorted(folder.iterdir()):
        if not path.is_file() or path.name.startswith(".") or path.suffix in {".part", ".tmp"}:
            continue
        stat = path.stat()
        size = (stat.st_size, stat.st_mtime_ns)
        if sizes.get(path) == size:
            del sizes[path]
            ready.append(path)
        else:
            sizes[path] = size
    return ready


async def _take(gateway: Gateway, path: Path, kind: Protocol | Mapping) -> None:
    try:
        if isinstance(kind, Protocol):
            await _frames(gateway, path, kind)
        else:
            await _rows(gateway, path, kind)
    except (CocketError, OSError, msgspec.MsgspecError, pa.ArrowException) as error:
        log.warning("%s could not be read: %s", path, error)
        gateway.counts["file-failed"] += 1
        moved = _move(path, "failed")
        moved.with_name(f"{moved.name}.why").write_text(f"{error}\n", encoding="utf-8")
    else:
        gateway.counts["file-done"] += 1
        _move(path, "done")


async def _frames(gateway: Gateway, path: Path, protocol: Protocol) -> None:
    speaker = Speaker(protocol, f"{protocol.name}@folder", Session(), Peer(), exclusive=False)
    stream = Stream(protocol)
    loop = asyncio.get_running_loop()
    with path.open("rb") as source:
        while True:
            block = await loop.run_in_executor(None, source.read, _BLOCK)
            pieces = stream.feed(block) if block else [*stream.feed(b"\n"), *stream.end()]
            for piece in pieces:
                if piece.noise:
                    gateway.noise(speaker, piece.data, piece.noise)
                else:
                    reading = read_frame(protocol, piece.data, speaker.session)
                    gateway.frame(speaker, piece.data, reading, _unanswered)
            await gateway.durable([], [])
            if not block:
                return


async def _rows(gateway: Gateway, path: Path, mapping: Mapping) -> None:
    def bodies() -> Iterator[Decoded]:
        for part in parts(path, mapping, _ROWS):
            if part.batch is None:
                yield read_ndjson(b"\n".join(part.lines), source=f"{mapping.name}@folder"[:64])
            else:
                sink = pa.BufferOutputStream()
                with pa.ipc.new_stream(sink, part.batch.schema) as writer:
                    writer.write_batch(part.batch)
                yield read_arrow(sink.getvalue().to_pybytes(), source=f"{mapping.name}@folder"[:64])

    loop = asyncio.get_running_loop()
    waiting = bodies()
    while (body := await loop.run_in_executor(None, next, waiting, None)) is not None:
        pause = 0.05
        while True:
            try:
                await asyncio.wrap_future(gateway.service.submit(body))
                break
            except (Busy, Unavailable):
                await asyncio.sleep(pause)
                pause = min(5.0, pause * 2)


def _move(path: Path, name: str) -> Path:
    folder = path.parent / name
    folder.mkdir(exist_ok=True)
    target, n = folder / path.name, 1
    while target.exists():
        target, n = folder / f"{path.stem}-{n}{path.suffix}", n + 1
    return path.rename(target)


def _unanswered() -> None:
    """A file wants no reply."""
