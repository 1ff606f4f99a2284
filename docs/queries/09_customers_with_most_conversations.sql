-- Which ten customers write most often, and what is still open with them?
-- chart: bars conversations open_conversations
SELECT
    coalesce(customers.name, customers.displayName) AS customer,
    count(*) AS conversations,
    count(*) FILTER (WHERE conversations.status = 'open') AS open_conversations,
    max(conversations.lastActivityAt) AS last_activity_at,
    customers.id
FROM conversations
JOIN customers ON customers.id = conversations.customerId
GROUP BY customers.id, 1
ORDER BY 2 DESC, customers.id
LIMIT 10;
