-- How many conversations does each team have open?
-- One that two teams have counts for each.
-- chart: bars open_conversations
SELECT
    coalesce(teams.name, conversations.assignedTeams ->> 0, '(no team)') AS team,
    count(*) AS open_conversations
FROM conversations
LEFT JOIN teams ON CAST(conversations.assignedTeams AS varchar) LIKE '%"' || teams.id || '"%'
WHERE conversations.status = 'open'
    AND NOT coalesce(conversations.deleted, false)
GROUP BY 1
ORDER BY 2 DESC, 1;
