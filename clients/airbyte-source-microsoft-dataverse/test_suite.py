"""airbyte-source-microsoft-dataverse against a fresh service: the commands of the protocol, with its fixed token address.

`clients/loopback` leads `login.microsoftonline.com` and the organisation's host to the service.
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest

import requests

HOST = "https://org.crm.dynamics.com"
API = HOST + "/api/data/v9.2/"
CONFIG = {
    "url": HOST,
    "tenant_id": os.environ["SHEAF_TENANT"],
    "client_id": os.environ["SHEAF_CLIENT_ID"],
    "client_secret_value": os.environ["SHEAF_CLIENT_SECRET"],
    "odata_maxpagesize": 10,
}
# The framework reads rows with the certificates of `certifi` alone: they go over plain http.
PLAIN = CONFIG | {"url": os.environ["SHEAF_PLAIN_URL"]}
SESSION = requests.Session()


def setUpModule():
    form = {
        "grant_type": "client_credentials",
        "client_id": CONFIG["client_id"],
        "client_secret": CONFIG["client_secret_value"],
        "scope": f"{HOST}/.default",
    }
    answer = requests.post(f"https://login.microsoftonline.com/{CONFIG['tenant_id']}/oauth2/v2.0/token", data=form)
    answer.raise_for_status()
    SESSION.headers["Authorization"] = "Bearer " + answer.json()["access_token"]


def tearDownModule():
    SESSION.close()


def create(**row) -> str:
    answer = SESSION.post(API + "contacts", json=row)
    answer.raise_for_status()
    return answer.headers["OData-EntityId"].rsplit("(", 1)[1].rstrip(")")


def source(command: str, config: dict = CONFIG, **files) -> list[dict]:
    """Runs a command of the connector and returns its messages."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = []
        for name, content in {"config": config, **files}.items():
            path = os.path.join(folder, name + ".json")
            with open(path, "w") as file:
                json.dump(content, file)
            arguments += ["--" + name, path]
        program = os.path.join(os.path.dirname(sys.executable), "source-microsoft-dataverse")
        done = subprocess.run([program, command, *arguments], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
        return [json.loads(line) for line in done.stdout.splitlines()]


def of_type(messages: list[dict], name: str) -> list[dict]:
    return [message[name.lower()] for message in messages if message["type"] == name]


def configured(streams: list[dict], name: str, mode: str) -> dict:
    (stream,) = [stream for stream in streams if stream["name"] == name]
    return {
        "streams": [
            {
                "stream": stream,
                "sync_mode": mode,
                "destination_sync_mode": "append",
                "cursor_field": ["modifiedon"],
                "primary_key": [["contactid"]],
            }
        ]
    }


class Protocol(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        for number in range(25):
            create(lastname=f"c{number:02}")
        (catalog,) = of_type(source("discover"), "CATALOG")
        cls.streams = catalog["streams"]

    def test_a_connection_is_checked(self):
        wrong = CONFIG | {"client_secret_value": "wrong"}
        for config, expected in [(CONFIG, "SUCCEEDED"), (wrong, "FAILED")]:
            messages = source("check", config)
            (status,) = [one["connectionStatus"] for one in messages if one["type"] == "CONNECTION_STATUS"]
            self.assertEqual(status["status"], expected)

    def test_every_table_is_a_stream(self):
        tables = SESSION.get(API + "EntityDefinitions?$select=LogicalName").json()["value"]
        self.assertEqual({stream["name"] for stream in self.streams}, {table["LogicalName"] for table in tables})
        (contact,) = [stream for stream in self.streams if stream["name"] == "contact"]
        columns = contact["json_schema"]["properties"]
        self.assertEqual(columns["lastname"], {"type": ["null", "string"]})
        self.assertEqual(columns["birthdate"], {"type": ["null", "string"], "format": "date"})
        self.assertEqual(columns["modifiedon"]["airbyte_type"], "timestamp_with_timezone")
        self.assertEqual(columns["creditlimit"], {"type": ["null", "number"]})
        (account,) = [stream for stream in self.streams if stream["name"] == "account"]
        self.assertIn("_primarycontactid_value", account["json_schema"]["properties"])
        self.assertEqual(contact["supported_sync_modes"], ["full_refresh", "incremental"])
        self.assertEqual(contact["source_defined_primary_key"], [["contactid"]])

    def test_all_rows_are_read_page_by_page(self):
        messages = source("read", PLAIN, catalog=configured(self.streams, "contact", "full_refresh"))
        names = [record["data"]["lastname"] for record in of_type(messages, "RECORD")]
        self.assertLessEqual({f"c{n:02}" for n in range(25)}, set(names))
        self.assertEqual(len(names), len(set(names)))

    def test_then_only_changes_are_read(self):
        catalog = configured(self.streams, "contact", "incremental")
        gone = create(lastname="gone")
        messages = source("read", PLAIN, catalog=catalog)
        self.assertGreater(len(of_type(messages, "RECORD")), 25)
        state = [of_type(messages, "STATE")[-1]]
        made = create(lastname="made")
        SESSION.delete(f"{API}contacts({gone})").raise_for_status()
        records = [record["data"] for record in of_type(source("read", PLAIN, catalog=catalog, state=state), "RECORD")]
        self.assertEqual({record["contactid"] for record in records}, {gone, made})
        (removed,) = [record for record in records if record["contactid"] == gone]
        self.assertTrue(removed["_ab_cdc_deleted_at"])


if __name__ == "__main__":
    unittest.main()
