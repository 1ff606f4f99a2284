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

TIMING: Final = Timing(connect=10.0, silence=30.0, response=30.0, limit=LONGEST_WAIT)

# One list may fail, and a proxy may lose a request; three requests in a row are an outage.
_OUTAGE = 3
_ATTEMPTS = 2
_REFUSALS = 5

# What took longer is not worth a second attempt.
_QUICK = 5.0


class OutageError(Exception):
    """The API cannot be asked now; the text says why, and may name the account."""


class Asker:
    """Sends a request when the limit allows it; `exchanges` are all that were sent, in order.

    `say` shows a line while a person waits. Raises `OutageError` where going on is no use.
    """

    def __init__(self, config: Config, say: Callable[[str], object], timing: Timing) -> None:
        self.config, self.timing, self.say = config, timing, say
        self.exchanges: list[Exchange] = []
        self._limiter = RateLimiter(config.share, timing)
        self._ends_at = time.monotonic() + LONGEST_RUN
        self._disturbed, self._waited, self._was_refused = 0, 0.0, False
        self._clients: dict[Config, Client] = {}

    def get(
        self, path: str, kind: str = "list", config: Config | None = None, *, may_fail: bool = False
    ) -> Exchange:
        """Get a path under `/v1/`, twice where the first attempt is disturbed.

        What `may_fail` is no part of an outage.
        """
        for _ in range(_ATTEMPTS):
            began = time.monotonic()
            exchange = self._patiently(path, kind, config or self.config)
            is_quick = time.monotonic() - began < _QUICK
            if exchange.unasked or not exchange.is_disturbed or not is_quick:
                break
            time.sleep(self.timing.backoff)
        if not may_fail and not exchange.unasked:
            self._disturbed = self._disturbed + 1 if exchange.is_disturbed else 0
            nothing_came = not any(e.status for e in self.exchanges)
            if self._disturbed == _OUTAGE or (exchange.is_disturbed and nothing_came):
                raise OutageError(explain(exchange, self.config)[1])
        return exchange

    def _patiently(self, path: str, kind: str, config: Config) -> Exchange:
        """Send a request until the limit lets it through, for as long as that may take."""
        for _ in range(_REFUSALS):
            exchange = self._send(path, kind, config)
            wait = RateHeaders.parse(exchange.headers, time.time()).wait
            self._was_refused = exchange.status == 429 or (exchange.status == 503 and bool(wait))
            if not self._was_refused:
                return exchange
            if self._waited + (wait or 0.0) > LONGEST_WAIT:
                break
            self.say(f"Kustomer asks to wait: {f'{wait:.0f} s' if wait else 'no time is told'}")
        raise OutageError(explain(exchange, config)[1])

    def _send(self, path: str, kind: str, config: Config) -> Exchange:
        began = time.monotonic()
        if len(self.exchanges) >= MOST_REQUESTS or began > self._ends_at:
            used = "requests were" if len(self.exchanges) >= MOST_REQUESTS else "time was"
            return Exchange(kind, unasked=f"the {used} used up")
        if config not in self._clients:
            self._clients[config] = Client(config, timing=self.timing, limiter=self._limiter)
        exchange = Exchange(kind, sent_at=began)
        try:
            came = self._clients[config].send(config.base_url + path, Traffic())
        except LimitError as e:
            if e.is_exceeded:
                raise OutageError(explain(replace(exchange, status=429), config)[1]) from None
            return Exchange(kind, unasked="the share of the rate limit was used up")
        except Exception as e:  # noqa: BLE001
            # Whatever the transport raises, the table of causes tells what it is.
            exchange = replace(exchange, exception=e)
            exchange = replace(exchange, failure=explain(exchange, config)[0])
        else:
            self._waited += came.sent_at - began if self._was_refused else 0.0
            exchange = Exchange(kind, came.status, came.headers, came.content, sent_at=came.sent_at)
            with contextlib.suppress(ValueError):
                exchange = replace(exchange, document=decode(came.content), is_json=True)
        self.exchanges.append(exchange)
        return exchange


def explain(exchange: Exchange, config: Config) -> tuple[str, str]:
    """Return what the connector takes an error for: a name, and a sentence with the account's."""
    if exchange.unasked:
        return exchange.unasked, f"{exchange.unasked}."
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
