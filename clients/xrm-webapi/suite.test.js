// xrm-webapi under Node against a fresh service: every call that it has, over TLS with a real token.
//
// The client always opens https and port 443; `clients/loopback` leads its host to the service. The client is not
// changed; what it gets wrong by itself is asserted as it is.

"use strict";

const assert = require("node:assert/strict");
const https = require("node:https");
const { randomUUID } = require("node:crypto");
const { before, describe, test } = require("node:test");
const xrm = require("xrm-webapi/dist/xrm-webapi-node");

const HOST = "https://org.crm.dynamics.com";
const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** A token of the built-in issuer, as an application asks for it. */
const token = () =>
  new Promise((resolve, reject) => {
    const form = new URLSearchParams({
      grant_type: "client_credentials",
      client_id: process.env.SHEAF_CLIENT_ID,
      client_secret: process.env.SHEAF_CLIENT_SECRET,
      scope: `${HOST}/.default`,
    }).toString();
    const headers = { "Content-Type": "application/x-www-form-urlencoded", "Content-Length": form.length };
    const path = `${HOST}/${process.env.SHEAF_TENANT}/oauth2/v2.0/token`;
    const request = https.request(path, { method: "POST", headers }, (answer) => {
      let text = "";
      answer.on("data", (piece) => (text += piece));
      answer.on("end", () => resolve(JSON.parse(text).access_token));
    });
    request.on("error", reject).end(form);
  });

let accessToken;
/** The constructor makes `https:/host` of `https://host`. Node repairs that in addresses, but not in batches. */
const config = () => new xrm.WebApiConfig("9.2", accessToken, HOST);
const repaired = () => Object.assign(config(), { url: `${HOST}/api/data/v9.2` });
const refused = async (call) => {
  try {
    await call;
  } catch (error) {
    return error;
  }
  assert.fail("the call was not refused");
};
const account = async (data) => (await xrm.createWithReturnData(config(), "accounts", data, "$select=name")).accountid;

before(async () => {
  accessToken = await token();
});

describe("records", () => {
  test("a record is created, with and without an answer", async () => {
    assert.equal(await xrm.create(config(), "accounts", { name: "a" }), undefined);
    const record = await xrm.createWithReturnData(config(), "accounts", { name: "b" }, "$select=name,createdon");
    assert.equal(record.name, "b");
    assert.match(record.accountid, GUID);
    assert.match(record.createdon, /Z$/);
  });

  test("a record is read, changed and deleted", async () => {
    const id = await account({ name: "a", telephone1: "1" });
    await xrm.update(config(), "accounts", xrm.parseGuid(`{${id}}`), { name: "b" });
    assert.equal((await xrm.retrieve(config(), "accounts", id, "$select=name")).name, "b");
    const again = await xrm.updateWithReturnData(config(), "accounts", id, { name: "c" }, "$select=name,telephone1");
    assert.deepEqual([again.name, again.telephone1], ["c", "1"]);
    await xrm.updateProperty(config(), "accounts", id, "telephone1", "2");
    assert.equal((await xrm.retrieve(config(), "accounts", id)).telephone1, "2");
    await xrm.deleteProperty(config(), "accounts", id, "telephone1");
    assert.equal((await xrm.retrieve(config(), "accounts", id)).telephone1, null);
    await xrm.deleteRecord(config(), "accounts", id);
    const error = await refused(xrm.retrieve(config(), "accounts", id));
    assert.equal(error.code, "0x80040217");
    assert.match(error.message, /Does Not Exist/);
  });

  test("text beyond ASCII breaks the client", async () => {
    // It counts characters, not bytes, as the length of the body, and the rest of the body is cut off.
    assert.equal((await refused(xrm.create(config(), "accounts", { name: "Größe" }))).code, "0x80048d19");
    // What was cut off would be taken for the next request of the connection.
    https.globalAgent.destroy();
  });

  test("annotations are given as asked for", async () => {
    const id = await account({ name: "a", revenue: 5 });
    const read = (options) => xrm.retrieve(config(), "accounts", id, "$select=revenue,_ownerid_value", options);
    const formatted = "revenue@OData.Community.Display.V1.FormattedValue";
    const table = "_ownerid_value@Microsoft.Dynamics.CRM.lookuplogicalname";
    assert.equal((await read({ maxPageSize: 5 }))[formatted], undefined);
    assert.equal((await read({ includeFormattedValues: true }))[formatted], "$5.00");
    assert.equal((await read({ includeFormattedValues: true }))[table], undefined);
    const all = await read({
      includeFormattedValues: true,
      includeLookupLogicalNames: true,
      includeAssociatedNavigationProperties: true,
    });
    assert.deepEqual([all[formatted], all[table]], ["$5.00", "systemuser"]);
  });
});

describe("queries", () => {
  const mark = randomUUID();
  before(async () => {
    for (let number = 0; number < 7; number++) {
      await xrm.create(config(), "accounts", { name: `n${number}`, accountnumber: mark.slice(0, 20) });
    }
  });
  const query = `$select=name&$filter=accountnumber eq '${mark.slice(0, 20)}'&$orderby=name`;
  const names = (result) => result.value.map((row) => row.name);

  test("pages follow each other, with the slash that the client appends", async () => {
    const first = await xrm.retrieveMultiple(config(), "accounts", encodeURI(query), { maxPageSize: 3 });
    assert.deepEqual(names(first), ["n0", "n1", "n2"]);
    const options = { maxPageSize: 3 };
    const second = await xrm.retrieveMultipleNextPage(config(), first["@odata.nextLink"], options);
    assert.deepEqual(names(second), ["n3", "n4", "n5"]);
    const third = await xrm.retrieveMultipleNextPage(config(), second["@odata.nextLink"], options);
    assert.deepEqual(names(third), ["n6"]);
    assert.equal(third["@odata.nextLink"], undefined);
  });

  test("FetchXML is a query like any other", async () => {
    const xml =
      '<fetch count="2"><entity name="account"><attribute name="name"/><filter>' +
      `<condition attribute="accountnumber" operator="eq" value="${mark.slice(0, 20)}"/></filter>` +
      '<order attribute="name" descending="true"/></entity></fetch>';
    const result = await xrm.retrieveMultiple(config(), "accounts", `fetchXml=${encodeURIComponent(xml)}`);
    assert.deepEqual(names(result), ["n6", "n5"]);
  });
});

describe("links", () => {
  test("a lookup is set and cleared", async () => {
    const contact = await xrm.createWithReturnData(config(), "contacts", { lastname: "c" }, "$select=lastname");
    const id = await account({ name: "a" });
    await xrm.update(config(), "accounts", id, { "primarycontactid@odata.bind": `contacts(${contact.contactid})` });
    const read = async () => (await xrm.retrieve(config(), "accounts", id))._primarycontactid_value;
    assert.equal(await read(), contact.contactid);
    await xrm.disassociate(config(), "accounts", id, "primarycontactid");
    assert.equal(await read(), null);
  });

  test("records are linked and unlinked through a collection", async () => {
    const parent = await account({ name: "parent" });
    const contact = await xrm.createWithReturnData(config(), "contacts", { lastname: "c" }, "$select=lastname");
    const read = async () => (await xrm.retrieve(config(), "contacts", contact.contactid))._parentcustomerid_value;
    await xrm.associate(config(), "accounts", parent, "contact_customer_accounts", "contacts", contact.contactid);
    assert.equal(await read(), parent);
    await xrm.disassociate(config(), "accounts", parent, "contact_customer_accounts", contact.contactid);
    assert.equal(await read(), null);
  });
});

describe("functions and actions", () => {
  test("functions are called", async () => {
    assert.match((await xrm.unboundFunction(config(), "WhoAmI")).UserId, GUID);
    const inputs = [{ name: "EntityNames", alias: "names", value: '["account"]' }];
    const counts = await xrm.unboundFunction(config(), "RetrieveTotalRecordCount", inputs);
    assert.deepEqual(counts.EntityRecordCountCollection.Keys, ["account"]);
  });

  test("an action is called", async () => {
    const QuerySet = [
      {
        EntityName: "account",
        ColumnSet: { AllColumns: false, Columns: [] },
        Criteria: {
          FilterOperator: "And",
          Conditions: [{ AttributeName: "name", Operator: "Equal", Values: [{ Value: "?", Type: "System.String" }] }],
        },
      },
    ];
    const { JobId } = await xrm.unboundAction(config(), "BulkDelete", {
      QuerySet,
      JobName: "nothing",
      SendEmailNotification: false,
      ToRecipients: [],
      CCRecipients: [],
      RecurrencePattern: "",
      StartDateTime: new Date().toISOString(),
    });
    assert.match(JobId, GUID);
  });

  test("a user acts as itself", async () => {
    const { UserId } = await xrm.unboundFunction(config(), "WhoAmI");
    const again = await xrm.unboundFunction(config(), "WhoAmI", undefined, { impersonateUserId: UserId });
    assert.equal(again.UserId, UserId);
  });
});

describe("batches", () => {
  const run = async (config) => {
    const id = randomUUID();
    const changes = [
      { method: "POST", queryString: "accounts", entity: { accountid: id, name: "in a batch" } },
      { method: "PATCH", queryString: `accounts(${id})`, entity: { telephone1: "1" } },
    ];
    return [id, await xrm.batchOperation(config, randomUUID(), randomUUID(), changes, [`accounts(${id})?$select=name`])];
  };

  test("a change set and a query are one request", async () => {
    const [id, text] = await run(repaired());
    assert.equal(text.match(/HTTP\/1\.1 204 No Content/g).length, 2);
    assert.match(text, /HTTP\/1\.1 200 OK[^]*"name":"in a batch"/);
    assert.equal((await xrm.retrieve(config(), "accounts", id)).telephone1, "1");
  });

  test("the address that the client makes by itself is none", async () => {
    await refused(run(config()));
  });
});
