// @ts-check
// hostpair menu: numbered menus, on terminals of two sizes, in two languages, and with pipes.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";

import { MiB, addHost, checkout, makeFile, startHostpair, tempDir, waitFor } from "./harness.mjs";
import { listed } from "./hosts.mjs";
import { newest, offered } from "./inbox.mjs";
import { asks, columnsOf, pair, piped, terminal } from "./terminal.mjs";

/** @typedef {import("./harness.mjs").TestContext} TestContext */

const chinese = { LANG: "zh_CN.UTF-8" };

/**
 * A person at a menu.
 * @param {Record<string, string>} env
 * @param {{ columns?: number, rows?: number }} [size]
 */
function person(env, { columns = 80, rows = 24 } = {}) {
    const at = terminal(["menu"], { columns, rows, env });
    let seen = 0;
    const news = () => at.screen().slice(seen);
    return {
        ...at,
        /** Waits until what has come since the last key shows this. @param {RegExp} what */
        sees: (what) =>
            waitFor(() => what.exec(news()), {
                timeout: 60_000,
                what: `${what} on the screen`,
                detail: () => at.screen(),
            }),
        /** Types a line, and waits for what it leads to and for the next prompt. @param {string} text @param {RegExp} what */
        async types(text, what) {
            seen = at.screen().length;
            at.type(`${text}\n`);
            await this.sees(what);
            await this.sees(/(Number: |请输入编号：)$/);
        },
        /** The same where the next prompt is another one. @param {string} text @param {RegExp} what */
        async enters(text, what) {
            seen = at.screen().length;
            at.type(`${text}\n`);
            await this.sees(what);
        },
    };
}

/** Nothing is broken over the edge, and nothing is wider than the screen. @param {{ lines: string[], wrapped: number, screen: string }} end @param {number} columns */
function assertFits({ lines, wrapped, screen }, columns) {
    assert.equal(wrapped, 0, screen);
    for (const line of lines) assert.ok(columnsOf(line) <= columns, `${columnsOf(line)} columns: ${line}`);
}

const sizes = [
    { columns: 80, rows: 24 },
    { columns: 40, rows: 20 },
];

describe("a file is found, downloaded and shown", () => {
    for (const size of sizes) {
        test(`in English, ${size.columns}x${size.rows}`, async (t) => {
            const { own, other, env } = await pair(t);
            const p = person(env, size);
            await p.sees(
                /hostpair on own[\s\S]*1 {2}Hosts and their files \(online: 1\s+of 1\)[\s\S]*0 {2}Exit/,
            );
            await p.types("1", /Hosts\s+NAME[\s\S]*1 {2}attic +online/);
            await p.types("1", /attic \(online\)[\s\S]*1 {2}Files[\s\S]*4 {2}Write a message/);
            await p.types("1", /attic: \/\n[\s\S]*1 {2}photos\/[\s\S]*2 {2}holiday\.mp4/);
            await p.types("1", /attic: \/photos\n[\s\S]*2025\/[\s\S]*2 {2}beach\.jpg/);
            await p.types("2", /Download beach\.jpg \(5\.0 kB\)\?[\s\S]*1 {2}Yes/);
            await p.types("1", /beach\.jpg +\S+ +100 %[\s\S]*beach\.jpg is here:/);
            assert.ok(
                readFileSync(join(own.downloadsDir, "beach.jpg")).equals(
                    readFileSync(join(other.shareDir, "photos/beach.jpg")),
                ),
            );
            await p.types("", /beach\.jpg .*done/);
            await p.types("0", /attic: \/\n/);
            await p.enters("s", /Part of the name \(empty: none\): $/);
            await p.types("snow", /Found for "snow": 1\n[\s\S]*1 {2}photos\/2025\/snow\.jpg/);
            await p.types("0", /attic: \/\n/);
            await p.types("d", /Download the whole folder attic\?/);
            await p.types("0", /attic: \/\n/);
            await p.types("0", /attic \(online\)/);
            await p.types("0", /Hosts\n/);
            await p.types("0", /hostpair on own/);
            p.type("0\n");
            const end = await p.ended;
            assert.equal(end.code, 0, end.screen);
            assertFits(end, size.columns);
        });

        test(`in Chinese, ${size.columns}x${size.rows}`, async (t) => {
            const { own, other, env } = await pair(t);
            const p = person({ ...env, ...chinese }, size);
            await p.sees(/hostpair：own[\s\S]*1 {2}主机和它们的文件（在线：1 \/ 1）[\s\S]*0 {2}退出/);
            await p.types("1", /主机\n[\s\S]*名称[\s\S]*1 {2}attic +在线/);
            await p.types("1", /attic \(在线\)|attic（在线）/);
            await p.types("1", /1 {2}photos\/[\s\S]*3 {2}你好 世界\.txt/);
            await p.types("3", /下载 你好 世界\.txt（12 B）吗？[\s\S]*1 {2}是/);
            await p.types("1", /你好 世界\.txt 已下载到：/);
            assert.ok(
                readFileSync(join(own.downloadsDir, "你好 世界.txt")).equals(
                    readFileSync(join(other.shareDir, "你好 世界.txt")),
                ),
            );
            await p.types("9", /这里没有“9”。请输入 0 到 3 之间的编号。/);
            p.type("\u0004");
            const end = await p.ended;
            assert.equal(end.code, 0, end.screen);
            assertFits(end, size.columns);
            assert.doesNotMatch(end.screen, /Number|Exit|Back/);
        });
    }

    test("English where the locale or the terminal has no Chinese characters", async (t) => {
        const own = await startHostpair({ t, name: "own" });
        for (const env of [{ LC_ALL: "en_GB.UTF-8", LANG: "zh_CN.UTF-8" }, { LANG: "zh_CN.GB18030" }]) {
            const { stdout } = await piped(["menu"], { env: { ...asks(own), ...env } });
            assert.match(stdout, /Hosts and their files/, JSON.stringify(env));
        }
        const console = await piped(["menu"], { env: { ...asks(own), ...chinese, TERM: "linux" } });
        assert.match(console.stdout, /Hosts and their files/);
        const messages = await piped(["menu"], { env: { ...asks(own), LC_MESSAGES: "zh_TW" } });
        assert.match(messages.stdout, /主机和它们的文件/);
    });
});

test("long lists and long names are shown a screen at a time, cut to fit", async (t) => {
    const other = await startHostpair({ t, name: "attic" });
    for (let i = 0; i < 30; i++)
        await makeFile(join(other.shareDir, `${String(i).padStart(2, "0")}-${"文".repeat(70)}.txt`), 10 + i);
    const own = await startHostpair({ t, name: "own" });
    const { id } = await addHost(own, other.peerPort);
    await listed(own, id, 30);
    const p = person(asks(own), { columns: 40, rows: 20 });
    await p.types("1", /attic/);
    await p.types("1", /Files/);
    await p.types("1", /1 {2}00-文+…[\s\S]*11 {2}10-文+…[\s\S]*n: next page/);
    assert.doesNotMatch(p.screen(), / 11-文/);
    await p.types("n", / 1 {2}11-文[\s\S]*p: page before/);
    await p.types("n", /\n *1 {2}22-文[\s\S]*\n *8 {2}29-文/);
    await p.types("n", /There is no n\s+here/);
    await p.types("p", / 1 {2}11-文/);
    await p.types("2", /Download 12-文/);
    p.type("\u0004");
    const end = await p.ended;
    assert.equal(end.code, 0);
    assertFits(end, 40);
});

test("a host that goes away is told without a key, what is ordered of it waits, and comes when it is back", async (t) => {
    const { other, own, env } = await pair(t);
    const p = person(env, { columns: 40, rows: 20 });
    await p.types("1", /attic/);
    await p.types("1", /Files/);
    await p.types("1", /holiday\.mp4/);
    await other.stop();
    await waitFor(async () => (await own.api("/hosts")).json.hosts[0].state === "offline", {
        timeout: 150_000,
        what: "own finding that attic is away",
    });
    await p.sees(/! attic has gone away\.[\s\S]*Number: $/);
    await p.types("", /attic \(offline\): \//);
    await p.types("2", /Download holiday\.mp4/);
    await p.enters("1", /Enter: back to the menu[\s\S]*! Waiting for a source/);
    await p.types("", /attic \(offline\)/);
    await other.start();
    await p.sees(/! attic is back\./);
    await waitFor(async () => (await own.api("/downloads")).json.downloads[0].state === "done", {
        timeout: 60_000,
        what: "the download",
    });
    p.type("\u0004");
    const end = await p.ended;
    assert.equal(end.code, 0);
    assertFits(end, 40);
});

describe("the end", () => {
    test("by Ctrl-C and by Ctrl-D leaves the terminal as it was", async (t) => {
        const own = await startHostpair({ t, name: "own" });
        const bin = process.env.HOSTPAIR_BIN ?? join(checkout, "build/hostpair");
        const script = 'trap : INT; stty -g; "$0" menu; echo "code $?"; stty -g';
        for (const [key, code] of [
            ["\u0003", 130],
            ["\u0004", 0],
        ]) {
            const at = terminal(["-c", script, bin], { program: "bash", env: asks(own) });
            await at.shows(/Number: /);
            at.type(String(key));
            const { lines, screen } = await at.ended;
            const modes = lines.filter((line) => /^[0-9a-f:]{40,}$/.test(line));
            assert.equal(modes.length, 2, screen);
            assert.equal(modes[0], modes[1]);
            assert.match(screen, new RegExp(`^code ${code}$`, "m"));
        }
    });

    test("in the middle of a download leaves it under way", async (t) => {
        const { own, other, env } = await pair(t);
        await own.api("/settings", { method: "PATCH", json: { down_limit_bps: 200_000 } });
        for (const [key, code] of [
            ["\u0003", 130],
            ["\u0004", 0],
        ]) {
            const p = person(env);
            await p.types("1", /attic/);
            await p.types("1", /Files/);
            await p.types("1", /holiday\.mp4/);
            await p.types("2", /Download holiday\.mp4/);
            await p.enters("1", /holiday\.mp4 .*%/);
            p.type(String(key));
            const end = await p.ended;
            assert.equal(end.code, key === "\u0003" ? 128 + 2 : code, end.screen);
        }
        await own.api("/settings", { method: "PATCH", json: { down_limit_bps: 0 } });
        await waitFor(async () => (await own.api("/downloads")).json.downloads[0].state === "done", {
            timeout: 60_000,
        });
        void other;
    });

    test("of hostpair itself is told, with how to start it again", async (t) => {
        const own = await startHostpair({ t, name: "own" });
        const p = person(asks(own));
        await p.sees(/Number: $/);
        await own.stop();
        const end = await p.ended;
        assert.equal(end.code, 1);
        assert.match(end.screen, /That did not work: .*\n.*Start hostpair again with: hostpair/);
    });

    test("comes at once where no hostpair runs", async (t) => {
        const env = { HOSTPAIR_DATA: tempDir(t) };
        const english = await piped(["menu", "--data", env.HOSTPAIR_DATA], { env });
        assert.equal(english.code, 1);
        assert.match(english.stderr, /Start it with: hostpair\n$/);
        const other = await piped(["menu", "--data", env.HOSTPAIR_DATA], { env: { ...env, ...chinese } });
        assert.equal(other.code, 1);
        assert.match(other.stderr, /启动命令是：hostpair\n$/);
    });
});

test("what is no answer is told, and asked again", async (t) => {
    const own = await startHostpair({ t, name: "own" });
    const p = person(asks(own), { columns: 40, rows: 20 });
    await p.sees(/Number: $/);
    for (const wrong of ["7", "-1", "x", "1 2", "99999999999999999999", "1.5", "y".repeat(300)])
        await p.types(wrong, /There is no [\s\S]* here\.\s+Type\s+a\s+number\s+from\s+0\s+to\s+6\./);
    await p.types("\u001b[A", /Type\s+it\s+again\./);
    await p.types(" 6 ", /This host: own/);
    await p.types("", /This host: own/);
    p.type("0\n0\n");
    assert.equal((await p.ended).code, 0);
});

describe("with a pipe", () => {
    test("as standard input the answers are taken line by line, and a download is waited for", async (t) => {
        const { own, env } = await pair(t);
        const { code, stdout, stderr } = await piped(["menu"], { env, input: "1\n1\n1\n2\n1\n0\n0\n0\n0\n" });
        assert.deepEqual([code, stderr], [0, ""]);
        assert.match(stdout, /Number: 1\n\nHosts\n[\s\S]*attic/);
        assert.match(stdout, /holiday\.mp4 is here:\n {2}\S*\/holiday\.mp4\n/);
        assert.equal(readFileSync(join(own.downloadsDir, "holiday.mp4")).length, 3 * MiB + 5);
        assert.doesNotMatch(stdout, /\x1b/);
    });

    test("that ends early, without a line end, or empty, leaves with code 0", async (t) => {
        const own = await startHostpair({ t, name: "own" });
        for (const input of ["", "1\n", "6", "\n\n\n", "5\n\n6\n"]) {
            const { code, stdout, stderr } = await piped(["menu"], { env: asks(own), input });
            assert.deepEqual([code, stderr], [0, ""], JSON.stringify(input));
            if (input === "6") assert.match(stdout, /This host: own/);
        }
    });

    test("on a dumb terminal nothing is drawn over", async (t) => {
        const { env } = await pair(t);
        const p = person({ ...env, TERM: "dumb" });
        await p.types("1", /attic/);
        await p.types("1", /Files/);
        await p.types("1", /holiday\.mp4/);
        await p.types("2", /Download holiday\.mp4/);
        await p.types("1", /holiday\.mp4 is here:/);
        for (const what of [/attic \(online\)/, /Hosts/, /hostpair on own/]) await p.types("0", what);
        p.type("0\n");
        const end = await p.ended;
        assert.equal(end.code, 0, end.screen);
        assert.doesNotMatch(end.shown, /\x1b/);
    });
});

test("downloads are paused, let go on, tried again, cancelled and taken off the list", async (t) => {
    const { other, own, id, env } = await pair(t);
    await own.api("/settings", { method: "PATCH", json: { down_limit_bps: 100_000 } });
    const order = { json: { host: id, path: "holiday.mp4" } };
    assert.equal((await own.api("/downloads", order)).status, 201);
    const state = async () => (await own.api("/downloads")).json.downloads[0]?.state;
    const p = person(env);
    await p.types("2", /Downloads\n[\s\S]*1 {2}holiday\.mp4 +(running|queued)/);
    await p.types("1", /1 {2}Watch it\n +2 {2}Pause/);
    await p.types("2", /Done\.[\s\S]*1 {2}Go on/);
    assert.equal(await state(), "paused");
    await p.types("1", /Done\.[\s\S]*2 {2}Pause/);
    await waitFor(async () => (await state()) === "running");
    await p.types("3", /What has come of it is lost\. Cancel\?/);
    await p.types("0", /1 {2}Watch it/);
    await p.types("3", /Cancel\?/);
    await p.types("1", /Done\.[\s\S]*There are no downloads/);
    assert.equal(await state(), undefined);
    await own.api("/downloads", { json: { host: id, path: "missing.txt" } });
    await waitFor(async () => (await state()) === "failed");
    await p.types("", /missing\.txt +failed/);
    await p.types("1", /Reason: [\s\S]*1 {2}Try again/);
    await makeFile(join(other.shareDir, "missing.txt"), 10);
    await waitFor(async () => (await other.api("/status")).json.share.files === 5);
    await p.types("1", /Done\./);
    await waitFor(async () => (await state()) === "done", { timeout: 60_000 });
    await p.types("", /State: done[\s\S]*1 {2}Take it off the list/);
    await p.types("1", /Done\.[\s\S]*There are no downloads/);
    assert.ok(readdirSync(own.downloadsDir).includes("missing.txt"));
    p.type("\u0004");
    assertFits(await p.ended, 80);
});

test("messages are read, written, and told when they come; what one offers is downloaded", async (t) => {
    const { other, own, env } = await pair(t);
    await addHost(other, own.peerPort);
    const mine = (await other.api("/hosts")).json.hosts[0].id;
    const p = person(env, { columns: 40, rows: 20 });
    await p.sees(/Messages \(unread: 0\)/);
    const long = `Look at this: ${"word ".repeat(20)}and ${"字".repeat(40)}.`;
    const sent = { to: mine, text: long, offer: { path: "photos/beach.jpg" } };
    assert.equal((await other.api("/messages", { json: sent })).status, 202);
    await p.sees(/! A new message is there\. Unread: 1\.[\s\S]*Number: $/);
    await p.types(
        "3",
        /\* \S+ \S+ {2}attic\n {5}Look at this: word[\s\S]*1 {2}Download\s+photos\/beach\.jpg/,
    );
    assert.equal((await own.api("/messages")).json.unread, 0);
    await p.types("1", /beach\.jpg is here:/);
    await p.types("w", /To whom\?[\s\S]*1 {2}attic/);
    await p.enters("1", /Message \(empty: none\): $/);
    await p.types("谢谢!", /attic: delivered/);
    const got = (await other.api("/messages")).json.messages.at(-1);
    assert.equal(got.text, "谢谢!");
    await p.types("", /to attic\s+\(delivered\)\n {5}谢谢!/);
    p.type("\u0004");
    assertFits(await p.ended, 40);
});

test("an offer is told when it comes, and accepted or declined", async (t) => {
    const own = await startHostpair({ t, name: "own" });
    const p = person(asks(own), { columns: 40, rows: 20 });
    await p.sees(/Number: $/);
    await offered(own, [
        { name: "one.txt", size: 5 },
        { name: "two.txt", size: 6 },
    ]);
    await p.sees(/! Anna wants to send something: look at\s+the offers\.[\s\S]*Number: $/);
    await p.types("4", /1 {2}Anna +asking/);
    await p.types(
        "1",
        /From Anna[\s\S]*one\.txt \(5 B\)\n +two\.txt \(6 B\)[\s\S]*1 {2}Accept\n +2 {2}Decline/,
    );
    await p.types("1", /Accepted\.[\s\S]*State: receiving[\s\S]*1 {2}Cancel/);
    await newest(own, "receiving");
    await p.types("1", /Cancelled\./);
    await newest(own, "cancelled");
    await p.types("0", /Offers/);
    await offered(own, [{ name: "three.txt", size: 5 }]);
    await p.types("", /1 {2}Anna +asking/);
    await p.types("1", /three\.txt/);
    await p.types("2", /Declined\./);
    await newest(own, "declined");
    p.type("\u0004");
    assertFits(await p.ended, 40);
});

test("who is connected, the own name and the clock", async (t) => {
    const { other, own, env } = await pair(t);
    await addHost(other, own.peerPort);
    const p = person(env, { columns: 40, rows: 20 });
    await p.types("5", /Who is connected to this host/);
    await p.types("0", /hostpair on own/);
    await p.types("6", /This host: own[\s\S]*Its clock: \d{4}-\d\d-\d\d \d\d:\d\d/);
    await p.enters("1", /New name \(empty: it stays\): $/);
    await p.types("新名字", /Done\.[\s\S]*This host: 新名字/);
    assert.equal((await own.api("/status")).json.name, "新名字");
    p.type("\u0004");
    assertFits(await p.ended, 40);
});

test("every text of the menus has its Chinese, with the same places for what is put in", () => {
    const folder = join(checkout, "server/cli");
    const joined = (/** @type {string} */ file) =>
        readFileSync(join(folder, file), "utf8").replace(/"\s*\n\s*"/g, "");
    const table = new Map(
        [...joined("words.c").matchAll(/\{"((?:[^"\\]|\\.)*)",\s*"((?:[^"\\]|\\.)*)"\}/g)].map((m) => [
            m[1],
            m[2],
        ]),
    );
    assert.ok(table.size > 100, String(table.size));
    let used = 0;
    for (const file of readdirSync(folder).filter((name) => name.endsWith(".c") && name !== "words.c")) {
        const text = joined(file);
        const menu = file.startsWith("menu");
        const words = [...text.matchAll(/hp_word\(\s*"((?:[^"\\]|\\.)*)"/g)];
        const titles = menu ? [...text.matchAll(/\.title = "((?:[^"\\]|\\.)*)"/g)] : [];
        for (const [, english] of [...words, ...titles].filter(([, word]) => word !== "")) {
            used++;
            assert.ok(table.has(english), `${file}: ${english}`);
        }
    }
    assert.ok(used > 100, String(used));
    for (const state of [
        "online",
        "offline",
        "blocked",
        "queued",
        "running",
        "paused",
        "verifying",
        "done",
        "failed",
    ])
        assert.ok(table.has(state), state);
    for (const state of ["cancelled", "asking", "receiving", "declined", "delivered", "downloading"])
        assert.ok(table.has(state), state);
    const places = (/** @type {string} */ text) => text.match(/%(?:\.\d+)?(?:ll|z)?[sdu]/g) ?? [];
    for (const [english, other] of table) assert.deepEqual(places(other), places(english), english);
});
