"""`python -m multiresconv.cli`: runs the same as the console script."""

import sys

from multiresconv.cli.entry import main

sys.exit(main())
