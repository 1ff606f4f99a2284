-- Which ten customers write most often, and what is still open with them?
SELECT
    customers.id,
    coalesce(customers.name, customers.displayName) AS customer,
    count(*) AS conversations,
    count(*) FILTER (WHERE conversations.status = 'open') AS open_conversations,
    max(conversations.lastActivityAt) AS last_activity_at
FROM conversations
JOIN customers ON customers.id = conversations.customerId
GROUP BY 1, 2
ORDER BY 3 DESC, 1
LIMIT 10;
