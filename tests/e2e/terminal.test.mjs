// @ts-check
// The commands for a terminal, as a person sees them: lists, hosts, messages, hostile names, completion, help.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { describe, test } from "node:test";

import {
    addHost,
    checkout,
    defaultBin,
    download,
    freePort,
    makeFile,
    runHostpair,
    startHostpair,
    tempDir,
    waitFor,
} from "./harness.mjs";
import { listed, sharing } from "./hosts.mjs";
import { FILES, asks, atTerminal, columnsOf, pair, piped, rows, terminal } from "./terminal.mjs";

/** @typedef {import("./harness.mjs").TestContext} TestContext */

describe("lists", () => {
    test("hosts is a table that fits the terminal", async (t) => {
        const { other, id, env } = await pair(t);
        const wide = await atTerminal(["hosts"], { columns: 120, env });
        assert.equal(wide.code, 0, wide.screen);
        assert.match(wide.lines[0], /^NAME +STATE +ADDRESS +FILES +SIZE +SEEN +ID +PATH$/);
        assert.match(
            wide.lines[1],
            new RegExp(
                `^attic  online  127\\.0\\.0\\.1:${other.peerPort} +4 +3\\.2 MB  now +${id.slice(0, 8)} +lan$`,
            ),
        );
        assert.equal(wide.lines.length, 2);
        const narrow = await atTerminal(["hosts"], { columns: 40, env });
        assert.equal(narrow.wrapped, 0, narrow.screen);
        assert.match(narrow.lines[0], /^NAME +STATE/);
        assert.match(narrow.lines[1], /^attic  online/);
        assert.ok(narrow.lines.every((line) => columnsOf(line) <= 40));
        assert.doesNotMatch(narrow.screen, /SEEN/, "what there is no room for is left out");
    });

    test("ls lines columns up, also with wide characters, and cuts names to the terminal", async (t) => {
        const { own, other, env } = await pair(t);
        const long = `${"很长的名字".repeat(8)}.txt`;
        await makeFile(join(other.shareDir, long), 10);
        const { id } = await addHost(own, other.peerPort);
        await waitFor(async () => {
            const { code, stdout } = await piped(["ls", "attic", "--refresh"], { env });
            return code === 0 && rows(stdout).length === 4;
        });
        const wide = await atTerminal(["ls", "attic"], { columns: 120, env });
        assert.equal(wide.code, 0, wide.screen);
        assert.equal(wide.wrapped, 0);
        assert.match(wide.lines[1], /^photos\/ +12\.0 kB  2 files$/);
        const ends = wide.lines
            .slice(1)
            .map((line) => columnsOf(/^.*?\d B|^.*? [kM]B/.exec(line)?.[0] ?? ""));
        assert.equal(new Set(ends).size, 1, `sizes end in one column:\n${wide.screen}`);
        assert.ok(wide.screen.includes(long), "there is room for the whole name");
        const narrow = await atTerminal(["ls", id.slice(0, 6)], { columns: 40, env });
        assert.equal(narrow.wrapped, 0, narrow.screen);
        assert.match(narrow.screen, /很长.*… +10 B/);
    });

    test("ls shows a folder, a file, and says when there is neither", async (t) => {
        const { env } = await pair(t);
        const folder = await piped(["ls", "attic", "/photos/"], { env });
        assert.deepEqual(
            rows(folder.stdout).map((line) => line.split("\t").slice(0, 2)),
            [
                ["2025/", "7000"],
                ["beach.jpg", "5000"],
            ],
        );
        const file = await piped(["ls", "attic", "photos/2025/snow.jpg"], { env });
        assert.match(file.stdout, /^snow\.jpg\t7000\t\d{4}-\d\d-\d\dT[\d:.]+Z\t\n$/);
        const none = await piped(["ls", "attic", "nowhere"], { env });
        assert.equal(none.code, 1);
        assert.equal(none.stdout, "");
        assert.match(none.stderr, /^hostpair: attic offers no nowhere\n$/);
        const outside = await piped(["ls", "attic", "../.."], { env });
        assert.match(outside.stderr, /^hostpair: attic offers no \.\.\/\.\.\n$/);
    });

    test("without a terminal fields stand between tabs, without colours, numbers as they are", async (t) => {
        const { other, id, env } = await pair(t);
        const { stdout, stderr, code } = await piped(["hosts"], { env: { ...env, FORCE_COLOR: "1" } });
        assert.equal(code, 0);
        assert.equal(stderr, "");
        const fields = stdout.replace(/\n$/, "").split("\t");
        assert.deepEqual(
            [...fields.slice(0, 3), fields[6]],
            ["attic", "online", `127.0.0.1:${other.peerPort}`, id],
        );
        assert.equal(fields[4], String(Object.values(FILES).reduce((sum, { size }) => sum + size, 0)));
    });

    test("colours are for terminals that have them and people who want them", async (t) => {
        const { env } = await pair(t);
        const coloured = await atTerminal(["hosts"], { env });
        assert.ok(coloured.coloured);
        for (const extra of [{ NO_COLOR: "1" }, { TERM: "dumb" }, { TERM: undefined }]) {
            const plain = await atTerminal(["hosts"], { env: { ...env, ...extra } });
            assert.ok(!plain.coloured, JSON.stringify(extra));
            assert.deepEqual(plain.lines[1].split(/ +/).slice(0, 2), ["attic", "online"]);
        }
    });

    test("--json is what the API says", async (t) => {
        const { own, id, env } = await pair(t);
        const hosts = await piped(["hosts", "--json"], { env });
        assert.equal(JSON.parse(hosts.stdout).hosts[0].id, id);
        const files = await piped(["ls", "attic", "--json"], { env });
        assert.deepEqual(JSON.parse(files.stdout), (await own.api(`/hosts/${id}/files?limit=1000`)).json);
        const downloads = await piped(["downloads", "--json"], { env });
        assert.deepEqual(JSON.parse(downloads.stdout), { downloads: [] });
        const checked = await piped(["-m", "json.tool"], {
            program: "python3",
            input: hosts.stdout,
            env: {},
        });
        assert.equal(checked.code, 0, checked.stderr);
    });

    test("a folder of more than one page is listed whole", async (t) => {
        const other = await startHostpair({ t, name: "attic" });
        for (let i = 0; i < 2300; i++)
            writeFileSync(join(other.shareDir, `f${String(i).padStart(5, "0")}`), "x");
        await waitFor(async () => (await other.api("/status")).json.share.files === 2300, {
            timeout: 30_000,
        });
        const own = await startHostpair({ t, name: "own" });
        const { stdout, stderr } = await piped(["ls", `127.0.0.1:${other.peerPort}`], { env: asks(own) });
        assert.equal(rows(stdout).length, 2300, stderr);
        assert.match(rows(stdout)[2299], /^f02299\t1\t/);
    });
});

describe("hosts", () => {
    test("a host is meant by its name, its address, its id or the start of that", async (t) => {
        const { other, id, env } = await pair(t);
        for (const word of ["attic", "ATTIC", id, id.slice(0, 4), `127.0.0.1:${other.peerPort}`]) {
            const { code, stderr } = await piped(["ls", word], { env });
            assert.equal(code, 0, `${word}: ${stderr}`);
        }
        const unknown = await piped(["ls", "cellar"], { env });
        assert.equal(unknown.code, 1);
        assert.match(unknown.stderr, /^hostpair: no host is known by the name cellar; .*hostpair hosts.*\n$/);
    });

    test("an address that is not known yet is asked; one where nothing answers is told", async (t) => {
        const other = await sharing(t, "attic", { "a.txt": { size: 5, seed: 1 } });
        const own = await startHostpair({ t, name: "own" });
        const { code, stdout } = await piped(["ls", `127.0.0.1:${other.peerPort}`], { env: asks(own) });
        assert.equal(code, 0);
        assert.match(stdout, /^a\.txt\t5\t/);
        assert.equal((await own.api("/hosts")).json.hosts.length, 1);
        const nothing = await piped(["ls", `127.0.0.1:${await freePort()}`], { env: asks(own) });
        assert.equal(nothing.code, 1, "hostpair runs, the other host does not");
        assert.match(nothing.stderr, /^hostpair: 127\.0\.0\.1:\d+: \S.*\n$/);
    });

    test("two hosts of one name are told apart by their ids", async (t) => {
        const own = await startHostpair({ t, name: "own" });
        const ids = [];
        for (let i = 0; i < 2; i++) {
            const other = await startHostpair({ t, name: "twin" });
            ids.push((await addHost(own, other.peerPort)).id);
        }
        const { code, stderr } = await piped(["ls", "twin"], { env: asks(own) });
        assert.equal(code, 1);
        for (const id of ids) assert.ok(stderr.includes(id.slice(0, 8)), stderr);
        assert.equal((await piped(["ls", ids[1]], { env: asks(own) })).code, 0);
    });
});

describe("finding the hostpair that runs", () => {
    test("by a note in the data folder that only its owner reads, gone at a clean end", async (t) => {
        const h = await startHostpair({ t, name: "own" });
        const note = join(h.dataDir, "running.json");
        assert.equal(statSync(note).mode & 0o777, 0o600);
        assert.deepEqual(JSON.parse(readFileSync(note, "utf8")), {
            pid: h.pid,
            address: "127.0.0.1",
            peer: h.peerPort,
            dashboard: h.dashboardPort,
        });
        assert.equal((await piped(["hosts", "--data", h.dataDir])).code, 0);
        assert.equal((await piped(["--data", h.dataDir, "hosts"])).code, 0);
        await h.stop();
        assert.ok(!existsSync(note), "nothing is left of it");
        const gone = await piped(["hosts", "--data", h.dataDir]);
        assert.equal(gone.code, 3);
        // Not the one that may run at the default address: another was asked for.
        assert.equal(
            gone.stderr,
            `hostpair: no hostpair is running with the data folder ${h.dataDir}; start it with: hostpair\n`,
        );
    });

    test("a note that a crash left behind is not believed", async (t) => {
        const h = await startHostpair({ t, name: "own" });
        await h.kill9();
        assert.ok(existsSync(join(h.dataDir, "running.json")));
        // Another program may have taken the port since: it is asked nothing.
        let asked = 0;
        const server = http.createServer((_, res) => {
            asked++;
            res.writeHead(404).end();
        });
        await new Promise((done) => server.listen(h.dashboardPort, "127.0.0.1", () => done(undefined)));
        const { code, stderr } = await piped(["hosts", "--data", h.dataDir]);
        await new Promise((done) => server.close(done));
        assert.equal(code, 3, stderr);
        assert.equal(asked, 0);
        await h.start();
        assert.equal((await piped(["hosts", "--data", h.dataDir])).code, 0);
    });

    test("at an address that is given, and nowhere else", async (t) => {
        const h = await startHostpair({ t, name: "own" });
        const at = `127.0.0.1:${h.dashboardPort}`;
        assert.equal((await piped(["hosts", "--dashboard-listen", at])).code, 0);
        assert.equal((await piped(["hosts"], { env: { HOSTPAIR_DASHBOARD_LISTEN: at } })).code, 0);
        // As in a container, whose health check reads the same file.
        const ports = join(tempDir(t), "ports.json");
        writeFileSync(ports, `{"peer":${h.peerPort},"dashboard":${h.dashboardPort}}\n`);
        assert.equal((await piped(["hosts"], { env: { HOSTPAIR_PORT_FILE: ports } })).code, 0);
        writeFileSync(ports, "nonsense");
        assert.equal((await piped(["hosts", "--port-file", ports], { env: asks(h) })).code, 3);
        const wrong = `127.0.0.1:${await freePort()}`;
        const { code, stderr } = await piped(["hosts", "--dashboard-listen", wrong], { env: asks(h) });
        assert.equal(code, 3);
        assert.ok(stderr.includes(wrong), stderr);
    });

    test("what answers there but is not hostpair is told, and no token goes further", async (t) => {
        const server = http.createServer((_, res) =>
            res.writeHead(200, { "content-type": "text/html" }).end("<p>hi"),
        );
        await new Promise((done) => server.listen(0, "127.0.0.1", () => done(undefined)));
        t.after(() => server.close());
        const address = /** @type {import("node:net").AddressInfo} */ (server.address());
        const { code, stderr } = await piped(["hosts", "--dashboard-listen", `127.0.0.1:${address.port}`]);
        assert.equal(code, 3);
        assert.match(stderr, /is not hostpair/);
    });

    test("with the token that it asks for", async (t) => {
        const h = await startHostpair({ t, name: "own", args: ["--dashboard-token", "s3cret-token"] });
        const none = await piped(["hosts"], { env: asks(h) });
        assert.equal(none.code, 1);
        assert.match(none.stderr, /requires its token.*HOSTPAIR_DASHBOARD_TOKEN/);
        assert.equal((await piped(["hosts", "--dashboard-token", "wrong-token"], { env: asks(h) })).code, 1);
        assert.equal((await piped(["hosts", "--dashboard-token", "s3cret-token"], { env: asks(h) })).code, 0);
        const env = { ...asks(h), HOSTPAIR_DASHBOARD_TOKEN: "s3cret-token" };
        assert.equal((await piped(["hosts"], { env })).code, 0);
    });
});

test("settings are listed, told one by one and changed", async (t) => {
    const h = await startHostpair({ t, name: "own" });
    const run = (/** @type {string[]} */ ...words) => piped(["settings", ...words], { env: asks(h) });
    const all = await run();
    assert.equal(all.code, 0, all.stderr);
    const rows = all.stdout
        .trim()
        .split("\n")
        .map((line) => line.split("\t"));
    const now = (await h.api("/settings")).json;
    assert.deepEqual(
        rows.map((row) => [row[0], row[1]]),
        Object.entries(now).map(([name, value]) => [name, String(value)]),
    );
    assert.deepEqual(JSON.parse((await run("--json")).stdout), now);
    for (const [name, typed, stored, shown] of [
        ["down_limit_bps", "2M", 2_000_000, "2000000"],
        ["up_limit_bps", "0", 0, "0"],
        ["running_downloads", "7", 7, "7"],
        ["scan", "off", false, "false"],
        ["theme", "dark", "dark", "dark"],
    ]) {
        const changed = await run(String(name), String(typed));
        assert.equal(changed.code, 0, changed.stderr);
        assert.equal(changed.stdout.trim(), shown);
        assert.equal((await h.api("/settings")).json[String(name)], stored);
        assert.equal((await run(String(name))).stdout.trim(), shown);
    }
    for (const [name, typed] of [
        ["running_downloads", "-3"],
        ["down_limit_bps", "-3"],
        ["scan", "maybe"],
        ["theme", "pink"],
    ]) {
        const refused = await run(name, typed);
        assert.equal(refused.code, 1);
        assert.match(refused.stderr, new RegExp(`^hostpair: ${name}: must be `));
    }
    const unknown = await run("colour", "red");
    assert.equal(unknown.code, 2);
    assert.match(unknown.stderr, /there is no setting colour/);
});

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
        assert.equal(stdout.split("\t").length, 9, "a name adds no fields");
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

describe("completion in bash", () => {
    const script = join(checkout, "docker/hostpair.bash");

    /** The candidates for the last of these words. @param {string[]} words @param {Record<string, string>} env */
    async function complete(words, env) {
        const list = words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
        const program = `source ${script}; COMP_WORDS=("$0" ${list}); COMP_CWORD=${words.length}
            _hostpair "$0"; printf '%s\\n' "\${COMPREPLY[@]}"`;
        const { stdout, stderr } = await piped(["-c", program, defaultBin], { program: "bash", env });
        assert.equal(stderr, "");
        return rows(stdout);
    }

    test("knows commands, hosts, their files, downloads and options", async (t) => {
        const { id, own, env } = await pair(t);
        assert.deepEqual(await complete([""], env), [
            ...[
                "hosts",
                "ls",
                "get",
                "downloads",
                "share",
                "send",
                "messages",
                "pair",
                "unpair",
                "settings",
                "identity",
                "group",
                "help",
            ],
        ]);
        assert.deepEqual(await complete(["h"], env), ["hosts", "help"]);
        assert.deepEqual(await complete(["ls", ""], env), ["attic"]);
        assert.deepEqual(await complete(["ls", "x"], env), []);
        assert.deepEqual(await complete(["send", ""], env), ["everyone", "attic"]);
        assert.deepEqual(await complete(["get", "attic", ""], env), [
            "photos/",
            "holiday.mp4",
            "你好\\ 世界.txt",
        ]);
        assert.deepEqual(await complete(["get", "--to", "x", "attic", "photos/", "photos/b"], env), [
            "photos/beach.jpg",
        ]);
        assert.deepEqual(await complete(["get", id.slice(0, 5), "photos/"], env), [
            "photos/2025/",
            "photos/beach.jpg",
        ]);
        assert.deepEqual(await complete(["ls", "attic", ""], env), ["photos/"]);
        assert.deepEqual(await complete(["get", "attic", '"你好 '], env), ["你好 世界.txt"]);
        assert.deepEqual(await complete(["downloads", "re"], env), ["resume", "retry", "remove"]);
        const d = await download(own, { host: id, path: "holiday.mp4" });
        assert.deepEqual(await complete(["downloads", "pause", ""], env), [String(d.id)]);
        assert.deepEqual(await complete(["hosts", "--j"], env), ["--json"]);
        assert.deepEqual(await complete(["--lo"], env), ["--log"]);
        assert.deepEqual(await complete(["--log", "w"], env), ["warn"]);
        assert.deepEqual(await complete(["help", "sh"], env), ["share"]);
        assert.deepEqual(await complete(["settings", "sc"], env), ["scan"]);
        assert.deepEqual(await complete(["settings", "theme", ""], env), ["auto", "light", "dark"]);
        assert.deepEqual(await complete(["settings", "scan", "f"], env), ["false"]);
    });

    test("finds a name in a folder of many, and nothing deeper", async (t) => {
        const other = await startHostpair({ t, name: "attic" });
        mkdirSync(join(other.shareDir, "many/deep"), { recursive: true });
        for (let i = 0; i < 1500; i++) writeFileSync(join(other.shareDir, `many/f${i}`), "x");
        writeFileSync(join(other.shareDir, "many/needle.txt"), "x");
        writeFileSync(join(other.shareDir, "many/deep/needle.txt"), "x");
        await waitFor(async () => (await other.api("/status")).json.share.files === 1502, {
            timeout: 30_000,
        });
        const own = await startHostpair({ t, name: "own" });
        await addHost(own, other.peerPort);
        assert.deepEqual(await complete(["get", "attic", "many/nee"], asks(own)), ["many/needle.txt"]);
        assert.deepEqual(await complete(["get", "attic", "/many//de"], asks(own)), ["/many//deep/"]);
    });

    test("says nothing where no hostpair runs", async (t) => {
        const env = { HOSTPAIR_DATA: tempDir(t) };
        assert.deepEqual(await complete(["ls", ""], env), []);
        assert.deepEqual(await complete(["get", "attic", ""], env), []);
    });

    test("the Tab key writes names that bash reads back, whatever is in them", async (t) => {
        const name = 'a $(touch x) `y` "q" it\'s & 你.txt';
        const other = await sharing(t, "the attic", { [name]: { size: 9, seed: 1 } });
        const own = await startHostpair({ t, name: "own" });
        const { id } = await addHost(own, other.peerPort);
        await listed(own, id, 1);
        const cwd = tempDir(t);
        const rc = join(cwd, "rc");
        symlinkSync(own.bin, join(cwd, "hostpair"));
        writeFileSync(rc, `PS1='> '; bind 'set bell-style none'; source ${script}\n`);
        for (const typed of ["hostpair get the\ta ", 'hostpair get "the\t "a ', "hostpair get the\\ \t'a "]) {
            const env = {
                ...asks(own),
                TERM: "dumb",
                PATH: `${cwd}:${process.env.PATH}`,
                HISTFILE: undefined,
            };
            const shell = terminal(["--noprofile", "--rcfile", rc, "-i"], {
                program: "bash",
                columns: 200,
                env,
                cwd,
            });
            await shell.shows(/^> $/);
            shell.type(`${typed.trimEnd()}\t`);
            await shell.shows(/\.txt['"]? $/);
            shell.type("\n");
            await shell.shows(/^\/.*\.txt$/m);
            shell.type("exit\n");
            const { screen } = await shell.ended;
            assert.ok(rows(screen).includes(join(own.downloadsDir, name)), screen);
        }
        assert.ok(!existsSync(join(cwd, "x")), "nothing in a name was run");
    });
});

describe("usage", () => {
    test("help lists the commands, and each tells about itself", async () => {
        const { code, stdout } = await runHostpair(["help"]);
        assert.equal(code, 0);
        assert.equal((await runHostpair(["--help"])).stdout, stdout);
        const names = [...stdout.matchAll(/^ {2}([a-z]+)\b.{10,}$/gm)].map(([, name]) => name);
        const all = [
            "hosts",
            "ls",
            "get",
            "downloads",
            "share",
            "send",
            "messages",
            "pair",
            "unpair",
            "settings",
            "identity",
            "group",
            "help",
        ];
        assert.deepEqual(names, all);
        for (const name of names) {
            const own = await runHostpair([name, "--help"]);
            assert.equal(own.code, 0, own.stderr);
            assert.equal(own.stderr, "");
            assert.match(own.stdout, new RegExp(`^Usage: hostpair ${name}\\b`));
            assert.match(own.stdout, /Exit codes: 0 .*3 no hostpair runs/);
            assert.equal((await runHostpair(["help", name])).stdout, own.stdout);
        }
    });

    test("a full disk behind standard output is a failure, a closed one is not", async (t) => {
        const { env } = await pair(t);
        const run = (/** @type {string} */ command) =>
            piped(["-c", command, defaultBin], { program: "bash", env });
        const full = await run('"$0" hosts >/dev/full');
        assert.equal(full.code, 1);
        assert.match(full.stderr, /^hostpair: standard output cannot be written\n$/);
        const closed = await run('"$0" hosts >&-');
        assert.deepEqual([closed.code, closed.stderr], [0, ""]);
        const pipe = await run('"$0" hosts --json | head -n 1; echo "${PIPESTATUS[1]}"');
        assert.deepEqual([pipe.stdout, pipe.stderr], ["{\n0\n", ""]);
    });

    test("wrong use is one line and code 2, before anything is asked", async () => {
        for (const args of [
            ["nonsense"],
            ["ls"],
            ["ls", "a", "b", "c"],
            ["get"],
            ["get", "attic"],
            ["get", "attic", "x", "--to"],
            ["hosts", "--nonsense"],
            ["hosts", "--json=1"],
            ["hosts", "--share", "/tmp"],
            ["send", "attic"],
            ["messages", "--count", "none"],
            ["hosts", "--dashboard-listen", "nonsense"],
        ]) {
            const { code, stdout, stderr } = await runHostpair(args);
            const expected = ["get", "messages"].includes(args[0]) && args.length !== 1 ? [2, 3] : [2];
            assert.ok(expected.includes(code ?? -1), `${args.join(" ")}: ${code} ${stderr}`);
            assert.equal(stdout, "");
            assert.equal(rows(stderr).length, 1, stderr);
        }
    });
});
