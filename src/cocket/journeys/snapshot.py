"""Detection state as bytes: a line of JSON that says what follows, then the arrays as they lie in memory.

Little-endian, one machine's layout: a snapshot only shortens recovery, and whatever does not fit is refused and
rebuilt from history.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from cocket.core.batch import Array
from cocket.core.errors import DataDamaged

_VERSION = 1


def pack(detectors: Sequence[str], subjects: Sequence[str], arrays: dict[str, Array]) -> bytes:
    """One byte string of everything."""
    parts = [(name, repr(np.dtype(a.dtype).descr), list(a.shape)) for name, a in arrays.items()]
    head = {
        "version": _VERSION,
        "detectors": list(detectors),
        "subjects": list(subjects),
        "arrays": parts,
    }
    return b"".join(
        [json.dumps(head).encode(), b"\n", *(np.ascontiguousarray(a).tobytes() for a in arrays.values())]
    )


def unpack(
    data: bytes, detectors: Sequence[str], journeys: int, like: dict[str, Array]
) -> tuple[list[str], dict[str, Array]]:
    """(subjects, arrays), for these detectors and this many journeys and with the dtypes of ``like``.

    Raises ``DataDamaged`` if it was written for others.
    """
    line, _, rest = data.partition(b"\n")
    try:
        head = json.loads(line)
        fits = head["version"] == _VERSION and head["detectors"] == list(detectors)
        described = {name: (text, tuple(shape)) for name, text, shape in head["arrays"]}
        subjects = [str(s) for s in head["subjects"]]
    except (ValueError, KeyError, TypeError) as error:
        raise DataDamaged(f"the detection snapshot cannot be read ({error}); run detection afresh") from None
    if not fits or described.keys() != like.keys():
        raise DataDamaged("the detection snapshot is of other detectors; run detection afresh")
    arrays: dict[str, Array] = {}
    at = 0
    for name, (text, shape) in described.items():
        dtype = like[name].dtype
        fits = text == repr(dtype.descr) and (name == "records" or shape[-1] == journeys)
        size = int(np.prod(shape)) * dtype.itemsize
        if not fits or at + size > len(rest):
            raise DataDamaged(f"the detection snapshot's {name} does not fit; run detection afresh")
        arrays[name] = np.frombuffer(rest, dtype, int(np.prod(shape)), at).reshape(shape).copy()
        at += size
    return subjects, arrays
