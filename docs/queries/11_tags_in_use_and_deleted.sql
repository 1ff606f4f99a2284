-- Which tags are in use, which never were, and which were deleted but still stand on conversations?
-- chart: bars conversations
SELECT
    tags.name AS tag,
    count(conversations.id) AS conversations,
    max(conversations.createdAt) AS last_used_at,
    coalesce(tags.deleted, false) AS deleted,
    tags.deletedAt
FROM tags
LEFT JOIN conversations ON CAST(conversations.tags AS varchar) LIKE '%"' || tags.id || '"%'
GROUP BY tags.id, tags.name, tags.deleted, tags.deletedAt
ORDER BY 2 DESC, 1;
