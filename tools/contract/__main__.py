"""Compare an account with what is documented: `make contract`, or with [CONFIG [REPORT]]."""

import signal
import sys
from pathlib import Path

if __name__ == "__main__":
    # Ctrl-C while the packages load, which takes a second, ends it without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from tools.contract.run import main

    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main(*map(Path, sys.argv[1:])))
