"""Compare an account with what is documented: `make contract`."""

import signal
import sys

if __name__ == "__main__":
    # Ctrl-C while the packages load, which takes a second, ends it without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from tools.contract.run import main

    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main(sys.argv[1:]))
