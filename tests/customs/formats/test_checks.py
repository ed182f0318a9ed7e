"""What is flagged in any document, whatever format it came in."""

from __future__ import annotations

from typing import Any

import pytest

from cocket.customs.formats import checks


def flags(**value: Any) -> list[str]:
    return checks.flags(value, {})


def shipment(**of: Any) -> dict[str, Any]:
    return {"consignments": [of]}


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("9074729", []),  # IMO's own example
        ("IMO 9074729", []),
        ("9074728", ["imo-check-digit"]),
        ("907472", ["imo-form"]),
        ("CSCLGLOBE", ["imo-form"]),
    ],
)
def test_imo_numbers(number: str, expected: list[str]) -> None:
    assert checks.imo_flags(number) == expected
    ship = {"role": "border", "kind": "10", "id": number}
    assert flags(transport=[ship]) == [f"{rule}:{number}" for rule in expected]
    assert flags(transport=[ship | {"kind": "30"}]) == []


def test_check_digits_of_containers_and_mrns() -> None:
    # CSQU3054383 is ISO 6346's own example.
    right, wrong = {"id": "CSQU3054383"}, {"id": "CSQU3054384"}
    assert flags(**shipment(equipment=[right, wrong, wrong, {"id": "TRAILER 7"}, {}])) == [
        "iso6346-check-digit:CSQU3054384"
    ]
    assert flags(mrn="24GBDIRIGZ7QLCPAA8") == []
    assert flags(mrn="24GBDIRIGZ7QLCPAA9") == ["mrn-check-digit:24GBDIRIGZ7QLCPAA9"]
    assert flags(mrn="00RB-2024-C1234") == []


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        # the GS1 General Specifications' own example of a GTIN, and the same with its last digit altered
        ("https://id.gs1.org/01/09506000134352/10/AB-1", []),
        ("https://id.gs1.org/01/09506000134353/10/AB-1", ["gs1-check-digit"]),
        ("(01)09506000134352(10)AB-1", []),
        ("(01)09506000134351", ["gs1-check-digit"]),
        ("(01)0950600013435", ["gs1-form"]),
        ("urn:epc:id:sscc:4012345.1111111111", []),
        ("urn:epc:id:sscc:4012345", ["epc-form"]),
        ("urn:epc:id:nothing:1.2", ["epc-form"]),
        ("urn:epc:id:bic:CSQU3054383", []),
        ("urn:epc:id:bic:CSQU3054384", ["iso6346-check-digit"]),
        ("https://customs.example/papers/17", []),
        ("SEAL 17", []),
    ],
)
def test_epc_and_gs1_identifiers_wherever_they_stand(identifier: str, expected: list[str]) -> None:
    assert checks.epc_flags(identifier) == expected
    told = [f"{rule}:{identifier}" for rule in expected]
    assert flags(**shipment(equipment=[{"seals": [{"id": identifier}]}])) == told
    assert flags(**shipment(ucr=identifier)) == told
    assert flags(documents=[{"role": "transport", "id": identifier}]) == told


def test_masses_packages_items_and_equipment_are_summed() -> None:
    items = [
        {"gross_mass_kg": 0.1, "packages": [{"quantity": 2}]},
        {"gross_mass_kg": 0.2, "packages": [{"quantity": 3}]},
    ]
    right = {"gross_mass_kg": 0.3, "packages_total": 5, "items_total": 2, "equipment_total": 1}
    held = shipment(items=items, equipment=[{"id": "A"}])
    assert flags(**right, **held) == []
    wrong = {"gross_mass_kg": 0.4, "packages_total": 6, "items_total": 3, "equipment_total": 2}
    assert flags(**wrong, **held) == [
        "totals:gross-mass /gross_mass_kg 0.4 is not the items' 0.3",
        "totals:packages /packages_total 6 is not the items' 5",
        "totals:items /items_total 3 is not the listed 2",
        "totals:equipment /equipment_total 2 is not the listed 1",
    ]


def test_what_is_not_told_everywhere_is_not_summed() -> None:
    assert (
        flags(
            gross_mass_kg=9,
            packages_total=9,
            **shipment(items=[{"gross_mass_kg": 1, "packages": [{"kind": "VQ"}]}, {}]),
        )
        == []
    )


def test_a_message_that_lists_only_differences_proves_no_total() -> None:
    held = shipment(items=[{"gross_mass_kg": 1}])
    assert flags(gross_mass_kg=9, unloading={"conform": False}, **held) == []
    assert flags(gross_mass_kg=9, changes=[{"pointer": "42A"}], **held) == []
    assert flags(gross_mass_kg=9, changes=[{"reason": "0"}], **held) != []


def test_seals_are_counted_and_stand_on_one_equipment_only() -> None:
    seal = {"id": "S1"}
    equipment = [{"id": "A", "seal_count": 2, "seals": [seal]}, {"id": "B", "seals": [seal]}]
    assert flags(**shipment(equipment=equipment)) == [
        "totals:seals /consignments/0/equipment/0/seal_count 2 is not the listed 1",
        "seal-twice:S1",
    ]
    # One container in two consignments is one container.
    twice = {"consignments": [{"equipment": [equipment[1]]}, {"equipment": [equipment[1]]}]}
    assert flags(**twice) == []


def test_one_reference() -> None:
    assert checks.one_reference([]) == []
    assert checks.one_reference([("/a", "1"), ("/b", "1")]) == []
    assert [(f.path, f.rule) for f in checks.one_reference([("/a", "1"), ("/b", "2")])] == [
        ("/b", "two-references")
    ]
