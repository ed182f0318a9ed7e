"""ASYCUDA World's SAD box by box: where each box stands in the canonical model, each a rule of the table.

``rules`` is the table for one order of the dates, ``month`` or ``day`` first; ``asycuda_sad`` finds out which. Masses are
kilograms, amounts exact decimals as text, dates ``YYYY-MM-DD``. Boxes are those of the single administrative document.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

from cocket.customs.formats import values
from cocket.customs.formats.asycuda_values import (
    amount,
    count,
    day,
    decimal,
    first_line,
    limit,
    locode,
    mass,
    mrn,
    no_locode,
    one_line,
    other_lines,
    previous,
    previous_code,
    procedure,
    serial,
    words,
)
from cocket.customs.formats.mapping import Join, Known, Leaf, Many, Part, Rule, Within

SUPPLEMENTARY: Final = "Supplementary_unit"


def _trader(source: str, prefix: str, role: str) -> Many:
    boxes: tuple[Rule, ...] = (
        Leaf("id", f"{prefix}_code"),
        Leaf("name", f"{prefix}_name", first_line),
        Part("address", ".", (Leaf("street", f"{prefix}_name", other_lines),)),
    )
    return Many("parties", source, boxes, {"role": role})


def _registered(source: str, role: str, dated: Callable[[str], str | None]) -> Many:
    boxes = (Join("id", ("Serial_number", "Number"), serial), Leaf("issued_at", "Date", dated))
    return Many("references", source, boxes, {"role": role})


def _charges(form: str) -> tuple[Rule, ...]:
    boxes = (Leaf("amount", "Amount_foreign_currency", amount), Leaf("currency", "Currency_code"))
    return tuple(
        Many("charges", form.format(name), boxes, {"kind": name.replace("_", "-")})
        for name in ("external_freight", "internal_freight", "insurance", "other_cost", "deduction")
    )


@cache
def rules(order: str) -> tuple[Rule, ...]:
    """The table; dates with slashes have their ``order``, ``month`` or ``day``, first."""
    dated = day(order)
    item: tuple[Rule, ...] = (
        Join("hs", ("Tarification/HScode/Commodity_code", "Tarification/HScode/Precision_1"), previous_code),
        *(
            Many(
                "classifications",
                "Tarification/HScode",
                (Leaf("id", f"Precision_{n}"),),
                {"kind": f"precision-{n}"},
            )
            for n in (2, 3, 4)
        ),
        Leaf("description", "Goods_description/Commercial_Description", one_line),
        Leaf("description", "Goods_description/Description_of_goods", one_line),
        Many(
            "notes",
            "Goods_description",
            (Leaf("text", "Description_of_goods", one_line),),
            {"kind": "tariff-description"},
        ),
        Leaf("origin", "Goods_description/Country_of_origin_code"),
        Leaf("origin_region", "Goods_description/Country_of_origin_region"),
        Leaf("gross_mass_kg", "Valuation_item/Weight_itm/Gross_weight_itm", mass),
        Leaf("net_mass_kg", "Valuation_item/Weight_itm/Net_weight_itm", mass),
        Leaf("supplementary_quantity", f"Tarification/{SUPPLEMENTARY}/Supplementary_unit_quantity", amount),
        Leaf("supplementary_unit", f"Tarification/{SUPPLEMENTARY}/Supplementary_unit_code"),
        Leaf("procedure", "Tarification/Extended_customs_procedure"),
        Leaf("procedures", "Tarification/National_customs_procedure", append=True),
        Leaf("preference", "Tarification/Preference_code"),
        Leaf("valuation_method", "Tarification/Valuation_method_code"),
        Leaf("value", "Valuation_item/Item_Invoice/Amount_foreign_currency", decimal),
        Leaf("value", "Tarification/Item_price", decimal),
        Leaf("currency", "Valuation_item/Item_Invoice/Currency_code"),
        Leaf("statistical_value", "Valuation_item/Statistical_value", decimal),
        Leaf("customs_value", "Valuation_item/Total_CIF_itm", amount),
        *_charges("Valuation_item/item_{}"),
        Many(
            "packages",
            "Packages",
            (
                Leaf("kind", "Kind_of_packages_code"),
                Leaf("quantity", "Number_of_packages", values.integer),
                Join("marks", ("Marks1_of_packages", "Marks2_of_packages"), words),
            ),
        ),
        Many(
            "duties",
            "Taxation/Taxation_line",
            (
                Leaf("kind", "Duty_tax_code"),
                Leaf("base_amount", "Duty_tax_Base", amount),
                Leaf("rate", "Duty_tax_rate", amount),
                Leaf("amount", "Duty_tax_amount", amount),
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
                Leaf("name", "Attached_document_name", one_line),
                Leaf("id", "Attached_document_reference", one_line),
                Leaf("issued_at", "Attached_document_date", dated),
                Leaf("party", "Attached_document_Authority", one_line),
            ),
            {"role": "supporting"},
        ),
        Many("documents", ".", (Leaf("id", "Licence_number"),), {"role": "authorisation", "kind": "licence"}),
        Many("notes", "Tarification", (Leaf("code", "A.I._code"),), {"kind": "additional-information"}),
        Many("notes", ".", (Leaf("text", "Free_text_1", one_line),)),
        Many("notes", ".", (Leaf("text", "Free_text_2", one_line),)),
    )
    consignment: tuple[Rule, ...] = (
        Leaf("containerised", "Transport/Container_flag", values.flag),
        _trader("Traders/Exporter", "Exporter", "consignor"),
        _trader("Traders/Consignee", "Consignee", "consignee"),
        Many(
            "places",
            "Transport/Place_of_loading",
            (
                Leaf("unlocode", "Code", locode),
                Leaf("id", "Code", no_locode),
                Leaf("name", "Name", one_line),
                Leaf("country", "Country"),
            ),
            {"role": "loading"},
        ),
        Many("places", "Transport", (Leaf("id", "Location_of_goods", one_line),), {"role": "goods"}),
        Many("places", "Warehouse", (Leaf("id", "Identification", one_line),), {"role": "warehouse"}),
        Many(
            "transport",
            "Transport/Means_of_transport/Departure_arrival_information",
            (Leaf("id", "Identity", one_line), Leaf("nationality", "Nationality")),
            {"role": "departure"},
        ),
        Many(
            "transport",
            "Transport/Means_of_transport/Border_information",
            (
                Leaf("mode", "Mode"),
                Leaf("id", "Identity", one_line),
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
                Leaf("gross_mass_kg", "Gross_weight", mass),
                Leaf("goods_items", "Item_Number", values.integer, append=True),
                Leaf("remarks", "Goods_description", one_line),
            ),
        ),
        Many(
            "equipment",
            "Transit/Seals",
            (
                Leaf("seal_count", "Number", count),
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
                    Leaf("issued_at", "Suppliers_document_date", dated),
                    Leaf("party", "Suppliers_document_name", one_line),
                    Leaf("party", "Invoice_supplier_name", one_line),
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
                    previous,
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
            mrn,
        ),
        Leaf("accepted_at", "Registration/Date", dated),
        Join("declaration_type", ("Type/Type_of_declaration", "Type/Declaration_gen_procedure_code"), words),
        Leaf("additional_type", "Type/Type_of_transit_document"),
        _registered("Registration", "registration", dated),
        _registered("Assessment", "assessment", dated),
        _registered("receipt", "receipt", dated),
        Many(
            "offices",
            "Office_segment",
            (
                Leaf("id", "Customs_clearance_office_code"),
                Leaf("name", "Customs_Clearance_office_name", one_line),
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
            procedure,
        ),
        Leaf("lrn", "Declarant/Reference/Number", one_line),
        Leaf("lodged_at", "Property/Date_of_declaration", dated),
        Leaf("items_total", "Property/Nbers/Total_number_of_items", count),
        Leaf("packages_total", "Property/Nbers/Total_number_of_packages", count),
        Leaf("gross_mass_kg", "Valuation/Weight/Gross_weight", mass),
        Leaf("gross_mass_kg", "Valuation/Total/Total_weight", mass),
        Leaf("value", "Valuation/Gs_Invoice/Amount_foreign_currency", decimal),
        Leaf("value", "Valuation/Total/Total_invoice", decimal),
        Leaf("currency", "Valuation/Gs_Invoice/Currency_code"),
        Leaf("exchange_rate", "Valuation/Gs_Invoice/Currency_rate", decimal),
        Join("terms_of_delivery", ("Transport/Delivery_terms/Code", "Transport/Delivery_terms/Place"), words),
        Leaf("country_of_dispatch", "General_information/Country/Export/Export_country_code"),
        Leaf("country_of_destination", "General_information/Country/Destination/Destination_country_code"),
        Leaf("country_of_trade", "General_information/Country/Trading_country"),
        Leaf("countries", "General_information/Country/Country_first_destination", append=True),
        Join(
            "nature_of_transaction",
            ("Financial/Financial_transaction/code1", "Financial/Financial_transaction/code2"),
            previous_code,
        ),
        Leaf("payment_method", "Financial/Mode_of_payment", one_line),
        Leaf("inland_mode", "Transport/Means_of_transport/Inland_mode_of_transport"),
        Leaf("border_mode", "Transport/Means_of_transport/Border_information/Mode"),
        Leaf("limit_at", "Transit/Time_limit", limit(order)),
        Leaf("exited_at", "Export_release/Date_of_exit", dated),
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
            (Leaf("id", "Code"), Leaf("name", "Name", one_line)),
            {"role": "border"},
        ),
        Many(
            "offices",
            "Transit/Destination",
            (Leaf("id", "Office", one_line), Leaf("country", "Country")),
            {"role": "destination"},
        ),
        Many(
            "offices",
            "Export_release",
            (
                Leaf("id", "Actual_office_of_exit_code"),
                Leaf("name", "Actual_office_of_exit_name", one_line),
            ),
            {"role": "exit"},
        ),
        Many(
            "parties",
            "Declarant",
            (
                Leaf("id", "Declarant_code"),
                Leaf("name", "Declarant_name", first_line),
                Part("address", ".", (Leaf("street", "Declarant_name", other_lines),)),
            ),
            {"role": "declarant"},
        ),
        Many(
            "parties",
            "Declarant",
            (Leaf("name", "Declarant_representative", one_line),),
            {"role": "representative"},
        ),
        _trader("Traders/Financial", "Financial", "financial"),
        Many(
            "parties",
            "Transit/Principal",
            (
                Leaf("id", "Code"),
                Leaf("name", "Name", first_line),
                Part("address", ".", (Leaf("street", "Name", other_lines),)),
                Part("contact", ".", (Leaf("name", "Representative", one_line),)),
            ),
            {"role": "holder"},
        ),
        Many(
            "guarantees",
            "Financial/Guarantee",
            (
                Leaf("other_reference", "Name", one_line),
                Leaf("amount", "Amount", amount),
                Leaf("valid_to", "Date", dated),
                Leaf("not_valid_in", "Excluded_country/Code", append=True),
            ),
        ),
        *(
            Many("duties", "Financial/Amounts", (Leaf("amount", source, amount),), {"kind": kind})
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
                Leaf("amount", "Tax_amount", amount),
                Leaf("method", "Tax_MP"),
            ),
        ),
        Many("notes", "General_information", (Leaf("text", "Additional_information", one_line),)),
        Many("notes", "General_information", (Leaf("text", "Comments_free_text", one_line),)),
        Many("notes", "Export_release", (Leaf("text", "Comments", one_line),), {"kind": "exit"}),
        Many(
            "controls",
            "Transit",
            (
                Leaf("result", "Result_of_control", one_line),
                Leaf("by", "Officer_name", one_line),
            ),
        ),
        Many("consignments", ".", consignment),
        Known("Property/Forms/Number_of_the_form", "the paper form's page"),
        Known("Property/Forms/Total_number_of_forms", "the paper form's pages"),
        Known("Property/Selected_page", "which page was on the screen"),
    )
