"""GET /: how many orders there are. GET /who: who has answered. POST /ITEM: an order for the worker."""

import os
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from connections import database, queue

orders, line = database(), queue()


class Shop(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/who":
            return self.say(socket.gethostname())
        with orders.cursor() as cursor:
            cursor.execute("select count(*) from orders")
            (count,) = cursor.fetchone()
        self.say(f"{os.environ['GREETING']}: {count} {'order' if count == 1 else 'orders'}")

    def do_POST(self):
        line.rpush("orders", self.path.strip("/"))
        self.say("thank you")

    def say(self, text):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode() + b"\n")

    def log_message(self, *words):
        pass


print("open", flush=True)
ThreadingHTTPServer(("", 8000), Shop).serve_forever()
