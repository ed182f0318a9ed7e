"""ASYCUDA World's SAD box by box: where each box stands in the canonical model, and how its values are read.

``rules`` is the table for one order of the dates, ``month`` or ``day`` first; ``asycuda_sad`` finds out which. Masses are
kilograms, amounts exact decimals as text, dates ``YYYY-MM-DD``. Boxes are those of the single administrative document.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Final

from cocket.customs.formats import values
from cocket.customs.formats.mapping import Join, Known, Leaf, Many, Part, Rule, Within

SLASHED: Final = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{2}|\d{4})")
SUPPLEMENTARY: Final = "Supplementary_unit"


def _decimal(value: str) -> str:
    """A number with a point or a comma before its decimals. One comma and three digits can be read in two ways and is refused."""
    value = "".join(value.split())
    if "," in value:
        if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+\.\d+", value):
            value = value.replace(",", "")
        elif re.fullmatch(r"[+-]?\d{1,3}(\.\d{3})+,\d+", value):
            value = value.replace(".", "").replace(",", ".")
        elif re.fullmatch(r"[+-]?\d{1,3},\d{3}", value):
            raise ValueError(
                "can be read in two ways; write the decimals after a point, and no mark between thousands"
            )
        else:
            value = value.replace(",", ".", 1)
    return values.amount(value)


def _mass(value: str) -> float | None:
    return float(_decimal(value)) or None


def _count(value: str) -> int | None:
    return values.integer(value) or None


def _amount(value: str) -> str | None:
    """An amount that was filled in: zero is an empty box."""
    found = _decimal(value)
    return found if float(found) else None


def _lines(value: str) -> list[str]:
    return [line for part in re.split(r"\n|\\n", value) if (line := " ".join(part.split()))]


def _one_line(value: str) -> str:
    return " ".join(value.split())


def _first_line(value: str) -> str | None:
    return next(iter(_lines(value)), None)


def _other_lines(value: str) -> str | None:
    return ", ".join(_lines(value)[1:]) or None


def _flag(value: str) -> bool:
    return values.flag(value)


def _day(order: str) -> Callable[[str], str | None]:
    def convert(value: str) -> str | None:
        found = SLASHED.fullmatch(value)
        if found is None:
            found_dotted = re.fullmatch(r"(\d{1,2})[.-](\d{1,2})[.-](\d{4})", value)
            if found_dotted:
                return values.day(f"{found_dotted[3]}-{found_dotted[2]:0>2}-{found_dotted[1]:0>2}")
            return values.moment(value) if "T" in value else values.day(value)
        month, day = (found[1], found[2]) if order == "month" else (found[2], found[1])
        if int(found[1]) == int(found[2]) == 0:
            return None
        year = int(found[3])
        if len(found[3]) == 2:
            year += 1900 if year > 68 else 2000
        return values.day(f"{year:04d}-{month:0>2}-{day:0>2}")

    return convert


def _limit(order: str) -> Callable[[str], str | None]:
    """The transit's time limit where it is a day; a number of days is left to the reader of the original."""
    day = _day(order)

    def convert(value: str) -> str | None:
        if value.isdigit():
            return None
        found = day(value)
        return values.end_of_day(found) if found and "T" not in found else found

    return convert


def _mrn(office: str, serial: str, number: str, date: str) -> str | None:
    """Registration as one identifier; None until there is a number."""
    if not number.strip("0 "):
        return None
    year = next((y for y in re.findall(r"\d+", date) if len(y) == 4), "")
    if not year:
        parts = re.findall(r"\d+", date)
        year = f"20{parts[2]}" if len(parts) >= 3 else ""
    found = "-".join(part for part in (office, year, f"{serial}{number}") if part)
    return re.sub(r"[^A-Za-z0-9.-]", "", found).strip("-.") or None


def _serial(serial: str, number: str) -> str | None:
    return f"{serial}{number}" if number.strip("0 ") else None


def _words(*parts: str) -> str | None:
    return " ".join(p for part in parts if (p := _one_line(part))) or None


def _procedure(transit: str, code: str, flow: str) -> str | None:
    """From box 1: a type of transit document or 8 is transit, 7 warehouse, 1 to 3 export, 4 to 6 import; else the flow says it."""
    if transit or code.startswith("8"):
        return "transit"
    if code[:1] in _GENERAL:
        return _GENERAL[code[:1]]
    return {"I": "import", "E": "export"}.get(flow[:1].upper())


_GENERAL: Final = {
    "1": "export",
    "2": "export",
    "3": "export",
    "4": "import",
    "5": "import",
    "6": "import",
    "7": "warehouse",
}


def _previous(*parts: str) -> str | None:
    return "-".join(p for p in parts if p) or None


def _locode(value: str) -> str | None:
    return value if re.fullmatch(r"[A-Z]{2}[A-Z0-9]{3}", value) else None


def _no_locode(value: str) -> str | None:
    return None if _locode(value) else value


def _trader(source: str, prefix: str, role: str) -> Many:
    boxes: tuple[Rule, ...] = (
        Leaf("id", f"{prefix}_code"),
        Leaf("name", f"{prefix}_name", _first_line),
        Part("address", ".", (Leaf("street", f"{prefix}_name", _other_lines),)),
    )
    return Many("parties", source, boxes, {"role": role})


def _registered(source: str, role: str, day: Callable[[str], str | None]) -> Many:
    boxes = (Join("id", ("Serial_number", "Number"), _serial), Leaf("issued_at", "Date", day))
    return Many("references", source, boxes, {"role": role})


def _charges(form: str) -> tuple[Rule, ...]:
    boxes = (Leaf("amount", "Amount_foreign_currency", _amount), Leaf("currency", "Currency_code"))
    return tuple(
        Many("charges", form.format(name), boxes, {"kind": name.replace("_", "-")})
        for name in ("external_freight", "internal_freight", "insurance", "other_cost", "deduction")
    )


@cache
def rules(order: str) -> tuple[Rule, ...]:
    """The table; dates with slashes have their ``order``, ``month`` or ``day``, first."""
    day = _day(order)
    item: tuple[Rule, ...] = (
        Join("hs", ("Tarification/HScode/Commodity_code", "Tarification/HScode/Precision_1"), _previous_code),
        *(
            Many(
                "classifications",
                "Tarification/HScode",
                (Leaf("id", f"Precision_{n}"),),
                {"kind": f"precision-{n}"},
            )
            for n in (2, 3, 4)
        ),
        Leaf("description", "Goods_description/Commercial_Description", _one_line),
        Leaf("description", "Goods_description/Description_of_goods", _one_line),
        Many(
            "notes",
            "Goods_description",
            (Leaf("text", "Description_of_goods", _one_line),),
            {"kind": "tariff-description"},
        ),
        Leaf("origin", "Goods_description/Country_of_origin_code"),
        Leaf("origin_region", "Goods_description/Country_of_origin_region"),
        Leaf("gross_mass_kg", "Valuation_item/Weight_itm/Gross_weight_itm", _mass),
        Leaf("net_mass_kg", "Valuation_item/Weight_itm/Net_weight_itm", _mass),
        Leaf("supplementary_quantity", f"Tarification/{SUPPLEMENTARY}/Supplementary_unit_quantity", _amount),
        Leaf("supplementary_unit", f"Tarification/{SUPPLEMENTARY}/Supplementary_unit_code"),
        Leaf("procedure", "Tarification/Extended_customs_procedure"),
        Leaf("procedures", "Tarification/National_customs_procedure", append=True),
        Leaf("preference", "Tarification/Preference_code"),
        Leaf("valuation_method", "Tarification/Valuation_method_code"),
        Leaf("value", "Valuation_item/Item_Invoice/Amount_foreign_currency", _decimal),
        Leaf("value", "Tarification/Item_price", _decimal),
        Leaf("currency", "Valuation_item/Item_Invoice/Currency_code"),
        Leaf("statistical_value", "Valuation_item/Statistical_value", _decimal),
        Leaf("customs_value", "Valuation_item/Total_CIF_itm", _amount),
        *_charges("Valuation_item/item_{}"),
        Many(
            "packages",
            "Packages",
            (
                Leaf("kind", "Kind_of_packages_code"),
                Leaf("quantity", "Number_of_packages", values.integer),
                Join("marks", ("Marks1_of_packages", "Marks2_of_packages"), _words),
            ),
        ),
        Many(
            "duties",
            "Taxation/Taxation_line",
            (
                Leaf("kind", "Duty_tax_code"),
                Leaf("base_amount", "Duty_tax_Base", _amount),
                Leaf("rate", "Duty_tax_rate", _amount),
                Leaf("amount", "Duty_tax_amount", _amount),
                Leaf("method", "Duty_tax_MP"),
            ),
        ),
        Many("documents", "Previous_doc", (Leaf("id", "Summary_declaration"),), {"role": "transport"}),
        Many(
            "documents",
            "Previous_doc",
            (Leaf("id", "Previous_document_reference"), Leaf("party", "Previous_warehouse_code")),
            {"role": "previous"},
        ),
        Many(
            "documents",
            "Attached_documents",
            (
                Leaf("kind", "Attached_document_code"),
                Leaf("name", "Attached_document_name", _one_line),
                Leaf("id", "Attached_document_reference", _one_line),
                Leaf("issued_at", "Attached_document_date", day),
                Leaf("party", "Attached_document_Authority", _one_line),
            ),
            {"role": "supporting"},
        ),
        Many("documents", ".", (Leaf("id", "Licence_number"),), {"role": "authorisation", "kind": "licence"}),
        Many("notes", "Tarification", (Leaf("code", "A.I._code"),), {"kind": "additional-information"}),
        Many("notes", ".", (Leaf("text", "Free_text_1", _one_line),)),
        Many("notes", ".", (Leaf("text", "Free_text_2", _one_line),)),
    )
    consignment: tuple[Rule, ...] = (
        Leaf("containerised", "Transport/Container_flag", _flag),
        _trader("Traders/Exporter", "Exporter", "consignor"),
        _trader("Traders/Consignee", "Consignee", "consignee"),
        Many(
            "places",
            "Transport/Place_of_loading",
            (
                Leaf("unlocode", "Code", _locode),
                Leaf("id", "Code", _no_locode),
                Leaf("name", "Name", _one_line),
                Leaf("country", "Country"),
            ),
            {"role": "loading"},
        ),
        Many("places", "Transport", (Leaf("id", "Location_of_goods", _one_line),), {"role": "goods"}),
        Many("places", "Warehouse", (Leaf("id", "Identification", _one_line),), {"role": "warehouse"}),
        Many(
            "transport",
            "Transport/Means_of_transport/Departure_arrival_information",
            (Leaf("id", "Identity", _one_line), Leaf("nationality", "Nationality")),
            {"role": "departure"},
        ),
        Many(
            "transport",
            "Transport/Means_of_transport/Border_information",
            (
                Leaf("mode", "Mode"),
                Leaf("id", "Identity", _one_line),
                Leaf("nationality", "Nationality"),
            ),
            {"role": "border"},
        ),
        Many(
            "equipment",
            "Container",
            (
                Leaf("id", "Container_identity"),
                Leaf("kind", "Container_type"),
                Leaf("fill", "Empty_full_indicator"),
                Leaf("gross_mass_kg", "Gross_weight", _mass),
                Leaf("goods_items", "Item_Number", values.integer, append=True),
                Leaf("remarks", "Goods_description", _one_line),
            ),
        ),
        Many(
            "equipment",
            "Transit/Seals",
            (
                Leaf("seal_count", "Number", _count),
                Many("seals", "Identity", (Leaf("id", "."),)),
            ),
        ),
        Many("items", "Item", item),
        *_charges("Valuation/Gs_{}"),
        Many(
            "documents",
            "Identification",
            (Leaf("id", "Manifest_reference_number"),),
            {"role": "manifest"},
        ),
        *(
            Many(
                "documents",
                section,
                (
                    Leaf("kind", "Suppliers_document_type_code"),
                    Leaf("kind", "Suppliers_document_code"),
                    Leaf("id", "Suppliers_document_invoice_nbr"),
                    Leaf("issued_at", "Suppliers_document_date", day),
                    Leaf("party", "Suppliers_document_name", _one_line),
                    Leaf("party", "Invoice_supplier_name", _one_line),
                ),
                {"role": "invoice"},
            )
            for section in ("Suppliers_documents", "Supplier_documents")
        ),
        Many(
            "documents",
            "Prev_decl",
            (
                Join(
                    "id",
                    (
                        "Prev_decl_office_code",
                        "Prev_decl_reg_year",
                        "Prev_decl_reg_serial",
                        "Prev_decl_reg_number",
                    ),
                    _previous,
                ),
                Leaf("item_number", "Prev_decl_item_number", values.integer),
            ),
            {"role": "previous"},
        ),
    )
    identification: tuple[Rule, ...] = (
        Join(
            "mrn",
            (
                "Office_segment/Customs_clearance_office_code",
                "Registration/Serial_number",
                "Registration/Number",
                "Registration/Date",
            ),
            _mrn,
        ),
        Leaf("accepted_at", "Registration/Date", day),
        Join("declaration_type", ("Type/Type_of_declaration", "Type/Declaration_gen_procedure_code"), _words),
        Leaf("additional_type", "Type/Type_of_transit_document"),
        _registered("Registration", "registration", day),
        _registered("Assessment", "assessment", day),
        _registered("receipt", "receipt", day),
        Many(
            "offices",
            "Office_segment",
            (
                Leaf("id", "Customs_clearance_office_code"),
                Leaf("name", "Customs_Clearance_office_name", _one_line),
            ),
            {"role": "lodgement"},
        ),
    )
    return (
        Part("message", ".", (Leaf("id", "@id"),), {"kind": "ASYCUDA"}),
        Within("Identification", identification),
        Join(
            "procedure",
            (
                "Identification/Type/Type_of_transit_document",
                "Identification/Type/Declaration_gen_procedure_code",
                "Property/Sad_flow",
            ),
            _procedure,
        ),
        Leaf("lrn", "Declarant/Reference/Number", _one_line),
        Leaf("lodged_at", "Property/Date_of_declaration", day),
        Leaf("items_total", "Property/Nbers/Total_number_of_items", _count),
        Leaf("packages_total", "Property/Nbers/Total_number_of_packages", _count),
        Leaf("gross_mass_kg", "Valuation/Weight/Gross_weight", _mass),
        Leaf("gross_mass_kg", "Valuation/Total/Total_weight", _mass),
        Leaf("value", "Valuation/Gs_Invoice/Amount_foreign_currency", _decimal),
        Leaf("value", "Valuation/Total/Total_invoice", _decimal),
        Leaf("currency", "Valuation/Gs_Invoice/Currency_code"),
        Leaf("exchange_rate", "Valuation/Gs_Invoice/Currency_rate", _decimal),
        Join(
            "terms_of_delivery", ("Transport/Delivery_terms/Code", "Transport/Delivery_terms/Place"), _words
        ),
        Leaf("country_of_dispatch", "General_information/Country/Export/Export_country_code"),
        Leaf("country_of_destination", "General_information/Country/Destination/Destination_country_code"),
        Leaf("country_of_trade", "General_information/Country/Trading_country"),
        Leaf("countries", "General_information/Country/Country_first_destination", append=True),
        Join(
            "nature_of_transaction",
            ("Financial/Financial_transaction/code1", "Financial/Financial_transaction/code2"),
            _previous_code,
        ),
        Leaf("payment_method", "Financial/Mode_of_payment", _one_line),
        Leaf("inland_mode", "Transport/Means_of_transport/Inland_mode_of_transport"),
        Leaf("border_mode", "Transport/Means_of_transport/Border_information/Mode"),
        Leaf("limit_at", "Transit/Time_limit", _limit(order)),
        Leaf("exited_at", "Export_release/Date_of_exit", day),
        Many(
            "references",
            "Financial",
            (Leaf("id", "Deffered_payment_reference"),),
            {"role": "authorisation", "kind": "deferred-payment"},
        ),
        Many(
            "references", "Export_release", (Leaf("id", "Exit_reference"),), {"role": "additional-reference"}
        ),
        Many(
            "offices",
            "Transport/Border_office",
            (Leaf("id", "Code"), Leaf("name", "Name", _one_line)),
            {"role": "border"},
        ),
        Many(
            "offices",
            "Transit/Destination",
            (Leaf("id", "Office", _one_line), Leaf("country", "Country")),
            {"role": "destination"},
        ),
        Many(
            "offices",
            "Export_release",
            (
                Leaf("id", "Actual_office_of_exit_code"),
                Leaf("name", "Actual_office_of_exit_name", _one_line),
            ),
            {"role": "exit"},
        ),
        Many(
            "parties",
            "Declarant",
            (
                Leaf("id", "Declarant_code"),
                Leaf("name", "Declarant_name", _first_line),
                Part("address", ".", (Leaf("street", "Declarant_name", _other_lines),)),
            ),
            {"role": "declarant"},
        ),
        Many(
            "parties",
            "Declarant",
            (Leaf("name", "Declarant_representative", _one_line),),
            {"role": "representative"},
        ),
        _trader("Traders/Financial", "Financial", "financial"),
        Many(
            "parties",
            "Transit/Principal",
            (
                Leaf("id", "Code"),
                Leaf("name", "Name", _first_line),
                Part("address", ".", (Leaf("street", "Name", _other_lines),)),
                Part("contact", ".", (Leaf("name", "Representative", _one_line),)),
            ),
            {"role": "holder"},
        ),
        Many(
            "guarantees",
            "Financial/Guarantee",
            (
                Leaf("other_reference", "Name", _one_line),
                Leaf("amount", "Amount", _amount),
                Leaf("valid_to", "Date", day),
                Leaf("not_valid_in", "Excluded_country/Code", append=True),
            ),
        ),
        *(
            Many("duties", "Financial/Amounts", (Leaf("amount", source, _amount),), {"kind": kind})
            for source, kind in (
                ("Totals_taxes", "total"),
                ("Global_taxes", "global"),
                ("Total_manual_taxes", "manual"),
            )
        ),
        Many(
            "duties",
            "Assessment_notice/Item_tax",
            (
                Leaf("kind", "Tax_code"),
                Leaf("amount", "Tax_amount", _amount),
                Leaf("method", "Tax_MP"),
            ),
        ),
        Many("notes", "General_information", (Leaf("text", "Additional_information", _one_line),)),
        Many("notes", "General_information", (Leaf("text", "Comments_free_text", _one_line),)),
        Many("notes", "Export_release", (Leaf("text", "Comments", _one_line),), {"kind": "exit"}),
        Many(
            "controls",
            "Transit",
            (
                Leaf("result", "Result_of_control", _one_line),
                Leaf("by", "Officer_name", _one_line),
            ),
        ),
        Many("consignments", ".", consignment),
        Known("Property/Forms/Number_of_the_form", "the paper form's page"),
        Known("Property/Forms/Total_number_of_forms", "the paper form's pages"),
        Known("Property/Selected_page", "which page was on the screen"),
    )


def _previous_code(*parts: str) -> str | None:
    """Pieces of one code, written together."""
    return "".join("".join(part.split()) for part in parts) or None
