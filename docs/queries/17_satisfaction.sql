-- How satisfied are customers, and how many of them say so?
-- chart: number
SELECT
    CAST(avg(satisfaction) AS numeric(18, 2)) AS average_satisfaction,
    count(satisfaction) AS answered,
    count(*) AS finished_conversations
FROM conversations
WHERE status = 'done'
    AND NOT coalesce(deleted, false);
