-- How many conversations are opened and closed each week?
-- Weeks begin on Monday, and only those that are over are shown. A done conversation is closed when
-- it was last done or ended, or else when something last happened in it.
-- chart: line opened closed
SELECT
    CAST(weeks.begins_at AS date) AS week,
    count(*) FILTER (WHERE events.kind = 'opened') AS opened,
    count(*) FILTER (WHERE events.kind = 'closed') AS closed
FROM (
    SELECT date_trunc('week', sync.read_at) - place.n * INTERVAL '7 days' AS begins_at
    FROM (
        SELECT max(_airbyte_extracted_at) AS read_at
        FROM conversations
    ) AS sync
    CROSS JOIN generate_series(1, 51) AS place (n)
) AS weeks
LEFT JOIN (
    SELECT 'opened' AS kind, createdAt AS happened_at
    FROM conversations
    WHERE NOT coalesce(deleted, false)
    UNION ALL
    SELECT
        'closed',
        coalesce(CAST(lastDone ->> 'createdAt' AS timestamp), endedAt, lastActivityAt)
    FROM conversations
    WHERE status = 'done'
        AND NOT coalesce(deleted, false)
) AS events ON date_trunc('week', events.happened_at) = weeks.begins_at
GROUP BY 1
ORDER BY 1;
