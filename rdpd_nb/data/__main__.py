"""`python -m rdpd_nb.data [names]`: download the raw data sets that may be downloaded."""

import sys

from .download import main

raise SystemExit(main(sys.argv[1:]))
