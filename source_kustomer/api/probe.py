"""What Kustomer says of the key itself, which tells a bad key from a missing role."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace

from source_kustomer.api.client import Client, Target
from source_kustomer.api.retry import Patience
from source_kustomer.errors import Failure, Outcome, Verdict

_PATH = "auth/tokens/current"

# Several lists that are refused at a time ask the probe once.
_HOLDS = 30.0

_TO_BE_EXPLAINED = frozenset({401, 403, 404})


class Probe:
    """Asks `GET /v1/auth/tokens/current`, which answers any valid key, whatever its roles."""

    def __init__(self, client: Client, patience: Patience | None = None) -> None:
        self._client = client
        self._patience = patience or Patience.reading(client.timing)
        # Guards the two below; not held while the probe is asked.
        self._lock = threading.Lock()
        self._asked_at = float("-inf")
        self._asked = Future[Failure | None]()

    def failure(self) -> Failure | None:
        """Return why the key is refused or cannot be probed, None if it is accepted."""
        now = self._client.clock.monotonic()
        with self._lock:
            is_old = now - self._asked_at > _HOLDS
            if is_old:
                self._asked_at, self._asked = now, Future()
            asked = self._asked
        if is_old:
            try:
                asked.set_result(self._ask())
            except BaseException as e:
                asked.set_exception(e)
                raise
        return asked.result()

    def explain(self, outcome: Outcome, vouch: Callable[[], object] = lambda: None) -> Outcome:
        """Add to an outcome what the probe says, where it takes that to find its cause.

        Without a probe, another list that is open tells as much of the key; `vouch` waits for one.
        """
        if outcome.status not in _TO_BE_EXPLAINED or outcome.is_foreign:
            return outcome
        refusal = self.failure()
        if refusal is None:
            return replace(outcome, verdict=Verdict.ACCEPTED)
        probed = refusal.outcome
        if probed.is_refusal:
            # The probe's words may tell more than the list's.
            return replace(outcome, verdict=Verdict.REFUSED, probe_words=probed.words)
        vouch()
        is_accepted = self._client.key_was_accepted
        return replace(outcome, verdict=Verdict.ACCEPTED if is_accepted else Verdict.UNKNOWN)

    def _ask(self) -> Failure | None:
        url = f"{self._client.base_url}{_PATH}"
        # A connection that is lost says nothing of the key.
        patience = replace(self._patience, attempts=min(2, self._patience.attempts))
        try:
            self._client.get(url, lambda _: None, target=Target(), patience=patience)
        except Failure as e:
            return e
        return None
