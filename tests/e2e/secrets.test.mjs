// @ts-check
// Nothing secret is told: not in the list of processes, not in logs, not in answers of the API, and not to other users of the
// machine by the modes of files.

import assert from "node:assert/strict";
import { lstatSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";

import { checkout, makeBytes, startHostpair, tempDir, waitFor } from "./harness.mjs";
import { startHub } from "./hub.mjs";
import { newest, offered } from "./inbox.mjs";

const TOKEN = "dashboard-token-5501987";
const HUB_TOKEN = "hub-token-77120043-long";
const PASSWORD = "url-password-3311";
const PIN = "90817263";

/** Every file and folder below `dir`, and `dir`, that others than its owner have a right to. @param {string} dir */
const openToOthers = (dir) =>
    ["", ...readdirSync(dir, { recursive: true, encoding: "utf8" })]
        .map((name) => ({ name, mode: lstatSync(join(dir, name)).mode & 0o777 }))
        .filter(({ mode }) => (mode & 0o077) !== 0)
        .map(({ name, mode }) => `${name || dir}: ${mode.toString(8)}`);

/** A web server that asks for a password; the URL with it. @param {import("node:test").TestContext} t */
async function guarded(t) {
    const bytes = makeBytes(40_000, 3);
    const right = `Basic ${Buffer.from(`anna:${PASSWORD}`).toString("base64")}`;
    const seen = { right: 0 };
    const server = http.createServer((req, res) => {
        if (req.headers.authorization === right) seen.right++;
        else return void res.writeHead(401).end();
        res.writeHead(200, { "content-length": bytes.length }).end(req.method === "HEAD" ? "" : bytes);
    });
    await new Promise((done) => server.listen(0, "127.0.0.1", () => done(undefined)));
    t.after(() => server.close());
    const address = /** @type {import("node:net").AddressInfo} */ (server.address());
    return { url: `http://anna:${PASSWORD}@127.0.0.1:${address.port}/doc.bin`, seen };
}

test("tokens, keys, invites, passwords and PINs stay where they belong", { timeout: 180_000 }, async (t) => {
    const folder = tempDir(t);
    writeFileSync(join(folder, "token"), `${TOKEN}\n`, { mode: 0o600 });
    writeFileSync(join(folder, "hub-token"), `${HUB_TOKEN}\n`, { mode: 0o600 });
    const hub = await startHub(t, {
        args: ["--groups", "token", "--token-file", join(folder, "hub-token"), "--log", "debug"],
    });
    const h = await startHostpair({
        t,
        name: "h",
        defaultFolders: true,
        args: ["--no-port-mapping", "--dashboard-token-file", join(folder, "token"), "--log", "debug"],
    });
    const headers = { authorization: `Bearer ${TOKEN}` };
    const api = (/** @type {string} */ path, init = {}) => h.api(path, { ...init, headers });

    // A group, a PIN, a URL with a password, somebody who offers a file, a wrong token, and a session of a browser.
    const made = await api("/groups", {
        json: { hub: `127.0.0.1:${hub.port}`, name: "friends", token: HUB_TOKEN },
    });
    assert.equal(made.status, 201, made.text);
    const { invite } = (await api(`/groups/${made.json.id}/invite`)).json;
    const [, key] = /\/([a-z2-7]{20,})$/.exec(invite) ?? [];
    assert.ok(key, `an invite: ${invite}`);
    const offerToken = await offered(h, [{ name: "note.txt", size: 5 }]);
    const patched = await api("/settings", { method: "PATCH", json: { receive_pin: PIN } });
    assert.equal(patched.status, 200, patched.text);
    const web = await guarded(t);
    const order = await api("/downloads", { json: { url: web.url } });
    assert.equal(order.status, 201, order.text);
    await waitFor(async () => (await api(`/downloads/${order.json.id}`)).json.state === "done", {
        timeout: 30_000,
        what: "the download",
        detail: async () => (await api(`/downloads/${order.json.id}`)).text,
    });
    assert.ok(web.seen.right > 0, "the password was sent");
    assert.equal(
        (await h.api("/status", { headers: { authorization: "Bearer guessed-wrong" } })).status,
        401,
    );
    const session = await h.api("/session", { json: { token: TOKEN } });
    const cookie = /=([^;]+)/.exec(`${session.headers["set-cookie"]}`)?.[1] ?? "";
    assert.ok(session.status < 300 && cookie.length > 8, session.text);

    const pem = readFileSync(join(h.dataDir, "identity.pem"), "utf8").split("\n")[1];
    const hubPem = readFileSync(join(hub.data, "identity.pem"), "utf8").split("\n")[1];
    const secrets = {
        "the dashboard's token": TOKEN,
        "the hub's token": HUB_TOKEN,
        "the password in a URL": PASSWORD,
        "the same as it is sent": Buffer.from(`anna:${PASSWORD}`).toString("base64"),
        "the host's key": pem,
        "the hub's key": hubPem,
        "the invite's key": key,
        "a session of the dashboard": cookie,
    };
    const assertTellsNothing = (
        /** @type {string} */ where,
        /** @type {string} */ text,
        /** @type {Record<string, string>} */ all = secrets,
    ) => {
        for (const [what, secret] of Object.entries(all))
            assert.ok(!text.includes(secret), `${where} tells ${what}`);
    };
    // The PIN is told to whoever set it; the token of an offer is its sender's.
    const notInLogs = { ...secrets, "the PIN": PIN, "the token of an offer": offerToken };

    for (const { pid } of [h, hub])
        assertTellsNothing("the list of processes", readFileSync(`/proc/${pid}/cmdline`, "utf8"), notInLogs);

    await newest(/** @type {any} */ ({ ...h, api }), "asking");
    const { paths } = parse(readFileSync(join(checkout, "server/api/openapi.yaml"), "utf8"));
    let asked = 0;
    for (const [path, calls] of Object.entries(paths)) {
        if (!("get" in calls) || path === "/api/v1/events" || path.endsWith("/invite")) continue;
        const id = path.includes("/groups/") ? made.json.id : path.includes("/inbox/") ? 1 : order.json.id;
        const reply = await api(path.replace(/\{[^}]+\}/g, `${id}`));
        const all = { ...secrets, "the token of an offer": offerToken };
        assertTellsNothing(`GET ${path}`, `${JSON.stringify(reply.headers)}${reply.text}`, all);
        asked++;
    }
    assert.ok(asked > 20, `${asked} routes`);
    for (const path of ["/list", "/hostpair/status", "/", "/hostpair/inbox"])
        assertTellsNothing(`the peer port, ${path}`, (await h.peer(path)).text, notInLogs);

    assert.deepEqual(openToOthers(h.dataDir), []);
    assert.deepEqual(openToOthers(hub.data), []);
    await h.stop();
    await hub.stop();
    assert.ok(h.stderr().length > 1000, "the log says much");
    assertTellsNothing("the log", h.stderr(), notInLogs);
    assertTellsNothing("the hub's log", hub.stderr(), notInLogs);
    assert.deepEqual(openToOthers(h.dataDir), [], "after its end");
    t.diagnostic(
        `${asked} routes, ${h.stderr().length} bytes of the log, ${Object.keys(notInLogs).length} secrets`,
    );
});
