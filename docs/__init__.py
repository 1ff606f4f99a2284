"""The pages that users read, and what writes their tables."""
