"""A topology on a cluster: topics, assignment of tasks, restore, commits."""
