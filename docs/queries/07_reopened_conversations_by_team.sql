-- Which teams' conversations come back after they were done?
-- chart: bars reopened_percent
SELECT
    coalesce(teams.name, conversations.assignedTeams ->> 0, '(no team)') AS team,
    count(*) AS conversations,
    count(*) FILTER (WHERE conversations.reopenFromDoneCount > 0) AS reopened,
    CAST(
        100.0 * count(*) FILTER (WHERE conversations.reopenFromDoneCount > 0) / count(*)
        AS numeric(18, 1)
    ) AS reopened_percent
FROM conversations
LEFT JOIN teams ON CAST(conversations.assignedTeams AS varchar) LIKE '%"' || teams.id || '"%'
GROUP BY 1
ORDER BY 4 DESC, 1;
