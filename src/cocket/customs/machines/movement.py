"""The movement: a transit from its draft to its discharge, or to the debt.

Anchors in NCTS: IE015/028/029 lodged, accepted, released; 051/055/060 not released, guarantee, control; 182 incident;
007/043/044/045 arrival, unloading, discharge; 140/141 enquiry (Union Customs Code, Delegated Regulation (EU) 2015/2446, title VII).
"""

from __future__ import annotations

from typing import Final

from cocket.customs.machines.table import STAY, Machine, Transition

ON_THE_WAY: Final = ("departed", "en-route", "incident", "border-handover")
AT_DESTINATION: Final = ("arrived", "seal-verified", "unsealed", "unloaded", "discrepancies")
BEFORE_RELEASE: Final = ("accepted", "guarantee-reserved", "control-decided", "sealed", "armed")
IN_ENQUIRY: Final = ("overdue", "enquiry", "alternative-proof", "debt", "recovery")
FINAL: Final = ("discharged", "not-released", "cancelled", "recovered")
OPEN: Final = (*BEFORE_RELEASE, "released", *ON_THE_WAY, *AT_DESTINATION, *IN_ENQUIRY)

STATES: Final = (
    "draft",
    "lodged",
    *BEFORE_RELEASE,
    "released",
    *ON_THE_WAY,
    *AT_DESTINATION,
    "discharged",
    "not-released",
    "cancelled",
    *IN_ENQUIRY,
    "recovered",
)

MOVEMENT: Final = Machine(
    "movement",
    STATES,
    "draft",
    FINAL,
    (
        Transition("lodge", ("draft",), "lodged", "a declaration was sent in (IE015)"),
        Transition("accept", ("lodged",), "accepted", "it has its MRN (IE028)"),
        Transition("reject", ("lodged",), "cancelled", "it was not accepted (IE056)"),
        Transition(
            "reserve-guarantee",
            ("accepted",),
            "guarantee-reserved",
            "the amount is reserved on the guarantee",
        ),
        Transition(
            "decide-control",
            ("guarantee-reserved",),
            "control-decided",
            "none, documents, examination or scan (IE060)",
        ),
        Transition("seal", ("control-decided",), "sealed", "seals are bound to equipment and movement"),
        Transition("arm", ("sealed",), "armed", "the e-seals passed their self-test"),
        Transition("disarm", ("armed",), "control-decided", "the e-seals are taken off before departure"),
        Transition(
            "reseal",
            ("sealed", "armed", "incident"),
            STAY,
            "new seals replace old ones",
        ),
        Transition(
            "waive-seal",
            (*BEFORE_RELEASE, "released"),
            STAY,
            "somebody answers for a departure without an armed seal",
        ),
        Transition(
            "release", ("control-decided", "sealed", "armed"), "released", "released for transit (IE029)"
        ),
        Transition(
            "refuse-release",
            BEFORE_RELEASE,
            "not-released",
            "not released for transit (IE051); guarantee and seals are freed",
        ),
        Transition(
            "cancel",
            ("draft", "lodged", *BEFORE_RELEASE, "released"),
            "cancelled",
            "invalidated before departure (IE009); guarantee and seals are freed",
        ),
        Transition(
            "depart",
            ("released",),
            "departed",
            "it leaves; a sensitive one only with an armed seal or a recorded waiver",
        ),
        Transition("proceed", ("departed", "border-handover"), "en-route", "it is on its way"),
        Transition(
            "report-incident",
            ("departed", "en-route", "border-handover"),
            "incident",
            "reseal, tranship, accident … (IE182)",
        ),
        Transition("tranship", ("incident",), STAY, "the goods go on by other means of transport"),
        Transition("resolve-incident", ("incident",), "en-route", "it may go on"),
        Transition(
            "hand-over",
            ("departed", "en-route"),
            "border-handover",
            "custody passes to another office or authority",
        ),
        Transition(
            "arrive",
            (*ON_THE_WAY, "overdue", "enquiry", "alternative-proof"),
            "arrived",
            "at the office of destination (IE007)",
        ),
        Transition("verify-seals", ("arrived",), "seal-verified", "seals were looked at: intact or not"),
        Transition("unseal", ("seal-verified",), "unsealed", "seals are taken off and their bindings end"),
        Transition(
            "unload",
            ("arrived", "seal-verified", "unsealed"),
            "unloaded",
            "unloaded under permission (IE043)",
        ),
        Transition(
            "report-discrepancies",
            ("seal-verified", "unsealed", "unloaded"),
            "discrepancies",
            "what was found differs from what was declared (IE044)",
        ),
        Transition(
            "resolve-discrepancies", ("discrepancies",), "unloaded", "the difference is explained or settled"
        ),
        Transition("examine", AT_DESTINATION, STAY, "an officer examined it and says with what result"),
        Transition(
            "discharge",
            ("arrived", "seal-verified", "unsealed", "unloaded"),
            "discharged",
            "acquitted (IE045): on a clean-trip report or after examination; the guarantee is released",
        ),
        Transition("fall-overdue", ON_THE_WAY, "overdue", "the limit date passed without an arrival"),
        Transition("open-enquiry", ("overdue",), "enquiry", "the holder and the offices are asked (IE140)"),
        Transition(
            "offer-proof", ("enquiry",), "alternative-proof", "the holder offers another proof (IE141)"
        ),
        Transition(
            "accept-proof", ("alternative-proof",), "discharged", "the proof holds; the guarantee is released"
        ),
        Transition("reject-proof", ("alternative-proof",), "enquiry", "the proof does not hold"),
        Transition("establish-debt", ("enquiry", "alternative-proof"), "debt", "a customs debt is incurred"),
        Transition("start-recovery", ("debt",), "recovery", "the debt is demanded"),
        Transition("recover", ("recovery",), "recovered", "paid, or called from the guarantee"),
        Transition("appeal", OPEN, STAY, "the driver or carrier says otherwise, with evidence"),
        Transition("answer", OPEN, STAY, "the carrier's agent or an office answers"),
        Transition("note", STATES, STAY, "a remark"),
    ),
)

MAIN_LINE: Final = (
    "lodge",
    "accept",
    "reserve-guarantee",
    "decide-control",
    "release",
    "depart",
    "proceed",
    "arrive",
    "unload",
    "discharge",
)
"""The steps that another system's message implies when it tells of a later one."""
