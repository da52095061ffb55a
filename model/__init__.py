"""Ids, error codes, configs and metrics: each defined once, for every other room. Imports the standard library only."""
