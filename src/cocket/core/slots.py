"""Which partition a device's observations belong to.

A device has one of 1,024 slots for ever: bits 8 to 17 of the CRC-32 (ISO 3309) of its id. Devices are named by numbers in a row, and
these bits deal such names out evenly, be they ten or ten thousand; bits 0 to 9 put the first twenty in one half. A partition holds a run of slots, so
that another number of partitions moves whole runs and changes no row. Why by device: docs/decisions/0014.
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

import numpy as np

from cocket.core.batch import Array, Texts

SLOTS: Final = 1024


def slot_of(device_id: str) -> int:
    """The slot of one device, 0 to 1,023."""
    return (crc32(device_id.encode()) >> 8) % SLOTS


def slots_of(device_ids: Texts) -> Array:
    """int16 slot by row."""
    table = np.fromiter(map(slot_of, device_ids.values), np.int16, len(device_ids.values))
    slots: Array = table[device_ids.codes]
    return slots


def partition_of(slot: int, partitions: int) -> int:
    """The partition of a slot among ``partitions``, a power of two up to 1,024."""
    return slot * partitions // SLOTS


def slots_in(partition: int, partitions: int) -> range:
    """The slots that a partition holds."""
    size = SLOTS // partitions
    return range(partition * size, (partition + 1) * size)


def are_partitions(number: int) -> bool:
    """Whether there may be so many partitions: a power of two up to 1,024."""
    return 1 <= number <= SLOTS and number & (number - 1) == 0
