"""One file per API key: how this broker answers it. `ls` is the protocol table."""
