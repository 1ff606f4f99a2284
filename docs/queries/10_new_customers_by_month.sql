-- How many customers are new in each month, and how many of them ever wrote?
SELECT
    CAST(date_trunc('month', customers.createdAt) AS date) AS month,
    count(*) AS new_customers,
    count(writers.customerId) AS with_conversations
FROM customers
LEFT JOIN (
    SELECT DISTINCT customerId
    FROM conversations
) AS writers ON writers.customerId = customers.id
WHERE customers.createdAt IS NOT NULL
GROUP BY 1
ORDER BY 1;
