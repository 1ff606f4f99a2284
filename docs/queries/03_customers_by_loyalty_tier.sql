-- How many customers are in each loyalty tier, and what are they worth on average?
-- custom_loyaltyTierStr and custom_lifetimeValueNum are examples: put your own custom attributes.
SELECT
    coalesce(custom_loyaltyTierStr, '(none)') AS loyalty_tier,
    count(*) AS customers,
    CAST(avg(custom_lifetimeValueNum) AS numeric(18, 2)) AS average_lifetime_value,
    CAST(sum(custom_lifetimeValueNum) AS numeric(18, 2)) AS lifetime_value
FROM customers
GROUP BY 1
ORDER BY 2 DESC, 1;
