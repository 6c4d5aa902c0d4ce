"""powerplatform-dataverse-client (Microsoft's SDK for Python) against a fresh service, over TLS with real tokens.

`SHEAF_URL` is the address, `SHEAF_TENANT`, `SHEAF_CLIENT_ID` and `SHEAF_CLIENT_SECRET` are an application user of it.
The client is not changed; what it gets wrong by itself is asserted as it is.
"""

import asyncio
import os
import tempfile
import time
import unittest
from enum import IntEnum
from uuid import uuid4

import pandas as pd
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential
from azure.identity.aio import ClientSecretCredential as AsyncClientSecretCredential
from PowerPlatform.Dataverse.aio import AsyncDataverseClient
from PowerPlatform.Dataverse.client import DataverseClient
from PowerPlatform.Dataverse.core.errors import HttpError, MetadataError, ValidationError
from PowerPlatform.Dataverse.models import UpsertItem, col
from PowerPlatform.Dataverse.models.filters import raw
from PowerPlatform.Dataverse.models.query_builder import ExpandOption
from PowerPlatform.Dataverse.models.relationship import ManyToManyRelationshipMetadata

URL = os.environ["SHEAF_URL"]
TENANT = os.environ["SHEAF_TENANT"]
CLIENT_ID = os.environ["SHEAF_CLIENT_ID"]
SECRET = os.environ["SHEAF_CLIENT_SECRET"]


def credential(secret: str = SECRET) -> ClientSecretCredential:
    return ClientSecretCredential(TENANT, CLIENT_ID, secret, authority=URL, disable_instance_discovery=True)


class Priority(IntEnum):
    Low = 1
    High = 2


CLIENT = DataverseClient(URL, credential())


def define():
    """Tables for all tests: projects with tasks."""
    CLIENT.tables.create(
        "new_Project",
        {
            "new_Code": "string",
            "new_Budget": "money",
            "new_Hours": {"type": "int", "min_value": 0, "max_value": 1000},
            "new_Rate": "decimal",
            "new_Start": "datetime",
            "new_Open": "bool",
            "new_Notes": {"type": "memo", "max_length": 2000},
            "new_Priority": Priority,
        },
        display_name="Project",
    )
    CLIENT.tables.create("new_Task", {"new_Hours": "int"}, display_name="Task")
    CLIENT.tables.create_lookup_field(
        referencing_table="new_task",
        lookup_field_name="new_ProjectId",
        referenced_table="new_project",
        display_name="Project",
    )
    CLIENT.tables.create_alternate_key("new_Project", "new_ProjectKey", ["new_code"])


def setUpModule():
    define()


def tearDownModule():
    CLIENT.close()


def code() -> str:
    return str(uuid4())


def wait_for_job(job_id: str) -> dict:
    for _ in range(200):
        job = CLIENT.records.retrieve("asyncoperation", job_id, select=["statecode", "statuscode"])
        if job["statecode"] == 3:
            return job
        time.sleep(0.05)
    raise AssertionError("the job did not end")


class Access(unittest.TestCase):
    def test_a_plain_address_is_refused_by_the_client(self):
        with self.assertRaises(ValueError):
            DataverseClient(URL.replace("https://", "http://"), credential())

    def test_a_wrong_secret_is_told_by_the_issuer(self):
        client = DataverseClient(URL, credential("wrong"))
        with self.assertRaisesRegex(ClientAuthenticationError, "AADSTS7000215"):
            client.records.list("account", top=1)

    def test_a_token_that_is_none_is_unauthorized(self):
        class Nothing:
            def get_token(self, *scopes, **_):
                from azure.core.credentials import AccessToken

                return AccessToken("nothing", int(time.time()) + 3600)

        with self.assertRaises(HttpError) as raised:
            DataverseClient(URL, Nothing()).records.list("account", top=1)
        self.assertEqual(raised.exception.status_code, 401)


class Records(unittest.TestCase):
    def test_a_record_lives(self):
        id = CLIENT.records.create("account", {"name": "Contoso Ltd"})
        self.assertRegex(id, r"^[0-9a-f-]{36}$")
        record = CLIENT.records.retrieve("account", id, select=["name", "telephone1"])
        self.assertEqual((record.id, record["name"], record["telephone1"]), (id, "Contoso Ltd", None))
        self.assertRegex(record.etag, r'^W/"\d+"$')
        CLIENT.records.update("account", id, {"telephone1": "555-0199"})
        self.assertEqual(CLIENT.records.retrieve("account", id)["telephone1"], "555-0199")
        CLIENT.records.delete("account", id)
        self.assertIsNone(CLIENT.records.retrieve("account", id))

    def test_every_type_of_column_comes_back(self):
        row = {
            "new_name": "Größe ✓ 😀 'x'",
            "new_code": code(),
            "new_budget": 1500.5,
            "new_hours": 40,
            "new_rate": 12.25,
            "new_start": "2026-01-02T03:04:05",
            "new_open": True,
            "new_notes": "one\ntwo",
            "new_priority": 2,
        }
        id = CLIENT.records.create("new_Project", row)
        record = CLIENT.records.retrieve("new_Project", id, select=list(row))
        self.assertEqual({name: record[name] for name in row}, row | {"new_start": "2026-01-02T03:04:05Z"})

    def test_labels_of_choices_become_numbers(self):
        id = CLIENT.records.create("new_Project", {"new_Priority": "High"})
        record = CLIENT.records.retrieve("new_Project", id, select=["new_priority"], include_annotations="*")
        self.assertEqual(record["new_priority"], 2)
        self.assertEqual(record["new_priority@OData.Community.Display.V1.FormattedValue"], "High")

    def test_a_lookup_is_bound_and_expanded(self):
        project = CLIENT.records.create("new_Project", {"new_Name": "P"})
        bind = CLIENT.query.odata_bind("new_Task", "new_Project", project)
        self.assertEqual(bind, {"new_ProjectId@odata.bind": f"/new_projects({project})"})
        task = CLIENT.records.create("new_Task", {"new_Name": "T", **bind})
        record = CLIENT.records.retrieve("new_Task", task, expand=["new_ProjectId"])
        self.assertEqual(record["new_ProjectId"]["new_name"], "P")

    def test_many_records_live(self):
        ids = CLIENT.records.create("new_Project", [{"new_Name": f"p{n}"} for n in range(100)])
        self.assertEqual(len(set(ids)), 100)
        CLIENT.records.update("new_Project", ids, {"new_Hours": 7})
        changes = [{"new_Name": f"q{n}"} for n in range(100)]
        CLIENT.records.update("new_Project", ids, changes)
        record = CLIENT.records.retrieve("new_Project", ids[99], select=["new_name", "new_hours"])
        self.assertEqual((record["new_name"], record["new_hours"]), ("q99", 7))
        job = CLIENT.records.delete("new_Project", ids[:98])
        self.assertEqual(wait_for_job(job)["statuscode"], 30)
        self.assertIsNone(CLIENT.records.retrieve("new_Project", ids[0]))
        CLIENT.records.delete("new_Project", ids[98:], use_bulk_delete=False)
        self.assertIsNone(CLIENT.records.retrieve("new_Project", ids[99]))

    def test_records_are_upserted_by_key(self):
        one, two = f"O'Hara {code()}", code()
        for number in [1, 2]:
            CLIENT.records.upsert(
                "new_Project",
                [UpsertItem(alternate_key={"new_code": one}, record={"new_Name": f"first {number}"})],
            )
            CLIENT.records.upsert(
                "new_Project",
                [
                    UpsertItem(alternate_key={"new_code": key}, record={"new_Hours": number})
                    for key in [one, two]
                ],
            )
        found = (col("new_code") == one) | (col("new_code") == two)
        rows = CLIENT.records.list("new_Project", filter=found, orderby=["new_name"])
        self.assertEqual([row["new_hours"] for row in rows], [2, 2])
        # `in_` doubles the quote, which is not doubled in the JSON of its list.
        self.assertEqual(len(CLIENT.records.list("new_Project", filter=col("new_code").in_([one, two]))), 1)
        self.assertEqual([row["new_name"] for row in rows], [None, "first 2"])

    def test_errors_tell_status_code_and_request(self):
        with self.assertRaises(HttpError) as raised:
            CLIENT.records.create("new_Project", {"new_Hours": 5000})
        error = raised.exception
        self.assertEqual((error.status_code, error.is_transient), (400, False))
        self.assertEqual(error.details["service_error_code"], "0x8004432f")
        self.assertTrue(error.details["service_request_id"])
        with self.assertRaises(HttpError) as raised:
            CLIENT.records.update("new_Project", str(uuid4()), {"new_Hours": 5})
        self.assertEqual(raised.exception.status_code, 404)
        with self.assertRaises(MetadataError):
            CLIENT.records.create("new_Nothing", {"a": 1})


class Queries(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mark = f"query {code()}"
        CLIENT.records.create(
            "new_Project",
            [
                {
                    "new_Name": f"p{n:02}",
                    "new_Notes": cls.mark,
                    "new_Code": code(),
                    "new_Hours": n,
                    "new_Priority": 1 + n % 2,
                    "new_Start": f"2026-01-{n + 1:02}T00:00:00Z",
                }
                for n in range(25)
            ],
        )

    def mine(self):
        return CLIENT.query.builder("new_Project").where(col("new_notes") == self.mark)

    def names(self, query):
        return [row["new_name"] for row in query.select("new_name").order_by("new_name").execute()]

    def test_the_builder_compares(self):
        c = col("new_hours")
        for expression, expected in [
            (c == 3, ["p03"]),
            ((c > 2) & (c <= 4), ["p03", "p04"]),
            ((c == 3) | (c == 5), ["p03", "p05"]),
            (~(c < 24), ["p24"]),
            (c.between(1, 2), ["p01", "p02"]),
            (c.in_([7, 9]), ["p07", "p09"]),
            (col("new_name").contains("24"), ["p24"]),
            (col("new_name").startswith("p2") & (c != 20), ["p21", "p22", "p23", "p24"]),
            (col("new_name").endswith("7"), ["p07", "p17"]),
            (col("new_budget").is_not_null(), []),
            (col("new_start") >= pd.Timestamp("2026-01-24T12:00:00").to_pydatetime(), ["p24"]),
            (raw("new_hours eq 24"), ["p24"]),
        ]:
            with self.subTest(expression.to_odata()):
                self.assertEqual(self.names(self.mine().where(expression)), expected)
        self.assertEqual(len(self.names(self.mine().where(c.not_in([7, 9])))), 23)
        self.assertEqual(len(self.names(self.mine().where(c.not_between(1, 2)))), 23)
        self.assertEqual(len(self.names(self.mine().where(col("new_budget").is_null()))), 25)

    def test_the_builder_orders_limits_and_pages(self):
        rows = self.mine().select("new_name").order_by("new_hours", descending=True).top(3).execute()
        self.assertEqual([row["new_name"] for row in rows], ["p24", "p23", "p22"])
        pages = list(self.mine().order_by("new_name").page_size(10).execute_pages())
        self.assertEqual([len(page) for page in pages], [10, 10, 5])
        frame = self.mine().select("new_name", "new_hours").count().page_size(10).execute().to_dataframe()
        self.assertEqual(frame["new_hours"].sum(), 300)

    def test_the_builder_expands(self):
        project = CLIENT.records.create("new_Project", {"new_Name": "with tasks"})
        bind = {"new_ProjectId@odata.bind": f"/new_projects({project})"}
        CLIENT.records.create("new_Task", [{"new_Name": f"t{n}", "new_Hours": n, **bind} for n in range(3)])
        (relation,) = [
            one["SchemaName"]
            for one in CLIENT.tables.list_table_relationships("new_Project")
            if one.get("ReferencingEntity") == "new_task"
        ]
        option = ExpandOption(relation).select("new_name").filter("new_hours gt 0").order_by("new_name").top(5)
        query = CLIENT.query.builder("new_Project").where(col("new_projectid") == project).expand(option)
        row = query.execute().first()
        self.assertEqual([task["new_name"] for task in row[relation]], ["t1", "t2"])

    def test_lists_and_their_pages(self):
        filter = f"new_notes eq '{self.mark}'"
        rows = CLIENT.records.list("new_Project", filter=filter, select=["new_name"], orderby=["new_name desc"], top=2)
        self.assertEqual([row["new_name"] for row in rows], ["p24", "p23"])
        pages = CLIENT.records.list_pages("new_Project", filter=filter, page_size=20)
        self.assertEqual([len(page) for page in pages], [20, 5])

    def test_fetchxml_follows_its_cookies(self):
        xml = f"""<fetch count="10"><entity name="new_project"><attribute name="new_name"/>
            <filter><condition attribute="new_notes" operator="eq" value="{self.mark}"/></filter>
            <order attribute="new_name"/></entity></fetch>"""
        rows = CLIENT.query.fetchxml(xml).execute()
        self.assertEqual([row["new_name"] for row in rows], [f"p{n:02}" for n in range(25)])
        pages = CLIENT.query.fetchxml(xml).execute_pages()
        self.assertEqual([len(page) for page in pages], [10, 10, 5])

    def test_fetchxml_joins_and_groups(self):
        xml = f"""<fetch aggregate="true"><entity name="new_project">
            <attribute name="new_priority" groupby="true" alias="priority"/>
            <attribute name="new_hours" aggregate="sum" alias="hours"/>
            <attribute name="new_projectid" aggregate="count" alias="rows"/>
            <filter><condition attribute="new_notes" operator="eq" value="{self.mark}"/></filter>
            <order alias="hours"/></entity></fetch>"""
        rows = CLIENT.query.fetchxml(xml).execute()
        self.assertEqual([(r["priority"], r["hours"], r["rows"]) for r in rows], [(2, 144, 12), (1, 156, 13)])
        xml = f"""<fetch top="1"><entity name="new_project"><attribute name="new_name"/>
            <link-entity name="systemuser" from="systemuserid" to="owninguser" alias="u">
              <attribute name="fullname"/></link-entity>
            <filter><condition attribute="new_notes" operator="eq" value="{self.mark}"/></filter></entity></fetch>"""
        (row,) = CLIENT.query.fetchxml(xml).execute()
        self.assertIn("u.fullname", row)

    def test_sql_is_read(self):
        where = f"new_notes = '{self.mark}'"
        rows = CLIENT.query.sql(f"SELECT TOP 2 new_name, new_hours FROM new_project WHERE {where} ORDER BY new_name DESC")
        self.assertEqual([(row["new_name"], row["new_hours"]) for row in rows], [("p24", 24), ("p23", 23)])
        rows = CLIENT.query.sql(
            f"SELECT new_priority, COUNT(*) as n, SUM(new_hours) as h FROM new_project WHERE {where} "
            "GROUP BY new_priority ORDER BY new_priority"
        )
        self.assertEqual([(row["n"], row["h"]) for row in rows], [(13, 156), (12, 144)])
        rows = CLIENT.query.sql(
            "SELECT p.new_name, u.fullname FROM new_project p INNER JOIN systemuser u ON p.owninguser = u.systemuserid "
            f"WHERE p.{where} AND p.new_name LIKE 'p0%' AND p.new_hours IN (1, 2, 30) AND p.new_hours BETWEEN 1 AND 9"
        )
        self.assertEqual(sorted(row["new_name"] for row in rows), ["p01", "p02"])
        rows = CLIENT.query.sql(f"SELECT DISTINCT new_priority FROM new_project WHERE {where}")
        self.assertEqual(len(rows), 2)
        rows = CLIENT.query.sql(
            f"SELECT new_name FROM new_project WHERE {where} ORDER BY new_name OFFSET 20 ROWS FETCH NEXT 10 ROWS ONLY"
        )
        self.assertEqual([row["new_name"] for row in rows], [f"p{n}" for n in range(20, 25)])
        self.assertIn("new_hours", [column["name"] for column in CLIENT.query.sql_columns("new_project")])
        with self.assertRaises(ValidationError):
            CLIENT.query.sql("DELETE FROM new_project")

    def test_frames_are_read(self):
        frame = CLIENT.dataframe.sql(f"SELECT new_name, new_hours FROM new_project WHERE new_notes = '{self.mark}'")
        self.assertEqual(frame["new_hours"].sum(), 300)


class Frames(unittest.TestCase):
    def test_a_frame_is_written_changed_and_deleted(self):
        frame = pd.DataFrame(
            {
                "new_Name": ["a", "b", "c"],
                "new_Hours": pd.array([1, 2, None], dtype="Int64"),
                "new_Start": pd.to_datetime(["2026-01-02T03:04:05"] * 3),
            }
        )
        ids = CLIENT.dataframe.create("new_Project", frame)
        self.assertEqual(len(ids), 3)
        changes = pd.DataFrame({"new_projectid": ids, "new_Hours": [10, 20, 30]})
        CLIENT.dataframe.update("new_Project", changes, id_column="new_projectid")
        rows = [CLIENT.records.retrieve("new_Project", id) for id in ids]
        self.assertEqual([row["new_hours"] for row in rows], [10, 20, 30])
        self.assertEqual(rows[0]["new_start"], "2026-01-02T03:04:05Z")
        # Whole numbers that pandas keeps as `float` are no whole numbers in JSON.
        with self.assertRaisesRegex(HttpError, "'1.0'"):
            CLIENT.dataframe.create("new_Project", pd.DataFrame({"new_Name": ["a", "b"], "new_Hours": [1, None]}))
        changes = pd.DataFrame({"new_projectid": ids, "new_Hours": [None, None, None]})
        CLIENT.dataframe.update("new_Project", changes, id_column="new_projectid", clear_nulls=True)
        self.assertIsNone(CLIENT.records.retrieve("new_Project", ids[0])["new_hours"])
        wait_for_job(CLIENT.dataframe.delete("new_Project", ids))
        self.assertIsNone(CLIENT.records.retrieve("new_Project", ids[0]))


class Batches(unittest.TestCase):
    def test_many_kinds_of_calls_in_one_request(self):
        id = CLIENT.records.create("new_Project", {"new_Name": "before"})
        key = code()
        batch = CLIENT.batch.new()
        batch.records.create("new_Project", {"new_Name": "one"})
        batch.records.create("new_Project", [{"new_Name": "two"}, {"new_Name": "three"}])
        batch.records.update("new_Project", id, {"new_Name": "after"})
        batch.records.upsert("new_Project", [UpsertItem(alternate_key={"new_code": key}, record={"new_Hours": 1})])
        batch.records.retrieve("new_Project", id, select=["new_name"])
        batch.records.list("new_Project", filter="new_name eq 'a b' or new_name eq 'after'", select=["new_name"], top=5)
        batch.query.sql("SELECT TOP 1 new_name FROM new_project")
        batch.tables.get("new_Project")
        batch.records.delete("new_Project", id)
        result = batch.execute()
        self.assertEqual([r.error_message for r in result.failed], [])
        self.assertEqual(len(result.responses), 9)
        self.assertEqual(len(result.responses[1].data["Ids"]), 2)
        self.assertEqual(result.responses[4].data["new_name"], "after")
        self.assertEqual(result.responses[7].data["value"][0]["LogicalName"], "new_project")
        self.assertIn(id, result.entity_ids)

    def test_a_change_set_is_all_or_nothing(self):
        def run(name):
            batch = CLIENT.batch.new()
            with batch.changeset() as changes:
                project = changes.records.create("new_Project", {"new_Name": "in a change set"})
                changes.records.create("new_Task", {"new_Name": name, "new_ProjectId@odata.bind": project})
                changes.records.update("new_Project", project, {"new_Hours": 3})
            with batch.changeset() as changes:
                changes.records.create("new_Project", {"new_Name": "in another"})
            return batch.execute()

        result = run("task")
        self.assertFalse(result.has_errors)
        task = CLIENT.records.retrieve("new_Task", result.responses[1].entity_id)
        self.assertEqual(task["_new_projectid_value"], result.responses[0].entity_id)
        before = len(CLIENT.records.list("new_Task"))
        result = run("x" * 5000)
        self.assertEqual(result.responses[0].status_code, 400)
        self.assertEqual(len(CLIENT.records.list("new_Task")), before)

    def test_a_batch_goes_on_when_told_so(self):
        def batch(name):
            batch = CLIENT.batch.new()
            batch.records.create("new_Project", {"new_Name": name})
            batch.records.create("new_Project", {"new_Name": "later"})
            return batch

        for continue_on_error, count in [(False, 1), (True, 2)]:
            result = batch("x" * 5000).execute(continue_on_error=continue_on_error)
            self.assertEqual(len(result.responses), count)
            self.assertEqual((result.responses[0].status_code, result.responses[0].error_code), (400, "0x80044331"))
        # A batch has the status of what failed in it, and the client takes no other than 400.
        batch = CLIENT.batch.new()
        batch.records.retrieve("new_Project", str(uuid4()))
        with self.assertRaises(HttpError) as raised:
            batch.execute()
        self.assertEqual(raised.exception.status_code, 404)
        (response,) = batch.execute(continue_on_error=True).responses
        self.assertEqual((response.status_code, response.error_code), (404, "0x80040217"))

    def test_tables_are_made_in_a_batch(self):
        batch = CLIENT.batch.new()
        batch.tables.create("new_Batched", {"new_Size": "int"}, display_name="Batched")
        self.assertEqual([r.error_message for r in batch.execute().failed], [])
        batch = CLIENT.batch.new()
        batch.tables.add_columns("new_Batched", {"new_Colour": "string", "new_Weight": "decimal"})
        batch.tables.create_lookup_field("new_batched", "new_ProjectId", "new_project")
        self.assertEqual([r.error_message for r in batch.execute().failed], [])
        batch = CLIENT.batch.new()
        batch.tables.remove_columns("new_Batched", "new_Colour")
        batch.tables.list(filter="SchemaName eq 'new_Batched'", select=["LogicalName"])
        batch.tables.delete("new_Batched")
        result = batch.execute()
        self.assertEqual([r.error_message for r in result.failed], [])
        self.assertIsNone(CLIENT.tables.get("new_Batched"))


class Definitions(unittest.TestCase):
    def test_a_table_lives(self):
        self.assertIsNone(CLIENT.tables.get("new_Thing"))
        info = CLIENT.tables.create(
            "new_Thing", {"new_Size": "int", "new_Colour": Priority}, primary_column="new_Title", display_name="Thing"
        )
        self.assertEqual((info.logical_name, info.entity_set_name), ("new_thing", "new_things"))
        info = CLIENT.tables.get("new_Thing")
        self.assertEqual((info.primary_name_attribute, info.primary_id_attribute), ("new_title", "new_thingid"))
        listed = CLIENT.tables.list(filter="SchemaName eq 'new_Thing'", select=["LogicalName", "SchemaName"])
        self.assertEqual([one["LogicalName"] for one in listed], ["new_thing"])
        with self.assertRaises(MetadataError):
            CLIENT.tables.create("new_Thing", {})
        CLIENT.tables.delete("new_Thing")
        self.assertIsNone(CLIENT.tables.get("new_Thing"))

    def test_columns_live(self):
        CLIENT.tables.create("new_Feedback", {"new_Rating": {"type": "int", "min_value": 1, "max_value": 5}})
        added = CLIENT.tables.add_columns(
            "new_Feedback", {"new_Comment": {"type": "memo", "max_length": 2000, "display_name": "Comment"}}
        )
        self.assertEqual(added, ["new_Comment"])
        CLIENT.tables.update_column("new_Feedback", "new_Comment", {"max_length": 4000})
        CLIENT.tables.update_columns(
            "new_Feedback", {"new_Rating": {"max_value": 10}, "new_Comment": {"display_name": "Customer Comment"}}
        )
        comment = CLIENT.tables.get_column("new_Feedback", "new_Comment", typed=True)
        self.assertEqual(comment["MaxLength"], 4000)
        self.assertEqual(comment["DisplayName"]["UserLocalizedLabel"]["Label"], "Customer Comment")
        typed = {one["LogicalName"]: one for one in CLIENT.tables.list_columns("new_Feedback", typed=True)}
        self.assertEqual((typed["new_rating"]["MinValue"], typed["new_rating"]["MaxValue"]), (1, 10))
        names = [
            one["LogicalName"]
            for one in CLIENT.tables.list_columns("new_Feedback", select=["LogicalName"], filter="AttributeType eq 'Memo'")
        ]
        self.assertEqual(names, ["new_comment"])
        CLIENT.records.create("new_Feedback", {"new_Rating": 10})
        self.assertEqual(CLIENT.tables.remove_columns("new_Feedback", ["new_Comment"]), ["new_Comment"])
        self.assertIsNone(CLIENT.tables.get_column("new_Feedback", "new_Comment"))

    def test_keys_live(self):
        CLIENT.tables.create("new_Keyed", {"new_A": "string", "new_B": "int"})
        key = CLIENT.tables.create_alternate_key("new_Keyed", "new_KeyedKey", ["new_a", "new_b"])
        (listed,) = CLIENT.tables.get_alternate_keys("new_Keyed")
        self.assertEqual((listed.metadata_id, listed.status), (key.metadata_id, "Active"))
        self.assertEqual(listed.key_attributes, ["new_a", "new_b"])
        item = UpsertItem(alternate_key={"new_a": "x", "new_b": 1}, record={"new_Name": "n"})
        CLIENT.records.upsert("new_Keyed", [item])
        CLIENT.records.upsert("new_Keyed", [item])
        self.assertEqual(len(CLIENT.records.list("new_Keyed")), 1)
        CLIENT.tables.delete_alternate_key("new_Keyed", key.metadata_id)
        self.assertEqual(CLIENT.tables.get_alternate_keys("new_Keyed"), [])

    def test_relationships_live(self):
        CLIENT.tables.create("new_One", {})
        CLIENT.tables.create("new_Many", {})
        info = CLIENT.tables.create_lookup_field("new_many", "new_OneId", "new_one", display_name="One")
        self.assertEqual(info.lookup_schema_name, "new_OneId")
        found = CLIENT.tables.get_relationship(info.relationship_schema_name)
        self.assertEqual(found.relationship_id, info.relationship_id)
        listed = CLIENT.tables.list_relationships(filter=f"SchemaName eq '{info.relationship_schema_name}'")
        self.assertEqual(len(listed), 1)
        many = CLIENT.tables.create_many_to_many_relationship(
            ManyToManyRelationshipMetadata(
                schema_name="new_one_many",
                entity1_logical_name="new_one",
                entity2_logical_name="new_many",
                intersect_entity_name="new_one_many",
            )
        )
        self.assertEqual(CLIENT.tables.get_relationship("new_one_many").relationship_id, many.relationship_id)
        names = {one["SchemaName"] for one in CLIENT.tables.list_table_relationships("new_One")}
        self.assertLessEqual({info.relationship_schema_name, "new_one_many"}, names)
        for id in [info.relationship_id, many.relationship_id]:
            CLIENT.tables.delete_relationship(id)
        self.assertIsNone(CLIENT.tables.get_relationship(info.relationship_schema_name))
        self.assertIsNone(CLIENT.tables.get_relationship("new_one_many"))


class Files(unittest.TestCase):
    def test_files_are_uploaded_at_once_and_in_chunks(self):
        id = CLIENT.records.create("new_Project", {"new_Name": "with a file"})
        for mode, size in [("small", 1000), ("chunk", 9_000_001)]:
            with self.subTest(mode), tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, f"{mode}.bin")
                data = os.urandom(size)
                with open(path, "wb") as file:
                    file.write(data)
                # The column is made by the client.
                CLIENT.files.upload("new_Project", id, "new_Document", path, mode=mode, if_none_match=False)
                record = CLIENT.records.retrieve("new_Project", id, select=["new_document", "new_document_name"])
                self.assertEqual(record["new_document_name"], f"{mode}.bin")
                # The client cannot download: its session does.
                with CLIENT._scoped_odata() as odata:
                    answer = odata._request("get", f"{odata.api}/new_projects({id})/new_document/$value")
                self.assertEqual(answer.content, data)


class Async(unittest.TestCase):
    def test_the_same_calls_are_awaited(self):
        async def run():
            options = {"authority": URL, "disable_instance_discovery": True}
            async with AsyncClientSecretCredential(TENANT, CLIENT_ID, SECRET, **options) as asynchronous:
                async with AsyncDataverseClient(URL, asynchronous) as client:
                    ids = await asyncio.gather(
                        *(client.records.create("new_Project", {"new_Name": f"a{n}"}) for n in range(5))
                    )
                    more = await client.records.create("new_Project", [{"new_Name": "b"}] * 5)
                    query = client.query.builder("new_Project").where(col("new_projectid").in_(ids + more))
                    rows = await query.select("new_name").execute()
                    await client.records.update("new_Project", ids[0], {"new_Hours": 4})
                    record = await client.records.retrieve("new_Project", ids[0], select=["new_hours"])
                    batch = client.batch.new()
                    batch.records.delete("new_Project", ids[0])
                    result = await batch.execute()
                    return len(rows), record["new_hours"], result.has_errors

        self.assertEqual(asyncio.run(run()), (10, 4, False))


if __name__ == "__main__":
    unittest.main()
