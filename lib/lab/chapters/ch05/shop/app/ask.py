"""The API's health check: this image has no curl, so it asks in Python."""

from urllib.request import urlopen

print(urlopen("http://127.0.0.1:8000").read().decode(), end="")
