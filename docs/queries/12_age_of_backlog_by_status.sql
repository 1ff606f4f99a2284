-- How old are the conversations that are not done, in days at the time of the sync?
-- chart: bars conversations older_than_a_week
SELECT
    status,
    count(*) AS conversations,
    CAST(avg(days) AS numeric(18, 1)) AS average_days,
    CAST(max(days) AS numeric(18, 1)) AS oldest_days,
    count(*) FILTER (WHERE days > 7) AS older_than_a_week
FROM (
    SELECT
        status,
        (extract(epoch FROM _airbyte_extracted_at) - extract(epoch FROM createdAt)) / 86400 AS days
    FROM conversations
    WHERE status <> 'done'
        AND NOT coalesce(deleted, false)
) AS backlog
GROUP BY 1
ORDER BY 2 DESC, 1;
