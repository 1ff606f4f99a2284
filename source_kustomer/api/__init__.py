"""The network: requests to Kustomer and what comes back."""
