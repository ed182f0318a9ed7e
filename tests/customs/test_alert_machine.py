"""The alert machine: every step of the table, and none beside it."""

from itertools import product

import pytest

from cocket.core.alerts import AlertChange
from cocket.core.errors import Conflict, NotFound, Refused
from cocket.customs.machines.alert import ALERT, CLOSED, RAISED, STATES, TRIAGED, Act, act_on, check
from cocket.store.folder import DataFolder

TRANSITIONS = {state: ALERT.allowed(state) for state in STATES}


def alert(state: str, version: int = 3) -> dict:
    return {"id": "a", "state": state, "version": version}


def act(to: str, **more) -> Act:
    return Act(
        to,
        "amina",
        **{
            "triage": "genuine" if to == TRIAGED else None,
            "cause": "it was so" if to == CLOSED else None,
            **more,
        },
    )


@pytest.mark.parametrize(("state", "to"), list(product(STATES, STATES)))
def test_each_pair_of_states(state, to) -> None:
    if to in TRANSITIONS[state]:
        check(alert(state), act(to))
        return
    with pytest.raises(Conflict) as told:
        check(alert(state), act(to))
    assert repr(state) in told.value.detail
    assert repr(to) in told.value.detail
    for allowed in TRANSITIONS[state]:
        assert allowed in told.value.detail


def test_the_table_is_the_domain() -> None:
    assert set(TRANSITIONS) == set(STATES)
    assert TRANSITIONS[RAISED] == ("acknowledged",)
    assert TRANSITIONS[CLOSED] == ()
    for state, following in TRANSITIONS.items():
        assert all(STATES.index(to) > STATES.index(state) for to in following), "nothing goes back"
        if state not in {RAISED, CLOSED}:
            assert set(following) == set(STATES[STATES.index(state) + 1 :]), "every step forward is open"


def test_words_that_must_be_said() -> None:
    for cause in (None, "", " \t"):
        with pytest.raises(Refused, match="cause"):
            check(alert("on-scene"), act(CLOSED, cause=cause))
    with pytest.raises(Refused, match="triage"):
        check(alert("acknowledged"), act(TRIAGED, triage=None))


def test_a_stale_version_is_refused_before_all_else() -> None:
    with pytest.raises(Conflict, match="version 3"):
        check(alert("raised"), act("acknowledged", version=2))
    check(alert("raised"), act("acknowledged", version=3))


@pytest.fixture
def folder(tmp_path):
    with_alert = DataFolder.open(tmp_path / "d")
    change = AlertChange(
        id="a1", code="seal-cut", severity="critical", journey="j", mrn="m", equipment_id="e", device_id="d", subject=None,
        began_us=1, ended_us=None, raised_event_us=1, last_us=1, raised_us=2, count=1, lat_deg=None, lon_deg=None, value=None,
        peak=None, threshold=None, unit="", corridor=None, began_key=1, raised_key=1, last_key=1, says="cut", peak_us=1, peak_key=1,
    )  # fmt: skip
    with_alert.alerts.apply([change], 1, at_us=2)
    yield with_alert
    with_alert.close()


def test_acting_writes_who_and_when_and_leaves_the_rest(folder) -> None:
    before = folder.alerts.get("a1")
    event = act_on(folder.alerts, "a1", act("acknowledged", note="seen"), 77)
    after = folder.alerts.get("a1")
    assert (after["state"], after["acknowledged_by"], after["version"]) == (
        "acknowledged",
        "amina",
        before["version"] + 1,
    )
    assert after["history"] == [
        {
            "at_us": 77,
            "by": "amina",
            "from": "raised",
            "to": "acknowledged",
            "note": "seen",
            "cause": None,
            "triage": None,
        }
    ]
    assert (event.seq, event.alert["state"]) == (folder.alerts.last_event_seq(), "acknowledged")
    untouched = set(before) - {"state", "acknowledged_by", "version", "history", "seq"}
    assert {k: before[k] for k in untouched} == {k: after[k] for k in untouched}
    act_on(folder.alerts, "a1", Act(CLOSED, "jo", cause="cut by thieves"), 78)
    assert folder.alerts.get("a1")["acknowledged_by"] == "amina"


def test_refusals_write_nothing(folder) -> None:
    before = folder.alerts.get("a1")
    for wanted, error in ((act(CLOSED), Conflict), (act("acknowledged", version=9), Conflict)):
        with pytest.raises(error):
            act_on(folder.alerts, "a1", wanted, 77)
    with pytest.raises(NotFound, match="a2"):
        act_on(folder.alerts, "a2", act("acknowledged"), 77)
    assert folder.alerts.get("a1") == before
