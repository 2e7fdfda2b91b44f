// @ts-check
// Files at a terminal: downloads with a bar and Ctrl-C, and what is offered to the others.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";

import {
    MiB,
    addHost,
    download,
    makeFile,
    sha256,
    startHostpair,
    tempDir,
    waitFor,
    waitState,
} from "./harness.mjs";
import { assertSameTree, fileBytes, linked, listed, sharing } from "./hosts.mjs";
import { startLink } from "./link.mjs";
import { asks, atTerminal, columnsOf, pair, piped, rows, terminal } from "./terminal.mjs";

describe("get", () => {
    test("shows a bar up to 100 % and says where the file landed", async (t) => {
        const { own, other, env } = await pair(t);
        const { code, lines, screen, wrapped } = await atTerminal(["get", "attic", "holiday.mp4"], { env });
        assert.equal(code, 0, screen);
        assert.equal(wrapped, 0);
        assert.match(lines[0], /^holiday\.mp4  ━+  100 %  3\.1 MB in [\d.]+ s, verified$/);
        assert.equal(lines[1], join(own.downloadsDir, "holiday.mp4"));
        assert.equal(lines.length, 2);
        assert.equal(await sha256(lines[1]), await sha256(join(other.shareDir, "holiday.mp4")));
        const again = await atTerminal(["get", "attic", "holiday.mp4"], { env });
        assert.equal(again.code, 0);
        assert.match(again.lines[0], /^holiday\.mp4  ━+  100 %  here already$/);
        assert.equal(again.lines[1], join(own.downloadsDir, "holiday.mp4"));
    });

    test("takes several paths, folders and everything", async (t) => {
        const { own, other, env } = await pair(t);
        const several = await piped(["get", "attic", "photos/", "你好 世界.txt"], { env });
        assert.equal(several.code, 0, several.stderr);
        assert.deepEqual(rows(several.stdout).sort(), [
            join(own.downloadsDir, "photos"),
            join(own.downloadsDir, "你好 世界.txt"),
        ]);
        await assertSameTree(join(own.downloadsDir, "photos"), join(other.shareDir, "photos"));
        // A folder is also known without the slash; --to puts it elsewhere.
        const inner = await piped(["get", "attic", "photos/2025", "--to", "snow/old"], { env });
        assert.deepEqual(rows(inner.stdout), [join(own.downloadsDir, "snow/old/2025")]);
        const all = await piped(["get", "attic", "/"], { env });
        assert.equal(all.code, 0, all.stderr);
        await assertSameTree(rows(all.stdout)[0], other.shareDir);
    });

    test("without a terminal prints a line every few seconds, and only the place to standard output", async (t) => {
        const other = await sharing(t, "attic", { "big.bin": { size: 8 * MiB, seed: 7 } });
        const own = await startHostpair({ t, name: "own" });
        await linked(t, own, other.peerPort, { rate: 1.6 * MiB });
        const { code, stdout, stderr } = await piped(["get", "attic", "big.bin"], { env: asks(own) });
        assert.equal(code, 0, stderr);
        assert.equal(stdout, `${join(own.downloadsDir, "big.bin")}\n`);
        const told = rows(stderr);
        assert.match(told[0], /^big\.bin  \[#+-+\] +\d+ % +[\d.]+ MB\/s/);
        assert.match(told[told.length - 1], /100 %.*verified$/);
        assert.ok(told.length >= 2 && told.length <= 5, stderr);
        assert.doesNotMatch(stderr, /[\x00-\x09\x0b-\x1f]/, "nothing is drawn over");
    });

    test("Ctrl-C pauses it, and the same command goes on where it was", async (t) => {
        const size = 12 * MiB;
        const other = await sharing(t, "attic", { "big.bin": { size, seed: 7 } });
        const own = await startHostpair({ t, name: "own" });
        const { link } = await linked(t, own, other.peerPort, { rate: 3 * MiB });
        const env = asks(own);
        const first = terminal(["get", "attic", "big.bin"], { env });
        await first.shows(/ [3-6]\d %/);
        first.type("\u0003");
        const { code, screen, wrapped } = await first.ended;
        assert.equal(code, 130, screen);
        assert.equal(wrapped, 0, screen);
        assert.match(
            screen,
            /\nbig\.bin is paused; [3-7]\d % of it is here\.\nTo go on: \S+ get attic big\.bin$/,
        );
        const [paused] = (await own.api("/downloads")).json.downloads;
        assert.equal(paused.state, "paused");
        const carried = fileBytes(link);
        link.rate = 0;
        const second = await atTerminal(["get", "attic", "big.bin"], { env });
        assert.equal(second.code, 0, second.screen);
        assert.match(second.lines[0], /100 %/);
        assert.equal(
            await sha256(join(own.downloadsDir, "big.bin")),
            await sha256(join(other.shareDir, "big.bin")),
        );
        assert.equal((await own.api("/downloads")).json.downloads.length, 1, "it is the same download");
        assert.ok(fileBytes(link) - carried <= size - paused.done_bytes + 2 * MiB, "it went on where it was");
    });

    test("Ctrl-C leaves alone what was under way before", async (t) => {
        const other = await sharing(t, "attic", { "big.bin": { size: 12 * MiB, seed: 7 } });
        const own = await startHostpair({ t, name: "own" });
        const { link, id } = await linked(t, own, other.peerPort, { rate: MiB });
        const d = await download(own, { host: id, path: "big.bin" });
        const seen = terminal(["get", "attic", "big.bin"], { env: asks(own) });
        await seen.shows(/ [1-6]\d %/);
        seen.type("\u0003");
        const { code, screen } = await seen.ended;
        assert.equal(code, 130);
        assert.match(screen, /big\.bin was under way before, and goes on\./);
        link.rate = 0;
        await waitState(own, d.id, "done");
    });

    test("--no-wait leaves it to hostpair, --limit slows it", async (t) => {
        const other = await sharing(t, "attic", { "big.bin": { size: 6 * MiB, seed: 7 } });
        const own = await startHostpair({ t, name: "own" });
        const { id } = await addHost(own, other.peerPort);
        await listed(own, id, 1);
        const ordered = await piped(["get", "attic", "big.bin", "--no-wait", "--limit", "2M"], {
            env: asks(own),
        });
        assert.equal(ordered.code, 0, ordered.stderr);
        const [number, state, path] = ordered.stdout.trim().split("\t");
        assert.match(state, /^(queued|running)$/);
        assert.equal(path, "big.bin");
        const d = (await own.api(`/downloads/${number}`)).json;
        assert.equal(d.limit_bps, 2_000_000);
        await waitState(own, d.id, "done");
        const bad = await piped(["get", "attic", "big.bin", "--limit", "fast"], { env: asks(own) });
        assert.equal(bad.code, 2);
    });

    test("a terminal that cannot draw over a line gets one every few seconds", async (t) => {
        const { env } = await pair(t);
        const seen = await atTerminal(["get", "attic", "holiday.mp4"], { env: { ...env, TERM: "dumb" } });
        assert.equal(seen.code, 0);
        assert.match(seen.lines[0], /^holiday\.mp4  \[#+\]  100 %/);
        assert.doesNotMatch(seen.shown, /\x1b/);
    });

    test("the line follows the terminal's size", async (t) => {
        const other = await sharing(t, "attic", {
            "a-rather-long-name-of-a-film.mkv": { size: 12 * MiB, seed: 7 },
        });
        const own = await startHostpair({ t, name: "own" });
        const { link } = await linked(t, own, other.peerPort, { rate: 2 * MiB });
        const seen = terminal(["get", "attic", "a-rather-long-name-of-a-film.mkv"], {
            columns: 120,
            env: asks(own),
        });
        await seen.shows(/^a-rather-long-name-of-a-film\.mkv  .*MB\/s  1 source .*left/);
        seen.resize(40);
        await seen.shows(/^a-rath\S*…  [━─]+ +\d+ %/);
        const line = seen.screen().split("\n")[0];
        assert.ok(columnsOf(line) < 40, line);
        link.rate = 0;
        assert.equal((await seen.ended).code, 0);
    });

    test("a failure ends with its reason and code 1, and the others are finished", async (t) => {
        const { own, env } = await pair(t);
        const { code, stdout, stderr } = await piped(["get", "attic", "missing.txt", "holiday.mp4"], { env });
        assert.equal(code, 1);
        assert.match(stderr, /^hostpair: missing\.txt: \S.+$/m);
        assert.equal(stdout, `${join(own.downloadsDir, "holiday.mp4")}\n`);
        const { downloads } = (await own.api("/downloads")).json;
        const names = downloads.map((/** @type {any} */ d) => d.name);
        assert.deepEqual(names, ["holiday.mp4"], "a name written wrong stays in no list");
    });

    test("a download that somebody else removes or pauses ends it", async (t) => {
        const other = await sharing(t, "attic", { "big.bin": { size: 12 * MiB, seed: 7 } });
        const own = await startHostpair({ t, name: "own" });
        await linked(t, own, other.peerPort, { rate: 2 * MiB });
        const id = async () => (await own.api("/downloads")).json.downloads[0].id;
        const first = terminal(["get", "attic", "big.bin"], { env: asks(own) });
        await first.shows(/ [1-6]\d %/);
        await own.api(`/downloads/${await id()}`, { method: "PATCH", json: { state: "paused" } });
        const paused = await first.ended;
        assert.equal(paused.code, 1);
        assert.match(paused.screen, /hostpair: big\.bin: this download was paused/);
        const second = terminal(["get", "attic", "big.bin"], { env: asks(own) });
        await waitFor(async () => (await own.api("/downloads")).json.downloads[0].state === "running");
        await own.api(`/downloads/${await id()}?data=remove`, { method: "DELETE" });
        const removed = await second.ended;
        assert.equal(removed.code, 1);
        assert.match(removed.screen, /hostpair: big\.bin: this download was removed/);
    });

    test("when hostpair itself ends, it says so with code 3", async (t) => {
        const other = await sharing(t, "attic", { "big.bin": { size: 12 * MiB, seed: 7 } });
        const own = await startHostpair({ t, name: "own" });
        await linked(t, own, other.peerPort, { rate: 2 * MiB });
        const seen = terminal(["get", "attic", "big.bin"], { env: asks(own) });
        await seen.shows(/ [1-6]\d %/);
        await own.stop();
        const { code, screen } = await seen.ended;
        assert.equal(code, 3, screen);
        assert.match(screen, /go on by themselves/);
    });

    test("takes web addresses", async (t) => {
        const { other, own, env } = await pair(t);
        const { code, stdout, stderr } = await piped(["get", `${other.peerUrl}/photos/beach.jpg`], { env });
        assert.equal(code, 0, stderr);
        assert.equal(stdout, `${join(own.downloadsDir, "beach.jpg")}\n`);
    });
});

describe("downloads", () => {
    test("that are folders look so on a terminal, and keep their name elsewhere", async (t) => {
        const other = await sharing(t, "attic", { "photos/beach.jpg": { size: 5000, seed: 6 } });
        const own = await startHostpair({ t, name: "own" });
        const { id } = await linked(t, own, other.peerPort);
        const env = asks(own);
        await waitState(own, (await download(own, { host: id, folder: "photos" })).id, "done");
        const { screen } = await atTerminal(["downloads"], { columns: 120, env });
        assert.match(screen, /\bphotos\/ +.*done/);
        const { stdout } = await piped(["downloads"], { env });
        assert.match(stdout, /\tphotos\tdone\t/);
    });

    test("are listed, paused, let go on and removed", async (t) => {
        const other = await sharing(t, "attic", { "big.bin": { size: 12 * MiB, seed: 7 } });
        const own = await startHostpair({ t, name: "own" });
        const { link, id } = await linked(t, own, other.peerPort, { rate: MiB });
        const env = asks(own);
        const none = await piped(["downloads"], { env });
        assert.deepEqual([none.code, none.stdout, none.stderr], [0, "", "There are no downloads.\n"]);
        const d = await download(own, { host: id, path: "big.bin" });
        await waitState(
            own,
            d.id,
            (now) => now.state === "running" && now.done_bytes > 0 && now.speed_bps > 0,
        );
        const { screen, lines } = await atTerminal(["downloads"], { columns: 120, env });
        assert.match(lines[0], /^ *ID  NAME +STATE +DONE +SIZE +SPEED/);
        assert.match(
            lines[1],
            new RegExp(`^ *${d.id}  big\\.bin  running +\\d+ %  12\\.6 MB +[\\d.]+ [kM]B/s`),
            screen,
        );
        const pause = await piped(["downloads", "pause", String(d.id)], { env });
        assert.deepEqual([pause.code, pause.stdout], [0, `${d.id} big.bin: paused\n`]);
        assert.equal((await waitState(own, d.id, "paused")).state, "paused");
        assert.equal((await piped(["downloads", "resume", "all"], { env })).code, 0);
        await waitState(own, d.id, "running");
        const wrong = await piped(["downloads", "remove", "4711", "x"], { env });
        assert.equal(wrong.code, 1);
        assert.match(wrong.stderr, /^hostpair: 4711: .*\nhostpair: x: .*number/);
        assert.equal((await piped(["downloads", "remove", String(d.id)], { env })).code, 0);
        assert.equal((await own.api(`/downloads/${d.id}`)).status, 404);
        link.rate = 0;
    });

    test("what to do with which is asked for", async (t) => {
        const own = await startHostpair({ t, name: "own" });
        for (const args of [
            ["downloads", "eat"],
            ["downloads", "pause"],
        ]) {
            const { code, stderr } = await piped(args, { env: asks(own) });
            assert.equal(code, 2);
            assert.match(stderr, /see hostpair downloads --help/);
        }
    });
});

describe("share", () => {
    test("offers files and folders, and says what was offered already", async (t) => {
        const own = await startHostpair({ t, name: "own" });
        const cwd = tempDir(t);
        await makeFile(join(cwd, "big.bin"), 20 * MiB + 3, 1);
        await makeFile(join(cwd, "album/a.jpg"), 1000, 2);
        await makeFile(join(cwd, "album/deep/er/b.jpg"), 0, 3);
        await makeFile(join(cwd, "album/.hidden"), 10, 4);
        const seen = await atTerminal(["share", "big.bin", "album/"], { env: asks(own), cwd });
        assert.equal(seen.code, 0, seen.screen);
        assert.equal(seen.wrapped, 0);
        assert.match(seen.lines[0], /^big\.bin  ━+  100 %  1 file, 21\.0 MB$/);
        assert.equal(seen.lines[1], "big.bin");
        assert.match(seen.lines[2], /^album  ━+  100 %  3 files, 1\.0 kB$/);
        assert.equal(seen.lines[3], "album/");
        assert.equal(await sha256(join(own.shareDir, "big.bin")), await sha256(join(cwd, "big.bin")));
        await assertSameTree(join(own.shareDir, "album"), join(cwd, "album"));
        const inside = await piped(["share", join(own.shareDir, "album")], { env: asks(own) });
        assert.equal(inside.code, 0);
        assert.match(inside.stdout, /^album is offered already/);
        const to = await piped(["share", "--to", "in/here", "big.bin", "--json"], { env: asks(own), cwd });
        assert.equal(JSON.parse(to.stdout).files[0].path, "in/here/big.bin");
        assert.equal(await sha256(join(own.shareDir, "in/here/big.bin")), await sha256(join(cwd, "big.bin")));
    });

    test("replaces nothing unless that is asked for", async (t) => {
        const own = await startHostpair({ t, name: "own" });
        const cwd = tempDir(t);
        writeFileSync(join(cwd, "a.txt"), "new");
        writeFileSync(join(own.shareDir, "a.txt"), "old");
        const refused = await piped(["share", "a.txt"], { env: asks(own), cwd });
        assert.equal(refused.code, 1);
        assert.match(refused.stderr, /hostpair: a\.txt: another file of that name is offered; see --replace/);
        assert.equal(readFileSync(join(own.shareDir, "a.txt"), "utf8"), "old");
        const replaced = await piped(["share", "a.txt", "--replace"], { env: asks(own), cwd });
        assert.equal(replaced.code, 0, replaced.stderr);
        assert.equal(readFileSync(join(own.shareDir, "a.txt"), "utf8"), "new");
        const same = await piped(["share", "a.txt"], { env: asks(own), cwd });
        assert.equal(same.code, 0, "the same bytes are no collision");
    });

    test("Ctrl-C stops it, and the same command goes on where it was", async (t) => {
        const own = await startHostpair({ t, name: "own" });
        const link = await startLink({ t, to: own.dashboardPort, delay: 2 });
        const cwd = tempDir(t);
        await makeFile(join(cwd, "album/a.bin"), 9 * MiB, 1);
        await makeFile(join(cwd, "album/b.bin"), 40 * MiB, 2);
        const env = { HOSTPAIR_DASHBOARD_LISTEN: `127.0.0.1:${link.port}` };
        const first = terminal(["share", "album"], { env, cwd });
        await first.shows(/b\.bin .* [5-8]\d %/);
        first.type("\u0003");
        const { code, screen } = await first.ended;
        assert.equal(code, 130, screen);
        assert.match(screen, /Stopped\. To go on: \S+ share album$/);
        assert.ok(existsSync(join(own.shareDir, "album/a.bin")));
        assert.ok(!existsSync(join(own.shareDir, "album/b.bin")), "half a file is never seen");
        const puts = () => link.requests.filter((r) => r.method === "PUT" && r.path.endsWith("b.bin")).length;
        const before = puts();
        link.delay = 0;
        const second = await atTerminal(["share", "album"], { env, cwd });
        assert.equal(second.code, 0, second.screen);
        await assertSameTree(join(own.shareDir, "album"), join(cwd, "album"));
        assert.ok(puts() - before < 6, `${puts() - before} requests for what was missing`);
    });

    test("a file that changed since it was broken off is copied anew", async (t) => {
        const own = await startHostpair({ t, name: "own" });
        const cwd = tempDir(t);
        await makeFile(join(cwd, "a.bin"), 20 * MiB, 1);
        const begun = await own.api("/share/files/a.bin", {
            method: "PUT",
            headers: { "content-range": `bytes 0-${8 * MiB - 1}/${20 * MiB}` },
            body: Buffer.alloc(8 * MiB, 7),
        });
        assert.equal(begun.status, 202, begun.text);
        const { code, stderr } = await piped(["share", "a.bin"], { env: asks(own), cwd });
        assert.equal(code, 0, stderr);
        assert.equal(await sha256(join(own.shareDir, "a.bin")), await sha256(join(cwd, "a.bin")));
    });

    test("what cannot be offered is told, the rest is offered", async (t) => {
        const own = await startHostpair({ t, name: "own" });
        const cwd = tempDir(t);
        mkdirSync(join(cwd, "empty"));
        writeFileSync(join(cwd, "a.txt"), "a");
        mkdirSync(join(cwd, "links"));
        writeFileSync(join(cwd, "links/b.txt"), "b");
        symlinkSync("/etc/passwd", join(cwd, "links/passwd"));
        const args = ["share", "missing", "/dev/null", "empty", "links", "a.txt"];
        const { code, stdout, stderr } = await piped(args, { env: asks(own), cwd });
        assert.equal(code, 1);
        assert.deepEqual(rows(stdout), ["links/", "a.txt"]);
        assert.match(stderr, /^hostpair: missing: No such file/m);
        assert.equal(stderr.match(/^hostpair: /gm)?.length, 2, `each is told once: ${stderr}`);
        assert.match(stderr, /^hostpair: \/dev\/null is neither a file nor a folder$/m);
        assert.match(stderr, /^There are no files in empty\.$/m);
        assert.match(stderr, /^Passed over in links, as neither file nor folder: 1\.$/m);
        assert.ok(!existsSync(join(own.shareDir, "links/passwd")));
        const around = await piped(["share", join(own.shareDir, "..")], { env: asks(own) });
        assert.equal(around.code, 1);
        assert.match(around.stderr, /holds the shared folder/);
    });
});
