"""What the API and the worker have in common: a database, a queue, and good manners when asked to stop."""

import os
import signal
import sys
from pathlib import Path

import psycopg2
import redis

SECRET = Path("/run/secrets/password")


def database():
    words = os.environ["DATABASE"]
    if SECRET.exists():
        words += f" password={SECRET.read_text().strip()}"
    connection = psycopg2.connect(words)
    connection.autocommit = True
    return connection


def queue():
    return redis.Redis(os.environ["QUEUE"], decode_responses=True)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # number 1 of a container has no default for it
