"""The contract: what the connector takes for granted of the API, compared with an account."""
