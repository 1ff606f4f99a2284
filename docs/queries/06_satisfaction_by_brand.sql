-- How satisfied are the customers of each brand, and how many of them say so?
-- The average is of what was answered, on the scale of your surveys.
-- chart: bars average_score
SELECT
    coalesce(brands.name, conversations.brandId, '(no brand)') AS brand,
    count(*) AS finished_conversations,
    count(conversations.satisfaction) AS rated,
    CAST(100.0 * count(conversations.satisfaction) / count(*) AS numeric(18, 1)) AS rated_percent,
    CAST(avg(conversations.satisfaction) AS numeric(18, 2)) AS average_score
FROM conversations
LEFT JOIN brands ON brands.id = conversations.brandId
WHERE conversations.status = 'done'
GROUP BY 1
ORDER BY 5 DESC NULLS LAST, 1;
