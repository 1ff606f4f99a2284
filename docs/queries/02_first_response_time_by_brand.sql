-- How many minutes do customers of each brand wait for the first answer?
-- Half of them wait no longer than the median, nine in ten no longer than p90.
-- chart: bars median_minutes p90_minutes
SELECT
    coalesce(brands.name, answered.brandId, '(no brand)') AS brand,
    count(*) AS conversations,
    count(answered.minutes) AS answered,
    CAST(percentile_cont(0.5) WITHIN GROUP (ORDER BY answered.minutes) AS numeric(18, 1))
        AS median_minutes,
    CAST(percentile_cont(0.9) WITHIN GROUP (ORDER BY answered.minutes) AS numeric(18, 1))
        AS p90_minutes
FROM (
    SELECT
        brandId,
        CAST((firstResponse ->> 'responseTime') AS double precision) / 60000 AS minutes
    FROM conversations
    WHERE direction = 'in'
) AS answered
LEFT JOIN brands ON brands.id = answered.brandId
GROUP BY 1
ORDER BY 4 DESC NULLS LAST, 1;
