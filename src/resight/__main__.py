"""`python -m resight` is `resight`."""

from __future__ import annotations

import sys

from resight.cli import main

sys.exit(main())
