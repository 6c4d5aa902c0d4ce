// dynamics-web-api against a fresh service: what its documentation shows, over plain http in loopback mode.
//
// The address comes in `SHEAF_URL`. The client is not changed; what it gets wrong by itself is asserted as it is.

"use strict";

const assert = require("node:assert/strict");
const { randomUUID } = require("node:crypto");
const { before, beforeEach, describe, test } = require("node:test");
const { DynamicsWebApi } = require("dynamics-web-api");

const SERVER = process.env.SHEAF_URL;
const API = `${SERVER}/api/data/v9.2/`;
const GUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

const connect = (more) =>
  new DynamicsWebApi({
    serverUrl: SERVER,
    dataApi: { version: "9.2" },
    onTokenRefresh: async () => ({ accessToken: "anything" }),
    ...more,
  });
const api = connect();

const label = (text) => ({
  "@odata.type": "Microsoft.Dynamics.CRM.Label",
  LocalizedLabels: [
    { "@odata.type": "Microsoft.Dynamics.CRM.LocalizedLabel", Label: text, LanguageCode: 1033 },
  ],
});
const column = (type, SchemaName, more) => ({
  "@odata.type": `Microsoft.Dynamics.CRM.${type}AttributeMetadata`,
  SchemaName,
  DisplayName: label(SchemaName),
  Description: label(SchemaName),
  RequiredLevel: { Value: "None" },
  ...more,
});
const table = (SchemaName, more) => ({
  "@odata.type": "Microsoft.Dynamics.CRM.EntityMetadata",
  SchemaName,
  DisplayName: label(SchemaName),
  DisplayCollectionName: label(`${SchemaName}s`),
  Description: label(SchemaName),
  OwnershipType: "UserOwned",
  HasActivities: false,
  HasNotes: false,
  IsActivity: false,
  Attributes: [column("String", "new_Name", { IsPrimaryName: true, MaxLength: 100, FormatName: { Value: "Text" } })],
  ...more,
});
const options = (...labels) => ({
  "@odata.type": "Microsoft.Dynamics.CRM.OptionSetMetadata",
  OptionSetType: "Picklist",
  IsGlobal: false,
  Options: labels.map((text, index) => ({ Value: 1000 + index, Label: label(text) })),
});
const oneToMany = (SchemaName, one, many, lookup, Delete = "RemoveLink") => ({
  "@odata.type": "Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata",
  SchemaName,
  ReferencedEntity: one,
  ReferencingEntity: many,
  CascadeConfiguration: {
    Assign: "NoCascade",
    Delete,
    Merge: "NoCascade",
    Reparent: "NoCascade",
    Share: "NoCascade",
    Unshare: "NoCascade",
  },
  Lookup: column("Lookup", lookup),
});

/** The key of a table's definition, as the client takes it. */
const named = (name) => `LogicalName='${name}'`;
/** What a rejected call is rejected with. */
const refused = async (call) => {
  try {
    await call;
  } catch (error) {
    return error;
  }
  assert.fail("the call was not refused");
};

before(async () => {
  await api.createEntity({ data: table("new_Crate") });
  await api.createEntity({ data: table("new_Bottle") });
  const crate = { entityKey: named("new_crate") };
  await api.createAttribute({ ...crate, data: column("String", "new_Code", { MaxLength: 100 }) });
  await api.createAttribute({ ...crate, data: column("Integer", "new_Count", { MinValue: 0, MaxValue: 1000 }) });
  await api.createAttribute({ ...crate, data: column("Money", "new_Price", { Precision: 2 }) });
  await api.createAttribute({ ...crate, data: column("DateTime", "new_Filled", { Format: "DateAndTime" }) });
  await api.createAttribute({
    ...crate,
    data: column("Picklist", "new_Size", { OptionSet: options("Small", "Large") }),
  });
  await api.createRelationship({ data: oneToMany("new_crate_bottle", "new_crate", "new_bottle", "new_CrateId") });
  await api.create({
    collection: "EntityDefinitions",
    key: named("new_crate"),
    navigationProperty: "Keys",
    data: { SchemaName: "new_CrateKey", DisplayName: label("Code"), KeyAttributes: ["new_code"] },
  });
});

describe("records", () => {
  test("a create answers the id", async () => {
    const id = await api.create({ collection: "new_crates", data: { new_name: "a" } });
    assert.match(id, GUID);
    const record = await api.retrieve({ collection: "new_crates", key: id, select: ["new_name"] });
    assert.equal(record.new_name, "a");
    assert.equal(record.new_crateid, id);
  });

  test("a create answers the record", async () => {
    const record = await api.create({
      collection: "new_crates",
      data: { new_name: "Größe 😀 ✓", new_filled: new Date(Date.UTC(2026, 0, 2, 3, 4, 5)), new_size: 1001 },
      select: ["new_name", "new_filled", "new_size"],
      returnRepresentation: true,
      includeAnnotations: "*",
    });
    assert.equal(record.new_name, "Größe 😀 ✓");
    assert.deepEqual(record.new_filled, new Date(Date.UTC(2026, 0, 2, 3, 4, 5)));
    assert.equal(record.new_size_Formatted, "Large");
    assert.match(record["@odata.etag"], /^W\/"\d+"$/);
  });

  test("a record that was read can be written back", async () => {
    const first = await api.create({
      collection: "new_crates",
      data: { new_name: "a", new_price: 12.5 },
      returnRepresentation: true,
      includeAnnotations: "*",
    });
    assert.equal(first.new_price_Formatted, "$12.50");
    const again = await api.update({
      collection: "new_crates",
      key: first.new_crateid,
      data: { ...first, new_name: "b" },
      returnRepresentation: true,
    });
    assert.equal(again.new_name, "b");
    assert.equal(again.new_price, 12.5);
  });

  test("an update answers true, or the record, and creates nothing", async () => {
    const key = await api.create({ collection: "new_crates", data: { new_name: "a" } });
    assert.equal(await api.update({ collection: "new_crates", key, data: { new_name: "b" } }), true);
    const record = await api.update({
      collection: "new_crates",
      key: `{${key.toUpperCase()}}`,
      data: { new_count: 5 },
      select: ["new_name", "new_count"],
      returnRepresentation: true,
    });
    assert.deepEqual([record.new_name, record.new_count], ["b", 5]);
    const error = await refused(api.update({ collection: "new_crates", key: randomUUID(), data: { new_name: "c" } }));
    assert.deepEqual([error.status, error.code], [404, "0x80040217"]);
    assert.match(error.message, /Does Not Exist/);
  });

  test("an update of an old version answers false", async () => {
    const { new_crateid: key, "@odata.etag": old } = await api.create({
      collection: "new_crates",
      data: { new_name: "a" },
      returnRepresentation: true,
    });
    const update = (ifmatch, new_name) => api.update({ collection: "new_crates", key, data: { new_name }, ifmatch });
    assert.equal(await update(old, "b"), true);
    assert.equal(await update(old, "c"), false);
    assert.equal(await api.deleteRecord({ collection: "new_crates", key, ifmatch: old }), false);
    const unchanged = await refused(
      connect({ propagateErrors: true }).update({ collection: "new_crates", key, data: {}, ifmatch: old }),
    );
    assert.equal(unchanged.status, 412);
  });

  test("a record that has not changed is not read again", async () => {
    const { new_crateid: key, "@odata.etag": ifnonematch } = await api.create({
      collection: "new_crates",
      data: { new_name: "a" },
      returnRepresentation: true,
    });
    assert.equal(await api.retrieve({ collection: "new_crates", key, ifnonematch }), undefined);
  });

  test("an upsert creates, changes, and does only one of them when told so", async () => {
    const key = `new_code='${randomUUID()}'`;
    const upsert = (more) => api.upsert({ collection: "new_crates", key, data: { new_name: "a" }, ...more });
    assert.equal(await upsert({ ifmatch: "*" }), null);
    // The answer repeats the alternate key, and the client finds no id in it.
    assert.equal(await upsert({ ifnonematch: "*" }), undefined);
    assert.equal(await upsert({ ifnonematch: "*" }), null);
    assert.equal(await upsert(), undefined);
    const record = await upsert({ data: { new_count: 7 }, returnRepresentation: true });
    assert.deepEqual([record.new_name, record.new_count], ["a", 7]);
    const id = randomUUID();
    assert.equal(await upsert({ key: id }), id);
  });

  test("keys may have quotes and letters of any script", async () => {
    const record = await api.upsert({
      collection: "new_crates",
      key: "new_code='O''Hara ü'",
      data: { new_name: "a" },
      returnRepresentation: true,
    });
    assert.equal(record.new_code, "O'Hara ü");
    const read = await api.retrieve({ collection: "new_crates", key: "new_code='O''Hara ü'", select: ["new_name"] });
    assert.equal(read.new_crateid, record.new_crateid);
  });

  test("a single value is written, read and deleted", async () => {
    const key = await api.create({ collection: "new_crates", data: { new_name: "a" } });
    const crate = { collection: "new_crates", key };
    await api.updateSingleProperty({ ...crate, fieldValuePair: { new_count: 9 } });
    const value = await api.retrieve({ ...crate, select: ["/new_count"] });
    assert.equal(value.value, 9);
    assert.equal(await api.deleteRecord({ ...crate, property: "new_count" }), true);
    assert.equal((await api.retrieve({ ...crate, select: ["new_count"] })).new_count, null);
  });

  test("a record is deleted once", async () => {
    const key = await api.create({ collection: "new_crates", data: { new_name: "a" } });
    assert.equal(await api.deleteRecord({ collection: "new_crates", key }), true);
    assert.equal((await refused(api.deleteRecord({ collection: "new_crates", key }))).status, 404);
  });

  test("related records are created with a record", async () => {
    const crate = await api.create({
      collection: "new_crates",
      data: { new_name: "full", new_crate_bottle: [{ new_name: "one" }, { new_name: "two" }] },
    });
    const bottles = await api.retrieveMultiple({
      collection: "new_bottles",
      filter: `_new_crateid_value eq ${crate}`,
      orderBy: ["new_name"],
    });
    assert.deepEqual(
      bottles.value.map((bottle) => bottle.new_name),
      ["one", "two"],
    );
    const bottle = await api.create({
      collection: "new_bottles",
      data: { new_name: "b", new_CrateId: { new_name: "its own" } },
      expand: [{ property: "new_CrateId", select: ["new_name"] }],
      returnRepresentation: true,
    });
    assert.equal(bottle.new_CrateId.new_name, "its own");
  });

  test("tables are known by their names, too", async () => {
    const byName = connect({ useEntityNames: true });
    const crate = await byName.create({ collection: "new_crate", data: { new_name: "by name" } });
    const data = { new_name: "b", "new_CrateId@odata.bind": `new_crate(${crate})` };
    const bottle = await byName.create({ collection: "new_bottle", data });
    const record = await byName.retrieve({ collection: "new_bottle", key: bottle });
    assert.equal(record._new_crateid_value, crate);
    assert.equal(byName.Utility.getCollectionName("new_crate"), "new_crates");
  });

  test("an error tells code, status and message of the service", async () => {
    const error = await refused(api.create({ collection: "new_crates", data: { new_nothing: 1 } }));
    assert.deepEqual([error.status, error.code], [400, "0x80048d19"]);
    assert.match(error.message, /new_nothing/);
    const absent = await refused(api.retrieveMultiple({ collection: "new_nothings" }));
    assert.deepEqual([absent.status, absent.code], [404, "0x80060888"]);
  });
});

describe("links", () => {
  let crate, bottle;
  beforeEach(async () => {
    crate = await api.create({ collection: "new_crates", data: { new_name: "crate" } });
    bottle = await api.create({ collection: "new_bottles", data: { new_name: "bottle" } });
  });
  const lookup = () => api.retrieve({ collection: "new_bottles", key: bottle, select: ["_new_crateid_value"] });

  test("a lookup is bound by any address of the record", async () => {
    for (const bind of [`new_crates(${crate})`, `/new_crates(${crate})`, `${API}new_crates(${crate})`]) {
      await api.update({ collection: "new_bottles", key: bottle, data: { "new_CrateId@odata.bind": bind } });
      assert.equal((await lookup())._new_crateid_value, crate);
      await api.update({ collection: "new_bottles", key: bottle, data: { "new_CrateId@odata.bind": null } });
      assert.equal((await lookup())._new_crateid_value, null);
    }
  });

  test("a lookup is set, read and cleared as a link", async () => {
    const one = { collection: "new_bottles", primaryKey: bottle, navigationProperty: "new_CrateId" };
    await api.associateSingleValued({ ...one, relatedCollection: "new_crates", relatedKey: crate });
    const ref = await api.retrieve({ collection: "new_bottles", key: bottle, select: ["new_CrateId/$ref"] });
    assert.deepEqual([ref.id, ref.collection], [crate, "new_crates"]);
    await api.disassociateSingleValued(one);
    assert.equal((await lookup())._new_crateid_value, null);
  });

  test("records are linked and unlinked through a collection", async () => {
    const many = { collection: "new_crates", primaryKey: crate, relationshipName: "new_crate_bottle" };
    await api.associate({ ...many, relatedCollection: "new_bottles", relatedKey: bottle });
    assert.equal((await lookup())._new_crateid_value, crate);
    await api.disassociate({ ...many, relatedKey: bottle });
    assert.equal((await lookup())._new_crateid_value, null);
  });

  test("records are linked many to many", async () => {
    await api.createRelationship({
      data: {
        "@odata.type": "Microsoft.Dynamics.CRM.ManyToManyRelationshipMetadata",
        SchemaName: "new_crate_bottle_tasted",
        Entity1LogicalName: "new_crate",
        Entity2LogicalName: "new_bottle",
        IntersectEntityName: "new_crate_bottle_tasted",
        Entity1AssociatedMenuConfiguration: { Behavior: "UseCollectionName", Group: "Details", Order: 10000 },
        Entity2AssociatedMenuConfiguration: { Behavior: "UseCollectionName", Group: "Details", Order: 10000 },
      },
    });
    const many = { collection: "new_crates", primaryKey: crate, relationshipName: "new_crate_bottle_tasted" };
    await api.associate({ ...many, relatedCollection: "new_bottles", relatedKey: bottle });
    const tasted = () =>
      api.retrieve({
        collection: "new_crates",
        key: crate,
        select: ["new_name"],
        expand: [{ property: "new_crate_bottle_tasted", select: ["new_name"] }],
      });
    assert.equal((await tasted()).new_crate_bottle_tasted[0].new_name, "bottle");
    await api.disassociate({ ...many, relatedKey: bottle });
    assert.deepEqual((await tasted()).new_crate_bottle_tasted, []);
  });

  test("what a lookup points to is read with its record", async () => {
    await api.update({
      collection: "new_bottles",
      key: bottle,
      data: { "new_CrateId@odata.bind": `/new_crates(${crate})` },
    });
    const record = await api.retrieve({
      collection: "new_bottles",
      key: bottle,
      select: ["new_name", "_new_crateid_value"],
      expand: [{ property: "new_CrateId", select: ["new_name"] }],
      includeAnnotations: "*",
    });
    assert.equal(record.new_CrateId.new_name, "crate");
    assert.equal(record._new_crateid_value_Formatted, "crate");
    assert.equal(record._new_crateid_value_LogicalName, "new_crate");
    assert.equal(record._new_crateid_value_NavigationProperty, "new_CrateId");
    const there = await api.retrieve({ collection: "new_bottles", key: bottle, navigationProperty: "new_CrateId" });
    assert.equal(there.new_crateid, crate);
  });

  test("records behind a collection are read with their record", async () => {
    await api.associate({
      collection: "new_crates",
      primaryKey: crate,
      relationshipName: "new_crate_bottle",
      relatedCollection: "new_bottles",
      relatedKey: bottle,
    });
    const property = "new_crate_bottle";
    const record = await api.retrieve({
      collection: "new_crates",
      key: crate,
      expand: [{ property, select: ["new_name"], filter: "startswith(new_name,'b')", orderBy: ["new_name"], top: 5 }],
    });
    assert.deepEqual(
      record.new_crate_bottle.map((row) => row.new_name),
      ["bottle"],
    );
    const there = await api.retrieve({ collection: "new_crates", key: crate, navigationProperty: property });
    assert.equal(there.value[0].new_bottleid, bottle);
  });
});

describe("queries", () => {
  const code = (number) => `q${String(number).padStart(3, "0")}`;
  const mine = "startswith(new_code,'q')";
  before(async () => {
    const Targets = Array.from({ length: 25 }, (_, number) => ({
      "@odata.type": "Microsoft.Dynamics.CRM.new_crate",
      new_code: code(number),
      new_count: number % 5,
      new_size: 1000 + (number % 2),
    }));
    await api.callAction({
      collection: "new_crates",
      actionName: "Microsoft.Dynamics.CRM.CreateMultiple",
      action: { Targets },
    });
  });

  test("a query selects, filters, orders, limits and counts", async () => {
    const result = await api.retrieveMultiple({
      collection: "new_crates",
      select: ["new_code", "new_size"],
      filter: `${mine} and new_count eq 4 and not contains(new_code,'999')`,
      orderBy: ["new_code desc"],
      includeAnnotations: "OData.Community.Display.V1.FormattedValue",
      count: true,
    });
    assert.deepEqual(
      result.value.map((row) => row.new_code),
      [24, 19, 14, 9, 4].map(code),
    );
    assert.equal(result.oDataCount, 5);
    assert.equal(result.value[0].new_size_Formatted, "Small");
    const top = await api.retrieveMultiple({ collection: "new_crates", filter: mine, top: 3 });
    assert.equal(top.value.length, 3);
  });

  test("pages follow each other", async () => {
    const request = { collection: "new_crates", select: ["new_code"], filter: mine, orderBy: ["new_code"] };
    const first = await api.retrieveMultiple({ ...request, maxPageSize: 10 });
    assert.equal(first.value.length, 10);
    assert.ok(first.oDataNextLink.startsWith(API));
    const second = await api.retrieveMultiple({ ...request, maxPageSize: 10 }, first.oDataNextLink);
    assert.equal(second.value[0].new_code, code(10));
    const all = await api.retrieveAll({ ...request, maxPageSize: 7 });
    assert.deepEqual(
      all.value.map((row) => row.new_code),
      Array.from({ length: 25 }, (_, number) => code(number)),
    );
    assert.equal(await api.countAll({ ...request, maxPageSize: 20 }), 25);
  });

  test("rows are counted with and without a filter", async () => {
    assert.equal(await api.count({ collection: "new_crates", filter: mine }), 25);
    const count = await api.count({ collection: "new_crates" });
    assert.equal(typeof count, "number");
    assert.ok(count >= 25);
  });

  test("rows are grouped", async () => {
    const result = await api.retrieveMultiple({
      collection: "new_crates",
      apply: `filter(${mine})/groupby((new_size),aggregate($count as rows,new_count with sum as bottles))`,
    });
    const bySize = Object.fromEntries(result.value.map((row) => [row.new_size, [row.rows, row.bottles]]));
    assert.deepEqual(bySize, { 1000: [13, 26], 1001: [12, 24] });
  });

  test("a long query travels as a batch", async () => {
    const any = Array.from({ length: 120 }, (_, number) => `new_code eq '${code(number)}'`).join(" or ");
    assert.ok(any.length > 2000);
    const result = await api.retrieveMultiple({ collection: "new_crates", select: ["new_code"], filter: any });
    assert.equal(result.value.length, 25);
    const error = await refused(
      api.retrieveMultiple({ collection: "new_crates", filter: any.replaceAll("new_code", "new_nothing") }),
    );
    // The client hands over the list of the batch's answers, and the error of the part in it.
    assert.equal((Array.isArray(error) ? error[0] : error).status, 400);
  });

  const fetch = (attributes, inner = "") =>
    `<fetch ${attributes}><entity name="new_crate"><attribute name="new_code"/>${inner}` +
    `<filter><condition attribute="new_code" operator="like" value="q%"/></filter>` +
    `<order attribute="new_code"/></entity></fetch>`;

  test("FetchXML pages follow each other", async () => {
    const fetchXml = fetch('count="10"');
    const first = await api.fetch({ collection: "new_crates", fetchXml, includeAnnotations: "*" });
    assert.equal(first.value.length, 10);
    assert.equal(first.PagingInfo.nextPage, 2);
    const second = await api.fetch({
      collection: "new_crates",
      fetchXml,
      includeAnnotations: "*",
      pageNumber: first.PagingInfo.nextPage,
      pagingCookie: first.PagingInfo.cookie,
    });
    assert.equal(second.value[0].new_code, code(10));
    const all = await api.fetchAll({ collection: "new_crates", fetchXml, includeAnnotations: "*" });
    assert.deepEqual(
      all.value.map((row) => row.new_code),
      Array.from({ length: 25 }, (_, number) => code(number)),
    );
    const top = await api.fetch({ collection: "new_crates", fetchXml: fetch('top="3"') });
    assert.equal(top.value.length, 3);
  });

  test("FetchXML follows links and groups", async () => {
    const crates = await api.retrieveMultiple({ collection: "new_crates", filter: `new_code eq '${code(3)}'` });
    const bind = `/new_crates(${crates.value[0].new_crateid})`;
    await api.create({ collection: "new_bottles", data: { new_name: "linked", "new_CrateId@odata.bind": bind } });
    const link =
      '<link-entity name="new_bottle" from="new_crateid" to="new_crateid" alias="b">' +
      '<attribute name="new_name"/></link-entity>';
    const linked = await api.fetch({ collection: "new_crates", fetchXml: fetch("", link) });
    assert.deepEqual(
      linked.value.map((row) => [row.new_code, row["b.new_name"]]),
      [[code(3), "linked"]],
    );
    const grouped = await api.fetch({
      collection: "new_crates",
      fetchXml:
        '<fetch aggregate="true"><entity name="new_crate">' +
        '<attribute name="new_size" groupby="true" alias="size"/>' +
        '<attribute name="new_crateid" aggregate="count" alias="rows"/>' +
        '<filter><condition attribute="new_code" operator="like" value="q%"/></filter></entity></fetch>',
    });
    assert.deepEqual(
      grouped.value.map((row) => [row.size, row.rows]).sort(),
      [
        [1000, 13],
        [1001, 12],
      ],
    );
  });
});

describe("batches", () => {
  test("writes are one change set, and refer to each other", async () => {
    api.startBatch();
    api.create({ collection: "new_crates", data: { new_name: "in a batch" }, contentId: "1" });
    api.create({ collection: "new_bottles", data: { new_name: "of it", "new_CrateId@odata.bind": "$1" } });
    const [crate, bottle] = await api.executeBatch();
    assert.match(crate, GUID);
    const record = await api.retrieve({ collection: "new_bottles", key: bottle });
    assert.equal(record._new_crateid_value, crate);
  });

  test("a change set that fails leaves nothing behind", async () => {
    const id = randomUUID();
    api.startBatch();
    api.create({ collection: "new_crates", data: { new_crateid: id } });
    api.create({ collection: "new_crates", data: { new_nothing: 1 } });
    const errors = await refused(api.executeBatch());
    assert.deepEqual([errors.length, errors[0].status, errors[0].error.code], [1, 400, "0x80048d19"]);
    assert.equal((await refused(api.retrieve({ collection: "new_crates", key: id }))).status, 404);
  });

  test("reads and writes are mixed", async () => {
    const key = await api.create({ collection: "new_crates", data: { new_name: "before", new_count: 1 } });
    const crate = { collection: "new_crates", key };
    api.startBatch();
    api.retrieve({ ...crate, select: ["new_name"] });
    api.update({ ...crate, data: { new_name: "after" } });
    api.updateSingleProperty({ ...crate, fieldValuePair: { new_count: 2 } });
    api.retrieve({ ...crate, select: ["new_name", "new_count"] });
    api.count({ collection: "new_crates" });
    api.callFunction("WhoAmI");
    api.deleteRecord(crate);
    const [first, updated, , second, count, who, deleted] = await api.executeBatch();
    assert.equal(first.new_name, "before");
    assert.equal(updated, true);
    assert.deepEqual([second.new_name, second.new_count], ["after", 2]);
    assert.ok(count > 0);
    assert.match(who.UserId, GUID);
    // Behind a change set of two the client takes an answer for that of another request: `true` gets lost.
    assert.equal(deleted, undefined);
    assert.equal((await refused(api.retrieve(crate))).status, 404);
  });

  test("without change sets the rest runs after an error when told so", async () => {
    api.startBatch();
    api.retrieve({ collection: "new_crates", key: randomUUID() });
    api.create({ collection: "new_crates", data: { new_name: "a" } });
    const [error, id] = await api.executeBatch({ continueOnError: true, inChangeSet: false });
    assert.equal(error.status, 404);
    assert.match(id, GUID);
  });

  test("links are made in a change set", async () => {
    api.startBatch();
    api.create({ collection: "new_crates", data: { new_name: "c" }, contentId: "1" });
    api.create({ collection: "new_bottles", data: { new_name: "b" }, contentId: "2" });
    api.associateSingleValued({
      collection: "$2",
      navigationProperty: "new_CrateId",
      relatedKey: "$1",
    });
    const [crate, bottle] = await api.executeBatch();
    const record = await api.retrieve({ collection: "new_bottles", key: bottle });
    assert.equal(record._new_crateid_value, crate);
  });
});

describe("messages and functions", () => {
  test("bulk messages create, change and upsert", async () => {
    const type = { "@odata.type": "Microsoft.Dynamics.CRM.new_crate" };
    const call = (name, Targets) =>
      api.callAction({ collection: "new_crates", actionName: `Microsoft.Dynamics.CRM.${name}`, action: { Targets } });
    const codes = Array.from({ length: 50 }, () => randomUUID());
    const { Ids } = await call(
      "CreateMultiple",
      codes.map((new_code) => ({ ...type, new_code })),
    );
    assert.equal(Ids.length, 50);
    const changed = Ids.map((new_crateid) => ({ ...type, new_crateid, new_count: 3 }));
    assert.equal(await call("UpdateMultiple", changed), undefined);
    const upserted = codes.map((new_code) => ({ ...type, "@odata.id": `new_crates(new_code='${new_code}')`, new_count: 4 }));
    assert.equal(await call("UpsertMultiple", upserted), undefined);
    const record = await api.retrieve({ collection: "new_crates", key: Ids[49], select: ["new_count"] });
    assert.equal(record.new_count, 4);
  });

  test("functions are called with and without brackets and parameters", async () => {
    const who = await api.callFunction("WhoAmI");
    assert.match(who.UserId, GUID);
    assert.equal((await api.callFunction({ name: "WhoAmI" })).UserId, who.UserId);
    assert.match((await api.callFunction("RetrieveVersion")).Version, /^9\.2\./);
    const counts = await api.callFunction({
      name: "RetrieveTotalRecordCount",
      parameters: { EntityNames: ["new_crate"] },
    });
    assert.deepEqual(counts.EntityRecordCountCollection.Keys, ["new_crate"]);
  });

  test("rows are deleted by a job", async () => {
    const new_code = `bulk ${randomUUID()}`;
    const key = await api.create({ collection: "new_crates", data: { new_code } });
    const { JobId } = await api.callAction({
      actionName: "BulkDelete",
      action: {
        QuerySet: [
          {
            EntityName: "new_crate",
            ColumnSet: { AllColumns: false, Columns: [] },
            Criteria: {
              FilterOperator: "And",
              Conditions: [
                { AttributeName: "new_code", Operator: "Equal", Values: [{ Value: new_code, Type: "System.String" }] },
              ],
              Filters: [],
            },
          },
        ],
        JobName: "crates",
        SendEmailNotification: false,
        ToRecipients: [],
        CCRecipients: [],
        RecurrencePattern: "",
        StartDateTime: new Date(),
      },
    });
    const job = { collection: "asyncoperations", key: JobId, select: ["statecode", "statuscode"] };
    let state;
    for (let tries = 0; tries < 200 && state?.statecode !== 3; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      state = await api.retrieve(job);
    }
    assert.deepEqual([state.statecode, state.statuscode], [3, 30]);
    assert.equal((await refused(api.retrieve({ collection: "new_crates", key }))).status, 404);
  });

  test("headers of the client's options are taken", async () => {
    const id = await api.create({
      collection: "new_crates",
      data: { new_name: "a" },
      duplicateDetection: true,
      bypassCustomPluginExecution: true,
      noCache: true,
      tag: "nightly",
    });
    assert.match(id, GUID);
  });

  test("a user acts for another one", async () => {
    const { UserId } = await api.callFunction("WhoAmI");
    assert.equal((await connect({ impersonate: UserId }).callFunction("WhoAmI")).UserId, UserId);
    const error = await refused(connect({ impersonate: randomUUID() }).callFunction("WhoAmI"));
    assert.ok(error.status >= 400 && error.status < 500);
  });
});

describe("elastic tables", () => {
  test("rows live in partitions", async () => {
    await api.createEntity({ data: table("new_Reading", { TableType: "Elastic" }) });
    const key = randomUUID();
    await api.create({
      collection: "new_readings",
      data: { new_readingid: key, new_name: "a", partitionid: "p1", ttlinseconds: 3600 },
    });
    const record = await api.retrieve({ collection: "new_readings", key, partitionId: "p1" });
    assert.deepEqual([record.new_name, record.partitionid], ["a", "p1"]);
    await api.deleteRecord({ collection: "new_readings", key: `new_readingid=${key},partitionid='p1'` });
    assert.equal((await refused(api.retrieve({ collection: "new_readings", key, partitionId: "p1" }))).status, 404);
  });
});

describe("definitions", () => {
  test("tables are listed, read and changed", async () => {
    const listed = await api.retrieveEntities({
      select: ["LogicalName", "EntitySetName"],
      filter: "SchemaName eq 'new_Crate'",
    });
    assert.equal(listed.value[0].EntitySetName, "new_crates");
    await api.createEntity({ data: table("new_Renamed") });
    const definition = await api.retrieveEntity({ key: named("new_renamed") });
    assert.equal(definition.DisplayName.LocalizedLabels[0].Label, "new_Renamed");
    definition.DisplayName.LocalizedLabels[0].Label = "Another";
    assert.equal(await api.updateEntity({ data: definition, mergeLabels: true }), true);
    const again = await api.retrieveEntity({
      key: definition.MetadataId,
      select: ["LogicalName", "DisplayName"],
      expand: [{ property: "Attributes", select: ["LogicalName"], filter: "IsPrimaryName eq true" }],
    });
    assert.equal(again.DisplayName.LocalizedLabels[0].Label, "Another");
    assert.equal(again.Attributes[0].LogicalName, "new_name");
    const deleted = await api.deleteRecord({ collection: "EntityDefinitions", key: definition.MetadataId });
    assert.equal(deleted, true);
    assert.equal((await refused(api.retrieveEntity({ key: definition.MetadataId }))).status, 404);
  });

  test("columns are listed by type, read and changed", async () => {
    const castType = "Microsoft.Dynamics.CRM.PicklistAttributeMetadata";
    const entityKey = named("new_crate");
    const picklists = await api.retrieveAttributes({
      entityKey,
      castType,
      select: ["LogicalName"],
      expand: [{ property: "OptionSet", select: ["Options"] }],
    });
    const size = picklists.value.find((attribute) => attribute.LogicalName === "new_size");
    assert.deepEqual(
      size.OptionSet.Options.map((option) => [option.Value, option.Label.UserLocalizedLabel.Label]),
      [
        [1000, "Small"],
        [1001, "Large"],
      ],
    );
    const attributeKey = named("new_count");
    const count = await api.retrieveAttribute({
      entityKey,
      attributeKey,
      castType: "Microsoft.Dynamics.CRM.IntegerAttributeMetadata",
    });
    assert.deepEqual([count.MinValue, count.MaxValue], [0, 1000]);
    count.MaxValue = 2000;
    count.DisplayName.LocalizedLabels[0].Label = "How many";
    const castInteger = "Microsoft.Dynamics.CRM.IntegerAttributeMetadata";
    assert.equal(await api.updateAttribute({ entityKey, data: count, castType: castInteger, mergeLabels: true }), true);
    const id = await api.create({ collection: "new_crates", data: { new_count: 1500 } });
    assert.match(id, GUID);
  });

  test("relationships are listed, read, changed and deleted", async () => {
    const castType = "Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata";
    await api.createRelationship({ data: oneToMany("new_crate_crate", "new_crate", "new_crate", "new_OuterId") });
    const listed = await api.retrieveRelationships({ castType, filter: "SchemaName eq 'new_crate_crate'" });
    const key = listed.value[0].MetadataId;
    const definition = await api.retrieveRelationship({ key, castType });
    assert.equal(definition.ReferencingAttribute, "new_outerid");
    definition.CascadeConfiguration.Delete = "Restrict";
    assert.equal(await api.updateRelationship({ data: definition, castType }), true);
    assert.equal((await api.retrieveRelationship({ key, castType })).CascadeConfiguration.Delete, "Restrict");
    assert.equal(await api.deleteRelationship({ key }), true);
    assert.equal((await refused(api.retrieveRelationship({ key }))).status, 404);
  });

  test("global choices are created, used, changed and deleted", async () => {
    const castType = "Microsoft.Dynamics.CRM.OptionSetMetadata";
    await api.createGlobalOptionSet({
      data: { ...options("Red", "White"), IsGlobal: true, Name: "new_colour", DisplayName: label("Colour") },
    });
    const definition = await api.retrieveGlobalOptionSet({ key: "Name='new_colour'", castType });
    assert.deepEqual(
      definition.Options.map((option) => option.Label.LocalizedLabels[0].Label),
      ["Red", "White"],
    );
    await api.createAttribute({
      entityKey: named("new_bottle"),
      data: column("Picklist", "new_Colour", {
        "GlobalOptionSet@odata.bind": `/GlobalOptionSetDefinitions(${definition.MetadataId})`,
      }),
    });
    const bottle = await api.create({
      collection: "new_bottles",
      data: { new_colour: 1001 },
      returnRepresentation: true,
      includeAnnotations: "*",
    });
    assert.equal(bottle.new_colour_Formatted, "White");
    definition.DisplayName.LocalizedLabels[0].Label = "Colours";
    assert.equal(await api.updateGlobalOptionSet({ data: definition, mergeLabels: true }), true);
    const all = await api.retrieveGlobalOptionSets({ castType });
    assert.ok(all.value.some((set) => set.DisplayName?.LocalizedLabels[0]?.Label === "Colours"));
    await api.createGlobalOptionSet({ data: { ...options("A"), IsGlobal: true, Name: "new_unused" } });
    const unused = await api.retrieveGlobalOptionSet({ key: "Name='new_unused'" });
    assert.equal(await api.deleteGlobalOptionSet({ key: unused.MetadataId }), true);
  });

  test("the model is read as XML", async () => {
    const model = await api.retrieveCsdlMetadata({ addAnnotations: true });
    assert.match(model, /^<\?xml/);
    assert.match(model, /<EntityType Name="new_crate"/);
  });
});

describe("files", () => {
  before(() => api.createAttribute({ entityKey: named("new_crate"), data: column("File", "new_Photo", { MaxSizeInKB: 131072 }) }));

  test("a file is uploaded in chunks, downloaded and deleted", async () => {
    const key = await api.create({ collection: "new_crates", data: { new_name: "with a photo" } });
    const photo = { collection: "new_crates", key, property: "new_photo" };
    const data = Buffer.alloc(9_000_001, Uint8Array.from({ length: 251 }, (_, index) => index));
    await api.uploadFile({ ...photo, fileName: "räder.png", data });
    const file = await api.downloadFile({ ...photo });
    assert.deepEqual([file.fileName, file.fileSize], ["räder.png", data.length]);
    assert.ok(data.equals(file.data));
    const record = await api.retrieve({ collection: "new_crates", key, select: ["new_photo"] });
    assert.match(record.new_photo, GUID);
    assert.equal(await api.deleteRecord({ ...photo }), true);
    assert.equal((await api.retrieve({ collection: "new_crates", key, select: ["new_photo"] })).new_photo, null);
  });
});

describe("changes", () => {
  test("changes since a point are read", async () => {
    const track = { collection: "new_crates", select: ["new_name"], trackChanges: true };
    const gone = await api.create({ collection: "new_crates", data: { new_name: "gone" } });
    const first = await api.retrieveAll({ ...track, maxPageSize: 20 });
    assert.ok(first.value.length > 20);
    const link = first.oDataDeltaLink;
    const made = await api.create({ collection: "new_crates", data: { new_name: "made" } });
    await api.deleteRecord({ collection: "new_crates", key: gone });
    const changes = await api.retrieveMultiple(track, link);
    const removed = changes.value.find((row) => row.id === gone);
    assert.equal(removed.reason, "deleted");
    const rest = changes.value.filter((row) => row !== removed);
    assert.deepEqual(
      rest.map((row) => row.new_crateid),
      [made],
    );
    const none = await api.retrieveMultiple(track, changes.oDataDeltaLink);
    assert.deepEqual(none.value, []);
  });
});
