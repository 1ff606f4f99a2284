-- Through which channels do conversations run, and who begins them?
-- A conversation on two channels counts once for each. Up to 20 channels of one are looked at.
-- chart: bars conversations
SELECT
    channel,
    count(*) AS conversations,
    count(*) FILTER (WHERE direction = 'in') AS begun_by_customers,
    count(*) FILTER (WHERE direction = 'out') AS begun_by_us
FROM (
    SELECT
        conversations.direction,
        (conversations.channels ->> place.n) AS channel
    FROM conversations
    CROSS JOIN generate_series(0, 19) AS place (n)
) AS used
WHERE channel IS NOT NULL
GROUP BY 1
ORDER BY 2 DESC, 1;
