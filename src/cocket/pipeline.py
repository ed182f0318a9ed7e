"""THE ordered list of detectors, nothing else."""

from __future__ import annotations

from typing import Final

from cocket.core.detector import Detector
from cocket.detectors import (
    casing_opened,
    gnss_jamming,
    gnss_spoofing,
    low_battery,
    motor_fault,
    overstay,
    restricted_zone,
    route_deviation,
    seal_cut,
    seal_opened,
    shock,
    silence,
    speeding,
    temperature_excursion,
    unauthorised_card,
    unlock_outside_zone,
    unscheduled_stop,
    wrong_password,
    zone_entered,
    zone_left,
)

DETECTORS: Final[tuple[Detector, ...]] = (
    seal_cut.DETECTOR,
    seal_opened.DETECTOR,
    casing_opened.DETECTOR,
    unlock_outside_zone.DETECTOR,
    unauthorised_card.DETECTOR,
    wrong_password.DETECTOR,
    motor_fault.DETECTOR,
    restricted_zone.DETECTOR,
    route_deviation.DETECTOR,
    gnss_jamming.DETECTOR,
    gnss_spoofing.DETECTOR,
    silence.DETECTOR,
    unscheduled_stop.DETECTOR,
    overstay.DETECTOR,
    temperature_excursion.DETECTOR,
    low_battery.DETECTOR,
    speeding.DETECTOR,
    zone_entered.DETECTOR,
    zone_left.DETECTOR,
    shock.DETECTOR,
)
