"""COPRAR, the container discharge/loading order: which equipment a terminal is to take off a vessel or put on it.

Structure: UN directories D.95B to D.13B. BGM's document name (1001) tells the direction: 43 discharge, 45 loading (SMDG). Canonical: one
consignment for each equipment, as in ``codeco``, with its cell on board where the order names one.
"""

from __future__ import annotations

from typing import Final

from cocket.customs.formats import edifact_rules as r
from cocket.customs.formats.codeco import HEADER, equipment
from cocket.customs.formats.edifact_tree import Group
from cocket.customs.formats.mapping import Leaf, Many, Rule

STRUCTURE: Final = Group(
    "COPRAR",
    "UNH",
    "BGM DTM FTX LOC CNT UNT",
    (
        Group("SG1", "RFF", "DTM"),
        Group("SG2", "TDT", "DTM RFF FTX", (Group("SG3", "LOC", "DTM"),)),
        Group("SG4", "NAD", "", (Group("SG5", "CTA", "COM"),)),
        Group(
            "SG6",
            "EQD",
            "RFF EQN TMD DTM LOC MEA DIM TMP RNG SEL FTX PCD EQA HAN TSR GDS NAD",
            (
                Group("SG7", "DGS", "FTX MEA ATT", (Group("SG8", "CTA", "COM"),)),
                Group("SG9", "TDT", "DTM RFF", (Group("SG10", "LOC", "DTM"),)),
            ),
        ),
    ),
    need=("BGM", "SG6", "UNT"),
)

_ORDERED: Final = {"43": "discharge", "45": "loading"}

RULES: Final[tuple[Rule, ...]] = (
    *r.header("COPRAR"),
    Leaf("procedure", "BGM/C002.1001", _ORDERED.get),
    *HEADER,
    Many("consignments", "SG6", equipment("SG9", "SG7")),
)
