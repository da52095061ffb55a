"""The `odradek` command, one file per group of commands. Clients are imported by the command that needs them."""
