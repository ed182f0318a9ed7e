"""What glibc's malloc may keep: a server whose threads come and go otherwise holds twice the memory that it uses.

By default each thread gets one of eight arenas a core, and an array that was once returned raises the size from which arrays are mapped, up to
32 MB: what is freed then stays in pieces. Measured on a worker whose partitions move every half minute: 170 MB of freed pieces after four
minutes and growing, 5 MB with the limits set here (mallopt(3)). Elsewhere than on glibc nothing is done.
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

_ARENA_MAX: Final = -8
_MMAP_THRESHOLD: Final = -3
_TRIM_THRESHOLD: Final = -1

ARENAS: Final = 2
MAPPED_BYTES: Final = 256 << 10
"""An allocation of this size is mapped by itself, and its pages go back when it is freed."""
TRIMMED_BYTES: Final = 1 << 20
"""Free bytes at the end of an arena that may stay."""


def bound() -> bool:
    """Set the limits; before the process has threads. Whoever sets ``MALLOC_ARENA_MAX`` and the like keeps theirs. Says whether it took."""
    if any(name.startswith("MALLOC_") for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # macOS, musl; Windows
        return False
    wanted = ((_ARENA_MAX, ARENAS), (_MMAP_THRESHOLD, MAPPED_BYTES), (_TRIM_THRESHOLD, TRIMMED_BYTES))
    took = [mallopt(which, value) == 1 for which, value in wanted]
    return all(took)
