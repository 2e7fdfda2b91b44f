// @ts-check
// Messages at a terminal, and names and texts of strangers that mean to do something to it.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { describe, test } from "node:test";

import { addHost, defaultBin, makeFile, startHostpair, waitFor } from "./harness.mjs";
import { asks, atTerminal, piped, rows, terminal } from "./terminal.mjs";

/** @typedef {import("./harness.mjs").TestContext} TestContext */

describe("messages", () => {
    /** Two hosts that know each other. @param {TestContext} t */
    async function friends(t) {
        const other = await startHostpair({ t, name: "attic" });
        const own = await startHostpair({ t, name: "own" });
        await addHost(own, other.peerPort);
        await addHost(other, own.peerPort);
        return { other, own };
    }

    test("are sent, told as delivered or queued, and printed at the other host", async (t) => {
        const { other, own } = await friends(t);
        const sent = await piped(["send", "attic", "hello", "over", "there"], { env: asks(own) });
        assert.deepEqual([sent.code, sent.stdout, sent.stderr], [0, "attic: delivered\n", ""]);
        const typed = await piped(["send", "everyone", "-"], { env: asks(own), input: "two\nlines\n" });
        assert.deepEqual([typed.code, typed.stdout], [0, "attic: delivered\n"]);
        // Read by a program it stays unread; what a terminal has shown is read.
        const printed = await piped(["messages"], { env: asks(other) });
        const expected =
            /^\* \d{4}-\d\d-\d\d \d\d:\d\d  own\n {4}hello over there\n\* .*own\n {4}two\n {4}lines\n$/;
        assert.match(printed.stdout, expected);
        const first = await atTerminal(["messages"], { env: asks(other) });
        assert.match(`${first.screen}\n`, expected);
        const second = await atTerminal(["messages"], { env: asks(other) });
        assert.doesNotMatch(second.screen, /^\*/m);
        assert.equal((await other.api("/messages")).json.unread, 0);
        const mine = await piped(["messages", "attic", "--count", "1"], { env: asks(own) });
        assert.match(mine.stdout, /^ {2}\S+ \S+ {2}to everyone \(delivered\)\n {4}two\n {4}lines\n$/);
        await other.stop();
        const queued = await piped(["send", "attic", "later"], { env: asks(own) });
        assert.equal(queued.code, 0, queued.stderr);
        assert.match(queued.stdout, /^attic: queued.*; it is delivered when the host is there\n$/);
    });

    test("with more unread ones than are shown, none is marked as read", async (t) => {
        const { other, own } = await friends(t);
        for (const text of ["one", "two", "three"])
            assert.equal((await piped(["send", "attic", text], { env: asks(own) })).code, 0);
        const two = await atTerminal(["messages", "--count", "2"], { env: asks(other) });
        assert.match(two.screen, /Unread and not shown: 1;/);
        assert.equal((await other.api("/messages")).json.unread, 3);
        await atTerminal(["messages", "own"], { env: asks(other) });
        assert.equal((await other.api("/messages")).json.unread, 0);
    });

    test("--follow prints those that come, until Ctrl-C", async (t) => {
        const { other, own } = await friends(t);
        assert.equal((await piped(["send", "attic", "before"], { env: asks(own) })).code, 0);
        const seen = terminal(["messages", "--follow"], { env: asks(other) });
        await seen.shows(/ {4}before/);
        for (const text of ["first", "second"]) {
            assert.equal((await piped(["send", "attic", text], { env: asks(own) })).code, 0);
            await seen.shows(new RegExp(` {4}${text}`));
        }
        await waitFor(async () => (await other.api("/messages")).json.unread === 0, {
            what: "them being read",
        });
        seen.type("\u0003");
        const { code, screen } = await seen.ended;
        assert.equal(code, 130);
        assert.deepEqual(
            screen.match(/(before|first|second)/g),
            ["before", "first", "second"],
            "each once, in order",
        );
    });

    test("an offer comes with the command that takes it", async (t) => {
        const { other, own } = await friends(t);
        await makeFile(join(own.shareDir, "it's $(here).txt"), 9, 1);
        const { id } = (await own.api("/hosts")).json.hosts[0];
        await waitFor(async () => (await own.api("/status")).json.share.files === 1);
        const reply = await own.api("/messages", {
            json: { to: id, text: "take it", offer: { path: "it's $(here).txt" } },
        });
        assert.equal(reply.status, 202, reply.text);
        await waitFor(async () => (await other.api("/messages")).json.unread === 1);
        const { stdout } = await piped(["messages"], { env: asks(other) });
        const command = / {4}offers it's \$\(here\)\.txt \(9 B\): hostpair (.*)\n/.exec(stdout)?.[1];
        assert.ok(command, stdout);
        const run = await piped(["-c", `"$0" ${command}`, other.bin], { program: "bash", env: asks(other) });
        assert.equal(run.code, 0, run.stderr);
        assert.ok(existsSync(join(other.downloadsDir, "it's $(here).txt")));
    });

    test("what cannot be sent is told", async (t) => {
        const own = await startHostpair({ t, name: "own" });
        const nobody = await piped(["send", "everyone", "hello"], { env: asks(own) });
        assert.equal(nobody.code, 1);
        assert.equal(rows(nobody.stderr).length, 1, nobody.stderr);
        const { own: again } = await friends(t);
        const long = await piped(["send", "attic", "x".repeat(4001)], { env: asks(again) });
        assert.equal(long.code, 1);
        assert.match(long.stderr, /^hostpair: .*4000/);
        const binary = await piped(["send", "attic", "-"], { env: asks(again), input: "a\0b" });
        assert.equal(binary.code, 1);
        assert.match(binary.stderr, /^hostpair: standard input is not UTF-8 text\n$/);
        const bytes = await piped(["-c", '"$0" send attic $(printf "a\\377")', defaultBin], {
            program: "bash",
        });
        assert.equal(bytes.code, 2);
        assert.match(bytes.stderr, /not UTF-8/);
    });
});

describe("text of strangers", () => {
    const EVIL = "a\u001b[2J\u001b]0;owned\u0007b\r\n\u009b31m\u202e\u007f你";

    /** An API that answers everything with hostile text. @param {TestContext} t */
    async function hostileApi(t) {
        const host = {
            id: "0123456789abcdef0123456789abcdef",
            name: EVIL,
            addresses: ["127.0.0.1:9"],
            state: "online",
            problem: EVIL,
            list_error: EVIL,
        };
        const download = {
            id: 1,
            name: EVIL,
            path: EVIL,
            state: "failed",
            reason: EVIL,
            error: { code: "x", detail: EVIL },
            size: 5,
            done_bytes: 1,
            sources: [],
        };
        const message = {
            id: 1,
            from: EVIL,
            from_name: EVIL,
            to: "me",
            text: EVIL,
            incoming: true,
            unread: true,
            received_at: "2026-11-21T04:00:00.000Z",
            offer: { path: EVIL, size: 1 },
            deliveries: [],
        };
        /** @type {Record<string, unknown>} */
        const replies = {
            "/status": { name: EVIL, downloads_folder: EVIL, share: { folder: EVIL } },
            "/hosts": { hosts: [host] },
            [`/hosts/${host.id}/files`]: {
                folders: [{ name: EVIL, files: 1, bytes: 1 }],
                files: [{ path: EVIL, name: EVIL, size: 1, mtime: EVIL, local: EVIL }],
                next: null,
                total: 1,
                folders_total: 0,
            },
            "/downloads": { downloads: [download] },
            "/downloads/1": download,
            "/messages": { messages: [message], unread: 1, unread_by_host: {} },
        };
        const server = http.createServer((req, res) => {
            const path = (req.url ?? "").replace("/api/v1", "").replace(/\?.*/, "");
            const known = req.method === "GET" && path in replies;
            const problem = { title: EVIL, detail: EVIL, code: "conflict", status: 409 };
            res.writeHead(known ? 200 : 409, { "content-type": "application/json" });
            res.end(JSON.stringify(known ? replies[path] : problem));
        });
        await new Promise((done) => server.listen(0, "127.0.0.1", () => done(undefined)));
        t.after(() => server.close());
        const address = /** @type {import("node:net").AddressInfo} */ (server.address());
        return { env: { HOSTPAIR_DASHBOARD_LISTEN: `127.0.0.1:${address.port}` }, replies };
    }

    const COMMANDS = [
        ["hosts"],
        ["ls", "0123456789ab"],
        ["ls", "nobody\u001b[2J"],
        ["get", "0123456789ab", "x"],
        ["downloads"],
        ["downloads", "pause", "1"],
        ["messages"],
        ["send", "0123456789ab", "hi"],
        ["nonsense\u001b[2J"],
        ["help", "\u001b[2J"],
        ["hosts", "--\u001b[2J"],
    ];

    test("moves nothing on the terminal and writes no line of its own", async (t) => {
        const { env } = await hostileApi(t);
        // screenOf fails on whatever a terminal would obey.
        for (const args of COMMANDS) {
            const { screen, wrapped, code } = await atTerminal(args, { env, columns: 200 });
            assert.ok([0, 1, 2].includes(code), `${args.join(" ")}: ${code}\n${screen}`);
            assert.match(screen, /\\x1b\[2J/, `${args.join(" ")} shows it escaped`);
            assert.ok(wrapped <= 1, screen);
            const plain = await piped(args, { env });
            assert.doesNotMatch(plain.stdout + plain.stderr, /[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]/);
        }
        const { stdout } = await piped(["hosts"], { env });
        assert.equal(rows(stdout).length, 1);
        assert.equal(stdout.split("\t").length, 10, "a name adds no fields");
    });

    test("is escaped in --json, which keeps it whole", async (t) => {
        const { env, replies } = await hostileApi(t);
        for (const [args, reply] of /** @type {Array<[string[], string]>} */ ([
            [["hosts"], "/hosts"],
            [["downloads"], "/downloads"],
            [["messages"], "/messages"],
        ])) {
            const { stdout } = await piped([...args, "--json"], { env });
            assert.doesNotMatch(stdout, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
            assert.deepEqual(JSON.parse(stdout), replies[reply]);
            assert.match(stdout, /你/, "what is harmless stays readable");
        }
    });
});
