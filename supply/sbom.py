"""`make sbom`: what Cocket is made of, as CycloneDX 1.6 JSON, from the two lock files: sbom/python.json and sbom/npm.json.

Python: by cyclonedx-py from requirements.lock, licences from what is installed. npm: from ui/package-lock.json (lockfileVersion 3), which names
version, hash and licence of each.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def locked_python(lock: Path = ROOT / "requirements.lock") -> dict[str, str]:
    """Name → version of every package of a lock file."""
    found = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", lock.read_text(), re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


def locked_npm(lock: Path = ROOT / "ui" / "package-lock.json") -> dict[tuple[str, str], dict]:
    """(name, version) → entry of every package of the control room."""
    packages = json.loads(lock.read_text())["packages"]
    return {
        (path.rpartition("node_modules/")[2], entry["version"]): entry
        for path, entry in packages.items()
        if path and not entry.get("link")
    }


def python_licence(name: str) -> str:
    """The licence that an installed package says it has: expression, classifiers, or text; "" if it is not installed here."""
    try:
        said = metadata(name)
    except PackageNotFoundError:
        return ""
    classifiers = [c for c in said.get_all("Classifier") or [] if c.startswith("License ::")]
    return said.get("License-Expression") or " | ".join(classifiers) or (said.get("License") or "")[:200]


def python_sbom() -> dict:
    """CycloneDX of the Python lock file."""
    command = [str(Path(sys.executable).with_name("cyclonedx-py")), "requirements", "requirements.lock", "--of", "JSON", "--sv", "1.6", "--output-reproducible"]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    said = json.loads(done.stdout)
    for component in said["components"]:
        if licence := python_licence(component["name"]):
            component["licenses"] = [{"license": {"name": licence}}]
    return said


def npm_sbom() -> dict:
    """CycloneDX of the control room's lock file."""
    components = []
    for (name, version), entry in sorted(locked_npm().items()):
        component = {
            "type": "library",
            "name": name,
            "version": version,
            "purl": f"pkg:npm/{name.replace('@', '%40')}@{version}",
        }
        component["bom-ref"] = component["purl"]
        component["scope"] = "excluded" if entry.get("dev") else "required"
        if entry.get("license"):
            component["licenses"] = [{"license": {"name": entry["license"]}}]
        if entry.get("integrity", "").startswith("sha512-"):
            content = base64.b64decode(entry["integrity"].removeprefix("sha512-")).hex()
            component["hashes"] = [{"alg": "SHA-512", "content": content}]
        components.append(component)
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": components}


if __name__ == "__main__":
    out = ROOT / "sbom"
    out.mkdir(exist_ok=True)
    for name, made in (("python", python_sbom()), ("npm", npm_sbom())):
        (out / f"{name}.json").write_text(json.dumps(made, indent=2) + "\n")
        print(f"sbom/{name}.json: {len(made['components'])} components")
