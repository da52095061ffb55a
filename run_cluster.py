"""Starts a cluster on this machine: `python run_cluster.py --help`. All of it is in `actors/launch.py`."""

import sys

from actors.launch import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
