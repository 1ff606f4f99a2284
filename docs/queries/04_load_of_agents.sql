-- How many conversations does each agent have on the desk now, and how many were finished?
-- chart: bars open_conversations snoozed_conversations done_conversations
SELECT
    coalesce(users.displayName, users.name, users.email) AS agent,
    count(*) FILTER (WHERE conversations.status = 'open') AS open_conversations,
    count(*) FILTER (WHERE conversations.status = 'snoozed') AS snoozed_conversations,
    count(*) FILTER (WHERE conversations.status = 'done') AS done_conversations
FROM users
LEFT JOIN conversations
    ON CAST(conversations.assignedUsers AS varchar) LIKE '%"' || users.id || '"%'
    AND NOT coalesce(conversations.deleted, false)
WHERE users.deletedAt IS NULL
    AND coalesce(users.userType, 'user') <> 'machine'
GROUP BY users.id, 1
ORDER BY 2 DESC, 4 DESC, 1;
