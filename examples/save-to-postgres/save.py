"""Saves each canvas into PostgreSQL once it was quiet for 5 s. Run as many of these as you like: each change is saved
by one of them. A job is acknowledged after the database has committed: a crash in between saves the same again.

usage: python3 save.py [URL], with psycopg2 (Debian: python3-psycopg2) and PGHOST, PGDATABASE, … as for psql
"""
import json, sys, urllib.request
import psycopg2

RELAY = (sys.argv + ["http://127.0.0.1:8080"])[1]
SAVE = """INSERT INTO canvases VALUES (%s, %s, %s, %s) ON CONFLICT (canvas) DO UPDATE
          SET epoch = excluded.epoch, seq = excluded.seq, objects = excluded.objects
          WHERE canvases.epoch <> excluded.epoch OR canvases.seq < excluded.seq"""

def ask(path, body=None):
    with urllib.request.urlopen(RELAY + path, body and json.dumps(body).encode(), timeout=60) as answer:
        return json.loads(answer.read() or "null")

database = psycopg2.connect("")
with database, database.cursor() as sql:
    sql.execute("CREATE TABLE IF NOT EXISTS canvases (canvas text PRIMARY KEY, epoch text, seq bigint, objects jsonb)")
while True:
    for job in (ask("/api/v1/pop/queue/to-save?wait=true&timeout=30000") or {"messages": []})["messages"]:
        now = ask(f"/api/v1/canvases/{job['data']['canvas']}/objects")
        with database, database.cursor() as sql:
            sql.execute(SAVE, (job["data"]["canvas"], now["epoch"], now["seq"], json.dumps(now["objects"])))
        lease = {key: job[key] for key in ("transactionId", "partitionId", "leaseId")}
        ask("/api/v1/ack", lease | {"status": "completed"})
        print("saved", job["data"]["canvas"], flush=True)
