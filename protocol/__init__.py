"""Wire bytes ↔ typed messages, record batches and frames. Knows no socket, file or clock."""
