"""Who is believed: registration, networks, certificates, secrets, and conduct."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest
from tests import tls_versions
from tests.gateway.conftest import World, now_us, opened, seal_frame, until

SEAL = "8000000001"
NOW = now_us()


def test_an_unregistered_device_goes_to_quarantine_and_can_be_taken_later(world: World) -> None:
    with world.connect() as s:
        s.sendall(seal_frame(SEAL, 7))
        assert s.recv(100) == b"(P69,0,7)"  # it is kept, so the device need not send it again
    assert world.observations == 0
    held = world.quarantined("unregistered-device")[0]
    assert held["device_id"] == SEAL
    assert held["raw"] == seal_frame(SEAL, 7) or held["raw"][:6] == seal_frame(SEAL, 7)[:6]


def test_admitted_it_keeps_a_name_that_nothing_is_bound_to(tmp_path: Path) -> None:
    with opened(tmp_path / "d", "tcp:0=jt701", unregistered="admit") as w, w.connect() as s:
        s.sendall(seal_frame(SEAL, 7, rope_cut=True))
        assert s.recv(100)
        w.bind(SEAL)  # too late for what it said before
        assert w.rows(f"untrusted:{SEAL}")[0]["rope_cut"] is True
        assert not w.rows(SEAL)
        assert not w.alerts("seal-cut")


def test_registered_while_connected_it_counts_from_the_next_frame(world: World) -> None:
    with world.connect() as s:
        s.sendall(seal_frame(SEAL, 1))
        s.recv(100)
        world.register(SEAL)
        s.sendall(seal_frame(SEAL, 2, rope_cut=True))
        s.recv(100)
    assert world.observations == 1


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"state": "quarantined"}, "device-state"),
        ({"protocol": "gt06"}, "wrong-protocol"),
        ({"networks": ["10.0.0.0/8"]}, "network-not-allowed"),
        ({"certificate_sha256": "0" * 64}, "certificate"),
        ({"secret": "s3cret"}, "wrong-secret"),
    ],
)
def test_what_a_device_must_keep(world: World, fields: dict, rule: str) -> None:
    world.register(SEAL, **fields)
    with world.connect() as s:
        s.sendall(seal_frame(SEAL))
        s.recv(100)
    assert world.observations == 0
    assert [r["rule"] for r in world.quarantined()] == [rule]


def test_a_device_in_its_network(world: World) -> None:
    world.register(SEAL, networks=["127.0.0.0/8"], state="armed")
    with world.connect() as s:
        s.sendall(seal_frame(SEAL))
        s.recv(100)
    assert world.observations == 1


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make certificates with")
def test_a_device_that_shows_its_certificate(tmp_path: Path) -> None:
    for name in ("server", "device"):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-days", "2",
             "-keyout", f"{name}.key", "-out", f"{name}.pem"],
            cwd=tmp_path, check=True, capture_output=True,
        )  # fmt: skip
    settings = {
        "tls_certificate": str(tmp_path / "server.pem"),
        "tls_key": str(tmp_path / "server.key"),
        "tls_clients": str(tmp_path / "device.pem"),
    }
    der = ssl.PEM_cert_to_DER_cert((tmp_path / "device.pem").read_text())
    with opened(tmp_path / "d", "tls:0=jt701", **settings) as w:
        w.register(SEAL, certificate_sha256=sha256(der).hexdigest())
        with w.connect(kind="tls") as plain:
            tls_versions.check(plain.getpeername())
        for shows in (False, True):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            if shows:
                context.load_cert_chain(tmp_path / "device.pem", tmp_path / "device.key")
            with w.connect(kind="tls") as plain, context.wrap_socket(plain) as s:
                s.sendall(seal_frame(SEAL, observed_us=NOW + shows * 1_000_000))
                assert s.recv(100)
        assert w.observations == 1
        assert [r["rule"] for r in w.quarantined()] == ["certificate"]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make certificates with")
def test_a_device_is_who_its_certificate_says(tmp_path: Path) -> None:
    """``tls_names``: a certificate that the settings' authorities signed speaks for the device that it names, and for no other."""
    for name in (SEAL, "server"):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-days", "2",
             "-keyout", f"{name}.key", "-out", f"{name}.pem"],
            cwd=tmp_path, check=True, capture_output=True,
        )  # fmt: skip
    settings = {
        "tls_certificate": str(tmp_path / "server.pem"),
        "tls_key": str(tmp_path / "server.key"),
        "tls_clients": str(tmp_path / f"{SEAL}.pem"),
        "tls_names": True,
    }
    other = "8000000002"
    with opened(tmp_path / "d", "tls:0=jt701", **settings) as w:
        w.register(SEAL)
        w.register(other)
        for device, shows in ((SEAL, True), (other, True), (SEAL, False)):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            if shows:
                context.load_cert_chain(tmp_path / f"{SEAL}.pem", tmp_path / f"{SEAL}.key")
            with w.connect(kind="tls") as plain, context.wrap_socket(plain) as s:
                s.sendall(seal_frame(device, observed_us=NOW + (not shows) * 1_000_000))
                assert s.recv(100)
        assert w.observations == 1
        held = w.quarantined()
        assert sorted((r["device_id"], r["rule"]) for r in held) == [
            (SEAL, "certificate"),
            (other, "certificate"),
        ]


def test_two_connections_at_once(world: World) -> None:
    world.register(SEAL)
    mrn = world.bind(SEAL)
    with world.connect() as a, world.connect() as b:
        for i, s in enumerate((a, b, a)):
            s.sendall(seal_frame(SEAL, i, observed_us=NOW - i * 1_000_000))
            s.recv(100)
        alerts = world.alerts("device-twice")
    last = world.service.last(SEAL)
    assert last is not None
    assert last["lat_deg"] == pytest.approx(
        22.5
    )  # what the gateway remarked is not what the device said last
    assert len(alerts) == 1
    assert alerts[0]["device_id"] == SEAL
    assert alerts[0]["mrn"] == mrn
    assert alerts[0]["count"] >= 2


def test_a_device_that_comes_back_is_not_two(world: World) -> None:
    world.register(SEAL)
    for i in range(3):
        with world.connect() as s:
            s.sendall(seal_frame(SEAL, i, observed_us=NOW - i * 1_000_000))
            s.recv(100)
        until(lambda: world.gateway.connections == 0)
    assert not world.alerts("device-twice")


def test_an_impossible_movement(world: World) -> None:
    world.register(SEAL)
    with world.connect() as s:
        for i, lat in enumerate((22.5, 22.501, 28.0)):
            s.sendall(seal_frame(SEAL, i, observed_us=NOW - 60_000_000 + i * 10_000_000, lat_deg=lat))
            s.recv(100)
    (alert,) = world.alerts("impossible-movement")
    assert alert["lat_deg"] == pytest.approx(28.0, abs=1e-4)
    assert alert["mrn"] == ""


def test_two_identities_on_one_connection(world: World) -> None:
    other = "8000000002"
    world.register(SEAL)
    world.register(other)
    with world.connect() as s:
        for name in (SEAL, other):
            s.sendall(seal_frame(name))
            s.recv(100)
    assert {a["device_id"] for a in world.alerts("identity-mismatch")} == {SEAL, other}


def test_alerts_on_conduct_survive_a_restart_once(tmp_path: Path) -> None:
    with opened(tmp_path / "d", "tcp:0=jt701") as w:
        w.register(SEAL)
        with w.connect() as a, w.connect() as b:
            for i, s in enumerate((a, b)):
                s.sendall(seal_frame(SEAL, i, observed_us=NOW - i * 1_000_000))
                s.recv(100)
            before = w.alerts("device-twice")
    with opened(tmp_path / "d", "tcp:0=jt701") as w:
        after = w.alerts("device-twice")
    assert [a["id"] for a in after] == [a["id"] for a in before]
    assert [a["count"] for a in after] == [a["count"] for a in before]


def test_nothing_of_an_untrusted_name_can_be_bound(world: World) -> None:
    from cocket.core.errors import Refused

    with pytest.raises(Refused, match="register it first"):
        world.bind(f"untrusted:{SEAL}")


def test_a_socket_that_never_reads_is_closed(world: World) -> None:
    world.register(SEAL)
    frames = b"".join(seal_frame(SEAL, i % 256, observed_us=NOW - i * 1_000_000) for i in range(2000))
    with world.connect() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        s.sendall(frames)
        until(lambda: world.observations == 2000)
