"""The task: takes records in, runs the bound operators, hands records and store changes to a collector."""
