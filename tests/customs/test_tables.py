"""The four machines' tables, transition by transition, against the same tables written down by hand from the domain's page."""

from itertools import product

import pytest

from cocket.core.errors import ImpossibleTransition
from cocket.customs.machines.alert import ALERT
from cocket.customs.machines.guarantee import GUARANTEE
from cocket.customs.machines.movement import MAIN_LINE, MOVEMENT
from cocket.customs.machines.seal import SEAL
from cocket.customs.machines.table import Machine, Transition

BY_HAND = {
    "movement": """
        draft: lodge>lodged cancel>cancelled note
        lodged: accept>accepted reject>cancelled cancel>cancelled note
        accepted: reserve-guarantee>guarantee-reserved waive-seal refuse-release>not-released cancel>cancelled appeal answer note
        guarantee-reserved: decide-control>control-decided waive-seal refuse-release>not-released cancel>cancelled appeal answer note
        control-decided: seal>sealed release>released waive-seal refuse-release>not-released cancel>cancelled appeal answer note
        sealed: arm>armed reseal release>released waive-seal refuse-release>not-released cancel>cancelled appeal answer note
        armed: disarm>control-decided reseal release>released waive-seal refuse-release>not-released cancel>cancelled appeal answer note
        released: depart>departed waive-seal cancel>cancelled appeal answer note
        departed: proceed>en-route report-incident>incident hand-over>border-handover arrive>arrived fall-overdue>overdue appeal answer note
        en-route: report-incident>incident hand-over>border-handover arrive>arrived fall-overdue>overdue appeal answer note
        incident: reseal tranship resolve-incident>en-route arrive>arrived fall-overdue>overdue appeal answer note
        border-handover: proceed>en-route report-incident>incident arrive>arrived fall-overdue>overdue appeal answer note
        arrived: verify-seals>seal-verified unload>unloaded examine discharge>discharged appeal answer note
        seal-verified: unseal>unsealed unload>unloaded report-discrepancies>discrepancies examine discharge>discharged appeal answer note
        unsealed: unload>unloaded report-discrepancies>discrepancies examine discharge>discharged appeal answer note
        unloaded: report-discrepancies>discrepancies examine discharge>discharged appeal answer note
        discrepancies: resolve-discrepancies>unloaded examine appeal answer note
        discharged: note
        not-released: note
        cancelled: note
        overdue: open-enquiry>enquiry arrive>arrived appeal answer note
        enquiry: offer-proof>alternative-proof establish-debt>debt arrive>arrived appeal answer note
        alternative-proof: accept-proof>discharged reject-proof>enquiry establish-debt>debt arrive>arrived appeal answer note
        debt: start-recovery>recovery appeal answer note
        recovery: recover>recovered appeal answer note
        recovered: note
    """,
    "seal": """
        stock: approve>type-approved steal>stolen quarantine>quarantined note
        type-approved: assign>assigned lose>lost steal>stolen quarantine>quarantined note
        assigned: arm>armed alarm>alarm unassign>type-approved lose>lost steal>stolen note
        armed: alarm>alarm disarm>disarmed lose>lost steal>stolen note
        alarm: clear>armed disarm>disarmed lose>lost steal>stolen note
        disarmed: return>returned lose>lost steal>stolen quarantine>quarantined note
        returned: charge>charged lose>lost steal>stolen quarantine>quarantined note
        charged: assign>assigned lose>lost steal>stolen quarantine>quarantined note
        lost: find>quarantined note
        stolen: find>quarantined note
        quarantined: release-quarantine>returned note
    """,
    "guarantee": """
        available: reserve>reserved
        reserved: release>released call>called
        released:
        called:
    """,
    "alert": """
        raised: acknowledged>acknowledged
        acknowledged: triaged>triaged driver-contacted>driver-contacted unit-dispatched>unit-dispatched on-scene>on-scene closed>closed
        triaged: driver-contacted>driver-contacted unit-dispatched>unit-dispatched on-scene>on-scene closed>closed
        driver-contacted: unit-dispatched>unit-dispatched on-scene>on-scene closed>closed
        unit-dispatched: on-scene>on-scene closed>closed
        on-scene: closed>closed
        closed:
    """,
}
MACHINES = {m.name: m for m in (MOVEMENT, SEAL, GUARANTEE, ALERT)}


def by_hand(name: str) -> dict[tuple[str, str], str]:
    table = {}
    for line in BY_HAND[name].strip().splitlines():
        state, _, events = line.strip().partition(":")
        for word in events.split():
            event, _, target = word.partition(">")
            table[state, event] = target or state
    return table


@pytest.mark.parametrize("machine", MACHINES.values(), ids=lambda m: m.name)
def test_every_pair_of_state_and_event_is_as_written_by_hand(machine: Machine) -> None:
    wanted = by_hand(machine.name)
    for state, event in product(machine.states, machine.events):
        if (state, event) in wanted:
            assert machine.after(state, event, "x") == wanted[state, event], (state, event)
        else:
            with pytest.raises(ImpossibleTransition) as told:
                machine.after(state, event, "x")
            assert told.value.state == state
            assert told.value.event == event
            assert set(told.value.allowed) == {e for s, e in wanted if s == state}
            assert state in told.value.detail
            assert event in told.value.detail
    assert {s for s, _ in wanted} <= set(machine.states)


@pytest.mark.parametrize("machine", MACHINES.values(), ids=lambda m: m.name)
def test_every_state_can_be_reached_and_only_final_ones_are_ends(machine: Machine) -> None:
    for state in machine.states:
        assert machine.way(machine.initial, state, machine.events) is not None, state
        leaves = {machine.after(state, e, "x") for e in machine.allowed(state)} - {state}
        assert bool(leaves) == (state not in machine.final), state


def test_an_unknown_event_is_told_from_an_impossible_one() -> None:
    with pytest.raises(ImpossibleTransition, match="is no event of a movement"):
        MOVEMENT.after("draft", "fly", "x")


def test_the_main_line_leads_from_draft_to_discharge() -> None:
    state = MOVEMENT.initial
    for event in MAIN_LINE:
        state = MOVEMENT.after(state, event, "x")
    assert state == "discharged"
    assert MOVEMENT.way("lodged", "released", MAIN_LINE) == [
        "accept",
        "reserve-guarantee",
        "decide-control",
        "release",
    ]
    assert MOVEMENT.way("released", "lodged", MAIN_LINE) is None


def test_a_table_that_contradicts_itself_is_no_machine() -> None:
    with pytest.raises(ValueError, match="two places"):
        Machine("m", ("a", "b"), "a", (), (Transition("go", ("a",), "b"), Transition("go", ("a",), "a")))
    with pytest.raises(ValueError, match="names no state"):
        Machine("m", ("a",), "a", (), (Transition("go", ("a",), "c"),))
