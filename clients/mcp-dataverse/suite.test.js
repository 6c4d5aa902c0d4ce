// mcp-dataverse against a fresh service: its tools as an assistant calls them, over TLS with a token from MSAL.
//
// The server speaks JSON-RPC on its standard streams and accepts https://*.dynamics.com alone; `clients/loopback` leads
// that host, and the issuer that MSAL has fixed, to the service. The client is not changed; it forgets to name one
// package that it needs, so `package.json` does. What it gets wrong by itself is asserted as it is.

"use strict";

const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const { randomUUID } = require("node:crypto");
const { mkdtempSync, rmSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const readline = require("node:readline");
const { after, before, describe, test } = require("node:test");

const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const home = mkdtempSync(join(tmpdir(), "mcp-"));
const pending = new Map();
let server;

const send = (method, params) =>
  new Promise((resolve) => {
    const id = pending.size + 1;
    pending.set(id, resolve);
    server.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`);
  });

/** What a tool answers: an error, or its `data`. */
const answer = async (name, args = {}) => {
  const { result, error } = await send("tools/call", { name: `dataverse_${name}`, arguments: args });
  if (error) return { isError: true, text: error.message };
  const text = result.content[0].text;
  return result.isError ? { isError: true, text } : { text, ...JSON.parse(text) };
};
const tool = async (name, args) => {
  const { isError, text, data } = await answer(name, args);
  assert.ok(!isError, `${name}: ${text}`);
  return data;
};
const refused = async (name, args) => {
  const { isError, text } = await answer(name, args);
  assert.ok(isError, `${name} was not refused: ${text}`);
  return text;
};
const create = async (entitySetName, data) => (await tool("create", { entitySetName, data })).id;
const column = (schemaName, attributeType, more) =>
  tool("create_attribute", {
    entityLogicalName: "new_boat",
    schemaName,
    attributeType,
    displayName: schemaName,
    confirm: true,
    ...more,
  });

before(async () => {
  const script = join(process.env.NODE_PATH, "mcp-dataverse/dist/server.js");
  const env = {
    ...process.env,
    HOME: home,
    DATAVERSE_ENV_URL: "https://org.crm.dynamics.com",
    AUTH_METHOD: "client-credentials",
    AZURE_TENANT_ID: process.env.SHEAF_TENANT,
    AZURE_CLIENT_ID: process.env.SHEAF_CLIENT_ID,
    AZURE_CLIENT_SECRET: process.env.SHEAF_CLIENT_SECRET,
  };
  server = spawn(process.execPath, [script], { env, stdio: ["pipe", "pipe", "ignore"] });
  readline.createInterface({ input: server.stdout }).on("line", (line) => {
    const message = JSON.parse(line);
    pending.get(message.id)?.(message);
  });
  const clientInfo = { name: "suite", version: "1" };
  const { result } = await send("initialize", { protocolVersion: "2024-11-05", capabilities: {}, clientInfo });
  assert.equal(result.serverInfo.version, "0.7.8");
  server.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" })}\n`);
  await tool("create_table", {
    schemaName: "new_Boat",
    displayName: "Boat",
    displayCollectionName: "Boats",
    primaryNameColumnSchemaName: "new_Name",
    primaryNameColumnDisplayName: "Name",
  });
  await column("new_Length", "Integer", { minValue: 0, maxValue: 100, autoPublish: false });
  await column("new_Kind", "Picklist", {
    picklistOptions: [
      { value: 1, label: "Sail" },
      { value: 2, label: "Motor" },
    ],
    autoPublish: false,
  });
});

after(() => {
  server.kill();
  rmSync(home, { recursive: true, force: true });
});

describe("users", () => {
  test("the application knows itself", async () => {
    const who = await tool("whoami");
    assert.match(who.userId, GUID);
    assert.equal(who.organizationId, process.env.SHEAF_TENANT);
  });

  test("users, teams and business units are listed", async () => {
    const { users } = await tool("list_users", { includeApplicationUsers: true });
    assert.ok(users.some((user) => user.domainName === "suite"));
    assert.equal((await tool("list_teams")).count, 1);
    assert.equal((await tool("list_business_units")).count, 1);
  });

  test("roles are listed, and those of a user", async () => {
    const { userId } = await tool("whoami");
    const text = JSON.stringify(await tool("get_user_roles", { userId }));
    assert.match(text, /System Administrator/);
    assert.match(JSON.stringify(await tool("list_roles")), /System Administrator/);
  });

  test("access to a record is told", async () => {
    const { userId } = await tool("whoami");
    const recordId = await create("accounts", { name: "mine" });
    const principal = { principalId: userId, principalType: "systemuser" };
    const access = await tool("check_record_access", { entitySetName: "accounts", recordId, ...principal });
    assert.match(JSON.stringify(access), /ReadAccess/);
  });
});

describe("records", () => {
  test("a record lives", async () => {
    const boat = { entitySetName: "new_boats" };
    const id = await create("new_boats", { new_name: "Größe 😀", new_length: 5, new_kind: 1 });
    assert.match(id, GUID);
    const select = ["new_name", "new_kind"];
    const read = await tool("get", { ...boat, id, select, formattedValues: true });
    assert.equal(read.record.new_name, "Größe 😀");
    assert.equal(read.record.new_kind.label, "Sail");
    await tool("update", { ...boat, id, data: { new_length: 6 }, etag: read.etag });
    assert.match(await refused("update", { ...boat, id, data: { new_length: 7 }, etag: read.etag }), /0x80060882/);
    await tool("delete", { ...boat, id, confirm: true });
    assert.match(await refused("get", { ...boat, id }), /0x80040217/);
  });

  test("a record is upserted by an alternate key", async () => {
    const users = { entitySetName: "systemusers" };
    const filter = { ...users, select: ["systemuserid", "domainname"], filter: "domainname eq 'suite'" };
    assert.equal((await tool("query", filter)).value.length, 1);
    // No standard table has a key, and no tool makes one: what the service says is passed on.
    const upsert = { entitySetName: "new_boats", alternateKey: "new_name", alternateKeyValue: "O'K 1" };
    assert.match(await refused("upsert", { ...upsert, data: { new_length: 1 } }), /0x80060888/);
  });

  test("a record is assigned", async () => {
    const { userId: ownerId } = await tool("whoami");
    const id = await create("new_boats", { new_name: "a" });
    await tool("assign", { entitySetName: "new_boats", id, ownerType: "systemuser", ownerId });
    const { record } = await tool("get", { entitySetName: "new_boats", id, select: ["_ownerid_value"] });
    assert.equal(record._ownerid_value, ownerId);
  });

  test("records are linked, listed and unlinked", async () => {
    const id = await create("accounts", { name: "parent" });
    const relatedId = await create("contacts", { lastname: "child" });
    const one = { entitySetName: "accounts", id };
    const link = { ...one, relationshipName: "contact_customer_accounts", relatedEntitySetName: "contacts" };
    const listed = async () =>
      JSON.stringify(await tool("query_associations", { ...one, navigationProperty: link.relationshipName }));
    await tool("associate", { ...link, relatedId });
    assert.ok((await listed()).includes(relatedId));
    await tool("disassociate", { ...link, relatedId, confirm: true });
    assert.ok(!(await listed()).includes(relatedId));
  });
});

describe("queries", () => {
  const mark = randomUUID();
  before(async () => {
    for (let number = 0; number < 7; number++) {
      await create("contacts", { lastname: `n${number}`, description: mark, donotemail: number % 2 === 1 });
    }
  });
  const contacts = { entitySetName: "contacts" };
  const filter = `description eq '${mark}'`;
  const names = (rows) => rows.map((row) => row.lastname);

  test("OData", async () => {
    const orderby = "lastname desc";
    const result = await tool("query", { ...contacts, select: ["lastname"], filter, orderby, top: 2, count: true });
    assert.deepEqual(names(result.value), ["n6", "n5"]);
    assert.equal(result["@odata.count"], 7);
    const apply = `filter(${filter})/groupby((donotemail),aggregate($count as n))`;
    const grouped = await tool("query", { ...contacts, apply });
    assert.deepEqual(grouped.value.map((row) => row.n).sort(), [3, 4]);
  });

  test("pages", async () => {
    const { records } = await tool("retrieve_multiple_with_paging", { ...contacts, select: ["lastname"], filter });
    assert.equal(records.length, 7);
  });

  test("FetchXML", async () => {
    const fetchXml = (count) =>
      `<fetch count="${count}">` +
      '<entity name="contact"><attribute name="lastname"/><filter>' +
      `<condition attribute="description" operator="eq" value="${mark}"/></filter>` +
      '<order attribute="lastname"/></entity></fetch>';
    const fetch = (count) => tool("execute_fetchxml", { ...contacts, fetchXml: fetchXml(count), fetchAll: true });
    assert.deepEqual(names(await fetch(10)), ["n0", "n1", "n2", "n3", "n4", "n5", "n6"]);
    // The client does not ask for the cookie that it wants to find the next page with.
    assert.deepEqual(names(await fetch(3)), ["n0", "n1", "n2"]);
  });

  test("changes", async () => {
    const boats = { entitySetName: "new_boats", select: ["new_name"] };
    const first = await tool("change_detection", { ...boats, deltaToken: null });
    const token = first.nextDeltaToken ?? first.deltaToken;
    assert.ok(token, JSON.stringify(first));
    const id = await create("new_boats", { new_name: "changed" });
    const next = JSON.stringify(await tool("change_detection", { ...boats, deltaToken: token }));
    assert.ok(next.includes(id), next);
  });
});

describe("messages", () => {
  test("functions and actions", async () => {
    const version = await tool("execute_function", { functionName: "RetrieveVersion", parameters: {} });
    assert.match(version.Version, /^9\.2\./);
    await tool("publish_customizations");
    await tool("publish_customizations", { components: { entities: ["new_boat"] } });
  });

  test("batches", async () => {
    const requests = [
      { method: "POST", url: "accounts", body: { name: "batched" } },
      { method: "GET", url: "accounts?$select=name&$filter=name eq 'batched'" },
    ];
    const { results } = await tool("batch_execute", { requests, useChangeset: false });
    assert.equal(results[1].value[0].name, "batched");
    // The client does not look into a change set of the answer: it takes it for a failure, but the rows are there.
    const body = { name: "in a change set" };
    const inSet = { requests: [1, 2].map(() => ({ method: "POST", url: "accounts", body })), useChangeset: true };
    assert.match(await answer("batch_execute", inSet).then((one) => one.text), /0\/1 operations succeeded/);
    const filter = "name eq 'in a change set'";
    assert.equal((await tool("query", { entitySetName: "accounts", select: ["name"], filter })).value.length, 2);
  });
});

describe("definitions", () => {
  test("tables are listed and read", async () => {
    assert.deepEqual((await tool("list_tables")).map((table) => table.LogicalName), ["new_boat"]);
    const table = await tool("get_table_metadata", { logicalName: "new_boat", includeAttributes: true });
    assert.equal(table.EntitySetName, "new_boats");
    const resolved = JSON.stringify(await tool("resolve_entity_name", { name: "new_boats" }));
    assert.match(resolved, /"new_boat"/);
    assert.equal((await tool("get_entity_key", { tableName: "account" })).count, 0);
    const choices = { entityLogicalName: "new_boat", attributeLogicalName: "new_kind" };
    assert.deepEqual(
      (await tool("get_attribute_option_set", choices)).options.map((option) => option.label),
      ["Sail", "Motor"],
    );
    await tool("list_global_option_sets");
  });

  test("columns are made, changed and deleted", async () => {
    await column("new_Colour", "String", { maxLength: 50 });
    const colour = { entityLogicalName: "new_boat", attributeLogicalName: "new_colour", confirm: true };
    await tool("update_attribute", { ...colour, displayName: "Paint", maxLength: 60 });
    await create("new_boats", { new_colour: "x".repeat(60) });
    await tool("delete_attribute", colour);
    assert.match(await refused("create", { entitySetName: "new_boats", data: { new_colour: "x" } }), /new_colour/);
  });

  test("relationships are made and listed", async () => {
    await tool("create_lookup_attribute", {
      entityLogicalName: "new_boat",
      schemaName: "new_AccountId",
      displayName: "Account",
      referencedEntity: "account",
      confirm: true,
    });
    await tool("create_relationship", {
      type: "OneToMany",
      schemaName: "new_contact_boat",
      referencedEntity: "contact",
      referencingEntity: "new_boat",
      referencingAttributeSchemaName: "new_SkipperId",
      referencingAttributeDisplayName: "Skipper",
    });
    await tool("create_relationship", {
      type: "ManyToMany",
      schemaName: "new_boat_crew",
      entity1LogicalName: "new_boat",
      entity2LogicalName: "contact",
      intersectEntitySchemaName: "new_boat_crew",
    });
    const text = JSON.stringify(await tool("get_relationships", { logicalName: "new_boat" }));
    for (const name of ["new_contact_boat", "new_boat_crew"]) assert.ok(text.includes(name), name);
  });

  test("the client's way of changing a table fails everywhere", async () => {
    // It sends PATCH, which definitions do not have.
    const change = { entityLogicalName: "new_boat", changeTrackingEnabled: true, confirm: true, autoPublish: false };
    assert.match(await refused("update_entity", change), /not supported/);
  });
});

describe("files", () => {
  test("the client cannot make file columns", async () => {
    const file = { entityLogicalName: "new_boat", schemaName: "new_Photo", attributeType: "File", displayName: "Photo" };
    assert.match(await refused("create_attribute", { ...file, confirm: true }), /Invalid enum value/);
  });
});
