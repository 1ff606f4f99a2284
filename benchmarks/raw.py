"""A raw loop of requests and orjson, without Airbyte: the least that a read in Python costs."""

import os
import sys

import orjson
import requests


def main(stream: str, key: str) -> None:
    """Write each record as a line of JSON."""
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {key}"
    base, link = os.environ["KUSTOMER_API_URL"], f"/v1/{stream}?page=1&pageSize=100"
    write = sys.stdout.buffer.write
    while link:
        document = orjson.loads(session.get(base + link, timeout=30).content)
        for resource in document["data"]:
            write(orjson.dumps(resource) + b"\n")
        link = document["links"]["next"]


if __name__ == "__main__":
    main(*sys.argv[1:])
