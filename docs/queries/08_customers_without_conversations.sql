-- Which customers never had a conversation, newest first?
SELECT
    coalesce(customers.name, customers.displayName) AS customer,
    customers.createdAt,
    customers.lastSeenAt,
    customers.id
FROM customers
WHERE NOT EXISTS (
    SELECT 1
    FROM conversations
    WHERE conversations.customerId = customers.id
)
ORDER BY customers.createdAt DESC NULLS LAST, customers.id;
