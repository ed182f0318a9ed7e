"""Commands: asked for, approved by a second person, delivered when the device speaks, answered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.gateway.conftest import World, opened, seal_frame, until

from cocket.core.errors import Conflict, NotFound, Refused

SEAL = "8000000001"
UNLOCK: dict[str, Any] = {"password": "888888"}


def state(w: World, number: int) -> str:
    return str(w.gateway.commands.store.get(number)["state"])


def test_unlocking_needs_two_people_and_is_delivered_when_the_device_speaks(world: World) -> None:
    world.register(SEAL, protocol="jt701")
    commands = world.gateway.commands
    row = commands.request(SEAL, "unlock", UNLOCK, by="amina", reason="arrived")
    assert row["state"] == "awaiting-approval"
    with pytest.raises(Conflict, match="somebody else"):
        commands.approve(row["id"], by=" Amina")
    with world.connect() as s:
        s.sendall(seal_frame(SEAL, 1))
        assert s.recv(100) == b"(P69,0,1)"
        assert state(world, row["id"]) == "awaiting-approval"
        commands.approve(row["id"], by="brahim")
        assert s.recv(100) == b"(P43,888888)"  # it is connected: at once
        until(lambda: state(world, row["id"]) == "sent")
        s.sendall(f"({SEAL},P43,1)".encode())
        until(lambda: state(world, row["id"]) == "done")
    done = commands.store.get(row["id"])
    assert (done["by"], done["approved_by"], done["reason"], done["answer"]) == (
        "amina",
        "brahim",
        "arrived",
        "1",
    )
    with pytest.raises(Conflict):
        commands.cancel(row["id"], by="amina")


def test_it_waits_over_a_restart_for_a_device_that_is_away(tmp_path: Path) -> None:
    with opened(tmp_path / "d", "tcp:0=jt701") as w:
        w.register(SEAL, protocol="jt701")
        row = w.gateway.commands.request(SEAL, "interval", {"seconds": 30}, by="a", reason="r")
        assert row["state"] == "queued"
    with opened(tmp_path / "d", "tcp:0=jt701") as w, w.connect() as s:
        s.sendall(seal_frame(SEAL, 1))
        answer = b""
        while answer.count(b")") < 2:
            answer += s.recv(100)
        assert b"(P04,1,30,1)" in answer
        assert state(w, row["id"]) == "sent"
        s.sendall(seal_frame(SEAL, 2, rope_cut=True))
        assert s.recv(100) == b"(P69,0,2)"  # once, not again


def test_a_command_that_nobody_fetches_expires(tmp_path: Path) -> None:
    with opened(tmp_path / "d", "tcp:0=jt701", command_s=0.2) as w:
        w.register(SEAL, protocol="jt701")
        row = w.gateway.commands.request(SEAL, "unlock", UNLOCK, by="a", reason="r")
        until(lambda: state(w, row["id"]) == "expired")
        with pytest.raises(Conflict, match="expired"):
            w.gateway.commands.approve(row["id"], by="b")


def test_what_cannot_be_asked(world: World) -> None:
    ask = world.gateway.commands.request
    with pytest.raises(NotFound):
        ask("nobody", "unlock", {}, by="a", reason="r")
    world.register(SEAL)
    with pytest.raises(Conflict, match=r"protocol .* is not known"):
        ask(SEAL, "unlock", UNLOCK, by="a", reason="r")
    world.register(SEAL, protocol="jt701")
    with pytest.raises(Refused, match="it has interval, unlock"):
        ask(SEAL, "open", {}, by="a", reason="r")
    with pytest.raises(Refused, match="six digits"):
        ask(SEAL, "unlock", {"password": "1"}, by="a", reason="r")
    with pytest.raises(Refused, match="takes no 'pasword'"):
        ask(SEAL, "unlock", {"pasword": "888888"}, by="a", reason="r")
