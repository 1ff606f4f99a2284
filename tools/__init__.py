"""Tools around the connector: the tour of `make try`, and the contract of `make contract`."""
