// @ts-check
// The page for guests: sending files to the host, with a script and without one, on a phone; and by hand, what a browser
// would not do.

import assert from "node:assert/strict";
import {
    existsSync,
    mkdirSync,
    readFileSync,
    readdirSync,
    statSync,
    utimesSync,
    writeFileSync,
} from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { after, describe, test } from "node:test";

import { assertAccessible, closeBrowser, openDashboard, skip } from "./browser.mjs";
import { MiB, checkout, makeBytes, request, startHostpair, tempDir, waitFor } from "./harness.mjs";
import { at, decide, inbox, newest } from "./inbox.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */
/** @typedef {import("node:test").TestContext} TestContext */

/** The guest page in a browser. @param {TestContext} t @param {Hostpair} h @param {object} [options] */
const openGuest = (t, h, options = {}) =>
    openDashboard(t, { dashboardUrl: h.peerUrl }, "", {
        width: 390,
        height: 844,
        expected: /favicon|inbox/,
        ...options,
    });

/** Files of a temporary folder. @param {TestContext} t @param {Record<string, Buffer>} files */
function filesOf(t, files) {
    const folder = tempDir(t);
    return Object.entries(files).map(([name, bytes]) => {
        writeFileSync(join(folder, name), bytes);
        return join(folder, name);
    });
}

/** @param {Hostpair} h @param {string} path */
const landed = (h, path) => readFileSync(join(h.downloadsDir, path));

describe("the guest page sends files", { skip }, () => {
    after(closeBrowser);

    test("in pieces, with progress, once somebody has accepted", async (t) => {
        const h = await startHostpair({ t });
        const film = makeBytes(20 * MiB);
        const then = new Date("2015-05-07T08:09:10.000Z");
        const paths = filesOf(t, { "film.mp4": film, "empty.txt": Buffer.alloc(0) });
        for (const path of paths) utimesSync(path, then, then);
        const page = await openGuest(t, h);
        await page.getByText("Send files to this host").click();
        await page.getByLabel("Your name").fill("Maria");
        await page.getByLabel(/Choose files/).setInputFiles(paths);
        await page.getByText("21 MB").waitFor();
        await assertAccessible(page, "the guest page");
        await page.getByRole("button", { name: "Send" }).click();
        await page.getByText(/Waiting for somebody/).waitFor();
        const asking = await newest(h, "asking");
        assert.equal(asking.from.name, "Maria");
        assert.equal(asking.size, film.length);
        await decide(h, asking.id, "accept");
        await page.getByText("Sent. Thank you.").waitFor();
        await newest(h, "done");
        assert.ok(landed(h, "Received/Maria/film.mp4").equals(film));
        assert.equal(landed(h, "Received/Maria/empty.txt").length, 0);
        for (const name of ["film.mp4", "empty.txt"])
            assert.equal(
                statSync(join(h.downloadsDir, "Received/Maria", name)).mtime.toISOString(),
                then.toISOString(),
            );
        await page.reload();
        await page.getByText("Send files to this host").click();
        assert.equal(await page.getByLabel("Your name").inputValue(), "Maria");
    });

    test("shows whoever is asked small pictures of photos, and the beginning of texts", async (t) => {
        const h = await startHostpair({ t });
        const photo = readFileSync(join(checkout, "web/screenshot-light.png"));
        const text = "zwölf Boxkämpfer ".repeat(60);
        const page = await openGuest(t, h);
        await page.getByText("Send files to this host").click();
        const files = {
            "photo.png": photo,
            "broken.png": photo.subarray(0, 999),
            "note.txt": Buffer.from(text),
        };
        await page.getByLabel(/Choose files/).setInputFiles(filesOf(t, files));
        await page.getByRole("button", { name: "Send" }).click();
        const asking = await newest(h, "asking");
        const [seen, broken, note] = asking.files;
        assert.match(seen.picture, /^data:image\/jpeg;base64,/);
        assert.ok(seen.picture.length <= 8192, `${seen.picture.length} bytes`);
        assert.deepEqual([seen.preview, broken.picture, note.picture], [null, null, null]);
        assert.ok(Buffer.byteLength(note.preview) > 490 && text.startsWith(note.preview), note.preview);

        const dashboard = await openDashboard(t, h);
        const picture = dashboard.getByRole("img", { name: "A small picture of photo.png" });
        await picture.waitFor();
        const size = await picture.evaluate((image) => {
            const { naturalWidth, naturalHeight } = /** @type {HTMLImageElement} */ (image);
            return [naturalWidth, naturalHeight];
        });
        assert.equal(Math.max(...size), 128, `${size}`);
        await assertAccessible(dashboard, "an offer with a picture");

        await decide(h, asking.id, "accept");
        const { files: later } = await newest(h, "done");
        assert.deepEqual(
            later.map((/** @type {any} */ file) => [file.preview, file.picture]),
            [
                [null, null],
                [null, null],
                [null, null],
            ],
        );
    });

    test("says that nobody wants them, that a PIN is wrong, and ends when the page is left", async (t) => {
        const h = await startHostpair({ t });
        await h.api("/settings", { method: "PATCH", json: { receive_pin: "4711" } });
        const page = await openGuest(t, h, { colorScheme: "dark" });
        const [file] = filesOf(t, { "a.txt": Buffer.from("abc") });
        await page.getByText("Send files to this host").click();
        await page.getByLabel("PIN").fill("0000");
        await page.getByRole("button", { name: "Send" }).click();
        await page.getByText("Choose at least one file.").waitFor();
        await page.getByLabel(/Choose files/).setInputFiles(file);
        await page.getByRole("button", { name: "Send" }).click();
        await page.getByText("The PIN is wrong").waitFor();
        await page.getByLabel("PIN").fill("4711");
        await page.getByRole("button", { name: "Send" }).click();
        await decide(h, (await newest(h, "asking")).id, "decline");
        await page.getByText("The files were declined.").waitFor();
        const waits = page.waitForRequest(/inbox\/[0-9a-f]+$/);
        await page.getByRole("button", { name: "Send" }).click();
        await newest(h, "asking");
        await waits;
        page.on("dialog", (dialog) => void dialog.accept());
        await page.goto("about:blank");
        assert.match((await newest(h, "cancelled")).reason, /sender has cancelled/);
    });

    test("goes on over a restart of the host", async (t) => {
        const h = await startHostpair({ t });
        const film = makeBytes(40 * MiB);
        const page = await openGuest(t, h, {});
        // The middle is held until the host has been restarted.
        let held = false;
        await page.route(/\/hostpair\/inbox\/.+\/0$/, async (route) => {
            if (!held && /bytes 16/.test(route.request().headers()["content-range"] ?? "")) {
                held = true;
                await h.kill9();
                await h.start();
                await route.abort();
            } else await route.continue();
        });
        await page.getByText("Send files to this host").click();
        await page.getByLabel(/Choose files/).setInputFiles(filesOf(t, { "film.mp4": film }));
        await page.getByRole("button", { name: "Send" }).click();
        await decide(h, (await newest(h, "asking")).id, "accept");
        await page.getByText("Sent. Thank you.").waitFor();
        assert.ok(held);
        const one = await newest(h, "done");
        assert.ok(landed(h, one.files[0].path).equals(film));
    });

    test("by a plain form where no script runs", async (t) => {
        const h = await startHostpair({ t });
        const big = makeBytes(3 * MiB);
        const page = await openGuest(t, h, { javaScriptEnabled: false, locale: "zh-CN" });
        await page.getByText("向这台主机发送文件").click();
        await page.getByLabel("你的名字").fill("玛丽");
        await page
            .getByLabel(/选择文件/)
            .setInputFiles(
                filesOf(t, { "big.bin": big, "b.txt": Buffer.from("b"), "e.txt": Buffer.alloc(0) }),
            );
        const sending = page.getByRole("button", { name: "发送" }).click({ timeout: 60_000 });
        const asking = await newest(h, "asking");
        assert.equal(asking.from.name, "玛丽");
        assert.equal(asking.files[0].size, null);
        await decide(h, asking.id, "accept");
        await sending;
        await page.getByText("已发送，谢谢。").waitFor();
        const one = await newest(h, "done");
        assert.deepEqual(
            one.files.map((/** @type {any} */ f) => f.path),
            ["Received/玛丽/big.bin", "Received/玛丽/b.txt", "Received/玛丽/e.txt"],
        );
        assert.ok(landed(h, "Received/玛丽/big.bin").equals(big));
        await page.goto(h.peerUrl);
        await page.getByText("向这台主机发送文件").click();
        await h.api("/settings", { method: "PATCH", json: { receive_pin: "4711" } });
        await page.reload();
        await page.getByText("向这台主机发送文件").click();
        await page.getByLabel(/选择文件/).setInputFiles(filesOf(t, { "x.txt": Buffer.from("x") }));
        await page.getByLabel("PIN").fill("0000");
        await page.getByRole("button", { name: "发送" }).click();
        await page.getByText("需要正确的 PIN。").waitFor();
        await h.api("/settings", { method: "PATCH", json: { receive_pin: "" } });
        await page.goto(h.peerUrl);
        await page.getByText("向这台主机发送文件").click();
        const refused = page.getByLabel(/选择文件/).setInputFiles(filesOf(t, { "x.txt": Buffer.from("x") }));
        await refused;
        const again = page.getByRole("button", { name: "发送" }).click({ timeout: 60_000 });
        await decide(h, (await newest(h, "asking")).id, "decline");
        await again;
        await page.getByText("对方拒绝了这些文件。").waitFor();
    });

    test("is not there where nothing is taken, or guests are not let in", async (t) => {
        const h = await startHostpair({ t });
        await h.api("/settings", { method: "PATCH", json: { receive: "off" } });
        assert.doesNotMatch((await h.peer("/")).text, /<form|<script/);
        await h.api("/settings", { method: "PATCH", json: { receive: "ask", access: "paired" } });
        const closed = await h.peer("/");
        assert.equal(closed.status, 403);
        assert.doesNotMatch(closed.text, /<form|<script/);
    });
});

describe("the guest page", { skip }, () => {
    after(closeBrowser);

    test("shows times in the zone of whoever looks, whether or not files can be sent", async (t) => {
        const h = await startHostpair({ t });
        const file = join(h.shareDir, "note.txt");
        writeFileSync(file, "x");
        utimesSync(file, 1_700_000_000, 1_700_000_000);
        await waitFor(async () => (await h.peer("/")).text.includes("note.txt"));
        for (const receive of ["ask", "off"]) {
            await h.api("/settings", { method: "PATCH", json: { receive } });
            const there = await openGuest(t, h, { timezone: "Asia/Tokyo", locale: "en-GB" });
            await there.getByText("15 Nov 2023, 07:13").waitFor();
            assert.equal(await there.locator("time").getAttribute("title"), "2023-11-14 22:13 UTC");
            const plain = await openGuest(t, h, { timezone: "Asia/Tokyo", javaScriptEnabled: false });
            await plain.getByText("2023-11-14 22:13 UTC").waitFor();
        }
        const chinese = await openGuest(t, h, { timezone: "Asia/Shanghai", locale: "zh-CN" });
        await chinese.getByText("2023年11月15日 06:13").waitFor();
    });

    test("says in its own language what is wrong with an offer", async (t) => {
        const h = await startHostpair({ t });
        await h.api("/settings", { method: "PATCH", json: { receive_pin: "4711" } });
        const page = await openGuest(t, h, { locale: "zh-CN", colorScheme: "dark" });
        await page.getByText("向这台主机发送文件").click();
        await page
            .getByLabel(/选择文件/)
            .setInputFiles(filesOf(t, { ".a.0.hostpair-part": Buffer.from("x") }));
        await page.getByLabel("PIN").fill("0000");
        await page.getByRole("button", { name: "发送" }).click();
        await page.getByText("需要正确的 PIN。").waitFor();
        await page.getByLabel("PIN").fill("4711");
        await page.getByRole("button", { name: "发送" }).click();
        await page.getByText("文件名不被允许： .a.0.hostpair-part").waitFor();
    });

    test("says in the same look what is not there, not to be had, or not for guests", async (t) => {
        const h = await startHostpair({ t });
        mkdirSync(join(h.shareDir, "folder"));
        writeFileSync(join(h.shareDir, "folder/a.txt"), "a");
        await waitFor(async () => (await h.peer("/")).text.includes("?folder=folder"));
        /** @param {string} path @param {number} status @param {string} words @param {object} options */
        const opens = async (path, status, words, options) => {
            const page = await openGuest(t, h, { expected: /./, ...options });
            const reply = await page.goto(h.peerUrl + path);
            assert.equal(reply?.status(), status, path);
            assert.equal(reply?.headers()["content-type"], "text/html; charset=utf-8");
            await page.getByText(words).waitFor();
            await assertAccessible(page, path);
            const { scroll, width } = await page.evaluate(() => ({
                scroll: document.documentElement.scrollWidth,
                width: innerWidth,
            }));
            assert.ok(scroll <= width, `${path} fits: ${scroll} of ${width}`);
            await page.context().close();
            return page;
        };
        for (const path of ["/?folder=gone", "/nofile", "/files/x/y.txt"])
            await opens(path, 404, "There is nothing at this address.", {});
        await opens("/?folder=..", 404, "这个地址下没有内容", { locale: "zh-CN", colorScheme: "dark" });
        await opens("/folder/", 403, "This cannot be opened here.", {});
        await opens("/folder", 403, "无法在此打开", { locale: "zh-CN" });
        await h.api("/settings", { method: "PATCH", json: { access: "paired" } });
        for (const path of ["/", "/folder/a.txt"])
            await opens(path, 403, "This host shares with other hosts", { colorScheme: "dark" });
        await h.api("/settings", { method: "PATCH", json: { access: "everyone" } });
        for (const accept of ["*/*", "application/json", undefined])
            for (const [path, words] of /** @type {const} */ ([
                ["/nofile", "Not found.\n"],
                ["/?folder=gone", "Not found.\n"],
                ["/folder", "This is not allowed.\n"],
            ])) {
                const reply = await h.peer(path, { headers: accept ? { accept } : {} });
                assert.equal(reply.text, words, "programs get the line that they know");
                assert.equal(reply.headers["content-type"], "text/plain; charset=utf-8");
            }
    });
});

describe("a form by hand", () => {
    const BOUNDARY = "----hostpair";
    /** @param {[string, string | null, string][]} parts  field, file name, content */
    const form = (...parts) =>
        parts
            .map(
                ([name, file, content]) =>
                    `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"` +
                    (file === null ? "" : `; filename="${file}"\r\nContent-Type: text/plain`) +
                    `\r\n\r\n${content}\r\n`,
            )
            .join("") + `--${BOUNDARY}--\r\n`;
    /** @param {Hostpair} h @param {string} body */
    const post = (h, body, headers = {}) =>
        request(at(h, ""), {
            method: "POST",
            body,
            headers: { "content-type": `multipart/form-data; boundary=${BOUNDARY}`, ...headers },
        });

    test("is refused where it is none, names bad files, or has none", async (t) => {
        const h = await startHostpair({ t });
        await h.api("/settings", { method: "PATCH", json: { receive: "everyone" } });
        const none = await post(h, form(["name", null, "Anna"], ["files", "", ""]));
        assert.equal(none.status, 422);
        assert.match(none.text, /Choose at least one file/);
        assert.equal((await post(h, "hello")).status, 400);
        assert.equal((await post(h, form(["files", "a.txt", "abc"]).slice(0, -20))).status, 400);
        const bad = await post(h, form(["files", "../a.txt", "abc"]));
        assert.equal(bad.status, 422);
        assert.match(bad.text, /not allowed/);
        const later = await post(h, form(["files", "a.txt", "abc"], ["files", "../b.txt", "abc"]));
        assert.equal(later.status, 422);
        assert.equal(
            (await post(h, form(["files", "a", "a"]), { origin: "http://evil.example" })).status,
            403,
        );
        const good = await post(
            h,
            form(
                ["name", null, "Anna"],
                ["files", "C:\\\\fakepath\\\\a.txt", "one"],
                ["files", "b%22.txt", "two"],
            ),
        );
        assert.equal(good.status, 200, good.text);
        assert.equal(landed(h, "Received/Anna/a.txt").toString(), "one");
        assert.equal(landed(h, 'Received/Anna/b".txt').toString(), "two");
        const parts = readdirSync(join(h.downloadsDir, "Received/Anna")).filter((name) =>
            name.startsWith("."),
        );
        assert.deepEqual(parts, []);
    });

    test("a browser that goes in the middle leaves nothing unfinished", async (t) => {
        const h = await startHostpair({ t });
        await h.api("/settings", { method: "PATCH", json: { receive: "everyone" } });
        const req = http.request(at(h, ""), {
            method: "POST",
            headers: {
                "content-type": `multipart/form-data; boundary=${BOUNDARY}`,
                "content-length": 50 * MiB,
            },
            agent: false,
        });
        req.on("error", () => {});
        req.write(form(["name", null, "Anna"]).slice(0, -`--${BOUNDARY}--\r\n`.length));
        req.write(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="f"; filename="x.bin"\r\n\r\n`);
        req.write(makeBytes(2 * MiB));
        await waitFor(async () => (await inbox(h))[0]?.done_bytes > 0, { what: "bytes" });
        req.destroy();
        assert.match((await newest(h, "failed")).reason, /browser has gone/);
        await waitFor(
            () =>
                !existsSync(join(h.downloadsDir, "Received/Anna")) ||
                readdirSync(join(h.downloadsDir, "Received/Anna")).length === 0,
            { what: "the part file's end" },
        );
    });
});
