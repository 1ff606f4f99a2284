-- How many conversations are open, by the team that has them and by tag?
-- One with two tags counts once for each, so the rows do not add up to the number of conversations.
SELECT
    coalesce(teams.name, '(no team)') AS team,
    coalesce(tags.name, '(no tag)') AS tag,
    count(DISTINCT conversations.id) AS open_conversations
FROM conversations
LEFT JOIN teams ON CAST(conversations.assignedTeams AS varchar) LIKE '%"' || teams.id || '"%'
LEFT JOIN tags ON CAST(conversations.tags AS varchar) LIKE '%"' || tags.id || '"%'
WHERE conversations.status = 'open'
    AND NOT coalesce(conversations.deleted, false)
GROUP BY 1, 2
ORDER BY 3 DESC, 1, 2;
