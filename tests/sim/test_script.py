"""The script: the same for the same seed, honest about what is simulated, and a world that the doors accept."""

import numpy as np
import shapely

from cocket.core.clock import US
from cocket.core.geometry import corridor_geometry, zone_geometry
from cocket.core.ids import equipment_flags, mrn_flags
from cocket.core.keys import observation_keys
from cocket.core.schema import BY_NAME
from cocket.sim import transits
from cocket.sim.incidents import CAST
from cocket.sim.plane import lat_lon, xy
from cocket.sim.script import LASTS_S, write
from cocket.sim.seals import DAY_US
from cocket.sim.stage import WAVES_US
from cocket.sim.tracks import load
from cocket.sim.truth import SEAL_CODES


def test_the_same_seed_gives_the_same_script(script):
    again = write()
    assert again.rows.tobytes() == script.rows.tobytes()
    assert again.truths == script.truths
    assert write(7).rows.tobytes() != script.rows.tobytes()


def test_identifiers_have_right_check_digits_and_are_unique(script):
    assert all(mrn_flags(s.mrn) == [] for s in script.seals)
    assert all(equipment_flags(s.equipment_id) == [] for s in script.seals)
    assert len({s.mrn for s in script.seals}) == len({s.equipment_id for s in script.seals}) == 180


def test_about_three_in_ten_vehicles_have_an_incident_and_each_kind_occurs(script):
    hit = script.incident_vehicles()
    assert 0.25 < len(hit) / len(script.seals) < 0.35
    kinds = {k for s in hit for k in s.kinds}
    assert kinds == {kind for kind, *_ in CAST} | {"restricted zone"}
    told = {t.code for t in script.truths if t.origin == "injected"}
    assert told >= set(SEAL_CODES) | {
        "route-deviation",
        "unscheduled-stop",
        "silence",
        "gnss-jamming",
        "gnss-spoofing",
        "low-battery",
        "temperature-excursion",
        "restricted-zone",
        "speeding",
        "overstay",
        "shock",
    }


def test_nothing_is_scripted_on_vehicles_without_incidents(script):
    hit = {s.mrn for s in script.incident_vehicles()}
    assert {t.mrn for t in script.truths if t.origin == "injected"} <= hit


def test_several_vehicles_are_hit_at_once(script):
    for wave in WAVES_US:
        struck = {
            t.mrn for t in script.truths if t.origin == "injected" and wave <= t.from_us <= wave + 8 * 60 * US
        }
        assert len(struck) >= 4


def test_positions_are_the_real_ones_but_where_the_script_says_so(script):
    changed = {"long stop", "jamming", "jamming, then opened", "spoofing", "seal swapped", "silence"}
    for seal, track in zip(script.seals, load(), strict=True):
        if not changed & set(seal.kinds):
            np.testing.assert_array_equal(seal.rows["lat_deg"], track.lat_deg)
            np.testing.assert_array_equal(seal.rows["lon_deg"], track.lon_deg)
            np.testing.assert_array_equal(seal.rows["speed_mps"], track.speed_mps)


def test_unlocking_is_scripted_outside_the_permitted_zones_and_allowed_inside(script):
    permitted = transits.union(script.zones, "unlock-permitted", "destination")
    allowed = 0
    for seal in script.seals:
        opened = (seal.rows["locked"] == 0) & (seal.rows["sequence"] > 1)
        x, y = seal.xy()
        seen = opened & np.isfinite(x)
        inside = shapely.contains_xy(permitted, x[seen], y[seen])
        if seal.kinds:
            assert not inside.any(), seal.kinds
        else:
            assert inside.all()
            allowed += bool(opened.any())
    assert allowed > 20


def test_rows_go_in_the_order_of_their_sending_never_before_they_were_observed(script):
    rows = script.rows
    assert (np.diff(rows["send_us"]) >= 0).all()
    assert (rows["send_us"] >= rows["observed_us"]).all()
    late = rows["send_us"] - rows["observed_us"] > 3600 * US
    assert np.count_nonzero(late & (rows["delayed"] == 1)) > 100


def test_exactly_the_rows_sent_again_have_the_key_of_another(script):
    keys = observation_keys(script.batch(0, len(script.rows)))
    assert len(keys) - len(np.unique(keys)) == script.sent_again > 0


def test_every_value_keeps_the_schemas_rules(script):
    batch = script.batch(0, len(script.rows))
    for name, data in batch.columns.items():
        column = BY_NAME[name]
        if column.lo is not None:
            values = np.asarray(data, float)
            known = values[~np.isnan(values) & (values > -9e18)]
            assert known.min(initial=column.lo) >= column.lo, name
            assert known.max(initial=column.lo) <= column.hi, name
    lat, lon = batch.filled("lat_deg"), batch.filled("lon_deg")
    assert (np.isnan(lat) == np.isnan(lon)).all()


def test_the_geometry_is_accepted(script):
    for feature in transits.zone_features(script.zones):
        zone_geometry(feature["geometry"])
    for feature in transits.corridor_features(script.corridors, script.seals):
        corridor_geometry(feature["geometry"])


def test_a_transit_in_order_ends_before_overstay_warns(script):
    for seal in script.seals:
        allowed = transits.limit_us(seal) - seal.began_us
        late = seal.bound_to_us > seal.began_us + 0.8 * allowed
        assert late == ("overstay" in seal.kinds)


def test_the_plane_is_its_own_inverse():
    lat, lon = lat_lon(*xy(22.4, 114.2))
    assert (round(float(lat), 9), round(float(lon), 9)) == (22.4, 114.2)


def test_it_says_what_is_real_and_what_is_not(script):
    assert all(text.startswith("Real: ") for text in script.real())
    assert all(text.startswith("Simulated: ") for text in script.simulated())
    assert any("32 %" in text or "32%" in text for text in script.simulated())


def test_it_begins_and_ends_when_the_server_is_told_that_it_does(script):
    assert script.begins_us == DAY_US
    assert LASTS_S - 60 < (script.ends_us - script.begins_us) / US <= LASTS_S
