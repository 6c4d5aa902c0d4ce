"""tap-ms-dynamics against a fresh service: discovery and syncs as Singer runs them, with its fixed token address.

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
FORM = {"client_id": os.environ["SHEAF_CLIENT_ID"], "client_secret": os.environ["SHEAF_CLIENT_SECRET"]}


def token(**more) -> dict:
    """What the issuer gives for the application."""
    form = {**FORM, "grant_type": "client_credentials", "scope": f"{HOST}/.default offline_access", **more}
    answer = requests.post(f"https://login.microsoftonline.com/{os.environ['SHEAF_TENANT']}/oauth2/v2.0/token", data=form)
    answer.raise_for_status()
    return answer.json()


def create(table: str, **row) -> None:
    answer = SESSION.post(API + table, json=row)
    answer.raise_for_status()


SESSION = requests.Session()
FOLDER = tempfile.TemporaryDirectory()
CONFIG = os.path.join(FOLDER.name, "config.json")


def setUpModule():
    given = token()
    SESSION.headers["Authorization"] = "Bearer " + given["access_token"]
    for number in range(25):
        create("contacts", lastname=f"c{number:02}", birthdate="2001-02-03", creditlimit=5.5)
    with open(CONFIG, "w") as file:
        json.dump(
            {
                "start_date": "2020-01-01T00:00:00Z",
                "user_agent": "suite",
                "organization_uri": HOST,
                "redirect_uri": "https://localhost",
                "refresh_token": given["refresh_token"],
                "max_pagesize": 10,
                **FORM,
            },
            file,
        )


def tearDownModule():
    SESSION.close()
    FOLDER.cleanup()


def tap(*arguments: str) -> str:
    """Runs the command and returns what it writes."""
    command = [os.path.join(os.path.dirname(sys.executable), "tap-ms-dynamics"), "--config", CONFIG, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "backoff" not in done.stderr, done.stderr[-4000:]
    return done.stdout


def sync(catalog: dict, state: dict | None = None) -> tuple[dict, dict]:
    """The records by stream, and the last state."""
    files = []
    for name, content in [("catalog", catalog), ("state", state)]:
        if content is not None:
            path = os.path.join(FOLDER.name, name + ".json")
            with open(path, "w") as file:
                json.dump(content, file)
            files += ["--" + name, path]
    records, last = {}, {}
    for line in tap(*files).splitlines():
        message = json.loads(line)
        if message["type"] == "RECORD":
            records.setdefault(message["stream"], []).append(message["record"])
        elif message["type"] == "STATE":
            last = message["value"]
    return records, last


def select(catalog: dict, *streams: str) -> dict:
    for stream in catalog["streams"]:
        if stream["stream"] in streams:
            for entry in stream["metadata"]:
                if entry["breadcrumb"] == []:
                    entry["metadata"]["selected"] = True
    return catalog


class Syncs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.catalog = json.loads(tap("--discover"))

    def stream(self, name: str) -> dict:
        (stream,) = [stream for stream in self.catalog["streams"] if stream["stream"] == name]
        return stream

    def test_every_table_is_a_stream(self):
        tables = SESSION.get(API + "EntityDefinitions?$select=LogicalName").json()["value"]
        found = {stream["stream"] for stream in self.catalog["streams"]}
        missing = {table["LogicalName"] for table in tables} - found
        self.assertEqual(missing, set())
        contact = self.stream("contact")
        self.assertEqual(contact["key_properties"], ["contactid"])
        self.assertEqual((contact["replication_method"], contact["replication_key"]), ("INCREMENTAL", "modifiedon"))
        columns = contact["schema"]["properties"]
        self.assertEqual(columns["lastname"], {"type": ["null", "string"]})
        self.assertEqual(columns["creditlimit"], {"type": ["null", "number"]})
        self.assertEqual(columns["birthdate"], {"type": ["null", "string"], "format": "date-time"})
        self.assertEqual(columns["donotemail"], {"type": ["null", "boolean"]})
        self.assertEqual(columns["statecode"], {"type": ["null", "integer"]})
        self.assertIn("_parentcustomerid_value", columns)

    def test_rows_come_page_by_page_and_then_only_what_has_changed(self):
        catalog = select(json.loads(json.dumps(self.catalog)), "contact", "systemuser")
        records, state = sync(catalog)
        self.assertEqual(sorted(row["lastname"] for row in records["contact"]), [f"c{n:02}" for n in range(25)])
        row = records["contact"][0]
        self.assertEqual((row["creditlimit"], row["birthdate"]), (5.5, "2001-02-03T00:00:00.000000Z"))
        self.assertTrue(records["systemuser"])
        create("contacts", lastname="new")
        records, _ = sync(catalog, state)
        self.assertIn("new", [row["lastname"] for row in records["contact"]])

    def test_the_refresh_token_is_written_back(self):
        with open(CONFIG) as file:
            before = json.load(file)["refresh_token"]
        tap("--discover")
        with open(CONFIG) as file:
            self.assertNotEqual(json.load(file)["refresh_token"], before)


if __name__ == "__main__":
    unittest.main()
