"""Sends the contract's requests through the connector's client, within bounds of their own."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from source_kustomer.api.client import Client, Traffic
from source_kustomer.api.decode import decode
from source_kustomer.api.headers import RateHeaders
from source_kustomer.api.rate_limit import LimitError, RateLimiter
from source_kustomer.config import Config
from source_kustomer.errors import Evidence, failure
from source_kustomer.timing import Timing
from tools.contract.exchange import Exchange

# A person waits for the report, and the smallest plan has 300 requests a minute.
MOST_REQUESTS: Final = 60
LONGEST_RUN: Final = 240.0

# What the server may ask to wait, in all.
LONGEST_WAIT: Final = 60.0

TIMING: Final = Timing(silence=30.0, response=30.0, limit=LONGEST_WAIT)

# One list may fail, and a proxy may lose a request; three requests in a row are an outage.
_OUTAGE, _REFUSALS = 3, 5
# What took longer is not worth a second attempt.
_QUICK = 5.0


class OutageError(Exception):
    """The API cannot be asked now; the text says why, and may name the account."""


class Asker:
    """Sends requests as the limit allows, while `say` tells a person what is waited for."""

    def __init__(self, config: Config, say: Callable[[str], object], timing: Timing) -> None:
        self.config, self.timing, self.say = config, timing, say
        self.exchanges: list[Exchange] = []
        self._limiter = RateLimiter(config.share, timing)
        self._ends_at = time.monotonic() + LONGEST_RUN
        self._disturbed, self._waited = 0, 0.0
        self._clients: dict[Config, Client] = {}

    def get(self, path: str, config: Config | None = None, *, may_fail: bool = False) -> Exchange:
        """Get a path under `/v1/`, again where that is disturbed; raises `OutageError`."""
        began, config = time.monotonic(), config or self.config
        exchange = self._patiently(path, config)
        if exchange.is_disturbed and time.monotonic() - began < _QUICK:
            time.sleep(self.timing.backoff)
            exchange = self._patiently(path, config)
        if not may_fail:
            self._disturbed = self._disturbed + 1 if exchange.is_disturbed else 0
            nothing_came = not any(e.status for e in self.exchanges)
            if self._disturbed == _OUTAGE or (exchange.is_disturbed and nothing_came):
                raise OutageError(explain(exchange, config)[1])
        return exchange

    def _patiently(self, path: str, config: Config) -> Exchange:
        """Send a request until the limit lets it through, for as long as that may take."""
        for _ in range(_REFUSALS):
            exchange = self._send(path, config)
            wait = RateHeaders.parse(exchange.headers, time.time()).wait or 0.0
            if exchange.status != 429 and not (exchange.status == 503 and wait):
                return exchange
            self._waited += wait
            if self._waited > LONGEST_WAIT:
                break
            self.say(f"Kustomer asks to wait: {f'{wait:.0f} s' if wait else 'no time is told'}")
        raise OutageError(explain(exchange, config)[1])

    def _send(self, path: str, config: Config) -> Exchange:
        kind = {"auth": "key", "metadata": "metadata"}.get(path.partition("/")[0], "list")
        began = time.monotonic()
        if len(self.exchanges) >= MOST_REQUESTS:
            return Exchange(unasked="the requests were used up")
        if began > self._ends_at:
            return Exchange(unasked="the time was used up")
        if config not in self._clients:
            self._clients[config] = Client(config, timing=self.timing, limiter=self._limiter)
        try:
            came = self._clients[config].send(config.base_url + path, Traffic())
        except LimitError as e:
            if e.is_exceeded:
                raise OutageError(explain(Exchange(status=429), config)[1]) from None
            return Exchange(unasked="the share of the rate limit was used up")
        except Exception as e:  # noqa: BLE001
            # Whatever the transport raises, the table of causes tells what it is.
            exchange = Exchange(kind, exception=e, sent_at=began)
            exchange = replace(exchange, failure=explain(exchange, config)[0])
        else:
            exchange = Exchange(kind, came.status, came.headers, came.content, sent_at=came.sent_at)
            with contextlib.suppress(ValueError):
                exchange = replace(exchange, document=decode(came.content), is_json=True)
        self.exchanges.append(exchange)
        return exchange


def explain(exchange: Exchange, config: Config) -> tuple[str, str]:
    """Return what the connector takes an error for: a name, and a sentence with the account's."""
    evidence = Evidence(
        status=exchange.status,
        body=exchange.content,
        exception=exchange.exception,
        is_list=False,
        host_was_reached=exchange.status is not None,
    )
    known = {"organization": config.organization, "host": config.base_url.split("/")[2]}
    failed = failure(evidence, secret=config.api_key, what="the API", role="", **known)
    return failed.cause.name.replace("_", " "), str(failed.message)
