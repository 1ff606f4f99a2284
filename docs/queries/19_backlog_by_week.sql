-- How many conversations were not done at the end of each week?
-- Counted from when each was opened and last closed: one that was reopened counts for all of the time.
-- chart: line backlog
SELECT
    CAST(weeks.ends_at AS date) AS week,
    count(spans.opened_at) AS backlog
FROM (
    SELECT date_trunc('week', sync.read_at) - place.n * INTERVAL '7 days' AS ends_at
    FROM (
        SELECT max(_airbyte_extracted_at) AS read_at
        FROM conversations
    ) AS sync
    CROSS JOIN generate_series(0, 51) AS place (n)
) AS weeks
LEFT JOIN (
    SELECT
        createdAt AS opened_at,
        CASE
            WHEN status = 'done'
                THEN coalesce(CAST(lastDone ->> 'createdAt' AS timestamp), endedAt, lastActivityAt)
        END AS closed_at
    FROM conversations
    WHERE NOT coalesce(deleted, false)
) AS spans
    ON spans.opened_at < weeks.ends_at
    AND (spans.closed_at IS NULL OR spans.closed_at >= weeks.ends_at)
GROUP BY 1
ORDER BY 1;
