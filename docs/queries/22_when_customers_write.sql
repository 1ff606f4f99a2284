-- When do customers write?
-- By weekday and hour, in UTC.
-- chart: heatmap conversations
SELECT
    days.name AS weekday,
    hours.n AS hour,
    count(conversations.id) AS conversations
FROM (
    VALUES (1, 'Mon'), (2, 'Tue'), (3, 'Wed'), (4, 'Thu'), (5, 'Fri'), (6, 'Sat'), (7, 'Sun')
) AS days (n, name)
CROSS JOIN generate_series(0, 23) AS hours (n)
LEFT JOIN conversations
    ON extract(isodow FROM conversations.createdAt) = days.n
    AND extract(hour FROM conversations.createdAt) = hours.n
    AND conversations.direction = 'in'
GROUP BY days.n, days.name, hours.n
ORDER BY days.n, hours.n;
