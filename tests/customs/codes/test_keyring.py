"""Keys as files: who may read them, what rotation and revocation leave, what is mended and what is refused."""

import os
import stat

import pytest

from cocket.core.clock import ReplayClock
from cocket.core.errors import BadSetting, Conflict, DataDamaged, NotFound
from cocket.customs.codes.claims import Stamp
from cocket.customs.codes.keyring import KeyRing
from cocket.customs.codes.signing import keys_of, verify

NOW = 1_790_000_000_000_000
CLOCK = ReplayClock(NOW, 1.0, held=True)
A_STAMP = Stamp(7, "Whisky", None)


def ring(path) -> KeyRing:
    return KeyRing(path / "keys", CLOCK)


def rule(text: str, keys: KeyRing) -> str | None:
    refusal = verify(text, keys.public, NOW).refusal
    return None if refusal is None else refusal.rule


def test_only_the_owner_reads_them(tmp_path) -> None:
    ring(tmp_path).rotate(by="amina", reason="a new year")
    folder = tmp_path / "keys"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = sorted(folder.iterdir())
    assert [f.suffix for f in files].count(".pem") == 1
    assert {stat.S_IMODE(f.stat().st_mode) for f in files} == {0o600}
    assert all(b"PRIVATE" not in f.read_bytes() for f in files if f.suffix != ".pem")


def test_the_mode_does_not_hang_on_the_umask(tmp_path) -> None:
    before = os.umask(0)
    try:
        ring(tmp_path)
    finally:
        os.umask(before)
    assert {stat.S_IMODE(f.stat().st_mode) for f in (tmp_path / "keys").iterdir()} == {0o600}


def test_the_same_keys_after_a_restart(tmp_path) -> None:
    first = ring(tmp_path)
    text, kid = first.sign(A_STAMP)
    again = ring(tmp_path)
    assert again.jwks() == first.jwks()
    assert again.sign(A_STAMP) == (text, kid)


def test_rotation_keeps_what_was_signed_and_deletes_what_signed_it(tmp_path) -> None:
    keys = ring(tmp_path)
    text, old = keys.sign(A_STAMP)
    new = keys.rotate(by="amina", reason="a new year")
    assert new["kid"] != old
    assert new["state"] == "current"
    other, kid = keys.sign(A_STAMP)
    assert kid == new["kid"]
    assert other != text
    for opened in (keys, ring(tmp_path)):
        assert rule(text, opened) is None
        assert rule(other, opened) is None
        assert [(k["kid"], k["state"]) for k in opened.jwks()] == [(kid, "current"), (old, "retired")]
        assert keys_of({"keys": opened.jwks()}) == opened.public
    retired = keys.jwks()[1]
    assert (retired["retired_at"], retired["by"], retired["reason"]) == (
        "2026-09-21T14:13:20Z",
        "amina",
        "a new year",
    )
    assert [f.stem for f in (tmp_path / "keys").glob("*.pem")] == [kid]


def test_all_that_a_revoked_key_signed_is_refused(tmp_path) -> None:
    keys = ring(tmp_path)
    text, old = keys.sign(A_STAMP)
    revoked = keys.revoke(old, by="amina", reason="stolen")
    assert (revoked["state"], revoked["revoked_at"]) == ("revoked", "2026-09-21T14:13:20Z")
    new, kid = keys.sign(A_STAMP)
    assert kid != old
    for opened in (keys, ring(tmp_path)):
        assert rule(text, opened) == "revoked-key"
        assert rule(new, opened) is None
    with pytest.raises(Conflict, match="was revoked"):
        keys.revoke(old, by="amina", reason="again")
    with pytest.raises(NotFound):
        keys.revoke("0" * 16, by="amina", reason="none")
    assert [f.stem for f in (tmp_path / "keys").glob("*.pem")] == [kid]


def test_a_retired_key_can_be_revoked(tmp_path) -> None:
    keys = ring(tmp_path)
    text, old = keys.sign(A_STAMP)
    current = keys.rotate(by="amina", reason="a new year")["kid"]
    keys.revoke(old, by="amina", reason="an old copy was stolen")
    assert rule(text, keys) == "revoked-key"
    assert keys.sign(A_STAMP)[1] == current
    assert keys.jwks()[1]["retired_at"] is not None


def test_a_key_that_others_can_read_is_refused(tmp_path) -> None:
    kid = ring(tmp_path).sign(A_STAMP)[1]
    (tmp_path / "keys" / f"{kid}.pem").chmod(0o640)
    with pytest.raises(BadSetting, match="chmod 600"):
        ring(tmp_path)


def test_without_the_private_key_all_is_checked_and_nothing_signed(tmp_path) -> None:
    text, kid = ring(tmp_path).sign(A_STAMP)
    pem = tmp_path / "keys" / f"{kid}.pem"
    pem.unlink()
    keys = ring(tmp_path)
    assert rule(text, keys) is None
    with pytest.raises(DataDamaged, match="POST /keys/rotate"):
        keys.sign(A_STAMP)
    keys.rotate(by="amina", reason="it was lost")
    assert rule(keys.sign(A_STAMP)[0], keys) is None
    assert rule(text, ring(tmp_path)) is None


def test_another_private_key_under_its_name_is_not_used(tmp_path) -> None:
    kid = ring(tmp_path).sign(A_STAMP)[1]
    other = ring(tmp_path / "other")
    stranger = next((tmp_path / "other" / "keys").glob("*.pem"))
    stranger.rename(tmp_path / "keys" / f"{kid}.pem")
    with pytest.raises(DataDamaged, match="another key"):
        ring(tmp_path).sign(A_STAMP)
    assert other.jwks()


def test_a_register_that_is_lost(tmp_path) -> None:
    """As after a stop in the middle of making the first key: the private key that lies there is the current one."""
    text, kid = ring(tmp_path).sign(A_STAMP)
    (tmp_path / "keys" / "keys.json").unlink()
    keys = ring(tmp_path)
    assert keys.sign(A_STAMP) == (text, kid)
    assert rule(text, ring(tmp_path)) is None


def test_which_key_is_current_is_never_guessed(tmp_path) -> None:
    ring(tmp_path)
    ring(tmp_path / "other")
    stranger = next((tmp_path / "other" / "keys").glob("*.pem"))
    stranger.rename(tmp_path / "keys" / stranger.name)
    (tmp_path / "keys" / "keys.json").unlink()
    with pytest.raises(DataDamaged, match="2 private keys"):
        ring(tmp_path)


def test_an_old_private_key_that_a_stop_left_behind_goes(tmp_path) -> None:
    keys = ring(tmp_path)
    kid = keys.sign(A_STAMP)[1]
    pem = tmp_path / "keys" / f"{kid}.pem"
    kept = pem.read_bytes()
    keys.rotate(by="amina", reason="a new year")
    pem.write_bytes(kept)
    ring(tmp_path)
    assert not pem.exists()


@pytest.mark.parametrize("damage", [b"", b"[]", b"{", b'[{"kid": "00"}]', None])
def test_a_damaged_register_is_named(tmp_path, damage) -> None:
    keys = ring(tmp_path)
    register = tmp_path / "keys" / "keys.json"
    if damage is None:
        keys.rotate(by="amina", reason="so that there are two")
        damage = register.read_bytes().replace(b'"retired"', b'"current"', 1)
    register.write_bytes(damage)
    with pytest.raises(DataDamaged, match=r"keys\.json is damaged"):
        ring(tmp_path)
