"""``python -m cocket``."""

import sys

from cocket.cli import main

sys.exit(main())
