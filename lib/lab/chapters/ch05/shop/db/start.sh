#!/bin/sh
# PostgreSQL, as its official image does it: a folder that is empty gets a database first, and only then.
set -e
[ ! -f /run/secrets/password ] || PASSWORD=$(cat /run/secrets/password)
if [ ! -s /data/PG_VERSION ]; then
    echo "$PASSWORD" > /tmp/password
    initdb -D /data -U shop --pwfile /tmp/password --auth-local trust --auth-host scram-sha-256 --no-sync > /dev/null
    rm /tmp/password
    echo "host all all all scram-sha-256" >> /data/pg_hba.conf
    echo "create database shop" | postgres --single -D /data postgres > /dev/null
    echo "create table orders (number serial, item text)" | postgres --single -D /data shop > /dev/null
fi
exec postgres -D /data -k /tmp -c listen_addresses='*' -c log_min_messages=log
