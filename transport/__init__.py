"""Carries bytes: TCP listener and ZeroMQ gateway for clients, ZeroMQ bus between the processes of a cluster."""
