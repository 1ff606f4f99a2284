-- How long did customers wait for a first response in the last 30 days, and in the 30 before?
-- The median: half of them waited no longer.
-- chart: number
SELECT
    CAST(
        percentile_cont(0.5) WITHIN GROUP (ORDER BY minutes) FILTER (WHERE days < 30)
        AS numeric(18, 1)
    ) AS median_first_response_in_30_days_minutes,
    CAST(
        percentile_cont(0.5) WITHIN GROUP (ORDER BY minutes) FILTER (WHERE days >= 30)
        AS numeric(18, 1)
    ) AS in_the_30_days_before_minutes
FROM (
    SELECT
        (extract(epoch FROM sync.read_at) - extract(epoch FROM createdAt)) / 86400 AS days,
        CAST((firstResponse ->> 'responseTime') AS double precision) / 60000 AS minutes
    FROM conversations
    CROSS JOIN (
        SELECT max(_airbyte_extracted_at) AS read_at
        FROM conversations
    ) AS sync
    WHERE direction = 'in'
) AS answered
WHERE days < 60;
