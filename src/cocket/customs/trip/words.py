"""The sentences and labels of the clean-trip report, in English and French.

Every sentence stands in both catalogues under one name (a test holds them together). Durations are given in seconds,
shares from 0 to 1, moments as RFC 3339 text; here they become words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

LANGUAGES: Final = ("en", "fr")

_SENTENCES: Final[dict[str, dict[str, str]]] = {
    "en": {
        "no-departure": "No departure is recorded.",
        "no-arrival": "No arrival is recorded.",
        "late": "It arrived at {arrived}, {by} after its limit, {limit}.",
        "undetected": "{n} reports of this trip are still being examined for alerts; ask again in a moment.",
        "no-observations": "No device was bound to this movement on the way.",
        "none-of-equipment": "{equipment} ({devices}) reported nothing between departure and arrival.",
        "gap": "{equipment} ({devices}) did not report for {gap}, from {from} to {to}; at most {allowed} is forgiven.",
        "low-coverage": "Reports of {equipment} ({devices}) cover {coverage} of the trip; at least {least} is wanted.",
        "no-seal": "No seal was on this movement on the way.",
        "seal-opened": "Seal {seal} on {equipment} was open: {what} at {at}.",
        "seal-not-closed": "Seal {seal} on {equipment} was not closed all the way.",
        "seal-off": "Seal {seal} came off {equipment} on the way, at {at}.",
        "seal-unknown": "Whether seal {seal} on {equipment} was closed all the way is not known: it did not report its state often enough.",
        "seal-not-looked-at": "Seal {seal} on {equipment} does not report, and nobody recorded how it was found on arrival.",
        "seal-alarm": "Seal {seal} on {equipment} was put in alarm at {at} ({why}), and nobody cleared it.",
        "seal-found": "Seal {seal} on {equipment} was found {result} on arrival.",
        "seals-found": "The seals were found {result} at {at}.",
        "seal-alert": "The alert {code} of {device}, since {at}, is {state}; it counts until it is closed as false, technical or explained.",
        "seal-alert-genuine": "The alert {code} of {device}, at {at}, was closed, but not as false, technical or explained.",
        "open-alert": "The {severity} alert {code} of {device}, since {at}, is {state}; nobody has closed it.",
        "genuine-alert": "The {severity} alert {code} of {device}, at {at}, was closed as genuine.",
        "open-incident": "The incident of {at} ({kind}), reported by {by}, was not resolved before the arrival.",
        "discrepancies": "Discrepancies were reported at {at}.",
        "more": "… and {n} more of this kind.",
    },
    "fr": {
        "no-departure": "Aucun départ n’est enregistré.",
        "no-arrival": "Aucune arrivée n’est enregistrée.",
        "late": "Arrivé le {arrived}, {by} après la date limite, le {limit}.",
        "undetected": "{n} rapports de ce trajet sont encore à l’examen ; redemandez dans un instant.",
        "no-observations": "Aucun appareil n’était lié à ce mouvement en route.",
        "none-of-equipment": "{equipment} ({devices}) n’a rien transmis entre le départ et l’arrivée.",
        "gap": "{equipment} ({devices}) n’a rien transmis pendant {gap}, du {from} au {to} ; {allowed} au plus sont admis.",
        "low-coverage": "Les rapports de {equipment} ({devices}) couvrent {coverage} du trajet ; au moins {least} est demandé.",
        "no-seal": "Aucun scellé n’était sur ce mouvement en route.",
        "seal-opened": "Le scellé {seal} sur {equipment} était ouvert : {what}, le {at}.",
        "seal-not-closed": "Le scellé {seal} sur {equipment} n’est pas resté fermé tout du long.",
        "seal-off": "Le scellé {seal} a été retiré de {equipment} en route, le {at}.",
        "seal-unknown": "On ne sait pas si le scellé {seal} sur {equipment} est resté fermé tout du long : il n’a pas transmis son état assez souvent.",
        "seal-not-looked-at": "Le scellé {seal} sur {equipment} ne transmet rien, et personne n’a noté comment il fut trouvé à l’arrivée.",
        "seal-alarm": "Le scellé {seal} sur {equipment} a été mis en alarme le {at} ({why}), et personne ne l’a levée.",
        "seal-found": "Le scellé {seal} sur {equipment} a été trouvé {result} à l’arrivée.",
        "seals-found": "Les scellés ont été trouvés {result} le {at}.",
        "seal-alert": "L’alerte « {code} » de {device}, depuis le {at}, est à l’état « {state} » ; elle compte tant qu’elle n’est pas close comme fausse, technique ou expliquée.",
        "seal-alert-genuine": "L’alerte « {code} » de {device}, du {at}, a été close, mais non comme fausse, technique ou expliquée.",
        "open-alert": "L’alerte « {code} » ({severity}) de {device}, depuis le {at}, est à l’état « {state} » ; personne ne l’a close.",
        "genuine-alert": "L’alerte « {code} » ({severity}) de {device}, du {at}, a été close comme avérée.",
        "open-incident": "L’incident du {at} ({kind}), signalé par {by}, n’a pas été résolu avant l’arrivée.",
        "discrepancies": "Des différences ont été signalées le {at}.",
        "more": "… et {n} autres de cette sorte.",
    },
}

LABELS: Final[dict[str, dict[str, str]]] = {
    "en": {
        "title": "Clean-trip report",
        "clean": "CLEAN TRIP",
        "clean-help": "The observations give ground for an automatic discharge.",
        "not-clean": "NOT A CLEAN TRIP",
        "not-clean-help": "It needs an examination before it can be discharged, for the reasons below.",
        "movement": "Movement",
        "mrn": "MRN",
        "holder": "Holder of the procedure",
        "from": "Office of departure",
        "to": "Office of destination",
        "departed": "Departed",
        "arrived": "Arrived",
        "limit": "Limit date",
        "duration": "Duration",
        "distance": "Distance, by the reports",
        "risk": "Risk · goods",
        "none": "none",
        "unknown": "not known",
        "not-yet": "not recorded",
        "reasons": "Why it is not clean",
        "rule": "Rule",
        "words": "In words",
        "watch": "How it was watched",
        "equipment": "Equipment",
        "devices": "Devices",
        "reports": "Reports",
        "gap": "Longest gap",
        "covered": "Time covered",
        "timeline": "Time covered by reports, departure to {end}",
        "timeline-arrived": "arrival",
        "timeline-now": "now",
        "seals": "Seals",
        "seal": "Seal",
        "kind": "Kind",
        "electronic": "electronic",
        "mechanical": "mechanical",
        "closed": "Closed all the way",
        "yes": "yes",
        "no": "no",
        "verified": "Found on arrival",
        "alerts": "Alerts",
        "alert": "Alert",
        "severity": "Severity",
        "began": "Began",
        "ended": "Ended",
        "ongoing": "goes on",
        "state": "State · finding",
        "no-alerts": "No alert was raised on this movement.",
        "incidents": "Incidents",
        "incident": "Incident",
        "by": "By",
        "resolved": "Resolved",
        "no-incidents": "No incident was reported.",
        "basis": "How this was judged",
        "basis-words": "A trip is clean when it departed and arrived, in time; when each sealed equipment reported for at least {coverage} of the time, reports at most two reporting periods apart counting as covered, and never went without a report for more than {gap} or two periods; when every seal stayed closed, by its own reports or, of a mechanical seal, as found on arrival; when no seal alert stands unless it was closed as false, technical or explained, and no other grave alert is open or was genuine; and when no incident is unresolved and no discrepancy was reported. What is not known is not clean.",
        "signature": "Officer, date, stamp",
        "made": "Made by Cocket {version} on {at}. Times are UTC.",
        "fingerprint": "SHA-256 of this report as JSON: {sha256}",
        "page": "Page {page} of {pages}",
        "unprintable": "{n} characters that this page cannot show stand as \ufffd; the report as JSON has them.",
        "more-rows": "… and {n} more; the report as JSON has them all.",
    },
    "fr": {
        "title": "Rapport de trajet net",
        "clean": "TRAJET NET",
        "clean-help": "Les observations permettent un apurement automatique.",
        "not-clean": "TRAJET NON NET",
        "not-clean-help": "Un examen est nécessaire avant l’apurement, pour les motifs ci-dessous.",
        "movement": "Mouvement",
        "mrn": "MRN",
        "holder": "Titulaire du régime",
        "from": "Bureau de départ",
        "to": "Bureau de destination",
        "departed": "Départ",
        "arrived": "Arrivée",
        "limit": "Date limite",
        "duration": "Durée",
        "distance": "Distance, selon les rapports",
        "risk": "Risque · marchandises",
        "none": "aucun",
        "unknown": "inconnu",
        "not-yet": "non enregistré",
        "reasons": "Pourquoi il n’est pas net",
        "rule": "Règle",
        "words": "En clair",
        "watch": "Comment il fut suivi",
        "equipment": "Équipement",
        "devices": "Appareils",
        "reports": "Rapports",
        "gap": "Plus longue interruption",
        "covered": "Temps couvert",
        "timeline": "Temps couvert par des rapports, du départ à {end}",
        "timeline-arrived": "l’arrivée",
        "timeline-now": "maintenant",
        "seals": "Scellés",
        "seal": "Scellé",
        "kind": "Sorte",
        "electronic": "électronique",
        "mechanical": "mécanique",
        "closed": "Fermé tout du long",
        "yes": "oui",
        "no": "non",
        "verified": "Trouvé à l’arrivée",
        "alerts": "Alertes",
        "alert": "Alerte",
        "severity": "Gravité",
        "began": "Début",
        "ended": "Fin",
        "ongoing": "en cours",
        "state": "État · constat",
        "no-alerts": "Aucune alerte n’a été levée sur ce mouvement.",
        "incidents": "Incidents",
        "incident": "Incident",
        "by": "Par",
        "resolved": "Résolu",
        "no-incidents": "Aucun incident n’a été signalé.",
        "basis": "Comment on en a jugé",
        "basis-words": "Un trajet est net s’il est parti et arrivé, à temps ; si chaque équipement scellé a transmis pendant au moins {coverage} du temps, deux rapports séparés d’au plus deux périodes comptant comme couverture, et n’est jamais resté sans rapport plus de {gap} ou deux périodes ; si chaque scellé est resté fermé, selon ses propres rapports ou, pour un scellé mécanique, selon le constat à l’arrivée ; si aucune alerte de scellé ne subsiste, à moins d’être close comme fausse, technique ou expliquée, et si aucune autre alerte grave n’est ouverte ni avérée ; enfin si aucun incident n’est resté sans solution et aucune différence n’a été signalée. Ce qui n’est pas connu n’est pas net.",
        "signature": "Agent, date, cachet",
        "made": "Établi par Cocket {version} le {at}. Les heures sont en UTC.",
        "fingerprint": "SHA-256 de ce rapport en JSON : {sha256}",
        "page": "Page {page} sur {pages}",
        "unprintable": "{n} caractères que cette page ne peut montrer sont remplacés par \ufffd ; le rapport en JSON les contient.",
        "more-rows": "… et {n} de plus ; le rapport en JSON les contient tous.",
    },
}

_FRENCH: Final = {
    "seal-cut": "scellé coupé",
    "seal-opened": "scellé ouvert",
    "casing-opened": "boîtier ouvert",
    "unlock-outside-zone": "ouvert hors zone",
    "unauthorised-card": "carte non autorisée",
    "wrong-password": "mot de passe faux",
    "motor-fault": "moteur de serrure en panne",
    "route-deviation": "hors du corridor",
    "zone-entered": "entrée en zone",
    "zone-left": "sortie de zone",
    "restricted-zone": "zone interdite",
    "unscheduled-stop": "arrêt imprévu",
    "overstay": "délai dépassé",
    "silence": "silence",
    "low-battery": "batterie faible",
    "gnss-jamming": "brouillage GNSS",
    "gnss-spoofing": "leurrage GNSS",
    "speeding": "excès de vitesse",
    "temperature-excursion": "température",
    "device-twice": "appareil sur deux connexions",
    "impossible-movement": "déplacement impossible",
    "sequence-replay": "ancien message rejoué",
    "identity-mismatch": "identité discordante",
    "shock": "choc",
    "info": "information",
    "warn": "avertissement",
    "high": "élevée",
    "critical": "critique",
    "raised": "levée",
    "acknowledged": "prise en compte",
    "triaged": "triée",
    "driver-contacted": "conducteur contacté",
    "unit-dispatched": "unité envoyée",
    "on-scene": "sur place",
    "closed": "close",
    "false": "fausse alerte",
    "technical": "technique",
    "explained": "expliquée",
    "genuine": "avérée",
    "intact": "intact",
    "broken": "rompu",
    "missing": "manquant",
    "the lock was open": "la serrure était ouverte",
    "the rope was out": "le câble était sorti",
    "the rope was cut": "le câble était coupé",
    "the casing was open": "le boîtier était ouvert",
    "the lock's own alarm sounded": "la serrure donnait sa propre alarme",
    "accident": "accident",
    "reseal": "nouveau scellé",
    "tranship": "transbordement",
    "other": "autre",
}

LOCK_OPEN: Final = "the lock was open"
ROPE_OUT: Final = "the rope was out"
ROPE_CUT: Final = "the rope was cut"
CASING_OPEN: Final = "the casing was open"
OWN_ALARM: Final = "the lock's own alarm sounded"

_DURATIONS: Final = ("by", "gap", "allowed")
_SHARES: Final = ("coverage", "least")
_MOMENTS: Final = ("arrived", "limit", "from", "to", "at")
_WORDS: Final = ("code", "severity", "state", "triage", "result", "what", "kind")


def said(lang: str, sentence: str, facts: Mapping[str, Any]) -> str:
    """A sentence with its facts in it."""
    return _tied(lang, _SENTENCES[lang][sentence]).format(**{k: _shown(lang, k, v) for k, v in facts.items()})


def label(lang: str, name: str, **facts: Any) -> str:
    """A label of the printed report."""
    return _tied(lang, LABELS[lang][name]).format(**facts)


def _tied(lang: str, text: str) -> str:
    """French signs with the space that no line is broken at."""
    if lang == "fr":
        for loose in (" ;", " :", " »"):
            text = text.replace(loose, "\u00a0" + loose[1])
        text = text.replace("« ", "«\u00a0")
    return text


def word(lang: str, name: str | None) -> str:
    """A word of the house, such as an alert's code or state; one that is not known stays as it is."""
    if name is None:
        return ""
    return _FRENCH.get(name, name) if lang == "fr" else name


def span(lang: str, seconds: float) -> str:
    """``45 s``, ``12 min``, ``3 h 05 min``, ``2 d 4 h`` (``2 j 4 h``). Rounded down, for a limit is not reached before."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s" if rest and minutes < 10 else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    day = "j" if lang == "fr" else "d"
    return f"{days} {day} {hours} h" if hours else f"{days} {day}"


def share(lang: str, value: float) -> str:
    """A share as a percentage, rounded down to a tenth: 89.96 % is not 90 %."""
    text = f"{int(value * 1000 + 1e-9) / 10:.1f}".removesuffix(".0")
    return f"{text.replace('.', ',')} %" if lang == "fr" else f"{text} %"


def moment(text: str | None) -> str:
    """RFC 3339 in UTC as people read it: ``2026-11-22 08:30:05``."""
    return "" if text is None else text[:19].replace("T", " ")


def _shown(lang: str, name: str, value: Any) -> str:
    if isinstance(value, str):
        if name in _WORDS:
            return word(lang, value)
        return f"{moment(value)} UTC" if name in _MOMENTS else value
    if name in _DURATIONS:
        return span(lang, value)
    if name in _SHARES:
        return share(lang, value)
    return str(value)
