"""Producer, Consumer and Admin over TCP or ZeroMQ; the front door `odradek.py` exports them."""
