"""`cocket verify-code`: exit codes and words, without a server."""

import io
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cocket.cli import main
from cocket.customs.codes.claims import Code, Stamp
from cocket.customs.codes.signing import PublicKey, jwk, kid_of, public_of, sign

S = 1_000_000
NOW = 1_790_000_000 * S
AT = ("--at", "2026-09-21T14:13:20Z")
KEY = Ed25519PrivateKey.generate()
TEXT = sign(Code("release", "26NL0004327A1B2C35", None, "G1", NOW - S, NOW + S, 5), KEY)


@pytest.fixture
def keys(tmp_path):
    path = tmp_path / "keys.json"
    raw = public_of(KEY)
    path.write_text(json.dumps({"keys": [jwk(PublicKey(kid_of(raw), raw))]}))
    return str(path)


def test_genuine_is_0(keys, capsys) -> None:
    assert main(["verify-code", TEXT, "--keys", keys, *AT]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["says"] == {
        "kind": "code",
        "purpose": "release",
        "mrn": "26NL0004327A1B2C35",
        "equipment_id": None,
        "gate": "G1",
        "valid_from": "2026-09-21T14:13:19Z",
        "valid_to": "2026-09-21T14:13:21Z",
    }
    assert main(["verify-code", sign(Stamp(7, "Whisky", None), KEY), "--keys", keys]) == 0


def test_it_reads_what_a_scanner_types(keys, capsys, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"]Q3{TEXT.lower()}\r\n"))
    assert main(["verify-code", "-", "--keys", keys, *AT]) == 0
    assert json.loads(capsys.readouterr().out)["genuine"] is True


@pytest.mark.parametrize(
    ("text", "at", "rules"),
    [
        (TEXT[:-4] + "0000", AT, {"forged"}),
        ("hello", AT, {"malformed"}),
        (sign(Stamp(7, "Whisky", None), Ed25519PrivateKey.generate()), AT, {"wrong-key"}),
        (TEXT, ("--at", "2026-09-21T14:13:21Z"), {"expired"}),
        (TEXT, ("--at", "2026-09-21T14:13:18Z"), {"not-yet-valid"}),
        (TEXT, (), {"expired", "not-yet-valid"}),  # now, by this machine's clock
    ],
)
def test_anything_else_is_1_and_says_why(keys, capsys, text, at, rules) -> None:
    assert main(["verify-code", text, "--keys", keys, *at]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["refusal"]["rule"] in rules
    assert said["refusal"]["detail"]
    assert said["genuine"] is False


@pytest.mark.parametrize("content", [None, "", "{}", '{"keys": []}', "[]"])
def test_bad_usage_is_2(tmp_path, capsys, content) -> None:
    path = tmp_path / "keys.json"
    if content is not None:
        path.write_text(content)
    assert main(["verify-code", TEXT, "--keys", str(path)]) == 2
    assert "keys.json" in capsys.readouterr().err


def test_a_time_that_is_none_is_bad_usage(keys, capsys) -> None:
    assert main(["verify-code", TEXT, "--keys", keys, "--at", "noon"]) == 2
    assert "--at" in capsys.readouterr().err
