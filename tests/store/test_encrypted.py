"""PostgreSQL over TLS: verify-full takes the server that was meant, and no other; what is asked for is never left out.

The embedded server is built without TLS. So a door of ours speaks PostgreSQL's beginning of TLS (Frontend/Backend Protocol,
SSLRequest), with a certificate, and hands everything on to the real server behind it.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cocket.core.errors import BadSetting
from cocket.store import tables
from cocket.store.database import Database

BEGIN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
END = dt.datetime(2226, 1, 1, tzinfo=dt.UTC)


def authority(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate that signs itself, for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(BEGIN)
        .not_valid_after(END)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / f"{name}.pem", folder / f"{name}.key"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pem, secret


def pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        source.close()


@pytest.fixture
def door(postgres, tmp_path):
    """(port of the door, its certificate)."""
    pem, secret = authority(tmp_path, "right")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, secret)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                assert plain.recv(8)[4:] == (80877103).to_bytes(4, "big")
                plain.sendall(b"S")
                outer = context.wrap_socket(plain, server_side=True)
            except OSError:
                plain.close()
                continue
            inner = socket.create_connection(("127.0.0.1", postgres.port))
            for pair in ((outer, inner), (inner, outer)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1], pem
    listener.close()


def test_verify_full_takes_the_right_certificate_and_no_other(postgres, database, door, tmp_path):
    port, pem = door
    url = database.replace(f":{postgres.port}/", f":{port}/")
    for query in (f"sslmode=verify-full&sslrootcert={pem}", "sslmode=require", "sslmode=prefer"):
        db = Database(f"{url}?{query}", "main", tables.main_metadata)
        with db.read() as connection:
            raw = connection.connection.dbapi_connection._usock
            assert isinstance(raw, ssl.SSLSocket)
            assert connection.exec_driver_sql("SELECT 1").scalar() == 1
        db.close()
    wrong, _ = authority(tmp_path, "wrong")
    elsewhere = url.replace("127.0.0.1", "localhost")
    for address in (
        f"{url}?sslmode=verify-full&sslrootcert={wrong}",
        f"{elsewhere}?sslmode=verify-full&sslrootcert={pem}",
    ):
        with pytest.raises(BadSetting, match="certificate verify failed") as told:
            Database(address, "main", tables.main_metadata)
        assert postgres.password not in str(told.value)


def test_encryption_that_the_server_has_not_is_not_left_out(database, tmp_path):
    for mode in ("require", f"verify-full&sslrootcert={authority(tmp_path, 'right')[0]}"):
        with pytest.raises(BadSetting, match="refuses SSL"):
            Database(f"{database}?sslmode={mode}", "main", tables.main_metadata)
    with pytest.raises(BadSetting, match="holds no certificates"):
        Database(
            f"{database}?sslmode=verify-full&sslrootcert={tmp_path / 'none'}", "main", tables.main_metadata
        )
