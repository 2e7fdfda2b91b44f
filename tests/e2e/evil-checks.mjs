// @ts-check
// What has to be true of a download, and of hostpair, beside servers that know less or lie.

import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync } from "node:fs";

import { MiB, makeBytes, pathOf, sha256, sha256Of } from "./harness.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */

export const SIZE = 5 * MiB + 123; // six chunks, the last one short
export const bytes = makeBytes(SIZE, 7);
export const wanted = sha256Of(bytes);

/** All that a download says about what is the matter. @param {any} d @returns {string[]} */
export function words(d) {
    const all = [d.reason, d.error?.detail, ...d.sources.map((/** @type {any} */ s) => s.error)];
    return all.filter((text) => typeof text === "string" && text !== "");
}

/** @param {any} d */
export function assertSentence(d) {
    const said = words(d);
    assert.ok(said.length > 0, `it gives no reason: ${JSON.stringify(d)}`);
    for (const text of said) {
        assert.match(text, /\S+ \S+/, `"${text}" is no sentence`);
        assert.doesNotMatch(text, /undefined|\(null\)|%[sdlzu]|\n|[\x00-\x1f]/, "a clean sentence");
        assert.ok(text.length < 1000, `a reason of ${text.length} characters`);
    }
}

/** @param {Hostpair} h @param {any} d @param {string} [sum] */
export async function assertRight(h, d, sum = wanted) {
    assert.equal(d.state, "done");
    assert.equal(await sha256(pathOf(h, d)), sum, "the finished file has the right bytes");
    assert.equal(d.done_bytes, d.size);
}

/** Nothing under the final name as long as the download is not done. @param {Hostpair} h @param {any} d */
export function assertNothingFinal(h, d) {
    const path = pathOf(h, d);
    assert.ok(
        !existsSync(path) || statSync(path).size === 0,
        `${path} is there, though the download is ${d.state}`,
    );
}

/** @param {Hostpair} h */
export function rss(h) {
    const status = readFileSync(`/proc/${h.pid}/status`, "utf8");
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

/** @param {Hostpair} h */
export async function assertAnswers(h) {
    const start = performance.now();
    const { status } = await h.api("/status");
    const took = performance.now() - start;
    assert.equal(status, 200);
    assert.ok(took < 2000, `status took ${took} ms while the other side misbehaves`);
}
