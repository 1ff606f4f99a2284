-- How many customers are new in each month, and how many of them ever wrote?
-- Only months that are over.
-- chart: line new_customers with_conversations
SELECT
    CAST(date_trunc('month', customers.createdAt) AS date) AS month,
    count(*) AS new_customers,
    count(writers.customerId) AS with_conversations
FROM customers
CROSS JOIN (
    SELECT max(_airbyte_extracted_at) AS read_at
    FROM customers
) AS sync
LEFT JOIN (
    SELECT DISTINCT customerId
    FROM conversations
) AS writers ON writers.customerId = customers.id
WHERE customers.createdAt < date_trunc('month', sync.read_at)
GROUP BY 1
ORDER BY 1;
