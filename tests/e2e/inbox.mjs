// @ts-check
// Senders of files for the tests of the inbox: what a browser on the guest page does, by hand.

import assert from "node:assert/strict";
import http from "node:http";
import { request, waitFor } from "./harness.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */

/** @param {Hostpair} h @param {string} path */
export const at = (h, path) => `http://127.0.0.1:${h.peerPort}/hostpair/inbox${path}`;

/**
 * Makes an offer: the reply.
 * @param {Hostpair} h
 * @param {{ name: string, size: number, id?: string, type?: string, sha256?: string, modified?: unknown }[]} files
 * @param {Record<string, unknown>} [more]
 */
export const offer = (h, files, more = {}) =>
    request(at(h, ""), {
        json: {
            name: "Anna",
            files: files.map((file, i) => ({ id: String(i), type: "text/plain", ...file })),
            ...more,
        },
    });

/** The token of an offer that is taken. @param {Parameters<typeof offer>} args */
export async function offered(...args) {
    const reply = await offer(...args);
    assert.equal(reply.status, 202, reply.text);
    assert.equal(reply.headers.location, `/hostpair/inbox/${reply.json.id}`);
    return /** @type {string} */ (reply.json.id);
}

/** What the sender is told. @param {Hostpair} h @param {string} token @param {number} [wait] seconds */
export const state = (h, token, wait = 0) =>
    request(at(h, `/${token}`), { headers: wait > 0 ? { prefer: `wait=${wait}` } : {} });

/**
 * Sends bytes of a file.
 * @param {Hostpair} h
 * @param {string} token
 * @param {string} id
 * @param {Buffer} bytes
 * @param {string} [range]  Content-Range; all of the file when missing
 */
export const put = (h, token, id, bytes, range) =>
    request(at(h, `/${token}/${id}`), {
        method: "PUT",
        body: bytes,
        headers: range ? { "content-range": range } : {},
    });

/** The transfers as the person sees them. @param {Hostpair} h */
export const inbox = async (h) => (await h.api("/inbox")).json.incoming;

/** The newest one, once it is in one of the states. @param {Hostpair} h @param {string[]} states */
export const newest = (h, ...states) =>
    waitFor(
        async () => {
            const first = (await inbox(h))[0];
            return first && (states.length === 0 || states.includes(first.state)) && first;
        },
        { what: `a transfer in the state ${states}`, detail: async () => JSON.stringify(await inbox(h)) },
    );

/** @param {Hostpair} h @param {number} id @param {string} action @param {object} [json] */
export const decide = (h, id, action, json) => h.api(`/inbox/${id}/${action}`, { method: "POST", json });

/** Offers and has it accepted: token and id. @param {Hostpair} h @param {Parameters<typeof offer>[1]} files */
export async function accepted(h, files) {
    const token = await offered(h, files);
    const { id } = await newest(h, "asking");
    const reply = await decide(h, id, "accept");
    assert.equal(reply.status, 200, reply.text);
    assert.equal(reply.json.state, "receiving");
    return { token, id };
}

/**
 * Begins to send a file and stops in the middle, with the connection open: ends it.
 * @param {Hostpair} h
 * @param {string} token
 * @param {string} id
 * @param {Buffer} bytes  what is sent of it
 * @param {number} size
 * @returns {Promise<() => void>}
 */
export function begun(h, token, id, bytes, size) {
    const req = http.request(at(h, `/${token}/${id}`), {
        method: "PUT",
        headers: { "content-length": size },
        agent: false,
    });
    req.on("error", () => {});
    return new Promise((done) => req.write(bytes, () => done(() => req.destroy())));
}
