"""The four machines together, against a simple oracle: whatever people do in whatever order, the desks and the oracle agree.

The oracle keeps plain dictionaries and the tables; it knows nothing of transactions, folds or stores. Movement, seal and guarantee are
driven through the desks over a real store, the alert through its own store; invariants hold after every step.
"""

from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from cocket.core.alerts import AlertChange
from cocket.core.clock import rfc3339
from cocket.core.config import Customs
from cocket.core.errors import Conflict, ImpossibleTransition, NotFound, Refused
from cocket.customs.file import CustomsFile
from cocket.customs.machines.alert import ALERT, Act, act_on
from cocket.customs.machines.movement import MOVEMENT
from cocket.customs.machines.seal import ON_MOVEMENT
from cocket.store.folder import DataFolder

T0 = 1_790_000_000_000_000
MINUTE = 60_000_000
MRNS = ["M1", "M2"]
SEALS = ["S1", "S2", "S3"]
TOTAL = Decimal("1000.00")
LINE = {
    "draft": "lodge",
    "lodged": "accept",
    "guarantee-reserved": "decide-control",
    "control-decided": "release",
    "departed": "proceed",
    "border-handover": "proceed",
    "incident": "resolve-incident",
    "overdue": "open-enquiry",
    "enquiry": "offer-proof",
    "debt": "start-recovery",
}


class Hand:
    """A clock that is moved by hand."""

    kind = "replay"
    speed = 1.0

    def __init__(self) -> None:
        self.us = T0

    def now_us(self) -> int:
        return self.us


class Machines(RuleBasedStateMachine):
    """Two movements, three seals, one guarantee, one alert."""

    folder_at = None
    then = ""
    reached: set[tuple[str, str]] = set()  # noqa: RUF012 - of all runs together

    def __init__(self) -> None:
        super().__init__()
        self.clock = Hand()
        Machines.number = getattr(Machines, "number", 0) + 1
        self.folder = DataFolder.open(Machines.folder_at / str(Machines.number))
        self.file = CustomsFile(self.folder, self.clock, Customs())
        self.file.transit.checks.clean_trip = lambda _mrn, _at: []
        for mrn in MRNS:
            doc = {"risk": "high", "limit_at": rfc3339(T0 + 500 * MINUTE)} if mrn == "M1" else {}
            self.folder.reference.put("movement", mrn, doc, by="t", at_us=T0)
        for seal in ("S1", "S2"):
            self.folder.reference.put("device", seal, {"class": "e-seal"}, by="t", at_us=T0)
        self.file.guarantees.put("G", {"amount": str(TOTAL), "currency": "EUR"}, by="t")
        self.movement = dict.fromkeys(MRNS, "draft")
        self.events: dict[str, int] = dict.fromkeys(MRNS, 0)
        self.waived: set[str] = set()
        self.seal = {"S1": ("type-approved", None), "S2": ("type-approved", None), "S3": ("new", None)}
        self.entry: dict[str, tuple[str, Decimal]] = {}
        self.alert = "raised"
        change = AlertChange(
            id="a" * 32, code="seal-cut", severity="critical", journey="j", mrn="M1", equipment_id="E", device_id="S1", subject=None,
            began_us=T0, ended_us=None, raised_event_us=T0, last_us=T0, raised_us=T0, count=1, lat_deg=None, lon_deg=None, value=None,
            peak=None, threshold=None, unit="", corridor=None, began_key=1, raised_key=1, last_key=1, peak_us=T0, peak_key=1, says="cut",
        )  # fmt: skip
        self.folder.alerts.apply([change], offset=1, at_us=T0)

    def teardown(self) -> None:
        self.folder.close()

    # what is done

    def _act(self, mrn: str, event: str, **details) -> bool:
        """Through the desk; the answer is whether it was taken."""
        self.clock.us += MINUTE
        desk = self.file.transit
        try:
            desk.act(mrn, [desk.wanted({"event": event, **details}, by="amina")])
        except (Conflict, Refused):
            return False
        return True

    def _can(self, mrn: str, event: str) -> bool:
        return event in MOVEMENT.allowed(self.movement[mrn])

    def _went(self, mrn: str, event: str) -> None:
        Machines.reached.add((self.movement[mrn], event))
        self.movement[mrn] = MOVEMENT.after(self.movement[mrn], event, mrn)
        self.events[mrn] += 1

    def _off(self, mrn: str, only=None) -> None:
        for seal, (state, on) in self.seal.items():
            if on == mrn and state in ON_MOVEMENT and (only is None or seal in only):
                self.seal[seal] = ("type-approved" if state == "assigned" else "disarmed", None)

    def _freed(self, mrn: str) -> None:
        self._off(mrn)
        if self.entry.get(mrn, ("", 0))[0] == "reserved":
            self.entry[mrn] = ("released", self.entry[mrn][1])

    @rule(
        mrn=st.sampled_from(MRNS),
        event=st.sampled_from(
            [
                "lodge",
                "accept",
                "reject",
                "decide-control",
                "release",
                "proceed",
                "resolve-incident",
                "tranship",
                "unload",
                "report-discrepancies",
                "resolve-discrepancies",
                "open-enquiry",
                "offer-proof",
                "reject-proof",
                "start-recovery",
                "fly",
            ]
        ),
    )
    def plain(self, mrn, event) -> None:
        """Events that need nothing but their place in the table."""
        allowed = self._can(mrn, event)
        assert self._act(mrn, event) == allowed, (self.movement[mrn], event)
        if allowed:
            self._went(mrn, event)

    @initialize(first=st.integers(0, 9), second=st.integers(0, 9))
    def begin(self, first, second) -> None:
        """Both movements somewhere along the line already; the first perhaps too late, in an incident, or just to be sealed."""
        self.go_on("M1", {"sealed": 4, "late": 7, "incident": 7}.get(self.then, first))
        self.go_on("M2", second)
        if self.then == "late":
            self.time_passes(600)
        elif self.then == "incident":
            self.with_words("M1", ("report-incident", {"reason": "collision"}))
        elif self.then == "sealed":
            self.fit("M1", ["S1", "S3"], again=False)

    @rule(mrn=st.sampled_from(MRNS), steps=st.integers(1, 12))
    def go_on(self, mrn, steps) -> None:
        """Along the main line, so that later states are reached often."""
        for _ in range(steps):
            state = self.movement[mrn]
            if state == "accepted":
                self.reserve(mrn, 100)
            elif state == "released":
                self.waive(mrn)
                self.depart(mrn)
            elif state == "en-route":
                self.with_words(mrn, ("arrive", {}))
            elif state in LINE:
                self.plain(mrn, LINE[state])
            if self.movement[mrn] == state:
                return

    @rule(mrn=st.sampled_from(MRNS), cents=st.integers(1, 90_000))
    def reserve(self, mrn, cents) -> None:
        amount = Decimal(cents) / 100
        used = sum(a for s, a in self.entry.values() if s in {"reserved", "called"})
        allowed = self._can(mrn, "reserve-guarantee") and amount <= TOTAL - used and mrn not in self.entry
        assert self._act(mrn, "reserve-guarantee", grn="G", amount=f"{amount:.2f}", currency="EUR") == allowed
        if allowed:
            self.entry[mrn] = ("reserved", amount)
            self._went(mrn, "reserve-guarantee")

    @rule(
        mrn=st.sampled_from(MRNS),
        seals=st.lists(st.sampled_from(SEALS), min_size=1, max_size=2, unique=True),
        again=st.booleans(),
    )
    def fit(self, mrn, seals, again) -> None:
        event = "reseal" if again else "seal"
        before = dict(self.seal)
        if again:
            self._off(mrn)
        free = all(self.seal[s][0] in {"type-approved", "charged", "new"} for s in seals)
        allowed = self._can(mrn, event) and free
        self.seal = before
        fitted = [{"id": s, "equipment_id": "MSKU9070323"} for s in seals]
        assert self._act(mrn, event, seals=fitted, reason="r") == allowed, (
            self.movement[mrn],
            self.seal,
            seals,
        )
        if allowed:
            if again:
                self._off(mrn)
            self.seal |= dict.fromkeys(seals, ("assigned", mrn))
            self._went(mrn, event)

    @rule(mrn=st.sampled_from(MRNS))
    def arm(self, mrn) -> None:
        mine = [s for s, (state, on) in self.seal.items() if on == mrn and s != "S3" and state in ON_MOVEMENT]
        allowed = self._can(mrn, "arm") and bool(mine)
        assert self._act(mrn, "arm") == allowed
        if allowed:
            self.seal |= {s: ("armed", mrn) for s in mine if self.seal[s][0] == "assigned"}
            self._went(mrn, "arm")

    @rule(mrn=st.sampled_from(MRNS), event=st.sampled_from(["disarm", "unseal"]))
    def take_off(self, mrn, event) -> None:
        allowed = self._can(mrn, event)
        assert self._act(mrn, event) == allowed
        if allowed:
            self._off(mrn)
            self._went(mrn, event)

    @rule(mrn=st.sampled_from(MRNS))
    def waive(self, mrn) -> None:
        allowed = self._can(mrn, "waive-seal")
        assert not self._act(mrn, "waive-seal"), "without a reason"
        assert self._act(mrn, "waive-seal", reason="none in stock") == allowed
        if allowed:
            self.waived.add(mrn)
            self._went(mrn, "waive-seal")

    @rule(mrn=st.sampled_from(MRNS))
    def depart(self, mrn) -> None:
        armed = any(on == mrn and state == "armed" for state, on in self.seal.values())
        covered = armed or mrn in self.waived or mrn != "M1"
        in_time = mrn != "M1" or self.clock.us + MINUTE <= T0 + 500 * MINUTE
        allowed = self._can(mrn, "depart") and covered and in_time
        assert self._act(mrn, "depart") == allowed
        if allowed:
            self._went(mrn, "depart")

    @rule(
        mrn=st.sampled_from(MRNS),
        event=st.sampled_from(["cancel", "refuse-release", "accept-proof", "discharge"]),
    )
    def end(self, mrn, event) -> None:
        allowed = self._can(mrn, event)
        assert self._act(mrn, event, reason="r") == allowed
        if allowed:
            self._freed(mrn)
            self._went(mrn, event)

    @rule(mrn=st.sampled_from(MRNS), paid=st.booleans())
    def recover(self, mrn, paid) -> None:
        allowed = self._can(mrn, "recover")
        assert self._act(mrn, "recover", paid=paid, reason="r") == allowed
        if allowed:
            self._off(mrn)
            if self.entry.get(mrn, ("", 0))[0] == "reserved":
                self.entry[mrn] = ("released" if paid else "called", self.entry[mrn][1])
            self._went(mrn, "recover")

    @rule(
        mrn=st.sampled_from(MRNS),
        case=st.sampled_from(
            [
                ("report-incident", {"reason": "collision"}),
                ("hand-over", {"country": "DE"}),
                ("arrive", {}),
                ("verify-seals", {"result": "intact"}),
                ("examine", {"result": "satisfactory"}),
                ("establish-debt", {"reason": "no proof"}),
                ("appeal", {"text": "it was not me"}),
                ("answer", {"reason": "asked the carrier"}),
                ("note", {"reason": "n"}),
            ]
        ),
    )
    def with_words(self, mrn, case) -> None:
        event, details = case
        allowed = self._can(mrn, event)
        assert self._act(mrn, event, **details) == allowed, (self.movement[mrn], event)
        if allowed:
            self._went(mrn, event)

    @rule(
        seal=st.sampled_from(SEALS),
        event=st.sampled_from(
            [
                "return",
                "charge",
                "lose",
                "steal",
                "find",
                "quarantine",
                "release-quarantine",
                "alarm",
                "clear",
            ]
        ),
    )
    def seal_event(self, seal, event) -> None:
        from cocket.customs.machines.seal import SEAL

        state, on = self.seal[seal]
        self.clock.us += MINUTE
        allowed = state != "new" and event in SEAL.allowed(state)
        try:
            self.file.seals.act(seal, {"event": event}, by="jo")
            done = True
        except (NotFound, ImpossibleTransition):  # a seal that never was, or one that cannot
            done = False
        assert done == allowed, (state, event)
        if allowed:
            following = SEAL.after(state, event, seal)
            self.seal[seal] = (following, on if following in ON_MOVEMENT else None)

    @rule(minutes=st.sampled_from([1, 200, 600, 12 * 1440, 30 * 1440, 215 * 1440]))
    def time_passes(self, minutes) -> None:
        """Terms run out by themselves, each once and in their order."""
        self.clock.us += minutes * MINUTE
        while self.file.transit.fall_due():
            pass
        limit, day = T0 + 500 * MINUTE, 1440 * MINUTE
        state, now = self.movement["M1"], self.clock.us
        if state in {"departed", "en-route", "incident", "border-handover"} and now >= limit:
            self._went("M1", "fall-overdue")
        if self.movement["M1"] == "overdue" and now >= max(limit, 0) + 7 * day:
            self._went("M1", "open-enquiry")
            self.enquired = max(limit + 7 * day, self._last("M1"))
        with self.folder.book.db.read() as connection:
            held = self.folder.book.subject(connection, "movement", "M1")
        real = "draft" if held is None else held.state
        if self.movement["M1"] in {"enquiry", "alternative-proof"} and real == "debt":
            assert now >= limit + 210 * day, "a debt before its time"
            self._went("M1", "establish-debt")
        elif self.movement["M2"] in {"enquiry", "alternative-proof"}:
            held2 = self._held("M2")
            if held2 is not None and held2.state == "debt":
                self._went("M2", "establish-debt")
        held2 = self._held("M2")
        if held2 is not None and held2.state != self.movement["M2"]:
            for event in ("open-enquiry", "establish-debt"):
                if self._can("M2", event):
                    self._went("M2", event)

    def _held(self, mrn):
        with self.folder.book.db.read() as connection:
            return self.folder.book.subject(connection, "movement", mrn)

    def _last(self, mrn) -> int:
        held = self._held(mrn)
        return 0 if held is None else held.last_us

    @rule(to=st.sampled_from(ALERT.states))
    def alert_step(self, to) -> None:
        act = Act(
            to, "amina", triage="genuine" if to == "triaged" else None, cause="c" if to == "closed" else None
        )
        allowed = to in ALERT.allowed(self.alert)
        try:
            act_on(self.folder.alerts, "a" * 32, act, self.clock.us)
            done = True
        except Conflict:
            done = False
        assert done == allowed
        if allowed:
            self.alert = to

    @precondition(lambda self: any(self.events.values()))
    @rule()
    def the_past_stays(self) -> None:
        """What was known before an event is still told after it."""
        mrn = max(self.events, key=self.events.get)
        before = self.file.view.whole(mrn)
        moment = self.clock.us
        self.clock.us += MINUTE
        if self._act(mrn, "note", reason="later"):
            self._went(mrn, "note")
        then = self.file.view.whole(mrn, moment)
        for name in ("state", "guarantee", "incidents", "waiver", "custody"):
            assert then[name] == before[name], name
        assert {(s["id"], s["state"]) for s in then["seals"]} == {
            (s["id"], s["state"]) for s in before["seals"]
        }

    # what always holds

    @invariant()
    def all_agree(self) -> None:
        for mrn in MRNS:
            held = self._held(mrn)
            assert (held.state if held else "draft") == self.movement[mrn], mrn
            assert len(self.file.view.events(mrn)) >= self.events[mrn]
        for seal, (state, on) in self.seal.items():
            if state == "new":
                continue
            shown = self.file.seals.shown(seal)
            assert (shown["state"], shown["mrn"]) == (state, on), seal
        ledger = self.file.guarantees.shown("G")
        sums = {
            s: sum((a for t, a in self.entry.values() if t == s), Decimal(0)) for s in ("reserved", "called")
        }
        assert Decimal(ledger["reserved"]) == sums["reserved"]
        assert Decimal(ledger["called"]) == sums["called"]
        assert Decimal(ledger["available"]) == TOTAL - sums["reserved"] - sums["called"] >= 0
        assert {e["mrn"]: e["state"] for e in ledger["entries"]} == {m: s for m, (s, _) in self.entry.items()}
        alert = self.folder.alerts.get("a" * 32)
        assert alert is not None
        assert alert["state"] == self.alert

    @invariant()
    def bindings_follow_the_seals(self) -> None:
        """An e-seal is bound in the reference data exactly while it is on a movement."""
        for seal in ("S1", "S2"):
            state, on = self.seal[seal]
            if state in {"lost", "stolen"}:
                continue  # a seal that vanished on the way keeps its binding until the movement ends
            open_now = [
                b for b in self.folder.reference.bindings() if b.device_id == seal and b.to_us is None
            ]
            assert [b.mrn for b in open_now] == ([on] if on else []), (seal, state)


@pytest.mark.parametrize(
    ("then", "at_least"),
    [("", "accept"), ("late", "fall-overdue"), ("incident", "report-incident"), ("sealed", "seal")],
)
def test_the_machines_agree_with_a_simple_oracle(tmp_path, then, at_least) -> None:
    run(tmp_path, then, max_examples=3, stateful_step_count=25, derandomize=True)
    assert at_least in {event for _, event in Machines.reached}, (
        "the runs were not deep enough to mean something"
    )


@pytest.mark.soak
@pytest.mark.parametrize("then", ["", "late", "incident", "sealed"])
def test_the_machines_agree_for_long(tmp_path, then) -> None:
    run(tmp_path, then, max_examples=250, stateful_step_count=40)


def run(folder, then: str, **how) -> None:
    Machines.folder_at = folder
    Machines.then = then
    Machines.reached = set()
    run_state_machine_as_test(Machines, settings=settings(deadline=None, database=None, **how))
