"""Loads rows with Microsoft's SDK for Python, as its documentation shows: a list for `records.create`.

Arguments: table, file of JSON objects, rows in a list (0 is all of them), most rows that are loaded. Prints the seconds
from opening the file to the last answer, and the rows. `SHEAF_URL` and the application user are in the environment.
"""

import json
import os
import sys
import time

from azure.identity import ClientSecretCredential
from PowerPlatform.Dataverse.client import DataverseClient

table, file, size, most = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
url = os.environ["SHEAF_URL"]
credential = ClientSecretCredential(
    os.environ["SHEAF_TENANT"],
    os.environ["SHEAF_CLIENT_ID"],
    os.environ["SHEAF_CLIENT_SECRET"],
    authority=url,
    disable_instance_discovery=True,
)

with DataverseClient(url, credential) as client:
    # The token, the connection and the table's definition are there before the clock starts.
    client.records.list(table, top=1)
    started = time.perf_counter()
    with open(file, encoding="utf-8") as lines:
        rows = [json.loads(line) for _, line in zip(range(most), lines)]
    loaded = 0
    if size == 1:
        for row in rows:
            client.records.create(table, row)
            loaded += 1
    else:
        step = size or len(rows)
        for place in range(0, len(rows), step):
            loaded += len(client.records.create(table, rows[place : place + step]))
    print(f"loaded {loaded} rows in {time.perf_counter() - started:.6f} s")
