// @ts-check
// LocalSend: its devices find a host, and send to it. The device is npm's package "localsend", another implementation of the
// protocol, or curl and a socket where that package cannot do what is asked.

import assert from "node:assert/strict";
import { execFile, execFileSync, spawn } from "node:child_process";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";

import { closeBrowser, openDashboard, skip as noBrowser } from "../e2e/browser.mjs";
import { defaultBin, makeBytes, makeFile, sha256Of, tempDir, waitFor } from "../e2e/harness.mjs";
import { Lan, whyNot } from "./lan.mjs";
import { findDevice } from "./localsend-npm.mjs";

/** @typedef {import("./lan.mjs").LanHost} LanHost */

const skip = whyNot() || false;
const HOST = "10.79.0.1";
const PORT = 53317;
const GROUP = "224.0.0.167";

const device = skip ? undefined : findDevice();
const noDevice = skip || (device ? false : "npm's package localsend cannot be fetched");

after(closeBrowser);

/** A host and a device in one network. @param {import("./lan.mjs").TestContext} t @param {string[]} args */
async function network(t, args = []) {
    const lan = new Lan(t);
    lan.network("home");
    lan.host("attic", { home: `${HOST}/24` });
    lan.host("phone", { home: "10.79.0.2/24" });
    lan.host("other", { home: "10.79.0.3/24" });
    const attic = await lan.start("attic", { args: ["--no-scan", ...args] });
    return { lan, attic };
}

/**
 * Runs the device's program on a machine.
 * @param {Lan} lan @param {string} host @param {string[]} args
 * @returns {Promise<{ code: number | null, text: string }>}
 */
const localsend = (lan, host, ...args) =>
    new Promise((done) => {
        const command = ["netns", "exec", lan.namespaceOf(host), process.execPath, String(device), ...args];
        const options = /** @type {const} */ ({ stdio: ["ignore", "pipe", "pipe"], timeout: 60_000 });
        const child = spawn("ip", command, { ...options, cwd: tempDir() });
        let text = "";
        for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (text += data));
        child.on("close", (code) => done({ code, text }));
    });

/**
 * A request by curl on a machine.
 * @param {Lan} lan @param {string} host @param {string} path
 * @param {{ method?: string, json?: unknown, body?: string, headers?: string[], scheme?: string }} [options]
 * @returns {Promise<{ status: number, json: any, text: string }>}
 */
const call = (lan, host, path, { method = "POST", json, body, headers = [], scheme = "https" } = {}) =>
    new Promise((done, fail) => {
        const curl = ["netns", "exec", lan.namespaceOf(host), "curl", "-sSk", "-m", "30", "-X", method];
        curl.push("-w", "\n%{http_code}", "-H", "Content-Type: application/json");
        for (const header of headers) curl.push("-H", header);
        const data = json !== undefined ? JSON.stringify(json) : body;
        if (data !== undefined) curl.push("--data-binary", "@-");
        curl.push(`${scheme}://${HOST}:${PORT}/api/localsend/${path}`);
        const child = execFile("ip", curl, (error, stdout, stderr) => {
            if (error) return fail(new Error(`${path}: ${stderr}`));
            const cut = stdout.lastIndexOf("\n");
            const text = stdout.slice(0, cut);
            const parsed = text.startsWith("{") ? JSON.parse(text) : undefined;
            done({ status: Number(stdout.slice(cut + 1)), json: parsed, text });
        });
        child.stdin?.on("error", () => undefined).end(data ?? "");
    });

/** @param {Record<string, object>} files */
const offerOf = (files) => ({
    info: {
        alias: "Nice Orange",
        version: "2.1",
        deviceModel: null,
        fingerprint: "x",
        port: PORT,
        protocol: "http",
    },
    files: Object.fromEntries(
        Object.entries(files).map(([id, file]) => [id, { id, fileType: "text/plain", ...file }]),
    ),
});

/** @param {LanHost} attic @param {object} settings */
async function set(attic, settings) {
    assert.equal((await attic.api("/settings", { method: "PATCH", json: settings })).status, 200);
}

/** The newest transfer, once it is in this state. @param {LanHost} attic @param {string} state @returns {Promise<any>} */
const incoming = (attic, state) =>
    waitFor(
        async () => {
            const [first] = (await attic.api("/inbox")).json.incoming;
            return first?.state === state && first;
        },
        { what: `a transfer that is ${state}`, detail: async () => (await attic.api("/inbox")).json },
    );

/** Listens to the group, and says something. It writes what it hears, a line each. */
const LISTENER = `
    const socket = require("node:dgram").createSocket({ type: "udp4", reuseAddr: true });
    socket.on("message", (data, from) => console.log(JSON.stringify({ from: from.address, at: Date.now(), said: String(data) })));
    socket.bind(${PORT}, () => {
        socket.addMembership("${GROUP}", process.argv[1]);
        socket.setMulticastInterface(process.argv[1]);
        for (const text of process.argv.slice(2)) socket.send(text, ${PORT}, "${GROUP}");
        console.log("{}");
    });
`;

/** @param {Lan} lan @param {string} host @param {string} address @param {string[]} says */
function listen(lan, host, address, ...says) {
    const command = [
        "netns",
        "exec",
        lan.namespaceOf(host),
        process.execPath,
        "-e",
        LISTENER,
        address,
        ...says,
    ];
    const child = spawn("ip", command, { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (data) => (text += data));
    return {
        /** What this host has said. */
        heard: () =>
            text
                .split("\n")
                .slice(0, -1)
                .map((line) => JSON.parse(line))
                .filter((datagram) => datagram.from === HOST)
                .map((datagram) => JSON.parse(datagram.said)),
        ready: () => waitFor(() => text.includes("{}"), { what: "the listener" }),
        stop: () => child.kill(),
    };
}

describe("LocalSend", { skip }, () => {
    test("devices hear of a host when it begins, and when they ask", async (t) => {
        const lan = new Lan(t);
        lan.network("home");
        lan.host("attic", { home: `${HOST}/24` });
        lan.host("phone", { home: "10.79.0.2/24" });
        const early = listen(lan, "phone", "10.79.0.2");
        t.after(() => early.stop());
        await early.ready();
        const attic = await lan.start("attic", { args: ["--no-scan"] });
        const [first] = await waitFor(() => early.heard().length > 0 && early.heard(), {
            what: "an announcement",
        });
        assert.equal(first.alias, "attic");
        assert.equal(first.version, "2.1");
        assert.equal(first.protocol, "https");
        assert.equal(first.port, PORT);
        assert.equal(first.announce, true);
        const { fingerprint } = (await call(lan, "phone", "v2/info", { method: "GET" })).json;
        assert.equal(first.fingerprint, fingerprint);
        const shown = lan.on(
            "phone",
            "sh",
            "-c",
            `openssl s_client -connect ${HOST}:${PORT} </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256`,
        );
        assert.equal(shown.trim().split("=")[1].replaceAll(":", ""), fingerprint, "it is the certificate's");
        await waitFor(() => early.heard().length >= 3, { what: "three announcements" });

        // Another name is told at once to whoever asks; answers and nonsense get none.
        await set(attic, { name: "loft" });
        const says = (/** @type {object} */ more) =>
            JSON.stringify({
                alias: "Phone",
                version: "2.1",
                fingerprint: "p",
                port: PORT,
                protocol: "http",
                ...more,
            });
        const before = early.heard().length;
        const mute = listen(
            lan,
            "phone",
            "10.79.0.2",
            "nonsense",
            "{}",
            says({ announce: false }),
            says({ announce: true, fingerprint }),
        );
        t.after(() => mute.stop());
        await mute.ready();
        const asking = listen(lan, "phone", "10.79.0.2", says({ announce: true }));
        t.after(() => asking.stop());
        await waitFor(() => early.heard().length > before, { what: "an answer" });
        const answers = early.heard().slice(before);
        assert.equal(answers.length, 1, "one answer to one question");
        assert.equal(answers[0].alias, "loft");
        assert.equal(answers[0].announce, false);
    });

    test("a scan of addresses finds it, in TLS and in plain", async (t) => {
        const { lan } = await network(t);
        for (const scheme of ["https", "http"]) {
            const device = { alias: "Phone", version: "2.1", fingerprint: "p", port: PORT, protocol: scheme };
            const { status, json } = await call(lan, "phone", "v2/register", { json: device, scheme });
            assert.equal(status, 200);
            assert.equal(json.alias, "attic");
            assert.equal(json.download, true);
            for (const path of ["v1/info", "v2/info"])
                assert.deepEqual((await call(lan, "phone", path, { method: "GET", scheme })).json, json);
        }
        assert.equal((await call(lan, "phone", "v2/register", { json: {} })).status, 400);
        assert.equal((await call(lan, "phone", "v2/register", { method: "GET" })).status, 405);
        assert.equal((await call(lan, "phone", "../../list", { method: "GET" })).status, 404);
    });

    test("the share is there for a device that asks for it, as far as access and the PIN let it", async (t) => {
        const { lan, attic } = await network(t);
        await makeFile(join(attic.shareDir, "film.bin"), 300_000, 1);
        await makeFile(join(attic.shareDir, "trip/ä & b.txt"), 5000, 2);
        await waitFor(async () => (await attic.api("/status")).json.share.files === 2);
        const { status, json } = await call(lan, "phone", "v2/prepare-download");
        assert.equal(status, 200);
        assert.equal(json.info.alias, "attic");
        assert.deepEqual(
            Object.values(json.files).map((file) => [file.id, file.fileName, file.size, file.fileType]),
            [
                ["film.bin", "film.bin", 300_000, "application/octet-stream"],
                ["trip/ä & b.txt", "trip/ä & b.txt", 5000, "text/plain"],
            ],
        );
        /** @param {string} machine @param {string} session @param {string} file */
        const get = (machine, session, file) =>
            call(lan, machine, `v2/download?sessionId=${session}&fileId=${encodeURIComponent(file)}`, {
                method: "GET",
            });
        const command = ["curl", "-sSk", "-m", "30"];
        const url = `https://${HOST}:${PORT}/api/localsend/v2/download?sessionId=${json.sessionId}&fileId=`;
        for (const file of ["film.bin", "trip/ä & b.txt"]) {
            const exec = [
                "netns",
                "exec",
                lan.namespaceOf("phone"),
                ...command,
                url + encodeURIComponent(file),
            ];
            const bytes = execFileSync("ip", exec, { timeout: 60_000 });
            assert.ok(bytes.equals(readFileSync(join(attic.shareDir, file))), file);
        }
        assert.equal((await get("other", json.sessionId, "film.bin")).status, 403, "another address");
        assert.equal((await get("phone", "0".repeat(32), "film.bin")).status, 403);
        assert.equal((await get("phone", json.sessionId, "none")).status, 404);
        assert.equal((await get("phone", json.sessionId, "../data/hostpair.db")).status, 404);
        assert.equal((await call(lan, "phone", "v2/download", { method: "GET" })).status, 400);

        await set(attic, { receive_pin: "4711" });
        assert.equal((await call(lan, "phone", "v2/prepare-download")).status, 401);
        assert.equal((await call(lan, "phone", "v2/prepare-download?pin=4711")).status, 200);
        for (let i = 0; i < 3; i++)
            assert.equal((await call(lan, "phone", "v2/prepare-download?pin=1")).status, 401);
        assert.equal((await call(lan, "phone", "v2/prepare-download?pin=4711")).status, 429);
        const again = (await call(lan, "other", "v2/prepare-download?pin=4711")).json.sessionId;
        assert.equal((await call(lan, "other", `v2/prepare-download?sessionId=${again}`)).status, 200);

        const last = (await call(lan, "other", "v2/prepare-download?pin=4711")).json.sessionId;
        await set(attic, { access: "paired" });
        assert.equal((await get("other", last, "film.bin")).status, 403);
        assert.equal((await call(lan, "other", "v2/prepare-download?pin=4711")).status, 403);
        assert.equal((await call(lan, "phone", "v2/info", { method: "GET" })).json.download, false);
    });

    test("a person is asked, and says which files", async (t) => {
        const { lan, attic } = await network(t);
        const files = {
            a: { fileName: "trip/a.txt", size: 5, sha256: sha256Of(Buffer.from("hello")).toUpperCase() },
            b: { fileName: "b.txt", size: 3 },
            c: { fileName: "c.txt", size: 0 },
        };
        const asked = call(lan, "phone", "v2/prepare-upload", { json: offerOf(files) });
        const transfer = await incoming(attic, "asking");
        assert.deepEqual(transfer.from, {
            name: "Nice Orange",
            address: "10.79.0.2",
            kind: "localsend",
            host: null,
        });
        await attic.api(`/inbox/${transfer.id}/accept`, { method: "POST", json: { files: ["a", "c"] } });
        const { status, json } = await asked;
        assert.equal(status, 200);
        assert.deepEqual(Object.keys(json.files).sort(), ["a", "c"]);
        const upload = (
            /** @type {string} */ id,
            /** @type {string} */ token,
            /** @type {string} */ body,
            host = "phone",
        ) => call(lan, host, `v2/upload?sessionId=${json.sessionId}&fileId=${id}&token=${token}`, { body });
        assert.equal(
            (await call(lan, "phone", `v2/upload?sessionId=${json.sessionId}`, { body: "x" })).status,
            400,
        );
        assert.equal((await upload("b", json.files.a, "bye")).status, 403, "not wanted");
        assert.equal((await upload("x", json.files.a, "bye")).status, 403, "not offered");
        assert.equal((await upload("a", "wrong", "hello")).status, 403, "another token");
        assert.equal((await upload("a", json.files.a, "hello", "other")).status, 403, "another device");
        assert.equal((await upload("a", json.files.a, "hello!")).status, 400, "too long");
        const late = await call(
            lan,
            "phone",
            `v2/upload?sessionId=${json.sessionId}&fileId=a&token=${json.files.a}`,
            { body: "lo", headers: ["X-Content-Range: bytes 3-4/5"] },
        );
        assert.equal(late.status, 409, "with a gap before it");
        assert.match(late.json.message, /go on at byte 0/);
        assert.equal((await upload("a", json.files.a, "jello")).status, 500, "not what was promised");
        assert.equal((await upload("a", json.files.a, "hello")).status, 200, "which may come again");
        assert.equal((await upload("c", json.files.c, "")).status, 200);
        const done = await incoming(attic, "done");
        const landed = join(attic.root, "downloads", done.folder);
        assert.equal(readFileSync(join(landed, "trip/a.txt"), "utf8"), "hello");
        assert.equal(readFileSync(join(landed, "c.txt"), "utf8"), "");
        assert.ok(!existsSync(join(landed, "b.txt")));
        assert.equal((await upload("a", json.files.a, "hello")).status, 200, "an answer may be lost");
        assert.deepEqual(readdirSync(join(landed, "trip")), ["a.txt"]);

        await set(attic, { receive: "everyone" });
        const ended = (await call(lan, "phone", "v2/prepare-upload", { json: offerOf({ b: files.b }) })).json;
        assert.equal((await call(lan, "phone", `v2/cancel?sessionId=${ended.sessionId}`)).status, 200);
        const after = `v2/upload?sessionId=${ended.sessionId}&fileId=b&token=${ended.files.b}`;
        const refused = await call(lan, "phone", after, { body: "bye" });
        assert.equal(refused.status, 409, "it was cancelled");
        assert.match(refused.json.message, /cancelled/);
    });

    test("a person sees a text before the answer, cut and harmless", async (t) => {
        const { lan, attic } = await network(t);
        const hostile = "Meet at \u001b[2J8\u202e\n  0  Back\nNumber: ";
        const long = "é".repeat(400);
        const files = {
            a: { fileName: "a.txt", size: 40, fileType: "text/plain", preview: hostile },
            b: { fileName: "b.txt", size: 800, fileType: "text/plain", preview: long },
            c: { fileName: "c.jpg", size: 9, fileType: "image/jpeg", preview: "/9j/4AAQSkZJRg" },
            d: { fileName: "d.txt", size: 9, fileType: "text/plain", preview: 7 },
            e: { fileName: "e.txt", size: 9 },
        };
        const asked = call(lan, "phone", "v2/prepare-upload", { json: offerOf(files) });
        const transfer = await incoming(attic, "asking");
        assert.deepEqual(
            transfer.files.map((/** @type {any} */ file) => [file.name, file.preview]),
            [
                ["a.txt", hostile],
                ["b.txt", "é".repeat(250)],
                ["c.jpg", null],
                ["d.txt", null],
                ["e.txt", null],
            ],
        );
        /** @param {string[]} args @param {string} [input] */
        const run = (args, input = "") =>
            execFileSync(
                "ip",
                ["netns", "exec", lan.namespaceOf("attic"), defaultBin, "--data", attic.dataDir, ...args],
                { input, encoding: "utf8", timeout: 60_000 },
            );
        const screen = run(["menu"], "4\n1\n0\n0\n0\n");
        assert.match(
            screen,
            / {2}a\.txt \(40 B\)\n {4}"Meet at \\x1b\[2J8\S+"\n {4}" {2}0 {2}Back"\n {4}"Number: "\n/,
        );
        assert.doesNotMatch(screen, /[\u001b\u202e]/);
        assert.match(run(["inbox"]), /\tasking\t5\t\d*\ta\.txt\t/, "a program gets the name");

        if (!noBrowser) {
            const at = { dashboardUrl: `http://127.0.0.1:${attic.dashboardPort}` };
            const page = await openDashboard(t, at, "#/hosts", {
                namespace: lan.namespaceOf("attic"),
                width: 390,
            });
            const shown = page.getByRole("dialog").getByRole("blockquote");
            await shown.first().waitFor();
            const harmless = hostile.replace("\u001b", "\\u001b").replace("\u202e", "\\u202e");
            assert.deepEqual(await shown.allTextContents(), [harmless, "é".repeat(250)]);
            if (process.env.HP_LAN_SHOTS)
                await page.screenshot({ path: `${process.env.HP_LAN_SHOTS}-preview.png` });
        }
        await attic.api(`/inbox/${transfer.id}/accept`, { method: "POST", json: { files: ["a"] } });
        assert.deepEqual(Object.keys((await asked).json.files), ["a"]);
    });

    test("a no, a change of mind and an offer that cannot be are told apart", async (t) => {
        const { lan, attic } = await network(t);
        const offer = offerOf({ a: { fileName: "a.txt", size: 5 } });
        const ask = (
            /** @type {object} */ json = offer,
            query = "",
            headers = /** @type {string[]} */ ([]),
        ) => call(lan, "phone", `v2/prepare-upload${query}`, { json, headers });
        const declined = ask();
        await attic.api(`/inbox/${(await incoming(attic, "asking")).id}/decline`, { method: "POST" });
        assert.equal((await declined).status, 403);

        const taken_back = ask();
        await incoming(attic, "asking");
        assert.equal((await call(lan, "phone", "v2/cancel")).status, 200);
        assert.equal((await incoming(attic, "cancelled")).reason, "The sender has cancelled it");
        assert.equal((await taken_back).status, 403);

        await set(attic, { receive: "everyone" });
        const { json } = await ask();
        assert.equal((await call(lan, "other", `v2/cancel?sessionId=${json.sessionId}`)).status, 403);
        assert.equal((await incoming(attic, "receiving")).state, "receiving");
        assert.equal((await call(lan, "phone", `v2/cancel?sessionId=${json.sessionId}`)).status, 200);
        await incoming(attic, "cancelled");

        for (const bad of [
            {},
            { info: {}, files: {} },
            offerOf({}),
            offerOf({ a: { fileName: "../a", size: 1 } }),
            offerOf({ a: { fileName: "a", size: -1 } }),
        ])
            assert.equal((await ask(bad)).status, 400, JSON.stringify(bad));
        assert.equal((await ask(offer, "", ["Origin: http://evil.example"])).status, 403, "a web page");
        const long = async (/** @type {number} */ length) =>
            (await ask(offerOf({ a: { fileName: "a", size: 1, preview: "x".repeat(length) } }))).status;
        assert.equal(await long(4_000_000), 200);
        assert.equal(await long(5_000_000), 413);

        await set(attic, { receive_pin: "4711" });
        assert.equal((await ask()).status, 401);
        assert.equal((await ask(offer, "?pin=4711")).status, 200);
        for (let i = 0; i < 3; i++) await ask(offer, "?pin=1234");
        assert.equal((await ask(offer, "?pin=4711")).status, 429);
        await set(attic, { receive_pin: "", receive: "off" });
        assert.equal((await call(lan, "other", "v2/prepare-upload", { json: offer })).status, 403);
    });

    test("npm's localsend finds it and sends, in TLS and in plain", { skip: noDevice }, async (t) => {
        const { lan, attic } = await network(t);
        await set(attic, { receive: "everyone", receive_pin: "4711" });
        const file = join(tempDir(t), "holiday film.bin");
        await makeFile(file, 3_000_000, 9);
        const whole = makeBytes(3_000_000, 9);
        for (const [i, protocol] of ["https", "http"].entries()) {
            // Where a file has gone out at once, it may fail to compute how fast.
            const { text } = await localsend(
                lan,
                "phone",
                "send",
                HOST,
                file,
                `--protocol=${protocol}`,
                "--pin=4711",
            );
            assert.match(text, /Target device: attic/);
            const done = await waitFor(
                async () => {
                    const all = (await attic.api("/inbox")).json.incoming;
                    return all.length === i + 1 && all[0].state === "done" && all[0];
                },
                { what: `the file over ${protocol}: ${text}` },
            );
            assert.equal(done.from.kind, "localsend");
            assert.ok(readFileSync(join(attic.root, "downloads", done.files[0].path)).equals(whole));
        }
        const refused = await localsend(lan, "phone", "send", HOST, file, "--pin=1");
        assert.notEqual(refused.code, 0);
        assert.match(refused.text, /Failed to prepare upload/);
        const looking = spawn(
            "ip",
            [
                ...[
                    "netns",
                    "exec",
                    lan.namespaceOf("other"),
                    process.execPath,
                    String(device),
                    "discover",
                    "--verbose",
                ],
            ],
            { cwd: tempDir(t) },
        );
        t.after(() => looking.kill());
        let said = "";
        for (const stream of [looking.stdout, looking.stderr]) stream.on("data", (data) => (said += data));
        await waitFor(() => /Device discovered: attic/.test(said), { what: "an answer", detail: () => said });
    });

    test("a host that ends meanwhile leaves nothing behind, and goes on with what it had promised", async (t) => {
        const { lan, attic } = await network(t);
        await set(attic, { receive: "everyone" });
        const bytes = makeBytes(9_000_000, 4);
        const offer = offerOf({ a: { fileName: "a.bin", size: bytes.length, sha256: sha256Of(bytes) } });
        const { json } = await call(lan, "phone", "v2/prepare-upload", { json: offer });
        const path = `upload?sessionId=${json.sessionId}&fileId=a&token=${json.files.a}`;
        const file = join(tempDir(t), "a.bin");
        writeFileSync(file, bytes);
        const curl = ["netns", "exec", lan.namespaceOf("phone"), "curl", "-sSk", "--data-binary", `@${file}`];
        const url = `https://${HOST}:${PORT}/api/localsend/v2/${path}`;
        const slow = spawn("ip", [...curl, "--limit-rate", "1M", url], { stdio: "ignore" });
        t.after(() => slow.kill());
        await waitFor(async () => (await attic.api("/inbox")).json.incoming[0].done_bytes > 0, {
            what: "the first bytes",
        });
        await set(attic, { receive: "ask" });
        const other = offerOf({ b: { fileName: "b.txt", size: 1 } });
        const waiting = call(lan, "other", "v2/prepare-upload", { json: other }).catch(() => "cut");
        await incoming(attic, "asking");
        await attic.stop();
        assert.equal(await waiting, "cut");

        const again = await lan.start("attic", { args: ["--no-scan"], root: attic.root });
        assert.equal(
            execFileSync("ip", [...curl, "-w", "%{http_code}", url], { timeout: 60_000 }).toString(),
            "200",
        );
        const done = await waitFor(async () => {
            const all = (await again.api("/inbox")).json.incoming;
            return all.find((/** @type {any} */ transfer) => transfer.state === "done");
        });
        assert.ok(readFileSync(join(attic.root, "downloads", done.files[0].path)).equals(bytes));
    });

    test("it is there only while it is wanted, and the port is free", async (t) => {
        const { lan, attic } = await network(t);
        const listens = () => lan.on("attic", "ss", "-Hlntu", `sport = :${PORT}`).trim() !== "";
        assert.ok(listens());
        await set(attic, { localsend: false });
        await waitFor(() => !listens(), { what: "the ports to be closed" });
        await set(attic, { localsend: true });
        await waitFor(listens, { what: "the ports to be open" });
        await set(attic, { localsend: false });
        await set(attic, { localsend: true });
        await waitFor(async () => (await call(lan, "phone", "v2/info", { method: "GET" })).status === 200, {
            what: "it to answer",
        });
        await attic.stop();

        const never = await lan.start("attic", { args: ["--no-scan", "--no-localsend"] });
        assert.ok(!listens());
        const refused = await never.api("/settings", { method: "PATCH", json: { localsend: true } });
        assert.equal(refused.status, 409, refused.text);
        await never.stop();

        const socket = `require("node:net").createServer().listen(${PORT}, "::", () => console.log("up"))`;
        const other = spawn("ip", [
            "netns",
            "exec",
            lan.namespaceOf("attic"),
            process.execPath,
            "-e",
            socket,
        ]);
        t.after(() => other.kill());
        await new Promise((done) => other.stdout.once("data", done));
        const beside = await lan.start("attic", { args: ["--no-scan"] });
        assert.match(beside.log(), /no LocalSend here: .*53317.*another program takes part in it/);
        const notices = async () =>
            (await beside.api("/status")).json.notices.filter(
                (/** @type {any} */ one) => one.code === "localsend_port",
            );
        const [notice] = await notices();
        assert.match(notice?.text ?? "", /Another program .* port 53317/);
        await set(beside, { localsend: false });
        assert.deepEqual(await notices(), []);
        await set(beside, { localsend: true });
        assert.equal((await notices()).length, 1);
        const file = { fileName: "a.txt", size: 1 };
        assert.equal((await beside.api("/hosts")).status, 200, "everything else works");

        other.kill();
        await new Promise((done) => other.once("close", done));
        await waitFor(async () => (await notices()).length === 0, { what: "the port", timeout: 40_000 });
        assert.match(beside.log(), /LocalSend: port 53317 is free/);
        await set(beside, { receive: "everyone" });
        const taken = await call(lan, "phone", "v2/prepare-upload", { json: offerOf({ 0: file }) });
        assert.equal(taken.status, 200, taken.text);
    });
});
