// @ts-check
// The commands for a terminal, as a person sees them: lists, hosts, which hostpair is asked, settings, help.

import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { describe, test } from "node:test";

import {
    addHost,
    defaultBin,
    freePort,
    makeFile,
    runHostpair,
    startHostpair,
    tempDir,
    waitFor,
} from "./harness.mjs";
import { sharing } from "./hosts.mjs";
import { FILES, asks, atTerminal, columnsOf, commands, pair, piped, rows } from "./terminal.mjs";

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

describe("usage", () => {
    test("help lists the commands, and each tells about itself", async () => {
        const { code, stdout } = await runHostpair(["help"]);
        assert.equal(code, 0);
        assert.equal((await runHostpair(["--help"])).stdout, stdout);
        const names = [...stdout.matchAll(/^ {2}([a-z]+)\b.{10,}$/gm)].map(([, name]) => name);
        assert.deepEqual(names, commands);
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
