"""A site of real processes: what one machine finds a site finds, whatever dies, stops or is cut off meanwhile.

Checked the Jepsen way: what was acknowledged is stored, nothing twice, in the order of each device, and the alerts are those of an
undisturbed run on one machine.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import signal
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from paho.mqtt import MQTTException
from tests.engine import feed
from tests.production.checker import FIELDS, Client, declare, sent, stored
from tests.production.watched import alarms, cut, joined, scraped
from tests.watching.conftest import Receiver

from cocket.cli import main
from cocket.core.clock import WallClock
from cocket.core.config import load
from cocket.core.errors import BadSetting, Conflict, Unavailable
from cocket.engine.service import Service
from cocket.engine.site import doctor
from cocket.engine.site.link import Link
from cocket.engine.site.repartition import repartition
from cocket.store.nats_connection import NatsConnection
from cocket.store.nats_servers import DEVICES
from cocket.up import Production


def _until(condition: Callable[[], object], seconds: float = 60, told: Callable[[], object] = str) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"it did not come about {told()}"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[tuple[object, ...]], dict[str, str]]:
    """Alerts and tracks of the same observations, in order and once each, in one undisturbed process."""
    folder: Path = tmp_path_factory.mktemp("one") / "folder"
    with Service.open(folder, WallClock(), feed.SETTINGS) as service:
        feed.declare(service)
        for body in feed.bodies(shuffle=False, size=10_000):
            feed.send(service, body)
        feed.settle(service)
        rows, _ = service.folder.alerts.page({"superseded": False}, None, 500, "newest")
        counts = {
            k: len(service.folder.history.rows([(f"SEAL{k:02d}", 0, 2**62)]).columns["observed_us"])
            for k in range(feed.TRUCKS)
        }
    return sorted((tuple(r[f] for f in FIELDS) for r in rows), key=str), counts


def test_whatever_dies_nothing_is_lost_and_the_alerts_are_the_same(site: Production, expected) -> None:
    client = Client(site.url)
    declare(client)
    over, ended = threading.Event(), threading.Event()
    acknowledged: list[int] = []

    def send() -> None:
        try:
            acknowledged.append(sent(client, feed.bodies(size=6), pace_s=0.2, until=over))
        finally:
            ended.set()

    sender = threading.Thread(target=send)
    sender.start()
    try:
        _trouble(site, ended)  # here: what is started again ends with the thread that started it
    finally:
        over.set()
    while not ended.wait(0.1):
        site.look()
    sender.join()
    for worker in site.workers:  # nobody is left asleep
        if worker.pid is not None:
            os.kill(worker.pid, signal.SIGCONT)
    client.settled()
    alerts, counts = expected
    assert stored(client) == counts
    assert client.alerts() == alerts
    assert acknowledged[0] >= sum(counts.values())
    _until(lambda: client.until("GET", "/stats")["observations"] >= sum(counts.values()))
    stats = client.until("GET", "/stats")
    assert (stats["observations"], stats["rejected"]) == (sum(counts.values()), 0)


def _trouble(site: Production, ended: threading.Event) -> None:
    """One fault after the other, each mended by the supervisor or by itself, while the senders send."""
    rng = random.Random(5)
    nodes, workers = site.nats.nodes, site.workers

    def kill_worker() -> None:
        pid = rng.choice(workers).pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)

    def pause_worker() -> None:
        pid = rng.choice(workers).pid
        if pid is None:
            return
        os.kill(pid, signal.SIGSTOP)
        time.sleep(site.wanted.lease_s + 2)  # longer than its leases: others take its partitions
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    def kill_leader() -> None:
        node = site.nats.leader("COCKET_main_0") or nodes[0]
        node.kill()

    def kill_web() -> None:
        if site.web.pid is not None:
            os.kill(site.web.pid, signal.SIGKILL)

    faults = [kill_worker, pause_worker, kill_leader, site.postgres.kill, kill_web, kill_worker]
    for fault in faults:
        assert not ended.wait(0.7), "the senders ended before the trouble did"
        fault()
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            site.look()
            time.sleep(0.1)


def test_a_worker_more_takes_its_share_and_one_less_leaves_none_without(site: Production) -> None:
    client = Client(site.url)

    def owners() -> list[str]:
        return [p["worker"] for p in client.until("GET", "/site")["partitions"]]

    _until(lambda: None not in owners() and len(set(owners())) == 2)
    extra = site.add_worker()
    _until(lambda: None not in owners() and len(set(owners())) == 3)
    before = owners()
    assert extra.pid is not None
    os.kill(extra.pid, signal.SIGKILL)
    site.workers.remove(extra)
    _until(lambda: None not in owners() and len(set(owners())) == 2)
    assert len(set(before)) == 3
    assert client.send(b'{"device_id":"EXTRA","observed_at":"2026-03-02T06:00:00Z"}')["accepted"] == 1


def test_devices_of_tcp_and_mqtt_come_in(site: Production) -> None:
    import socket

    from paho.mqtt import publish

    client = Client(site.url)
    host, _, port = site.addresses[0].split()[2].rpartition(":")
    login = bytes.fromhex(
        "78780d01012345678901234500018cdd0d0a"
    )  # GT06 protocol, login of the manual's example
    with socket.create_connection((host, int(port)), 20) as device:
        device.sendall(login)
        assert device.recv(64)[:2] == b"\x78\x78"
    devices = {"username": DEVICES, "password": site.nats.devices_password}
    message = '{"_type":"location","lat":-1.25,"lon":36.8,"tst":1772431200,"tid":"t1"}'
    publish.single(
        "owntracks/driver/phone7",
        message,
        qos=1,
        hostname="127.0.0.1",
        port=site.mqtt_port,
        auth=devices,
    )
    _until(lambda: _known(client, "untrusted:driver-phone7"))


def test_a_device_writes_neither_into_a_log_nor_between_processes(site: Production) -> None:
    from paho.mqtt import publish

    connection = NatsConnection(site.nats.url)
    heard: list[bytes] = []
    link = Link(connection, "listener")
    try:
        for subject in ("cocket-site.>", "cocket.log.>", "cocket.sensors.>"):
            link.subscribe(subject, heard.append)
        for topic in ("cocket-site/main/declared", "cocket/log/main/0/0", "cocket/sensors/s1"):
            # refused or dropped, as the servers please
            with contextlib.suppress(MQTTException, OSError):
                publish.single(
                    topic,
                    b"forged",
                    qos=0,
                    hostname="127.0.0.1",
                    port=site.mqtt_port,
                    auth={"username": DEVICES, "password": site.nats.devices_password},
                )
        _until(lambda: b"forged" in heard)  # the last one, which devices may
        assert heard.count(b"forged") == 1
    finally:
        link.close()
        connection.close()


def _known(client: Client, device: str) -> bool:
    answer = client.http.get(f"/devices/{device}/last")
    return answer.status_code == httpx.codes.OK


def test_the_doctor_finds_a_sound_site_sound_while_it_works(site: Production) -> None:
    client, settings = Client(site.url), load(site.settings)
    stop = threading.Event()

    def work() -> None:
        for i in range(10_000):
            if stop.is_set():
                return
            client.send(
                b'{"device_id":"LOAD%d","observed_at":"2026-03-02T06:00:00Z","code":"%d"}' % (i % 64, i)
            )

    _until(lambda: not [f for f in doctor.check(settings) if f.level != "note"])
    sender = threading.Thread(target=work)
    sender.start()
    try:
        for look in (doctor.verify, doctor.check):
            assert [f for f in look(settings) if f.level != "note"] == []
    finally:
        stop.set()
        sender.join()


def test_workers_tell_their_figures(site: Production) -> None:
    client = Client(site.url)
    client.settled()
    _until(lambda: [sum(s["cocket_partitions", ""] for s in scraped(site))] == [4])
    found = scraped(site)
    of = [sorted(p for name, p in samples if name == "cocket_log_offset") for samples in found]
    assert sorted(itertools.chain(*of)) == ["0", "1", "2", "3"]
    assert all(samples["cocket_step_seconds_count", ""] > 0 for samples in found)
    assert all(samples["cocket_commit_rows_sum", ""] > 0 for samples in found)
    for samples, partitions in zip(found, of, strict=True):
        for p in partitions:
            assert samples["cocket_log_offset", p] > 0
            assert samples["cocket_lag_observations", p] >= 0
            assert samples["cocket_checkpoint_age_seconds", p] >= 0
            assert samples["cocket_detectors_up", p] == 1
            assert samples["cocket_log_unbooked", p] == 0
    for worker, partitions in zip(site.workers, of, strict=True):
        health = httpx.get(f"{worker.figures}/health").json()
        assert health["status"] == "ok"
        assert [str(p["partition"]) for p in health["partitions"]] == partitions
        assert httpx.get(f"{worker.figures}/docs").status_code == 404
        assert "SEAL00" not in httpx.get(f"{worker.figures}/metrics").text


def test_status_shows_partitions_and_their_workers(site: Production, capsys) -> None:
    client = Client(site.url)
    client.settled()
    assert main(["status", "--url", site.url]) == 0
    out = capsys.readouterr().out
    assert "site main: 4 partitions, 2 workers" in out
    for worker in client.until("GET", "/site")["workers"]:
        assert f"  {worker['id']}: " in out
    assert max(map(len, out.splitlines())) <= 80


def test_one_trace_goes_through_all_processes(site: Production, receiver: Receiver) -> None:
    client = Client(site.url)
    whole = False
    for number in range(1, 9):  # a word about alerts may be overtaken, and then the trace ends at the worker
        trace, alert = cut(client, number)
        spans = joined(receiver, trace, _until)
        _until(lambda alert=alert: client.until("GET", f"/alerts/{alert}")["trace_id"])
        assert client.until("GET", f"/alerts/{alert}")["trace_id"] == trace
        with contextlib.suppress(AssertionError):
            _until(lambda trace=trace: "stream.publish" in receiver.trace(trace), 5)
        spans = joined(receiver, trace, _until)
        whole = "stream.publish" in spans
        if whole:
            break
    assert whole
    assert len({r.get("service.instance.id") for r in receiver.resources}) >= 2


def test_commands_find_the_site_by_its_settings(site: Production, tmp_path: Path, capsys) -> None:
    def said(*argv: str) -> str:
        capsys.readouterr()
        assert main([*argv, "--settings", str(site.settings)]) == 0
        return capsys.readouterr().out

    client, file = Client(site.url), tmp_path / "amina.zip"
    assert "/welcome#" in said("account", "add", "amina", "--role", "operator")
    assert said("account", "list").startswith("amina\toperator")
    assert {w["kind"] for w in json.loads(said("retention", "--dry-run"))["would"]} >= {
        "observations",
        "audit",
    }
    said("person-export", "--account", "amina", "-o", str(file))
    with zipfile.ZipFile(file) as held:
        assert any(b"amina" in held.read(name) for name in held.namelist())
    actions = [e["action"] for e in client.pages("/audit", limit=200)]  # what the doors show
    assert actions[0] == "person:export"
    assert "binding:manage" in actions
    exported = said("audit", "export").splitlines()
    assert len(exported) >= len(actions)
    assert "The chain is whole." in said("audit", "check")


def test_a_site_says_what_is_away(site: Production) -> None:
    client = Client(site.url)
    _until(lambda: not alarms(client), told=lambda: alarms(client))
    node = site.nats.nodes[0]
    node.kill()
    site.postgres.kill()
    try:
        _until(lambda: {"nats-server-away", "database-away"} <= set(alarms(client)))
        away = alarms(client)["nats-server-away"]["detail"]
        assert f"1 of 3 NATS servers do not answer: 127.0.0.1:{node.port}" in away
    finally:
        site.look()
    _until(lambda: not alarms(client), told=lambda: alarms(client))


@pytest.mark.soak
def test_a_site_says_which_copy_is_missing(site: Production) -> None:
    """JetStream calls a copy that has all and then is silent current for ten seconds."""
    client = Client(site.url)

    def copies() -> str:
        return alarms(client).get("log-copies-behind", {}).get("detail", "")

    node = site.nats.nodes[0]
    node.kill()
    try:  # first, perhaps, that nobody leads it: then the new leader misses the copy
        _until(lambda: f"{node.name} " in copies(), told=lambda: alarms(client))
    finally:
        site.look()
    _until(lambda: not alarms(client), told=lambda: alarms(client))


def test_another_number_of_partitions_changes_no_alert(site: Production, expected) -> None:
    client = Client(site.url)
    client.settled()
    assert client.alerts() == expected[0]
    settings = load(site.settings)
    with pytest.raises(Conflict, match="stop them first"):
        repartition(settings, 8, site.folder / "tool")
    for worker in site.workers:
        worker.stop()
    without = (
        "4 of 4 partitions have no worker: 0, 1, 2, 3; workers there: 0"  # first, perhaps, fewer of them
    )
    _until(
        lambda: alarms(client).get("partition-without-worker", {}).get("detail") == without,
        told=lambda: alarms(client),
    )
    site.web.stop()
    for number in (3, 2048):
        with pytest.raises(BadSetting, match="power of two"):
            repartition(settings, number, site.folder / "tool")
    assert repartition(settings, 8, site.folder / "tool") == 0
    assert repartition(settings, 8, site.folder / "tool") == 0
    worker = site.workers[0]
    worker.start()
    with pytest.raises(Unavailable, match=r"this site has 8; `cocket repartition`"):
        worker.ready()
    site.settings.write_text(site.settings.read_text().replace("partitions = 4", "partitions = 8"))
    for child in (*site.workers, site.web):
        child.start()
    for child in (*site.workers, site.web):
        child.ready()
    client.settled()
    assert client.alerts() == expected[0]
    again = [client.send(body) for body in feed.bodies(size=100)]
    assert sum(receipt["accepted"] for receipt in again) == 0
    assert client.send(b'{"device_id":"NEW","observed_at":"2026-03-02T06:00:00Z"}')["accepted"] == 1
    client.settled()
    assert client.alerts() == expected[0]
    assert len(client.until("GET", "/site")["partitions"]) == 8
    found = doctor.verify(load(site.settings))
    assert [f for f in found if f.level != "note"] == []
    assert any("4 streams are of before the last cocket repartition" in f.what for f in found)
    assert stored(client) == expected[1]
