-- How many customers are new in the last 7 days, and how many were in the 7 days before?
-- chart: number
SELECT
    count(*) FILTER (WHERE createdAt >= read_at - INTERVAL '7 days') AS new_customers_in_7_days,
    count(*) FILTER (
        WHERE createdAt >= read_at - INTERVAL '14 days' AND createdAt < read_at - INTERVAL '7 days'
    ) AS in_the_7_days_before
FROM customers
CROSS JOIN (
    SELECT max(_airbyte_extracted_at) AS read_at
    FROM customers
) AS sync;
