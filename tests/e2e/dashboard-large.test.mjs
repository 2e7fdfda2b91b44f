// @ts-check
// The dashboard with a host that offers 100,000 files: scrolled to the end, searched and sorted without a stutter.

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";

import { closeBrowser, openDashboard, skip } from "./browser.mjs";
import { addHost, startHostpair, tempDir, waitFor } from "./harness.mjs";

/** @typedef {import("playwright-core").Page} Page */

const COUNT = 100_000;
/** A frame that takes longer than this is seen as a stutter, milliseconds. */
const FRAME_MS = 100;
/** This machine may be busy with something else for one round; the page's own work is the same in each. */
const ROUNDS = 3;

describe("dashboard with many files", { skip }, () => {
    after(closeBrowser);

    test(`scrolls and searches ${COUNT} files without a frame over ${FRAME_MS} ms`, async (t) => {
        const share = manyFiles(t);
        const a = await startHostpair({ t, name: "archive", share });
        await waitFor(
            async () => {
                const { files, bytes, hashed_bytes } = (await a.api("/status")).json.share;
                return files === COUNT && bytes === hashed_bytes;
            },
            { what: "all files shared and hashed", timeout: 240_000, interval: 250 },
        );
        const b = await startHostpair({ t, name: "desk" });
        const host = await addHost(b, a.peerPort);
        await waitFor(async () => (await b.api(`/hosts/${host.id}/files?limit=1`)).json.total === COUNT, {
            what: "the whole list",
            timeout: 120_000,
            interval: 250,
        });

        /** @type {Record<string, number>[]} */
        const rounds = [];
        for (let round = 0; round < ROUNDS; round++) {
            const page = await openDashboard(t, b, `#/hosts/${host.id}`);
            await page.getByText(nameOf(0), { exact: true }).waitFor();
            rounds.push(await oneRound(page));
            await page.close();
        }
        t.diagnostic(`longest frames in ms: ${JSON.stringify(rounds)}`);
        for (const what of Object.keys(rounds[0] ?? {})) {
            const best = Math.min(...rounds.map((round) => round[what] ?? Infinity));
            assert.ok(best <= FRAME_MS, `${what}: a frame of ${best} ms in each of ${ROUNDS} rounds`);
        }
    });
});

/** @param {number} index */
const nameOf = (index) => `measurement-${String(index).padStart(6, "0")}.csv`;

/**
 * The files, in memory where the system has a place for that.
 * @param {import("node:test").TestContext} t
 */
function manyFiles(t) {
    const folder = existsSync("/dev/shm") ? mkdtempSync("/dev/shm/hostpair-e2e-") : tempDir(t);
    const remove = () => rmSync(folder, { recursive: true, force: true });
    process.once("exit", remove);
    t.after(remove);
    for (let i = 0; i < COUNT; i++) writeFileSync(join(folder, nameOf(i)), `${i}\n`);
    return folder;
}

/**
 * Scrolls, jumps to the end, searches and sorts; resolves to the longest frame of each, in milliseconds.
 * @param {Page} page
 */
async function oneRound(page) {
    /** @type {Record<string, number>} */
    const longest = {};
    /** @param {string} what @param {() => Promise<unknown>} work */
    const watch = async (what, work) => {
        await page.evaluate(startWatching);
        await work();
        longest[what] = await page.evaluate(stopWatching);
    };

    await watch("scrolling by the wheel", async () => {
        await page.mouse.move(600, 600);
        for (let i = 0; i < 60; i++) await page.mouse.wheel(0, 900);
    });
    await watch("jumping to the end", async () => {
        await waitFor(
            async () => {
                await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
                return page.getByText(nameOf(COUNT - 1), { exact: true }).isVisible();
            },
            { what: "the last file", timeout: 120_000, interval: 200 },
        );
    });
    assert.ok((await page.locator(".virtual .table-row").count()) < 80, "rows in the document");
    await watch("scrolling through all of it", () => page.evaluate(sweep));
    await page.evaluate(() => scrollTo(0, 0));
    await watch("searching", async () => {
        await page.getByLabel("Search in this folder").pressSequentially("0543", { delay: 60 });
        await page.getByText(nameOf(543), { exact: true }).waitFor();
        await page.getByLabel("Search in this folder").fill("099999");
        await page.getByText(nameOf(99_999), { exact: true }).waitFor();
        await page.getByText(nameOf(543), { exact: true }).waitFor({ state: "detached" });
        await page.getByLabel("Search in this folder").fill("");
        await page.getByText(nameOf(0), { exact: true }).waitFor();
    });
    await watch("sorting", async () => {
        await page.getByRole("button", { name: "Name" }).click();
        await page.getByText(nameOf(COUNT - 1), { exact: true }).waitFor();
    });
    await page.evaluate(() => localStorage.clear());
    return longest;
}

/** In the page: notes the time from each frame to the next. */
function startWatching() {
    const state = { longest: 0, last: performance.now(), on: true };
    Object.assign(window, { watching: state });
    const frame = (/** @type {number} */ now) => {
        state.longest = Math.max(state.longest, now - state.last);
        state.last = now;
        if (state.on) requestAnimationFrame(frame);
    };
    requestAnimationFrame((now) => {
        state.last = now;
        requestAnimationFrame(frame);
    });
}

/** In the page: the longest of them, rounded. */
function stopWatching() {
    const state = /** @type {any} */ (window).watching;
    state.on = false;
    return Math.round(state.longest);
}

/** In the page: from the end to the start of the list, one step a frame, as somebody drags the scroll bar. */
function sweep() {
    const steps = 120;
    const end = document.documentElement.scrollHeight;
    return new Promise((done) => {
        let step = steps;
        const next = () => {
            scrollTo(0, (end * step) / steps);
            if (step-- > 0) requestAnimationFrame(next);
            else done(undefined);
        };
        next();
    });
}
