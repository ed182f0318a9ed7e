"""Where history files lie: in a folder, or in a bucket behind the S3 API.

A file is written aside on the local disk first, then put in its place whole: by a rename, or by one upload that becomes
visible when it is complete, and is read back and compared before it may be registered. An upload that was cut off
stays invisible; let the bucket's lifecycle rules clear incomplete uploads away.

Reading from a bucket fetches the bytes of the wanted row groups, once, checks them, and decodes what was checked.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from cocket.core.errors import BadSetting, DataDamaged, Unavailable
from cocket.store.parquet import Facts, HistoryFile, chosen_columns, chunk_place

_BLOCK: Final = 8 * 1024 * 1024
_TAIL: Final = 64 * 1024


class Place(Protocol):
    """Where files of one ``name`` ("" for the folder) lie. Any thread and process may call."""

    @property
    def name(self) -> str:
        """As registered with each file."""
        ...

    def put(self, aside: Path, name: str, facts: Facts) -> None:
        """Bring a finished file to its place under a name that was never used; durable and verified when it returns."""
        ...

    def file(self, name: str, file_id: int, level: int, facts: Facts) -> HistoryFile:
        """A registered file, for reading."""
        ...

    def local(self, file: HistoryFile, scratch: Path) -> HistoryFile:
        """The same file on the local disk, checked whole, for reading all of it; perhaps copied to ``scratch``."""
        ...

    def remove(self, name: str) -> None:
        """Delete a file; that it is gone already is no error."""
        ...

    def names(self) -> list[str]:
        """What lies there, registered or not."""
        ...

    def size(self, name: str) -> int | None:
        """How many bytes a file has; None if it is not there."""
        ...


class Folder:
    """Files in a folder of a local disk, or of one that all processes share."""

    name: Final = ""

    def __init__(self, path: Path) -> None:
        self.path = path

    def put(self, aside: Path, name: str, facts: Facts) -> None:
        """By a rename: ``aside`` is in this folder, or on its file system."""
        del facts
        aside.rename(self.path / name)
        fsync_folder(self.path)

    def file(self, name: str, file_id: int, level: int, facts: Facts) -> HistoryFile:
        """A registered file."""
        return HistoryFile(self.path / name, file_id, level, facts)

    def local(self, file: HistoryFile, scratch: Path) -> HistoryFile:
        """It is on the local disk, and its groups are checked as they are read."""
        del scratch
        return file

    def remove(self, name: str) -> None:
        """Delete a file."""
        (self.path / name).unlink(missing_ok=True)

    def size(self, name: str) -> int | None:
        """A file's bytes."""
        path = self.path / name
        return path.stat().st_size if path.exists() else None

    def names(self) -> list[str]:
        """The Parquet files in the folder."""
        return sorted(p.name for p in self.path.glob("*.parquet"))


@dataclass(frozen=True, slots=True)
class Address:
    """A bucket: ``s3://bucket/prefix?endpoint=http://host:port&region=…``; without an endpoint, that of AWS."""

    bucket: str
    prefix: str
    endpoint: str
    region: str

    @classmethod
    def of(cls, text: str) -> Address:
        """From a setting. Raises ``BadSetting``."""
        parts = urlsplit(text)
        query = parse_qs(parts.query)
        unknown = sorted(query.keys() - {"endpoint", "region"})
        if parts.scheme != "s3" or not parts.netloc or "@" in parts.netloc or unknown:
            raise BadSetting(
                f"history.objects = {text.split('?', maxsplit=1)[0].rpartition('@')[2]!r} is no address of the form "
                "s3://bucket/prefix?endpoint=http://host:port&region=name"
                + ("; credentials come from AWS_* variables" if "@" in parts.netloc else "")
                + (f"; it knows no {unknown[0]!r}" if unknown else "")
            )
        endpoint = query.get("endpoint", [""])[0]
        if endpoint and urlsplit(endpoint).scheme not in {"http", "https"}:
            raise BadSetting(
                f"history.objects: the endpoint {endpoint!r} begins with neither http:// nor https://"
            )
        return cls(parts.netloc, parts.path.strip("/"), endpoint, query.get("region", [""])[0])

    @property
    def place(self) -> str:
        """As registered: bucket and prefix, wherever they are reached."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")


class Bucket:
    """Files in a bucket. Credentials are the given ones, or those that AWS_* variables and files name."""

    def __init__(self, address: Address, *, access_key: str = "", secret_key: str = "") -> None:
        from pyarrow import fs

        self.address = address
        options: dict[str, Any] = {"connect_timeout": 5, "request_timeout": 60}
        if address.endpoint:
            scheme, _, host = address.endpoint.partition("://")
            options |= {"endpoint_override": host.rstrip("/"), "scheme": scheme}
        if address.region:
            options["region"] = address.region
        elif address.endpoint:
            options["region"] = os.environ.get("AWS_REGION", "us-east-1")
        if access_key:
            options |= {"access_key": access_key, "secret_key": secret_key}
        self._fs = fs.S3FileSystem(**options)
        self._none = fs.FileType.NotFound

    @property
    def name(self) -> str:
        """Bucket and prefix."""
        return self.address.place

    def where(self, name: str) -> str:
        """A file's address, for people."""
        return f"{self.name}/{name}"

    def _key(self, name: str) -> str:
        return "/".join(p for p in (self.address.bucket, self.address.prefix, name) if p)

    def put(self, aside: Path, name: str, facts: Facts) -> None:
        """By one upload; then what lies there is read back and must have size and checksum of what was written."""
        try:
            with aside.open("rb") as source, self._fs.open_output_stream(self._key(name)) as sink:
                while block := source.read(_BLOCK):
                    sink.write(block)
            found = self._fs.get_file_info(self._key(name)).size
            if found != facts.size or self.checksum(name) != facts.checksum:
                self.remove(name)
                raise Unavailable(
                    f"{self.where(name)} did not keep what was written to it; nothing was moved there, it is tried again"
                )
        except OSError as error:
            raise self._unreachable(error) from error
        aside.unlink()

    def checksum(self, name: str) -> bytes:
        """BLAKE2b (RFC 7693), 16 bytes, over all that lies there. ``OSError`` as it comes."""
        digest = blake2b(digest_size=16)
        with self._fs.open_input_stream(self._key(name)) as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
        return digest.digest()

    def open(self, name: str) -> Any:
        """For reading at any place. ``DataDamaged`` if it is missing, ``Unavailable`` if the store does not answer."""
        try:
            return self._fs.open_input_file(self._key(name))
        except OSError as error:
            raise self.explained(name, error) from error

    def explained(self, name: str, error: OSError) -> DataDamaged | Unavailable:
        """Why reading failed: the object is not there, or the store does not answer."""
        try:
            missing = self._fs.get_file_info(self._key(name)).type == self._none
        except OSError as again:
            return self._unreachable(again)
        if missing:
            return DataDamaged(f"history file {self.where(name)} is missing; restore it from a copy")
        return self._unreachable(error)

    def _unreachable(self, error: OSError) -> Unavailable:
        at = f" at {self.address.endpoint}" if self.address.endpoint else ""
        return Unavailable(f"the object store for {self.name}{at} does not answer as it should: {error}")

    def file(self, name: str, file_id: int, level: int, facts: Facts) -> HistoryFile:
        """A registered file."""
        return ObjectFile(self, name, file_id, level, facts)

    def local(self, file: HistoryFile, scratch: Path) -> HistoryFile:
        """A copy in ``scratch``, checked whole."""
        path = scratch / f"{file.path.name}.fetched.tmp"
        with self.open(file.path.name) as source, path.open("wb") as sink:
            try:
                while block := source.read(_BLOCK):
                    sink.write(block)
            except OSError as error:
                raise self.explained(file.path.name, error) from error
        copy = HistoryFile(path, file.file_id, file.level, file.facts)
        copy.where = file.where
        copy.check_all()
        return copy

    def remove(self, name: str) -> None:
        """Delete an object."""
        try:
            self._fs.delete_file(self._key(name))
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._unreachable(error) from error

    def size(self, name: str) -> int | None:
        """An object's bytes."""
        try:
            info = self._fs.get_file_info(self._key(name))
        except OSError as error:
            raise self._unreachable(error) from error
        return None if info.type == self._none else int(info.size)

    def names(self) -> list[str]:
        """The Parquet objects under the prefix."""
        from pyarrow import fs

        try:
            found = self._fs.get_file_info(
                fs.FileSelector(self._key("").rstrip("/"), allow_not_found=True, recursive=False)
            )
        except OSError as error:
            raise self._unreachable(error) from error
        return sorted(f.base_name for f in found if f.base_name.endswith(".parquet"))


class _Window:
    """Some bytes of a file, fetched once; reading beyond them is an ``OSError``, never another fetch."""

    closed = False

    def __init__(self, start: int, data: bytes, size: int) -> None:
        self._start, self._data, self._size = start, data, size
        self._at = 0

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        self._at = place + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def size(self) -> int:
        return self._size

    def read(self, n: int = -1) -> bytes:
        end = self._size if n < 0 else min(self._size, self._at + n)
        low, high = self._at - self._start, end - self._start
        if low < 0 or high > len(self._data):
            raise OSError(f"bytes {self._at} to {end} were not fetched")
        self._at = end
        return self._data[low:high]

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def flush(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing: it holds only bytes."""


class ObjectFile(HistoryFile):
    """A registered file in a bucket: each read fetches the wanted groups, in one request where they lie together."""

    def __init__(self, bucket: Bucket, name: str, file_id: int, level: int, facts: Facts) -> None:
        super().__init__(Path(name), file_id, level, facts)
        self.where = bucket.where(name)
        self.place = bucket.name
        self._bucket = bucket
        self._handle: Any = None
        self._window: _Window | None = None

    def hold(self) -> None:
        """Keep it readable though it be deleted: all of it is fetched into memory."""
        self._held = pa.py_buffer(self._fetch(0, self.facts.size))

    def check_all(self) -> None:
        """Check the whole object, once in the life of this one."""
        if self._checked:
            return
        try:
            found = self._bucket.checksum(self.path.name)
        except OSError as error:
            raise self._bucket.explained(self.path.name, error) from error
        if found != self.facts.checksum:
            raise DataDamaged(
                f"history file {self.where} does not match its checksum; restore it from a copy"
            )
        self._checked = True

    def _fetch(self, start: int, length: int) -> bytes:
        if self._handle is None:
            handle = self._bucket.open(self.path.name)
            if handle.size() != self.facts.size:
                raise DataDamaged(
                    f"history file {self.where} has {handle.size()} bytes, {self.facts.size} were written; "
                    "restore it from a copy"
                )
            self._handle = handle
        try:
            data: bytes = self._handle.read_at(length, start)
        except OSError as error:
            self._handle = None
            raise self._bucket.explained(self.path.name, error) from error
        if len(data) != length:
            self._handle = None
            raise DataDamaged(
                f"history file {self.where} is shorter than it was written; restore it from a copy"
            )
        return data

    def read(self, groups: Sequence[int], columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        """As a file on disk."""
        if self._held is not None:
            yield from super().read(groups, columns)
            return
        if not len(groups):
            return
        metadata = self._open()[0]
        wanted, numbers = chosen_columns(metadata, columns)
        for run in _runs(metadata, groups, numbers):
            places = [chunk_place(metadata, g, c) for g in run for c in numbers]
            start, end = min(a for a, _ in places), max(a + n for a, n in places)
            window = _Window(start, self._fetch(start, end - start), self.facts.size)
            group = -1
            try:
                with pq.ParquetFile(pa.PythonFile(window, mode="r"), metadata=metadata) as file:
                    for group in run:
                        self._check_chunks(window, metadata, group, numbers)
                        table = file.read_row_group(group, columns=wanted, use_threads=False)
                        yield table.combine_chunks().to_batches()[0]
            except (pa.ArrowException, OSError, IndexError) as error:
                raise DataDamaged(
                    f"history file {self.where}, row group {group}, is damaged ({error}); restore it from a copy"
                ) from error

    def _tail(self) -> _Window:
        if self._window is None:
            size = self.facts.size
            start = max(0, size - _TAIL)
            data = self._fetch(start, size - start)
            length = int.from_bytes(data[-8:-4], "little") + 8
            if len(data) < length <= size:
                start = size - length
                data = self._fetch(start, length)
            self._window = _Window(start, data, size)
        return self._window

    def _source(self) -> Any:
        return super()._source() if self._held is not None else pa.PythonFile(self._tail(), mode="r")

    def _footer_checksum(self) -> bytes:
        if self._held is not None:
            return super()._footer_checksum()
        window = self._tail()
        window.seek(self.facts.size - 8)
        length = int.from_bytes(window.read(4), "little")
        window.seek(max(0, self.facts.size - 8 - length))
        return blake2b(window.read(), digest_size=16).digest()

    def _open(self) -> Any:
        opened = super()._open()
        self._window = None
        return opened


def _runs(metadata: pq.FileMetaData, groups: Sequence[int], numbers: Sequence[int]) -> Iterator[list[int]]:
    """Neighbouring groups together, up to some megabytes."""
    run: list[int] = []
    held = 0
    for group in groups:
        size = sum(chunk_place(metadata, group, c)[1] for c in numbers)
        if run and (group != run[-1] + 1 or held + size > _BLOCK):
            yield run
            run, held = [], 0
        run.append(group)
        held += size
    if run:
        yield run


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    if os.name == "nt":  # Windows keeps names durable by itself and cannot open a folder
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
