"""The type-approval report: JSON for machines, one HTML page without script for people and for print."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any, Final

import msgspec

from cocket import __version__
from cocket.checks.checklist import Line, approved
from cocket.checks.proving import Record
from cocket.core.protocol import Protocol
from cocket.observations.frames import shown


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the kit. Times are RFC 3339."""

    protocol: Protocol
    record: Record
    lines: list[Line]
    began_at: str
    ended_at: str


def document(run: Run) -> dict[str, Any]:
    """The report as plain values."""
    rows = run.record.rows()
    return {
        "report": "cocket-type-approval",
        "cocket": __version__,
        "protocol": run.protocol.name,
        "title": run.protocol.title,
        "document": run.protocol.document,
        "device_id": run.record.device_id,
        "began_at": run.began_at,
        "ended_at": run.ended_at,
        "approved": approved(run.lines),
        "frames": len(run.record.heard),
        "connections": run.record.connections,
        "observations": len(rows),
        "columns": sorted({name for _, row in rows for name in row} - {"device_id", "observed_us"}),
        "checks": [asdict(line) for line in run.lines],
        "first_observation": shown(rows[0][1]) if rows else None,
    }


def write(run: Run, path: Path) -> tuple[Path, Path]:
    """Write both files; gives their paths (JSON, HTML)."""
    doc = document(run)
    path.parent.mkdir(parents=True, exist_ok=True)
    as_json, as_html = path.with_name(f"{path.name}.json"), path.with_name(f"{path.name}.html")
    as_json.write_bytes(msgspec.json.format(msgspec.json.encode(doc), indent=2) + b"\n")
    as_html.write_text(page(doc), encoding="utf-8")
    return as_json, as_html


_WORDS: Final = {
    "passed": "Passed",
    "failed": "Failed",
    "not-shown": "Not shown",
    "does-not-apply": "Does not apply",
}
_MARKS: Final = {"passed": "✓", "failed": "✗", "not-shown": "○", "does-not-apply": "–"}

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b2430; --dim: #55606e; --paper: #fff; --line: #d5dae1; --good: #14663a;
  --bad: #a3161f; --open: #7a4d00; --soft: #f4f6f8 }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ecf1; --dim: #a9b3c0; --paper: #12171d; --line: #38424e;
  --good: #6fd69b; --bad: #ff8d8d; --open: #f0bd63; --soft: #1b222b } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto; max-width: 60rem;
  padding: 1.5rem 1rem 3rem }
h1 { font-size: 1.5rem; margin: 0 0 .25rem } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
p { margin: .25rem 0 } .dim { color: var(--dim) }
.verdict { font-weight: 700; font-size: 1.15rem; border: 2px solid; border-radius: .4rem; padding: .4rem .8rem; display: inline-block;
  margin: 1rem 0 }
.passed { color: var(--good) } .failed { color: var(--bad) } .not-shown { color: var(--open) } .does-not-apply { color: var(--dim) }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; vertical-align: top; padding: .5rem .6rem;
  border-top: 1px solid var(--line) } th { font-weight: 600 } td:first-child { white-space: nowrap }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: .5rem 0 } dt { color: var(--dim) } dd { margin: 0;
  overflow-wrap: anywhere }
code { font: .85em ui-monospace, monospace; overflow-wrap: anywhere; background: var(--soft); padding: .05rem .25rem }
@media (max-width: 40rem) { tr { display: block; border-top: 1px solid var(--line); padding: .4rem 0 } td { display: block; border: 0;
  padding: .1rem 0 } thead { display: none } dl { grid-template-columns: 1fr } }
"""


def page(doc: dict[str, Any]) -> str:
    """The report as one HTML page."""
    counts = Counter(line["verdict"] for line in doc["checks"])
    total = len(doc["checks"]) - counts["does-not-apply"]
    state = "passed" if doc["approved"] else "failed"
    verdict = "May be approved" if doc["approved"] else "Not to be approved"
    facts = [
        ("Protocol", f"{doc['title']} (<code>{escape(doc['protocol'])}</code>)"),
        ("Document", escape(doc["document"])),
        ("Device", escape(doc["device_id"] or "it did not say who it is")),
        ("From, to", f"{escape(doc['began_at'])}, {escape(doc['ended_at'])}"),
        (
            "Frames",
            f"{doc['frames']} on {doc['connections']} connections, {doc['observations']} observations",
        ),
        ("What it tells", escape(", ".join(doc["columns"]) or "nothing")),
        ("Made by", f"Cocket {escape(doc['cocket'])}"),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Type approval: {escape(doc['title'])}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f'<h1>Type-approval report</h1>\n<p class="dim">{escape(doc["title"])}</p>\n'
        f'<p class="verdict {state}">{_MARKS[state]} {verdict}: {counts["passed"]} of {total} checks passed</p>\n'
        "<dl>" + "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts) + "</dl>\n"
        '<h2>Checks</h2>\n<table>\n<thead><tr><th scope="col">Result</th><th scope="col">What is asked</th>'
        '<th scope="col">What was found</th></tr></thead>\n<tbody>\n'
        + "".join(_row(line) for line in doc["checks"])
        + "</tbody>\n</table>\n</main>\n</body>\n</html>\n"
    )


def _row(line: dict[str, Any]) -> str:
    verdict = line["verdict"]
    proof = "".join(f"<br><code>{escape(p[:160])}{'…' if len(p) > 160 else ''}</code>" for p in line["proof"])
    return (
        f'<tr><td class="{verdict}">{_MARKS[verdict]} {_WORDS[verdict]}</td>'
        f"<td>{escape(line['asks'])}</td><td>{escape(line['found'])}{proof}</td></tr>\n"
    )
