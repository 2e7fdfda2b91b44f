// @ts-check
// Chromium for the tests of the dashboard: one browser a test file, a fresh profile a page.
//
// CHROMIUM names the program (default: the first of the usual ones that is there). Without one, `chromium` is undefined
// and the tests skip themselves with that word.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium as engine } from "playwright-core";
import { checkout, tempDir } from "./harness.mjs";
import { checkReply, isDescribed } from "./schema.mjs";

const require = createRequire(import.meta.url);
const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** The browser's program, or undefined where there is none. */
export const chromium = [process.env.CHROMIUM ?? "", ...PLACES].find(
    (path) => path !== "" && existsSync(path),
);

/** For the `skip` option of a test. */
export const skip = chromium ? false : "chromium is not installed";

/** By the network namespace that it runs in; "": that of the tests. @type {Map<string, Promise<import("playwright-core").Browser>>} */
const browsers = new Map();

/** A program that starts the browser inside a network namespace. @param {string} namespace */
function inside(namespace) {
    const path = join(tempDir(), "chromium");
    writeFileSync(path, `#!/bin/sh\nexec ip netns exec ${namespace} ${chromium} "$@"\n`, { mode: 0o755 });
    return path;
}

/** @param {string} namespace */
function launch(namespace) {
    const running = browsers.get(namespace);
    if (running) return running;
    const started = engine.launch({
        executablePath: namespace === "" ? chromium : inside(namespace),
        args: [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ],
    });
    browsers.set(namespace, started);
    return started;
}

/** Ends the browsers; for `after` of a test file. */
export async function closeBrowser() {
    for (const browser of browsers.values()) await (await browser).close();
    browsers.clear();
}

/**
 * Parts of the API that a server may lack: the page asks once and leaves their view out.
 * @type {RegExp}
 */
const PROBES = /\/api\/v1\/(messages|share\/files|settings|traffic|pairings|groups|inbox|pushes)(\?|$)/;

/**
 * @typedef {object} PageOptions
 * @property {number} [width]
 * @property {number} [height]
 * @property {string} [locale]
 * @property {string} [timezone] such as "Asia/Tokyo"
 * @property {"light" | "dark"} [colorScheme]
 * @property {number} [scale] points of a picture for one of the page
 * @property {boolean} [javaScriptEnabled]
 * @property {string[]} [permissions] what the browser lets the page do without asking, such as "notifications"
 * @property {(page: import("playwright-core").Page) => Promise<unknown>} [prepare] called before the page is opened
 * @property {string} [namespace] the network namespace that the browser runs in
 * @property {RegExp} [expected] addresses whose requests this test makes fail
 */

/**
 * Opens the dashboard of `host` at `hash` in a new profile. When the test ends the page is closed, and anything that
 * the page wrote to the console as an error, threw, or that its policy blocked fails the test.
 * @param {import("node:test").TestContext} t
 * @param {{ dashboardUrl: string }} host
 * @param {string} [hash]
 * @param {PageOptions} [options]
 */
export async function openDashboard(t, host, hash = "#/hosts", options = {}) {
    const { width = 1280, height = 800, locale = "en-US", colorScheme = "light", expected } = options;
    const context = await (
        await launch(options.namespace ?? "")
    ).newContext({
        viewport: { width, height },
        deviceScaleFactor: options.scale ?? 1,
        locale,
        timezoneId: options.timezone,
        colorScheme,
        permissions: options.permissions ?? [],
        javaScriptEnabled: options.javaScriptEnabled ?? true,
        acceptDownloads: true,
    });
    const page = await context.newPage();
    /** @type {string[]} */
    const errors = [];
    page.on("pageerror", (error) => errors.push(`thrown: ${error.stack ?? error.message}`));
    page.on("console", (message) => {
        if (message.type() !== "error" && message.type() !== "warning") return;
        const { url } = message.location();
        const request = /^Failed to load resource/.test(message.text());
        // The server may end before the page does, and the page tells the person: that is no fault of the page.
        if (request && /net::ERR_CONNECTION_REFUSED/.test(message.text())) return;
        if (request && /net::ERR_/.test(message.text()) && /\/api\/v1\/events$/.test(url)) return;
        if (request && (expected?.test(url) || (PROBES.test(url) && /404/.test(message.text())))) return;
        errors.push(`${message.type()}: ${message.text()} (${url})`);
    });
    // What the page is told, by the server or by the test in its place, is held against openapi.yaml.
    page.on("response", async (response) => {
        const url = response.url();
        const type = response.headers()["content-type"] ?? "";
        if (!isDescribed(url) || !/[/+]json/.test(type)) return;
        // The body is gone when the page went on to another address.
        const text = await response.text().catch(() => "");
        if (text === "") return;
        try {
            checkReply(response.request().method(), url, {
                status: response.status(),
                headers: response.headers(),
                json: JSON.parse(text),
            });
        } catch (error) {
            errors.push(String(error));
        }
    });
    t.after(async () => {
        if (process.env.HP_E2E_SCREENSHOTS) {
            mkdirSync(join(checkout, "tests/e2e/output"), { recursive: true });
            const name = t.name.replace(/\W+/g, "-").slice(0, 80);
            await page.screenshot({ path: join(checkout, `tests/e2e/output/${name}.png`) });
        }
        await context.close();
        assert.deepEqual(errors, [], "the page wrote errors to the console");
    });
    await options.prepare?.(page);
    await page.goto(`${host.dashboardUrl}/${hash}`);
    return page;
}

/**
 * Fails on everything that axe-core finds wrong with what the page shows now.
 * @param {import("playwright-core").Page} page
 * @param {string} what the view's name, for the message
 */
export async function assertAccessible(page, what) {
    // What fades in has its contrast when it has come.
    await page.evaluate(() =>
        Promise.allSettled(
            document
                .getAnimations()
                .filter((one) => Number.isFinite(one.effect?.getComputedTiming().endTime))
                .map((one) => one.finished),
        ),
    );
    await page.evaluate(require("axe-core").source);
    const violations = await page.evaluate(async () => {
        // @ts-expect-error axe is what the line above brought in
        const result = await window.axe.run(document, {
            runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
        });
        return result.violations.map((/** @type {any} */ one) => ({
            rule: one.id,
            help: one.help,
            nodes: one.nodes
                .slice(0, 5)
                .map((/** @type {any} */ node) => `${node.html} ${node.failureSummary}`),
        }));
    });
    assert.deepEqual(violations, [], `${what} has faults for people who use a screen reader or see little`);
}
