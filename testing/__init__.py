"""Clusters for tests: started, hurt, awaited; and the pytest plugin. The front door `odradek.py` exports `Cluster`."""
