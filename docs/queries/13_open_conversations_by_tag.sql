-- What are the open conversations about?
-- By tag; one with two tags counts for each.
-- chart: bars open_conversations
SELECT
    coalesce(tags.name, conversations.tags ->> 0, '(no tag)') AS tag,
    count(*) AS open_conversations
FROM conversations
LEFT JOIN tags ON CAST(conversations.tags AS varchar) LIKE '%"' || tags.id || '"%'
WHERE conversations.status = 'open'
    AND NOT coalesce(conversations.deleted, false)
GROUP BY 1
ORDER BY 2 DESC, 1;
