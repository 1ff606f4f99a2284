"""Does what the console script does: `python -m source_kustomer`."""

from source_kustomer.run import main

if __name__ == "__main__":
    main()
