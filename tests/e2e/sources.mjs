// @ts-check
// What the tests of several sources ask of a download.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";

import { pathOf, sha256, waitFor } from "./harness.mjs";
import { fileBytes } from "./hosts.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */
/** @typedef {import("./link.mjs").Link} Link */

/** @param {any} d @param {string} host @returns {any} */
export const sourceOf = (d, host) => d.sources.find((/** @type {any} */ s) => s.host === host);

/** @param {any} d */
export const isWaiting = (d) => /^waiting for a source/i.test(d.reason ?? "");

/** @param {Hostpair} h @param {any} d @param {string} sum */
export async function assertContent(h, d, sum) {
    assert.equal(d.state, "done");
    assert.equal(await sha256(pathOf(h, d)), sum, "the finished file has the right bytes");
    assert.deepEqual(
        readdirSync(h.downloadsDir).filter((name) => name.endsWith(".hostpair-part")),
        [],
        "no part file is left",
    );
}

/**
 * The record says that these hosts gave all of it and nobody else anything, the one that gave the most first; after a
 * restart as well.
 * @param {Hostpair} h @param {any} d @param {string[]} hosts
 */
export async function assertGave(h, d, hosts) {
    const { json } = await h.api(`/downloads/${d.id}/sources`);
    const given = json.sources.map((/** @type {any} */ one) => one.bytes);
    assert.deepEqual(json.sources.map((/** @type {any} */ one) => one.host).sort(), [...hosts].sort());
    assert.equal(
        given.reduce((/** @type {number} */ x, /** @type {number} */ y) => x + y, 0),
        d.size,
        "every byte once",
    );
    assert.deepEqual(
        given,
        [...given].sort((x, y) => y - x),
    );
    await h.restart();
    assert.deepEqual((await h.api(`/downloads/${d.id}/sources`)).json, json, "it outlives the process");
}

/** Waits until so many body bytes of files have passed a link. @param {Link} link @param {number} bytes */
export const carries = (link, bytes) =>
    waitFor(() => fileBytes(link) >= bytes, { timeout: 40_000, what: `${bytes} bytes over a link` });
