-- Which tags are in use, which never were, and which were deleted but still stand on conversations?
SELECT
    tags.name AS tag,
    coalesce(tags.deleted, false) AS deleted,
    tags.deletedAt,
    count(conversations.id) AS conversations,
    max(conversations.createdAt) AS last_used_at
FROM tags
LEFT JOIN conversations ON CAST(conversations.tags AS varchar) LIKE '%"' || tags.id || '"%'
GROUP BY tags.id, 1, 2, 3
ORDER BY 4 DESC, 1;
