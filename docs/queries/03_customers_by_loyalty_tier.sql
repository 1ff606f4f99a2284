-- Which kinds of customers are there, and which of them write?
-- The kinds are the values of custom_loyaltyTierStr.
-- attribute: customers.custom_loyaltyTierStr
-- chart: bars customers conversations
SELECT
    coalesce(custom_loyaltyTierStr, '(none)') AS kind,
    count(*) AS customers,
    count(writers.conversations) AS writers,
    coalesce(sum(writers.conversations), 0) AS conversations
FROM customers
LEFT JOIN (
    SELECT customerId, count(*) AS conversations
    FROM conversations
    GROUP BY 1
) AS writers ON writers.customerId = customers.id
GROUP BY 1
ORDER BY 2 DESC, 1;
