#!/usr/bin/env python
"""From an API key to a pandas data frame, through PyAirbyte and a DuckDB file in this folder."""

import airbyte as ab

source = ab.get_source(
    "source-kustomer",
    local_executable="source-kustomer",
    config={"org_name": "acme", "api_key": ab.get_secret("KUSTOMER_API_KEY")},
    streams=["customers", "brands"],
)
result = source.read(write_strategy="replace", force_full_refresh=True)
customers = result["customers"].to_pandas()
customers[["name", "createdat", "custom"]].info()
