"""The detectors against the script's truth, without a server: the same rows, all at once."""

import numpy as np
import pytest

from cocket.core.clock import US, rfc3339
from cocket.core.geometry import corridor_geometry, zone_geometry
from cocket.core.journeys import Journey, JourneyTable
from cocket.core.keys import observation_keys
from cocket.core.rules import Rules
from cocket.core.schema import TIME_EPOCH_US
from cocket.journeys.corridors import CorridorDef, CorridorIndex
from cocket.journeys.detection import Detection
from cocket.journeys.join import Join
from cocket.journeys.zones import ZoneDef, ZoneIndex
from cocket.pipeline import DETECTORS
from cocket.sim import transits
from cocket.sim.client import RULES
from cocket.sim.seals import CARD_OF_OFFICER, REPORT_INTERVAL_S
from cocket.sim.truth import SEAL_CODES, score


@pytest.fixture(scope="module")
def result(script):
    features = transits.zone_features(script.zones)
    zones = ZoneIndex.build(
        [ZoneDef(f["id"], f["properties"]["kind"], False, zone_geometry(f["geometry"])) for f in features]
    )
    corridors = CorridorIndex.build(
        [
            CorridorDef(f["id"], corridor_geometry(f["geometry"]), f["properties"]["half_width_m"])
            for f in transits.corridor_features(script.corridors, script.seals)
        ]
    )
    table = JourneyTable()
    table.extend(
        [
            Journey(
                s.device_id,
                s.equipment_id,
                s.mrn,
                s.bound_from_us,
                s.bound_to_us,
                period_us=REPORT_INTERVAL_S * US,
                departed_us=s.began_us,
                limit_us=transits.limit_us(s),
                corridor=corridors.number[s.corridor_id],
                corridor_id=s.corridor_id,
                speed_limit_mps=s.speed_limit_mps,
                temp_min_c=(s.temp_range_c or (None, None))[0],
                temp_max_c=(s.temp_range_c or (None, None))[1],
                cards=frozenset([CARD_OF_OFFICER]),
                goods=s.goods,
                device_class="e-seal",
            )
            for s in script.seals
        ]
    )
    detection = Detection(DETECTORS, Rules.from_doc(RULES, DETECTORS), table)
    detection.admit()
    batch = script.batch(0, len(script.rows))
    keys = observation_keys(batch)
    first = np.sort(np.unique(keys, return_index=True)[1])
    batch, keys = batch.take(first), keys[first]
    device = batch.texts("device_id").codes.astype(np.int32)
    timed = batch.array("observed_us") >= TIME_EPOCH_US
    device = np.where(timed & (device < len(script.seals)), device, -1).astype(np.int32)
    everyone = np.arange(len(script.seals), dtype=np.int32)
    join = Join.build(everyone, table.from_us[: table.n], table.to_us[: table.n])
    journey = join.journeys(device, batch.array("observed_us"))
    changes = detection.rerun(
        everyone, batch, journey, keys, zones, corridors, script.ends_us, script.ends_us
    )
    alerts = [
        {
            "code": c.code,
            "mrn": c.mrn,
            "began_at": rfc3339(c.began_us),
            "ended_at": None if c.ended_us is None else rfc3339(c.ended_us),
            "superseded": False,
        }
        for c in changes
    ]
    return score(script.truths, alerts)


def test_every_seal_incident_is_found_and_no_seal_alert_is_false(result):
    for code in SEAL_CODES:
        line = result.table[code]
        assert line.injected > 0
        assert (line.missed, line.false, line.real) == (0, 0, 0), code


def test_nothing_is_missed_and_nothing_is_false(result):
    assert result.missed == []
    assert result.false == []


def test_the_plain_scans_of_the_tracks_agree_with_the_detectors(result):
    assert {code for code, line in result.table.items() if line.real_missed} == set()
    assert result.table["zone-entered"].real > 5
