"""What stands where in a manifest's tree, as ``manifest`` builds it: the table to the canonical model."""

from __future__ import annotations

from cocket.customs.formats import values
from cocket.customs.formats.manifest_values import (
    KG,
    container_id,
    count,
    exact,
    hs,
    imo,
    locode,
    mass,
    moment,
    name,
    un,
    words,
)
from cocket.customs.formats.mapping import Join, Known, Leaf, Many, Part, Rule, Within


def _party(role: str, source: str) -> Many:
    return Many(
        "parties",
        ".",
        (
            Leaf("id", f"{source}_id"),
            Leaf("name", source, words),
            Part("address", ".", (Leaf("street", f"{source}_address", words),)),
        ),
        {"role": role},
    )


def _port(role: str, source: str) -> Many:
    return Many("places", ".", (Leaf("unlocode", source, locode), Leaf("name", source, name)), {"role": role})


def _masses(into: str, source: str, mark: str) -> tuple[Rule, ...]:
    return tuple(
        Join(into, (source if u == "kg" else f"{source}+{u}", "mass_unit"), mass(mark, u)) for u in KG
    )


def rules(mark: str) -> tuple[Rule, ...]:
    """The table for a file with this decimal mark."""
    item: tuple[Rule, ...] = (
        Leaf("number", "item", values.integer),
        Leaf("hs", "hs", hs),
        Leaf("description", "description", words),
        *_masses("gross_mass_kg", "gross_mass", mark),
        *_masses("net_mass_kg", "net_mass", mark),
        Leaf("origin", "origin", words),
        Leaf("value", "value", lambda cell: exact(cell, mark)),
        Leaf("currency", "currency"),
        Many(
            "packages",
            ".",
            (
                Leaf("kind", "package_kind", words),
                Leaf("quantity", "packages", count),
                Leaf("marks", "marks", words),
            ),
        ),
        Leaf("equipment_ids", "container", container_id, append=True),
        Many("dangerous_goods", ".", (Leaf("un", "un", un), Leaf("hazard_class", "hazard_class"))),
        Many("notes", ".", (Leaf("text", "remarks", words),)),
    )
    container: tuple[Rule, ...] = (
        Leaf("id", "container", container_id),
        Leaf("kind", "container_type"),
        Leaf("fill", "fill"),
        *_masses("tare_mass_kg", "tare", mark),
        Many("seals", "seal", (Leaf("id", "id"),)),
        Many(
            "measures",
            "temperature",
            (Leaf("value", ".", lambda cell: exact(cell.rstrip("°Cc "), mark)),),
            {"kind": "temperature-transport", "unit": "CEL"},
        ),
    )
    consignment: tuple[Rule, ...] = (
        Leaf("reference", "bill"),
        Leaf("ucr", "ucr"),
        Many("documents", ".", (Leaf("id", "bill"),), {"role": "transport"}),
        Many("documents", ".", (Leaf("id", "booking"),), {"role": "booking"}),
        _party("consignor", "consignor"),
        _party("consignee", "consignee"),
        _party("notify", "notify"),
        _port("loading", "loading"),
        _port("unloading", "unloading"),
        _port("destination", "destination"),
        Leaf("country_of_dispatch", "country_of_dispatch"),
        Leaf("country_of_destination", "country_of_destination"),
        Many("transport", ".", (Leaf("id", "plate", words),), {"role": "departure", "kind": "30"}),
        Many("equipment", "container", container),
        Many("items", "item", item),
    )
    return (
        Leaf("lrn", "manifest"),
        Leaf("lrn", "voyage"),
        Leaf("arrives_at", "arrives_at", moment),
        Leaf("departs_at", "departs_at", moment),
        Many("references", ".", (Leaf("id", "manifest"),), {"role": "manifest"}),
        Many(
            "transport",
            ".",
            (Leaf("name", "vessel", words), Leaf("voyage", "voyage")),
            {"role": "vessel"},
        ),
        Many("transport", ".", (Leaf("id", "imo", imo),), {"role": "vessel", "kind": "10"}),
        Many("parties", ".", (Leaf("name", "carrier", words),), {"role": "carrier"}),
        Many("offices", ".", (Leaf("id", "office"),), {"role": "lodgement"}),
        Within(
            "total",
            (
                Leaf("packages_total", "packages", count),
                *_masses("gross_mass_kg", "gross_mass", mark),
                *_masses("net_mass_kg", "net_mass", mark),
            ),
        ),
        Many("consignments", "bill", consignment),
        Known("bill/item/mass_unit", "the unit of the masses beside it"),
    )
