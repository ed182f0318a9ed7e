"""What Cocket is made of is listed whole, under licences that it may be given on with; and an audit that could not be made is not called good."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COPYLEFT = re.compile(r"(?<!L)GPL|Affero|GNU General|SSPL|BUSL", re.IGNORECASE)
NOT_SAID = {"cedarpy": "its metadata names no licence; its LICENSE file is Apache-2.0"}


def loaded(name: str):
    spec = importlib.util.spec_from_file_location(f"supply_{name}", ROOT / "supply" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def sbom():
    return loaded("sbom")


def test_every_locked_python_package_is_listed_with_its_version(sbom) -> None:
    listed = {
        (re.sub(r"[-_.]+", "-", c["name"]).lower(), c["version"]) for c in sbom.python_sbom()["components"]
    }
    locked = set(sbom.locked_python().items())
    assert len(locked) > 60
    assert locked <= listed
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert len(locked) >= len({line.split("==")[0] for line in lines if re.match(r"[a-zA-Z]", line)}) - 2


def test_every_locked_npm_package_is_listed_with_its_hash(sbom) -> None:
    made = sbom.npm_sbom()
    assert {(c["name"], c["version"]) for c in made["components"]} == set(sbom.locked_npm())
    assert len(made["components"]) > 50
    assert all(len(c["hashes"][0]["content"]) == 128 for c in made["components"])


def test_no_package_is_under_a_licence_that_binds_what_it_is_part_of(sbom) -> None:
    python = {name: sbom.python_licence(name) for name in sbom.locked_python()}
    npm = {f"{n}@{v}": str(entry.get("license", "")) for (n, v), entry in sbom.locked_npm().items()}
    assert {n: text for n, text in {**python, **npm}.items() if COPYLEFT.search(text)} == {}
    installed = {n for n, text in python.items() if text}
    assert len(installed) > 60, "the licences are read from what is installed"
    assert {n for n, text in npm.items() if not text} == set()


def test_an_audit_that_could_not_be_made_is_not_called_good(capsys) -> None:
    audit = loaded("audit")
    skipped = {"name": "numpy", "version": "2", "skip_reason": "Dependency not found"}
    clean = {"name": "numpy", "version": "2", "vulns": []}
    hole = {"name": "x", "version": "1", "vulns": [{"id": "PYSEC-1"}]}
    assert audit.judged_python([skipped, skipped]) == audit.UNREACHED
    assert "NOT AUDITED" in capsys.readouterr().out
    assert audit.judged_python([clean, skipped]) == audit.GOOD
    assert "1 NOT audited" in capsys.readouterr().out
    assert audit.judged_python([clean, hole]) == audit.HOLES
    assert "PYSEC-1" in capsys.readouterr().out
    assert audit.judged_npm({"message": "405 Method Not Allowed"}) == audit.UNREACHED
    assert audit.judged_npm({"vulnerabilities": {}}) == audit.GOOD
    assert audit.judged_npm({"vulnerabilities": {"a": {"severity": "high"}}}) == audit.HOLES
    assert audit.judged_npm({"vulnerabilities": {"a": {"severity": "low"}}}) == audit.GOOD
