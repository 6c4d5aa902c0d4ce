// Loads rows with dynamics-web-api, as its documentation shows: `create`, or creates between `startBatch` and
// `executeBatch`.
//
// Arguments: entity set, file of JSON objects, rows in a batch (1 is none), most rows that are loaded. Prints the seconds
// from opening the file to the last answer, and the rows. `SHEAF_URL` and the application user are in the environment.

"use strict";

const { readFileSync } = require("node:fs");
const { DynamicsWebApi } = require("dynamics-web-api");

const [collection, file, sizeText, mostText] = process.argv.slice(2);
const [size, most] = [Number(sizeText), Number(mostText)];
const { SHEAF_URL, SHEAF_TENANT, SHEAF_CLIENT_ID, SHEAF_CLIENT_SECRET } = process.env;

async function token() {
  const answer = await fetch(`${SHEAF_URL}/${SHEAF_TENANT}/oauth2/v2.0/token`, {
    method: "POST",
    body: new URLSearchParams({
      grant_type: "client_credentials",
      client_id: SHEAF_CLIENT_ID,
      client_secret: SHEAF_CLIENT_SECRET,
      scope: `${SHEAF_URL}/.default`,
    }),
  });
  const { access_token: accessToken, error_description: error } = await answer.json();
  if (!accessToken) throw new Error(`no token: ${answer.status} ${error}`);
  return accessToken;
}

async function main() {
  const accessToken = await token();
  const api = new DynamicsWebApi({
    serverUrl: SHEAF_URL,
    dataApi: { version: "9.2" },
    onTokenRefresh: async () => ({ accessToken }),
  });
  // The connection is there before the clock starts.
  await api.retrieveMultiple({ collection, top: 1 });
  const started = process.hrtime.bigint();
  const lines = readFileSync(file, "utf8").split("\n", most).filter((line) => line);
  let loaded = 0;
  if (size === 1) {
    for (const line of lines) {
      await api.create({ collection, data: JSON.parse(line) });
      loaded += 1;
    }
  } else {
    for (let place = 0; place < lines.length; place += size) {
      api.startBatch();
      for (const line of lines.slice(place, place + size)) {
        api.create({ collection, data: JSON.parse(line) });
      }
      loaded += (await api.executeBatch()).length;
    }
  }
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  console.log(`loaded ${loaded} rows in ${seconds.toFixed(6)} s`);
}

main().catch((error) => {
  console.error(JSON.stringify(error, Object.getOwnPropertyNames(error)).slice(0, 2000));
  process.exitCode = 1;
});
