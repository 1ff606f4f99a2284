-- How long do customers wait for a first response?
-- Each bar has those who waited so long at most, and longer than those of the bar before.
-- chart: histogram conversations
SELECT
    bins.wait,
    count(answered.id) AS conversations
FROM (
    VALUES
        ('5 min', -1, 5),
        ('15 min', 5, 15),
        ('30 min', 15, 30),
        ('1 h', 30, 60),
        ('2 h', 60, 120),
        ('4 h', 120, 240),
        ('8 h', 240, 480),
        ('1 day', 480, 1440),
        ('3 days', 1440, 4320),
        ('longer', 4320, NULL)
) AS bins (wait, more_than, at_most)
LEFT JOIN (
    SELECT
        id,
        CAST((firstResponse ->> 'responseTime') AS double precision) / 60000 AS minutes
    FROM conversations
    WHERE direction = 'in'
) AS answered
    ON answered.minutes > bins.more_than
    AND (bins.at_most IS NULL OR answered.minutes <= bins.at_most)
GROUP BY bins.wait, bins.more_than
ORDER BY bins.more_than;
