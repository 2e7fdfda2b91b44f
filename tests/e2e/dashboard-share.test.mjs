// @ts-check
// The dashboard's view of what is shared from here, in a browser: files and folders that are added, shown, played and deleted.

import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { closeBrowser, openDashboard, skip } from "./browser.mjs";
import { MiB, addHost, makeFile, sha256, sleep, startHostpair, tempDir, waitFor } from "./harness.mjs";
import { startLink } from "./link.mjs";
import { PIXEL, startStudio } from "./studio.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */

describe("dashboard views", { skip }, () => {
    /** @type {Hostpair} */
    let a;
    /** @type {Hostpair} */
    let b;
    /** @type {any} */
    let host;

    before(async () => {
        ({ a, b, host } = await startStudio());
    });
    after(async () => {
        await closeBrowser();
        await b?.dispose();
        await a?.dispose();
    });

    test("adds files to the share in pieces, asks when a name is taken, and deletes them", async (t) => {
        const page = await openDashboard(t, b, "#/share");
        await page.getByText("mine.txt").waitFor();
        const folder = tempDir(t);
        const big = await makeFile(join(folder, "big.bin"), 20 * MiB + 7, 31);
        await page.locator('[data-picker="files"]').setInputFiles([big]);
        await page.locator('[data-upload="done"]').waitFor({ timeout: 30_000 });
        await page.locator(".virtual").getByText("big.bin").waitFor();
        assert.equal(await sha256(join(b.shareDir, "big.bin")), await sha256(big));

        writeFileSync(join(folder, "mine.txt"), "another\n");
        await page.locator('[data-picker="files"]').setInputFiles([join(folder, "mine.txt")]);
        await page.getByRole("button", { name: "Keep both" }).click();
        await page.locator(".virtual").getByText("mine (1).txt").waitFor();
        assert.equal(readFileSync(join(b.shareDir, "mine.txt"), "utf8"), "mine\n");
        assert.equal(readFileSync(join(b.shareDir, "mine (1).txt"), "utf8"), "another\n");

        await page.getByRole("button", { name: "More actions for big.bin" }).click();
        await page.getByRole("menuitem", { name: "Delete" }).click();
        await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
        await page.locator(".virtual").getByText("big.bin").waitFor({ state: "detached" });
        assert.equal(existsSync(join(b.shareDir, "big.bin")), false);
    });

    test("offers a folder with all that lies in it", async (t) => {
        const folder = join(tempDir(t), "trip");
        await makeFile(join(folder, "day 1/one.bin"), 1000, 61);
        await makeFile(join(folder, "two.bin"), 2000, 62);
        const page = await openDashboard(t, b, "#/share");
        await page.getByText("mine.txt", { exact: true }).waitFor();
        await page.locator('[data-picker="folder"]').setInputFiles(folder);
        await page.locator('[data-upload="done"]').nth(1).waitFor();
        for (const path of ["day 1/one.bin", "two.bin"])
            assert.equal(await sha256(join(b.shareDir, "trip", path)), await sha256(join(folder, path)));
        await page.locator(".virtual").getByRole("link", { name: "trip" }).click();
        await page.locator(".virtual").getByText("two.bin").waitFor();
    });

    test("shows a share that changes faster than its list is fetched", async (t) => {
        const c = await startHostpair({ t, name: "busy" });
        const page = await openDashboard(t, c, "#/hosts", {
            prepare: (opened) =>
                opened.route("**/api/v1/share/files?*", async (route) => {
                    await sleep(1500);
                    await route.continue().catch(() => {});
                }),
        });
        await page.getByText("No other hosts yet").waitFor();
        await page.evaluate(() => (location.hash = "#/share"));
        let written = 0;
        const writer = setInterval(() => writeFileSync(join(c.shareDir, `${written++}.txt`), "x"), 200);
        t.after(() => clearInterval(writer));
        await page.locator(".virtual").getByText("10.txt").waitFor();
        clearInterval(writer);
        await page
            .locator(".virtual")
            .getByText(`${written - 1}.txt`, { exact: true })
            .waitFor();
    });

    test("goes on with an upload after hostpair was killed, and after the page was closed", async (t) => {
        const d = await startHostpair({ t, name: "inbox" });
        const big = await makeFile(join(tempDir(t), "big.bin"), 64 * MiB + 1, 51);
        /** First bytes of the pieces that were sent. @type {string[]} */
        let pieces = [];
        const page = await openDashboard(t, d, "#/share", {
            expected: /\/api\/v1\//,
            prepare: (opened) =>
                opened.route("**/api/v1/share/files/**", async (route) => {
                    pieces.push(route.request().headers()["content-range"] ?? "");
                    await sleep(150);
                    await route.continue();
                }),
        });
        await page.getByText("Nothing is shared yet").waitFor();
        const input = page.locator('[data-picker="files"]');
        await input.setInputFiles([big]);
        await waitFor(() => pieces.length >= 3, { what: "three pieces", timeout: 30_000 });
        await d.kill9();
        await page.getByRole("alert").waitFor();
        await d.start();
        await waitFor(() => pieces.length >= 6, { what: "six pieces", timeout: 30_000 });
        assert.equal(pieces.filter((range) => range.startsWith("bytes 0-")).length, 1, pieces.join(", "));

        await page.reload();
        await page.getByText("Nothing is shared yet").waitFor();
        pieces = [];
        await input.setInputFiles([big]);
        await page.locator('[data-upload="done"]').waitFor({ timeout: 60_000 });
        assert.equal(pieces.filter((range) => range.startsWith("bytes 0-")).length, 0, pieces.join(", "));
        assert.equal(await sha256(join(d.shareDir, "big.bin")), await sha256(big));
    });

    test("adds files that are dropped on the page, with the folder that is open", async (t) => {
        await mkdir(join(b.shareDir, "inbox"), { recursive: true });
        await writeFile(join(b.shareDir, "inbox/first.txt"), "first\n");
        const page = await openDashboard(t, b, "#/share");
        await page.getByRole("link", { name: "inbox" }).click();
        await page.getByText("first.txt").waitFor();
        const data = await page.evaluateHandle(() => {
            const transfer = new DataTransfer();
            transfer.items.add(new File(["dropped\n"], "dropped.txt"));
            return transfer;
        });
        const drop = async () => {
            await page.locator("section.view").dispatchEvent("dragover", { dataTransfer: data });
            await page.getByText("Drop to offer to everyone on the network").waitFor();
            await page.locator("section.view").dispatchEvent("drop", { dataTransfer: data });
        };
        await drop();
        await page.locator(".virtual").getByText("dropped.txt").waitFor();
        assert.equal(readFileSync(join(b.shareDir, "inbox/dropped.txt"), "utf8"), "dropped\n");

        await page.getByRole("navigation", { name: "Views" }).getByRole("link", { name: "Hosts" }).click();
        await page.locator(".card.host").waitFor();
        await drop();
        await page.getByRole("heading", { level: 1, name: "Share", exact: true }).waitFor();
        await page.locator(".virtual").getByText("dropped.txt").waitFor();
        assert.equal(readFileSync(join(b.shareDir, "dropped.txt"), "utf8"), "dropped\n");
    });

    test("previews what is shared from here, and deletes a folder after a question", async (t) => {
        const folder = join(b.shareDir, "album");
        for (const [name, body] of /** @type {Array<[string, string | Buffer]>} */ ([
            ["words & 字.txt", "shared words\n"],
            ["dot.png", PIXEL],
        ])) {
            const target = `/share/files/album/${encodeURIComponent(name)}`;
            assert.equal((await b.api(target, { method: "PUT", body })).status, 201);
        }
        await writeFile(join(folder, "mine.txt"), "put there by hand\n");
        const page = await openDashboard(t, b, "#/share/album", { expected: /\/share\/files\/album/ });
        await page.getByRole("button", { name: "words & 字.txt", exact: true }).click();
        await page.getByRole("dialog").getByText("shared words").waitFor();
        await page.keyboard.press("Escape");
        await page.getByRole("button", { name: "dot.png", exact: true }).click();
        const picture = page.getByRole("dialog").locator("img");
        await waitFor(() => picture.evaluate((image) => /** @type {any} */ (image).naturalWidth === 1), {
            what: "the picture",
        });
        await page.keyboard.press("Escape");

        await page
            .getByRole("navigation", { name: "Where you are" })
            .getByRole("link", { name: "Share" })
            .click();
        await page.getByRole("button", { name: "More actions for album" }).click();
        await page.getByRole("menuitem", { name: "Delete" }).click();
        const dialog = page.getByRole("dialog");
        await dialog.getByText("3 files").waitFor();
        await dialog.getByRole("button", { name: "Cancel" }).click();
        assert.equal(existsSync(folder), true);
        const remove = async () => {
            await page.getByRole("button", { name: "More actions for album" }).click();
            await page.getByRole("menuitem", { name: "Delete" }).click();
            await dialog.getByRole("button", { name: "Delete" }).click();
        };
        await remove();
        await page.getByText(/mine\.txt was put there by hand/).waitFor();
        assert.equal(existsSync(join(folder, "dot.png")), true);
        await page.keyboard.press("Escape");
        await page.locator(".virtual").getByRole("link", { name: "album" }).click();
        await page.getByRole("button", { name: "More actions for mine.txt" }).click();
        await page.getByRole("menuitem", { name: "Copy link" }).waitFor();
        assert.equal(await page.getByRole("menuitem", { name: "Delete" }).count(), 0);
        await page.keyboard.press("Escape");
        await page.goBack();
        await rm(join(folder, "mine.txt"));
        await remove();
        await page.locator(".virtual").getByText("album").waitFor({ state: "detached" });
        assert.equal(existsSync(folder), false);
    });

    test("previews a text and a picture in place", async (t) => {
        const page = await openDashboard(t, b, `#/hosts/${host.id}`, { expected: /\/content$/ });
        await page.getByRole("button", { name: "notes.txt", exact: true }).click();
        await page.getByRole("dialog").getByText("second line").waitFor();
        await page.keyboard.press("Escape");
        await page.getByRole("button", { name: "dot.png", exact: true }).click();
        const picture = page.getByRole("dialog").locator("img");
        await waitFor(() => picture.evaluate((image) => /** @type {any} */ (image).naturalWidth === 1), {
            what: "the picture",
            timeout: 30_000,
        });
    });

    test("plays a sound while it downloads, and jumps to where the bytes are not yet", async (t) => {
        const seconds = 200;
        const share = tempDir(t);
        writeFileSync(join(share, "tone.wav"), tone(seconds));
        const c = await startHostpair({ t, name: "radio", share });
        const link = await startLink({ t, to: c.peerPort, rate: MiB });
        const d = await startHostpair({ t });
        const far = await addHost(d, link.port);
        await waitFor(async () => (await d.api(`/hosts/${far.id}/files`)).json.total === 1, {
            what: "the list",
            timeout: 30_000,
        });
        const page = await openDashboard(t, d, `#/hosts/${far.id}`, { expected: /\/content$/ });
        await page.getByRole("button", { name: "tone.wav", exact: true }).click();
        const audio = page.getByRole("dialog").locator("audio");
        await waitFor(() => audio.evaluate((/** @type {any} */ sound) => sound.duration > 1), {
            what: "its length",
            timeout: 30_000,
        });
        await audio.evaluate(
            (/** @type {any} */ sound, /** @type {number} */ to) => (sound.currentTime = to),
            seconds - 5,
        );
        await waitFor(
            () => audio.evaluate((/** @type {any} */ sound) => !sound.seeking && sound.readyState >= 2),
            {
                what: "the place near its end",
                timeout: 30_000,
            },
        );
        const [one] = (await d.api("/downloads")).json.downloads;
        assert.equal(one.state, "running", "it played before it was whole");
        assert.ok(one.done_bytes < one.size, `${one.done_bytes} of ${one.size}`);
    });
});

/**
 * A sound: 16 bits, 32 kHz, two channels.
 * @param {number} seconds
 */
function tone(seconds) {
    const rate = 32_000;
    const data = Buffer.alloc(seconds * rate * 4);
    for (let i = 0; i < data.length / 4; i++) {
        const value = Math.round(8000 * Math.sin(((2 * Math.PI * 440) / rate) * i));
        data.writeInt16LE(value, i * 4);
        data.writeInt16LE(value, i * 4 + 2);
    }
    const head = Buffer.alloc(44);
    head.write("RIFF", 0);
    head.writeUInt32LE(36 + data.length, 4);
    head.write("WAVEfmt ", 8);
    head.writeUInt32LE(16, 16);
    head.writeUInt16LE(1, 20);
    head.writeUInt16LE(2, 22);
    head.writeUInt32LE(rate, 24);
    head.writeUInt32LE(rate * 4, 28);
    head.writeUInt16LE(4, 32);
    head.writeUInt16LE(16, 34);
    head.write("data", 36);
    head.writeUInt32LE(data.length, 40);
    return Buffer.concat([head, data]);
}
