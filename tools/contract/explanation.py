"""What an exchange means, in the words of the connector."""

from source_kustomer.config import Config
from source_kustomer.errors import Outcome, failure
from tools.contract.exchange import Exchange


def explain(exchange: Exchange, config: Config) -> tuple[str, str]:
    """Return the name of the cause, and a sentence for the user, which may name the account."""
    outcome = Outcome(
        status=exchange.status,
        body=exchange.content,
        exception=exchange.exception,
        is_list=False,
        host_was_reached=exchange.status is not None,
    )
    failed = failure(
        outcome,
        secret=config.api_key,
        organization=config.organization,
        host=config.base_url.split("/")[2],
        stream="the API",
        role="",
    )
    return failed.cause.name.replace("_", " "), str(failed.message)
