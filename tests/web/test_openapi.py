"""The OpenAPI document is complete and true: schemathesis asks every operation for what it promises."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

CONFIG = """
# A shape cannot say everything: rings close, references exist, cursors are ours. 400, 404, 409 and 422 are answers to
# data that fits the shape.
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "400", "404", "409", "422"]

# Uploads of many keep the good rows and name the others, so a body with a wrong row in it is no error.
[[operations]]
include-method = "POST"
include-path-regex = "/(observations|zones|corridors|offices|devices|movements|bindings)$"
checks.negative_data_rejection.expected-statuses = ["200", "400", "409", "415", "422"]
"""

HOOKS = """
import schemathesis


@schemathesis.serializer(
    "application/x-ndjson", "application/pdf", "image/jpeg", "image/png", "application/edifact", "text/csv",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
)
def lines(ctx, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
"""


@pytest.mark.parametrize(
    ("phases", "most"),
    [
        pytest.param("examples,fuzzing", 3, id="some"),
        pytest.param("examples,coverage,fuzzing", 25, id="many", marks=pytest.mark.soak),
    ],
)
def test_schemathesis_finds_nothing(fresh, tmp_path, phases: str, most: int) -> None:
    """All operations but the stream, which does not end (tests/web/test_stream.py asks it)."""
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    (tmp_path / "web_hooks.py").write_text(HOOKS)
    program = Path(sys.executable).with_name("schemathesis")
    command = [
        str(program), "run", f"{fresh.url}/api/openapi.json", "--exclude-path", "/api/v1/stream", "--seed", "20261122",
        "--max-examples", str(most), "--phases", phases, "--continue-on-failure", "--warnings", "off",
    ]  # fmt: skip
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "web_hooks",
        "PYTHONPATH": str(tmp_path),
        "COLUMNS": "150",
    }
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=3000, check=False
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
    paths = httpx.get(f"{fresh.url}/api/openapi.json").json()["paths"]
    asked = sum(len(operations) for path, operations in paths.items() if path != "/api/v1/stream")
    assert asked > 50
    assert f"Tested: {asked}" in done.stdout, done.stdout[-2000:]


def test_every_operation_is_described(door) -> None:
    document = httpx.get(f"{door.url}/api/openapi.json").json()
    schemas = document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            assert len(operation["description"]) > 10, where
            assert operation["tags"], where
            assert any(status.startswith(("2", "303")) for status in operation["responses"]), where
            body = operation.get("requestBody")
            if method in {"put", "post", "patch"}:
                assert body is not None, where
                assert {"400", "413", "415", "422", "429"} <= set(operation["responses"]), where
                assert any(
                    "example" in media for media in body["content"].values()
                ) or "FeatureCollection" in str(body), where
            for parameter in operation.get("parameters", []):
                assert parameter["schema"], where
            for status, answer in operation["responses"].items():
                if status.startswith("4"):
                    assert list(answer["content"]) == ["application/problem+json"], where
    references = set(__import__("re").findall(r"#/components/schemas/(\w+)", str(document)))
    assert references <= set(schemas)
    assert {
        "NewObservation",
        "Problem",
        "Movement",
        "Binding",
        "Zone",
        "Corridor",
        "Alert",
        "AlertAct",
    } <= set(schemas)


@pytest.mark.parametrize("column", ["device_id", "lat_deg", "rope_cut", "sequence", "fix_source"])
def test_the_schema_of_a_row_is_the_table(door, column) -> None:
    properties = httpx.get(f"{door.url}/api/openapi.json").json()["components"]["schemas"]["NewObservation"][
        "properties"
    ]
    assert properties[column]["description"]
    assert "received_us" not in properties
