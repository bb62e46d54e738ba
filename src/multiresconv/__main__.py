"""`python -m multiresconv`: runs the same as the console script."""

import sys

from multiresconv.cli import main

sys.exit(main())
