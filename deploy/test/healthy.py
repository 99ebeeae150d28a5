"""Whether an address answers, with more patience than the image's own check: healthy.py URL."""

import sys
import urllib.request

urllib.request.urlopen(sys.argv[1], timeout=50)
