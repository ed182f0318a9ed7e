"""The evidence pack of a movement: one ZIP file that a court or another administration can check without us.

Documents as they came and as they were read, events, seals, bindings, alerts with what people did, the observations of the
bindings, photos and papers, the clean-trip report; and a signed manifest with the SHA-256 of each. Files stand in one
order. It is written to a temporary file, a day of observations at a time.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import IO, Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cocket import __version__
from cocket.core.clock import US, rfc3339
from cocket.core.schema import TIME_AHEAD_US
from cocket.customs.codes.signing import jwk
from cocket.customs.reference import binding_shown
from cocket.customs.trip.evidence_check import FORMAT, MANIFEST, SIGNATURE, VERSION
from cocket.customs.trip.pdf import trip_pdf
from cocket.customs.trip.words import LANGUAGES
from cocket.engine.service import Service
from cocket.store.bindings import Binding
from cocket.web import answers

_DAY_US: Final = 86_400 * US
_ALERTS: Final = 500
_ENDINGS: Final = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "application/pdf": "pdf",
    "application/xml": "xml",
    "text/xml": "xml",
    "text/csv": "csv",
    "application/json": "json",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}

_README: Final = """\
Evidence pack of movement {mrn}
made by Cocket {version} on {made_at}

  clean-trip.json, clean-trip.en.pdf, clean-trip.fr.pdf
                        the clean-trip report, one report in three forms
  movement.json         the movement as the customs file has it
  events.json           what happened to it, step by step, each with who recorded it and when
  seals.json            its seals, each with its whole history
  bindings.json         which device was on which equipment, and when
  alerts.json           every alert, superseded ones too, with what people did about each
  observations.parquet  all that the bound devices reported while they were bound, by binding and event time,
  observations.csv      and the same as text. key and offset tell where Cocket's log has each row.
                        Reports under a time outside the binding, as of a clock that was never set, are not in here.
  documents/            customs documents: as they came (original), as they were read (canonical.json), and what of them was
                        kept raw (report.json); documents.json lists them
  evidence/             photos and papers that people added, listed in evidence.json
  public-key.pem        the public key of the signature; keys.json: every public key of this Cocket
  manifest.json         size and SHA-256 of each file here; manifest.sig: its Ed25519 signature, 64 bytes

Times are UTC. Text in the CSV file stands as devices sent it: do not let a spreadsheet take it for formulas.

To check this pack with Cocket, which needs no network and no server:

  cocket verify-pack PACK.zip --keys KEYS.json

To check it without us, with OpenSSL 3 and Python, in the folder where it was unpacked:

  openssl pkeyutl -verify -pubin -inkey public-key.pem -rawin -in manifest.json -sigfile manifest.sig
  python3 -c "import json, hashlib; [print(f['path'], hashlib.sha256(open(f['path'], 'rb').read()).hexdigest() == f['sha256']) for f in json.load(open('manifest.json'))['files']]"

The key is {kid}: the first 16 hexadecimal digits of the SHA-256 of its 32 bytes. That it is the issuer's
own you learn from the issuer (GET /api/v1/keys), not from this pack.
"""


def evidence_pack(service: Service, mrn: str) -> tuple[IO[bytes], int]:
    """A temporary file with the pack, at its beginning, and its size. ``NotFound`` if there is no such movement."""
    report = service.clean_trips.report(mrn)
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it when it has been sent
    try:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            pack = _Pack(archive, report.generated_us)
            _Contents(service, mrn, pack).write(report)
    except BaseException:
        file.close()
        raise
    size = file.seek(0, 2)
    file.seek(0)
    return file, size


class _Member(io.RawIOBase):
    """A file of the pack that is being written: counts and hashes what goes in. Who is done with it calls ``done``."""

    def __init__(self, member: IO[bytes]) -> None:
        super().__init__()
        self._member = member
        self.size = 0
        self.sha256 = sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._member.write(view)
        self.sha256.update(view)
        self.size += len(view)
        return len(view)

    def tell(self) -> int:
        return self.size


class _Pack:
    """The ZIP file and the list of what is in it."""

    def __init__(self, archive: zipfile.ZipFile, made_us: int) -> None:
        self._archive = archive
        moment = datetime.fromtimestamp(max(made_us // US, 315_532_800), UTC)  # ZIP knows no year before 1980
        self._date = (moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second)
        self.files: list[dict[str, Any]] = []

    def add(self, path: str, data: bytes, *, listed: bool = True) -> None:
        """A file whose bytes are at hand."""
        with self._open(path) as member:
            member.write(data)
        if listed:
            self._list(path, len(data), sha256(data).hexdigest())

    def json(self, path: str, value: Any) -> None:
        """A value as indented JSON."""
        self.add(path, msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")

    def begin(self, path: str) -> tuple[IO[bytes], _Member]:
        """A file that is written in parts; ``end`` closes and lists it."""
        member = self._open(path)
        return member, _Member(member)

    def end(self, path: str, member: IO[bytes], sink: _Member) -> None:
        """It is whole."""
        member.close()
        self._list(path, sink.size, sink.sha256.hexdigest())

    def _open(self, path: str) -> IO[bytes]:
        info = zipfile.ZipInfo(path, self._date)
        info.external_attr = 0o644 << 16
        packed = path.endswith((".parquet", ".jpg", ".png", ".pdf", ".xlsx"))
        info.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
        return self._archive.open(info, "w", force_zip64=True)

    def _list(self, path: str, size: int, digest: str) -> None:
        self.files.append({"path": path, "size": size, "sha256": digest})


class _Contents:
    """What goes into the pack of one movement."""

    def __init__(self, service: Service, mrn: str, pack: _Pack) -> None:
        self._service = service
        self._mrn = mrn
        self._pack = pack
        self._bindings = service.folder.reference.bindings_of([mrn]).get(mrn, [])

    def write(self, report: Any) -> None:
        """All files, the manifest and its signature last."""
        service, mrn, pack = self._service, self._mrn, self._pack
        key, sign = service.keys.signer()
        made_at = rfc3339(report.generated_us)
        readme = _README.format(mrn=mrn, version=__version__, made_at=made_at, kid=key.kid)
        pack.add("README.txt", readme.encode())
        pack.add("clean-trip.json", report.json())
        for lang in LANGUAGES:
            pack.add(f"clean-trip.{lang}.pdf", trip_pdf(report, lang))
        movement = service.file.view.whole(mrn)
        pack.json("movement.json", movement)
        pack.json("events.json", service.file.view.events(mrn))
        pack.json("seals.json", [service.file.seals.shown(s["id"]) for s in movement["seals"]])
        pack.json("bindings.json", [binding_shown(b) for b in self._bindings])
        pack.json("alerts.json", self._alerts())
        self._observations()
        self._documents(movement["documents"])
        self._evidence()
        pack.json("keys.json", {"keys": service.keys.jwks()})
        public = Ed25519PublicKey.from_public_bytes(key.raw)
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        pack.add("public-key.pem", pem)
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "mrn": mrn,
            "made_at": made_at,
            "made_by": f"Cocket {__version__}",
            "key": jwk(key),
            "files": pack.files,
        }
        text = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
        pack.add(MANIFEST, text, listed=False)
        pack.add(SIGNATURE, sign(text), listed=False)

    def _alerts(self) -> list[dict[str, Any]]:
        store = self._service.folder.alerts
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            rows, cursor = store.page({"mrn": self._mrn}, cursor, _ALERTS)
            for row in rows:
                whole = store.get(row["id"]) or {**row, "history": []}
                steps = [
                    {"at": rfc3339(s["at_us"]), **{k: v for k, v in s.items() if k != "at_us"}}
                    for s in whole["history"]
                ]
                found.append({**answers.alert(whole), "history": steps})
            if cursor is None:
                return sorted(found, key=lambda a: (a["began_at"], a["id"]))

    def _observations(self) -> None:
        import pyarrow as pa
        import pyarrow.csv as pc
        import pyarrow.parquet as pq

        from cocket.store.rows import NOTHING, as_table

        schema = as_table(NOTHING).schema
        makers = (("observations.parquet", pq.ParquetWriter), ("observations.csv", pc.CSVWriter))
        for path, maker in makers:
            member, sink = self._pack.begin(path)
            with maker(pa.PythonFile(sink, mode="w"), schema) as writer:
                for table in self._tables():
                    writer.write_table(table)
            self._pack.end(path, member, sink)

    def _tables(self) -> Iterator[Any]:
        """The observations, a day of one binding at a time."""
        from cocket.store.rows import as_table

        until = self._service.clock.now_us() + TIME_AHEAD_US
        for binding in sorted(self._bindings, key=_order):
            end = until if binding.to_us is None else min(binding.to_us, until)
            for begin in range(binding.from_us, end, _DAY_US):
                span = (binding.device_id, begin, min(begin + _DAY_US, end))
                rows = self._service.folder.history.find([span])
                if rows.batch.n:
                    yield as_table(rows)

    def _documents(self, briefs: list[dict[str, Any]]) -> None:
        desk = self._service.file.documents
        self._pack.json("documents.json", briefs)
        for brief in briefs:
            kept, original = desk.original(brief["id"])
            folder = f"documents/{kept.id}-{kept.kind}"
            ending = _ENDINGS.get(kept.media_type.partition(";")[0].strip().lower(), "bin")
            self._pack.add(f"{folder}/original.{ending}", original)
            self._pack.json(f"{folder}/canonical.json", desk.whole(kept.id))
            self._pack.json(f"{folder}/report.json", desk.report(kept.id))

    def _evidence(self) -> None:
        book = self._service.file.book
        rows = book.evidence(self._mrn)
        listed = [
            {
                "id": r["id"],
                "file": f"evidence/{r['id']}.{_ENDINGS.get(r['media_type'], 'bin')}",
                "sha256": r["sha256"].hex(),
                "size": r["size"],
                "media_type": r["media_type"],
                "received_at": rfc3339(r["received_us"]),
                "by": r["by"],
            }
            for r in rows
        ]
        self._pack.json("evidence.json", listed)
        for row in listed:
            self._pack.add(row["file"], book.evidence(self._mrn, row["id"])[0]["body"])


def _order(binding: Binding) -> tuple[int, int]:
    return binding.from_us, binding.id
