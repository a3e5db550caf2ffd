"""Take one order after the other from the queue, and write it into the database."""

from connections import database, queue

orders, line = database(), queue()
print("waiting for orders", flush=True)
while True:
    _, item = line.blpop("orders")
    with orders.cursor() as cursor:
        cursor.execute("insert into orders (item) values (%s)", (item,))
    print("written down:", item, flush=True)
