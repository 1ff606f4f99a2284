"""Where a list is read next: pages, links, moved pages, ends and states, without any network."""
