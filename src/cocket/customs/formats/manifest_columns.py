"""The column names of manifests that are known, in English and French, and what each column says.

A name is compared without case, accents and signs (``N° de connaissement`` is ``no de connaissement``), its unit apart: ``Gross mass (kg)``, ``Poids brut en t``.
Names that mean several things in the trade (``type``, ``no``, ``unit``) are not known on purpose: such a column is kept raw.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

NAMES: Final = {
    # The whole manifest's
    "manifest": "manifest|manifest no|manifest number|manifest reference|manifest ref|manifest id|manifeste|no manifeste|no de manifeste|"
    "numero de manifeste|numero manifeste|rotation|rotation no|rotation number|numero de rotation",
    "voyage": "voyage|voyage no|voyage number|voy|voy no|no voyage|no de voyage|numero de voyage|flight|flight no|flight number|vol|no de vol",
    "vessel": "vessel|vessel name|ship|ship name|navire|nom du navire|bateau",
    "imo": "imo|imo no|imo number|vessel imo|no imo|numero imo",
    "carrier": "carrier|carrier name|shipping line|transporteur|compagnie|compagnie maritime|armateur",
    "arrives_at": "eta|arrival|arrival date|date of arrival|expected arrival|date d arrivee|arrivee prevue|date prevue d arrivee",
    "departs_at": "etd|departure|departure date|date of departure|date de depart|depart prevu",
    "office": "customs office|office of entry|bureau de douane|bureau des douanes",
    # A consignment's
    "bill": "bill|bills|bill of lading|bill of lading no|bill of lading number|bl|bl no|bl number|b l|b l no|b l number|bol|bol no|bol number|bill no|bill number|"
    "house bill|house bill of lading|hbl|hbl no|awb|awb no|awb number|air waybill|hawb|waybill|waybill no|waybill number|cmr|cmr no|consignment note|"
    "transport document|transport document no|transport document number|connaissement|no connaissement|no de connaissement|"
    "numero de connaissement|numero connaissement|numero bl|no bl|no de bl|lta|no lta|numero lta|lettre de transport aerien|lettre de voiture|"
    "document de transport|no du document de transport|numero du document de transport",
    "ucr": "ucr|unique consignment reference",
    "booking": "booking|booking no|booking number|booking reference|no booking|reservation|no de reservation|numero de reservation",
    "consignor": "consignor|consignor name|shipper|shipper name|exporter|exporter name|sender|expediteur|nom de l expediteur|chargeur|exportateur",
    "consignor_id": "consignor id|consignor code|shipper id|shipper code|exporter id|exporter code|exporter tin|code expediteur|code exportateur|nif exportateur|nif expediteur",
    "consignor_address": "consignor address|shipper address|exporter address|adresse expediteur|adresse de l expediteur|adresse exportateur",
    "consignee": "consignee|consignee name|importer|importer name|receiver|destinataire|nom du destinataire|importateur",
    "consignee_id": "consignee id|consignee code|consignee tin|importer id|importer code|importer tin|code destinataire|code importateur|nif importateur|nif destinataire",
    "consignee_address": "consignee address|importer address|adresse destinataire|adresse du destinataire|adresse importateur",
    "notify": "notify|notify party|notify name|notifie|a notifier|partie a notifier|notify address party",
    "loading": "port of loading|pol|load port|loading port|place of loading|port de chargement|lieu de chargement|port d embarquement",
    "unloading": "port of discharge|pod|discharge port|port of unloading|unloading port|place of unloading|port de dechargement|lieu de dechargement|port de debarquement",
    "destination": "destination|final destination|place of delivery|place of destination|destination finale|lieu de livraison|lieu de destination",
    "country_of_dispatch": "country of dispatch|country of export|export country|pays d expedition|pays de provenance|pays d exportation",
    "country_of_destination": "country of destination|destination country|pays de destination",
    "plate": "truck|truck no|truck plate|plate|plate no|number plate|vehicle|vehicle no|vehicle plate|vehicle registration|registration|camion|no camion|immatriculation|plaque",
    # A container's
    "container": "container|containers|container no|container number|container id|cntr|cntr no|cntr number|ctr|ctr no|equipment|equipment id|equipment no|equipment number|"
    "trailer|trailer no|conteneur|conteneurs|no conteneur|no de conteneur|numero de conteneur|numero conteneur|remorque|no remorque",
    "container_type": "container type|container size type|container iso|iso type|iso code|iso size type|size type|cntr type|ctr type|type de conteneur|type conteneur|code iso",
    "fill": "full empty|empty full|full or empty|fcl lcl|plein vide|vide plein",
    "seal": "seal|seals|seal no|seal nos|seal number|seal numbers|seal 1|seal no 1|seal number 1|scelle|scelles|no scelle|no de scelle|numero de scelle|scelle 1|plomb|plombs|no plomb|no de plomb|numero de plomb",
    "seal2": "seal 2|seal2|second seal|seal no 2|seal number 2|scelle 2|plomb 2|deuxieme scelle",
    "seal3": "seal 3|seal3|third seal|seal no 3|seal number 3|scelle 3|plomb 3",
    "seal4": "seal 4|seal4|seal no 4|seal number 4|scelle 4|plomb 4",
    "tare": "tare|tare mass|tare weight|container tare|poids a vide|tare du conteneur",
    "temperature": "temperature|set temperature|reefer temperature|temp|set temp|temperature de consigne",
    # An item's
    "item": "item|item no|item number|line|line no|line number|article|no article|no d article|numero d article|ligne|no ligne",
    "description": "description|goods description|description of goods|goods|cargo|cargo description|commodity|commodity description|marchandise|marchandises|"
    "designation|designation des marchandises|designation de la marchandise|description des marchandises|description de la marchandise|nature des marchandises|nature de la marchandise|libelle",
    "hs": "hs|hs code|hscode|hs no|hs number|hs6|commodity code|tariff|tariff code|tariff no|tariff number|code sh|sh|position tarifaire|code tarifaire|nomenclature|espece tarifaire",
    "packages": "packages|no of packages|number of packages|package quantity|package count|pkgs|no of pkgs|number of pkgs|pcs|pieces|no of pieces|quantity|qty|"
    "colis|nombre de colis|nombre colis|nb colis|nb de colis|nbre colis|nbre de colis|quantite",
    "package_kind": "package type|package kind|kind of packages|type of packages|package code|packaging|packing|pkg type|type de colis|nature des colis|nature de colis|emballage|type d emballage|nature de l emballage",
    "marks": "marks|marks and numbers|marks numbers|marks and nos|shipping marks|marques|marques et numeros|marques et nos",
    "gross_mass": "gross mass|gross weight|gross|gross wt|gw|weight|total weight|poids brut|masse brute|poids|poids brut total",
    "net_mass": "net mass|net weight|net|net wt|nw|poids net|masse nette",
    "mass_unit": "weight unit|mass unit|unit of weight|unite de poids|unite de masse",
    "origin": "origin|country of origin|origine|pays d origine",
    "value": "value|invoice value|goods value|declared value|valeur|valeur facture|valeur facturee|montant",
    "currency": "currency|currency code|devise|monnaie|code devise",
    "un": "un|un no|un number|unno|imdg un|onu|no onu|numero onu|code onu",
    "hazard_class": "imo class|imdg class|hazard class|dg class|classe imdg|classe imo|classe de danger",
    "remarks": "remarks|remark|comment|comments|observations|remarques|observation|commentaire|commentaires",
}
_FIELDS: Final = {name: field for field, names in NAMES.items() for name in names.split("|")}

OF_ALL: Final = frozenset(
    {"manifest", "voyage", "vessel", "imo", "carrier", "arrives_at", "departs_at", "office"}
)
OF_A_CONTAINER: Final = frozenset({"container", "container_type", "fill", "tare", "temperature"})
SEALS: Final = ("seal", "seal2", "seal3", "seal4")
OF_AN_ITEM: Final = frozenset(
    {
        "item",
        "description",
        "hs",
        "packages",
        "package_kind",
        "marks",
        "gross_mass",
        "net_mass",
        "mass_unit",
        "origin",
        "value",
        "currency",
        "un",
        "hazard_class",
        "remarks",
    }
)
NUMBERS: Final = frozenset({"gross_mass", "net_mass", "tare", "value", "temperature", "packages"})
DECIMALS: Final = frozenset({"gross_mass", "net_mass", "tare", "value", "temperature"})
MASSES: Final = frozenset({"gross_mass", "net_mass", "tare"})
"""Fields that are masses, which a column's name may give in another unit than kilograms."""

_UNITS: Final = {
    "kg": "kg",
    "kgs": "kg",
    "kgm": "kg",
    "kilo": "kg",
    "kilos": "kg",
    "kilograms": "kg",
    "kilogrammes": "kg",
    "lb": "lb",
    "lbs": "lb",
    "lbr": "lb",
    "pounds": "lb",
    "livres": "lb",
    "t": "t",
    "to": "t",
    "mt": "t",
    "tne": "t",
    "tonnes": "t",
    "tons": "t",
}
UNIT_WORDS: Final = frozenset(_UNITS)


def plain(name: str) -> str:
    """A name as it is compared: lower case, without accents and signs."""
    name = (
        name.replace("№", "no")
        .replace("n°", "no ")
        .replace("N°", "no ")
        .replace("nº", "no ")
        .replace("Nº", "no ")
    )
    text = unicodedata.normalize("NFKD", name).lower()
    text = "".join(c for c in text if not unicodedata.combining(c))
    return " ".join(re.sub(r"[^a-z0-9]+", " ", text).split())


def unit(word: str) -> str | None:
    """kg, lb or t; None for any other word."""
    return _UNITS.get(plain(word))


def column(name: str) -> tuple[str, str]:
    """(field, unit of mass) that a column's name means; ("", "") if it is not known."""
    words = plain(name)
    if words in _FIELDS:
        return _FIELDS[words], ""
    head, _, last = words.rpartition(" ")
    head = head.removesuffix(" in").removesuffix(" en")
    found = _FIELDS.get(head, "")
    if found in MASSES and last in _UNITS:
        return found, _UNITS[last]
    if found == "temperature" and last in {"c", "celsius"}:
        return found, ""
    return "", ""
