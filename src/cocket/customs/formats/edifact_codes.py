"""Codes of UN/EDIFACT messages in the canonical model's words.

From the UN code directory (UNCL D.00B) and, for qualifiers in containers' messages, the SMDG's and ITIGG's guides. A qualifier that is not
listed here has no meaning here: its segment is kept raw and flagged, never guessed at.
"""

from __future__ import annotations

from typing import Final

PARTIES: Final = {
    "AG": "agent",
    "BY": "buyer",
    "CA": "carrier",
    "CB": "broker",
    "CF": "equipment-operator",
    "CM": "customs",
    "CN": "consignee",
    "CZ": "consignor",
    "DP": "delivery",
    "DT": "declarant",
    "EX": "exporter",
    "FW": "forwarder",
    "GO": "owner",
    "IM": "importer",
    "MR": "recipient",
    "MS": "sender",
    "N1": "notify",
    "N2": "notify",
    "NI": "notify",
    "OS": "original-shipper",
    "SE": "seller",
    "SF": "ship-from",
    "ST": "ship-to",
    "TR": "terminal",
    "UC": "ultimate-consignee",
    "WH": "warehouse-keeper",
}
"""3035, party function."""

PLACES: Final = {
    "5": "departure",
    "7": "delivery",
    "8": "destination",
    "9": "loading",
    "10": "acceptance",
    "11": "unloading",
    "13": "transhipment",
    "14": "goods",
    "18": "warehouse",
    "20": "ultimate-destination",
    "60": "arrival",
    "61": "next-call",
    "65": "final-unloading",
    "76": "original-loading",
    "80": "despatch",
    "83": "delivery",
    "87": "first-arrival",
    "88": "receipt",
    "91": "issue",
    "92": "routing",
    "94": "previous-call",
    "98": "empty-pick-up",
    "99": "empty-return",
    "125": "last-call",
    "152": "next-unloading",
    "153": "call",
    "165": "activity",
    "170": "final-unloading",
    "175": "activity",
}
"""3227, place function, of places that are no customs office, no country and no cell on board."""

OFFICES: Final = {"22": "lodgement", "41": "entry", "42": "exit"}
COUNTRIES: Final = {"27": "origin", "28": "country_of_destination", "35": "country_of_dispatch"}
CELL: Final = "147"

STAGES: Final = {
    "1": "inland",
    "10": "pre-carriage",
    "11": "border",
    "12": "departure",
    "13": "arrival",
    "20": "main-carriage",
    "30": "on-carriage",
}
"""8051, transport stage."""

FUNCTIONS: Final = {
    "1": "cancellation",
    "2": "amendment",
    "3": "amendment",
    "4": "amendment",
    "5": "replacement",
    "6": "notice",
    "7": "notice",
    "9": "original",
    "11": "response",
    "13": "request",
    "20": "amendment",
    "21": "amendment",
    "22": "notice",
    "27": "response",
    "29": "response",
    "31": "notice",
    "33": "amendment",
    "36": "amendment",
    "43": "notice",
    "44": "response",
    "46": "notice",
    "47": "original",
    "54": "original",
}
"""1225, message function."""

PAPERS: Final = {
    "AAM": "transport",
    "AAS": "transport",
    "AWB": "transport",
    "BH": "transport",
    "BM": "transport",
    "HWB": "transport",
    "MB": "transport",
    "MWB": "transport",
    "BN": "booking",
    "IV": "invoice",
    "MF": "manifest",
}
TRANSPORT_DOCUMENTS: Final = ("BM", "BH", "HWB", "AWB", "AAS", "AAM", "MB", "MWB")
"""1153, the reference of a consignment's own transport document, the likeliest first."""

FILLS: Final = {"4": "empty", "5": "full", "7": "full-mixed", "8": "full-single"}
STATUSES: Final = {
    "1": "continental",
    "2": "export",
    "3": "import",
    "4": "remain-on-board",
    "5": "shifter",
    "6": "transhipment",
}
SEALED_BY: Final = {
    "AA": "consolidator",
    "AB": "unknown",
    "AC": "quarantine",
    "CA": "carrier",
    "CU": "customs",
    "SH": "shipper",
    "TO": "terminal",
}
SEAL_STATES: Final = {"1": "intact", "2": "damaged", "3": "missing"}
TEMPERATURES_OF: Final = {"1": "storage", "2": "transport", "3": "operation"}
