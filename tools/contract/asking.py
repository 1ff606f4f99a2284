"""Sends the contract's requests through the connector's client, within bounds of their own."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from source_kustomer.api.client import Client, Traffic
from source_kustomer.api.decode import decode
from source_kustomer.api.headers import RateHeaders
from source_kustomer.api.rate_limit import LimitError, RateLimiter
from source_kustomer.config import Config
from source_kustomer.timing import SYSTEM_CLOCK, Clock, Timing
from tools.contract.exchange import Exchange
from tools.contract.explanation import explain

# A person waits for the report, and the smallest plan has 300 requests a minute.
MOST_REQUESTS: Final = 60
LONGEST_RUN: Final = 240.0

# What the server may ask to wait, in all.
LONGEST_WAIT: Final = 60.0

TIMING: Final = Timing(connect=10.0, silence=30.0, response=30.0, limit=LONGEST_WAIT)

# One list may fail, and a proxy may lose a request. Three requests in a row are an outage.
_OUTAGE = 3
_ATTEMPTS = 2
_REFUSALS = 5

# What took longer is not worth a second attempt.
_QUICK = 5.0


class OutageError(Exception):
    """The API cannot be asked now; the text says why, and may name the account."""


class Asker:
    """Sends a request when the limit allows it; `exchanges` are all that were sent, in order.

    `say` shows a line while the person waits. Raises `OutageError` where going on is no use.
    """

    def __init__(
        self,
        config: Config,
        say: Callable[[str], object],
        timing: Timing = TIMING,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.config, self.timing, self.clock, self.say = config, timing, clock, say
        self.exchanges: list[Exchange] = []
        self._limiter = RateLimiter(config.share, timing, clock)
        self._clients: dict[Config, Client] = {}
        self._ends_at = clock.monotonic() + LONGEST_RUN
        self._disturbed, self._waited, self._refused = 0, 0.0, False

    def get(self, path: str, kind: str = "list", config: Config | None = None) -> Exchange:
        """Get a path under `/v1/`, once more where the first attempt is disturbed.

        Only an `error` may be disturbed without being counted as an outage.
        """
        for _ in range(_ATTEMPTS):
            began = self.clock.monotonic()
            exchange = self._patiently(path, kind, config or self.config)
            took = self.clock.monotonic() - began
            if exchange.unasked or not exchange.is_disturbed:
                break
            self.clock.sleep(self.timing.backoff)
            if took > _QUICK:
                break
        if kind == "error" or exchange.unasked:
            return exchange
        self._disturbed = self._disturbed + 1 if exchange.is_disturbed else 0
        nothing_came = not any(e.status for e in self.exchanges)
        if self._disturbed == _OUTAGE or (exchange.is_disturbed and nothing_came):
            raise OutageError(explain(exchange, self.config)[1])
        return exchange

    def _patiently(self, path: str, kind: str, config: Config) -> Exchange:
        """Send a request until it is not refused for the limit, as long as that may take."""
        for _ in range(_REFUSALS):
            exchange = self._send(path, kind, config)
            self._refused = exchange.status == 429
            if not self._refused:
                return exchange
            wait = RateHeaders.parse(exchange.headers, time.time()).wait or 0.0
            if self._waited + wait > LONGEST_WAIT:
                break
            self.say(f"The rate limit is used up: waiting {f'{wait:.0f} s' if wait else 'a while'}")
        raise OutageError(explain(exchange, config)[1])

    def _send(self, path: str, kind: str, config: Config) -> Exchange:
        began = self.clock.monotonic()
        if len(self.exchanges) >= MOST_REQUESTS:
            return Exchange(kind, unasked="the requests were used up")
        if began > self._ends_at:
            return Exchange(kind, unasked="the time for the run was used up")
        client = self._clients.setdefault(
            config, Client(config, timing=self.timing, limiter=self._limiter, clock=self.clock)
        )
        exchange = Exchange(kind, sent_at=began)
        try:
            response = client.send(config.base_url + path, Traffic())
        except LimitError as e:
            if e.is_exceeded:
                raise OutageError(explain(replace(exchange, status=429), config)[1]) from None
            return Exchange(kind, unasked="the share of the rate limit was used up")
        except Exception as e:  # noqa: BLE001
            # Whatever the transport raises, the table of causes tells what it is.
            exchange = replace(exchange, exception=e)
            exchange = replace(exchange, failure=explain(exchange, config)[0])
        else:
            self._waited += response.sent_at - began if self._refused else 0.0
            exchange = replace(
                exchange,
                status=response.status,
                headers=response.headers,
                content=response.content,
                sent_at=response.sent_at,
            )
            try:
                exchange = replace(exchange, document=decode(response.content), is_json=True)
            except ValueError:
                pass
        self.exchanges.append(exchange)
        return exchange
