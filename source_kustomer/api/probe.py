"""What Kustomer says of the key itself, which tells a bad key from a missing role."""

import threading
from dataclasses import replace

from source_kustomer.api.client import Client, Target
from source_kustomer.errors import Evidence, Failure, Verdict

_PATH = "auth/tokens/current"

_TO_BE_EXPLAINED = frozenset({401, 403, 404})


class Probe:
    """Asks `GET /v1/auth/tokens/current` once, which answers any valid key, whatever its roles."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._is_asked = False
        self._failure: Failure | None = None

    def failure(self) -> Failure | None:
        """Return why the key is refused or cannot be probed, None if it is accepted."""
        with self._lock:
            if not self._is_asked:
                self._failure, self._is_asked = self._ask(), True
            return self._failure

    def explain(self, evidence: Evidence) -> Evidence:
        """Add to evidence what the probe says, where it takes that to find its cause."""
        if evidence.status not in _TO_BE_EXPLAINED or evidence.is_foreign:
            return evidence
        refused = self.failure()
        if refused is None:
            return replace(evidence, verdict=Verdict.ACCEPTED)
        if refused.evidence.is_refusal:
            # The probe's words may tell more than the list's.
            words = refused.evidence.words
            return replace(evidence, verdict=Verdict.REFUSED, probe_words=words)
        return replace(evidence, verdict=Verdict.UNKNOWN)

    def _ask(self) -> Failure | None:
        url = f"{self._client.base_url}{_PATH}"
        try:
            self._client.get(url, lambda _: None, target=Target("the key"))
        except Failure as e:
            return e
        return None
