-- How many conversations are open, by the team that has them and by tag?
-- Each team's row for all tags counts a conversation once. By tag, one with two tags counts for
-- each, so these rows do not add up to the number of conversations.
SELECT
    team,
    CASE grouping(tag) WHEN 1 THEN '(all)' ELSE tag END AS tag,
    count(DISTINCT id) AS open_conversations
FROM (
    SELECT
        coalesce(teams.name, '(no team)') AS team,
        coalesce(tags.name, '(no tag)') AS tag,
        conversations.id
    FROM conversations
    LEFT JOIN teams ON CAST(conversations.assignedTeams AS varchar) LIKE '%"' || teams.id || '"%'
    LEFT JOIN tags ON CAST(conversations.tags AS varchar) LIKE '%"' || tags.id || '"%'
    WHERE conversations.status = 'open'
        AND NOT coalesce(conversations.deleted, false)
) AS pairs
GROUP BY GROUPING SETS ((team), (team, tag))
ORDER BY grouping(tag) DESC, 3 DESC, 1, 2;
