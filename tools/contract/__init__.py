"""The contract: what the connector takes for granted of the API, held to an account."""
