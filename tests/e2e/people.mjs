// @ts-check
// Messages as a program posts and reads them, for the tests of people at different hosts.

import assert from "node:assert/strict";
import http from "node:http";
import https from "node:https";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */

export const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** @param {Hostpair} h @param {string} [query] @returns {Promise<any[]>} */
export async function messages(h, query = "?limit=1000") {
    const { status, json } = await h.api(`/messages${query}`);
    assert.equal(status, 200, JSON.stringify(json));
    return json.messages;
}

/**
 * One request on a connection of its own, from any address of loopback; `as` a host that proves its key, or in plain.
 * @param {Hostpair} h
 * @param {string} path
 * @param {{ from?: string, method?: string, headers?: Record<string, string>, body?: string | Buffer,
 *           as?: import("./identities.mjs").Identity }} [options]
 * @returns {Promise<{ status: number, text: string, headers: http.IncomingHttpHeaders }>}
 */
export const ask = (h, path, { from = "127.0.0.1", method = "GET", headers = {}, body, as } = {}) =>
    new Promise((done, fail) => {
        /** @type {https.RequestOptions} */
        const options = { method, localAddress: from, agent: false, headers: { ...headers } };
        if (as) Object.assign(options, { key: as.key, cert: as.cert, rejectUnauthorized: false });
        if (body !== undefined)
            Object.assign(options.headers ?? {}, { "content-length": String(Buffer.byteLength(body)) });
        const request = as ? https.request : http.request;
        const req = request(
            (as ? h.peerUrl.replace("http:", "https:") : h.peerUrl) + path,
            options,
            (res) => {
                let text = "";
                res.setEncoding("utf8").on("data", (part) => (text += part));
                res.on("end", () => done({ status: res.statusCode ?? 0, text, headers: res.headers }));
                res.on("error", fail);
            },
        );
        req.on("error", fail);
        req.end(body);
    });

let numbers = 0;
/** A body of POST /message. @param {string} from @param {object} [changed] */
export const body = (from, changed = {}) =>
    JSON.stringify({
        id: `m-${++numbers}`,
        from,
        name: "stranger",
        text: "hello",
        sent_at: new Date().toISOString(),
        ...changed,
    });

/**
 * @param {Hostpair} h
 * @param {string} text
 * @param {{ from?: string, headers?: Record<string, string>, as?: import("./identities.mjs").Identity }} [options]
 */
export const post = (h, text, options = {}) => ask(h, "/message", { method: "POST", body: text, ...options });
