"""The confusion table, on cases small enough to be done by hand."""

from cocket.core.clock import rfc3339
from cocket.sim.truth import EARLY_US, Truth, score

S = 1_000_000
T = 1_773_000_000 * S


def alert(code="seal-cut", mrn="A", began=0, ended=None, superseded=False):
    return {
        "code": code,
        "mrn": mrn,
        "began_at": rfc3339(T + began * S),
        "ended_at": None if ended is None else rfc3339(T + ended * S),
        "superseded": superseded,
    }


def truth(code="seal-cut", mrn="A", begins=100, ends=200, origin="injected"):
    return Truth(mrn, code, T + begins * S, T + ends * S, "x", origin)


def line(truths, alerts, code="seal-cut"):
    return score(truths, alerts).as_dict()[code]


def expect(injected=0, found=0, missed=0, false=0, real=0, real_missed=0):
    return locals()


def test_overlap_finds():
    for began, ended in ((100, None), (150, 160), (50, 100), (200, 300), (50, 400)):
        assert line([truth()], [alert(began=began, ended=ended)]) == expect(injected=1, found=1)


def test_no_overlap_is_missed_and_false():
    for began, ended in ((300, None), (0, 50)):
        assert line([truth()], [alert(began=began, ended=ended)]) == expect(injected=1, missed=1, false=1)


def test_another_movement_or_code_finds_nothing():
    assert line([truth()], [alert(mrn="B", began=150)]) == expect(injected=1, missed=1, false=1)
    result = score([truth()], [alert(code="shock", began=150)]).as_dict()
    assert result["shock"] == expect(false=1)
    assert result["seal-cut"] == expect(injected=1, missed=1)


def test_an_alert_that_was_open_long_before_did_not_find_it():
    early = 100 - EARLY_US // S
    assert line([truth()], [alert(began=early, ended=150)]) == expect(injected=1, missed=1, false=1)
    assert line([truth()], [alert(began=early + 1, ended=150)]) == expect(injected=1, found=1)


def test_two_alerts_of_one_event_find_it_once_and_none_is_false():
    assert line([truth()], [alert(began=110, ended=120), alert(began=130)]) == expect(injected=1, found=1)


def test_superseded_alerts_are_not_counted():
    assert line([truth()], [alert(began=150, superseded=True)]) == expect(injected=1, missed=1)


def test_what_the_tracks_explain_is_neither_found_nor_false():
    own = [truth(origin="tracks"), truth(origin="tracks", begins=500, ends=510)]
    assert line(own, [alert(began=150, ended=160)]) == expect(real=1, real_missed=1)
    assert line([truth(), truth(origin="tracks")], [alert(began=150)]) == expect(injected=1, found=1)
