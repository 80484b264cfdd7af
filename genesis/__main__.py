"""``python -m genesis``: the same as the command ``genesis``."""

import sys

from .cli import main

sys.exit(main())
