-- How many conversations are open now?
-- chart: number
SELECT
    count(*) FILTER (WHERE status = 'open') AS open_now,
    count(*) FILTER (WHERE status = 'snoozed') AS snoozed
FROM conversations
WHERE NOT coalesce(deleted, false);
