// @ts-check
// HTTP requests and event streams. What a dashboard answers is held against openapi.yaml.

import http from "node:http";

import { checkEvent, checkReply, isDescribed } from "./schema.mjs";

/**
 * @typedef {object} Reply
 * @property {number} status
 * @property {http.IncomingHttpHeaders} headers
 * @property {Buffer} body
 * @property {string} text
 * @property {any} json the parsed body when it is JSON of any kind, else undefined
 *
 * @typedef {object} RequestOptions
 * @property {string} [method]
 * @property {Record<string, string>} [headers]
 * @property {string | Buffer} [body]
 * @property {unknown} [json] a body to send as application/json
 * @property {number} [timeout] milliseconds without a byte, default 60000
 * @property {string} [from] an address of this machine that it comes from, such as 127.0.0.2
 * @property {http.Agent} [agent] whose connections are used; default: a connection for this request alone
 *
 * @typedef {{ id: string, event: string, data: any, raw: string }} Event
 */

/** Ports of dashboards whose answers are held against openapi.yaml. @type {Set<string>} */
export const dashboards = new Set();

/**
 * One HTTP request. Headers such as Host are sent as given.
 * @param {string} url
 * @param {RequestOptions} [options]
 * @returns {Promise<Reply>}
 */
export function request(url, { method, headers = {}, body, json, timeout = 60_000, from, agent } = {}) {
    /** @type {Record<string, string>} */
    const sent = { ...headers };
    let payload = body;
    if (json !== undefined) {
        payload = JSON.stringify(json);
        sent["content-type"] ??= "application/json";
    }
    if (payload !== undefined) sent["content-length"] ??= String(Buffer.byteLength(payload));
    return new Promise((done, fail) => {
        const req = http.request(
            url,
            {
                method: method ?? (payload === undefined ? "GET" : "POST"),
                headers: sent,
                localAddress: from,
                agent: agent ?? false,
            },
            (res) => {
                /** @type {Buffer[]} */
                const parts = [];
                res.on("data", (part) => parts.push(part));
                res.on("error", fail);
                res.on("end", () => {
                    const whole = Buffer.concat(parts);
                    const type = res.headers["content-type"] ?? "";
                    const text = whole.toString("utf8");
                    let parsed;
                    if (/[/+]json/.test(type) && text) {
                        try {
                            parsed = JSON.parse(text);
                        } catch (error) {
                            fail(new Error(`${method ?? "GET"} ${url}: not JSON: ${text.slice(0, 200)}`));
                            return;
                        }
                    }
                    const reply = {
                        status: res.statusCode ?? 0,
                        headers: res.headers,
                        body: whole,
                        text,
                        json: parsed,
                    };
                    try {
                        if (dashboards.has(new URL(url).port) && isDescribed(url))
                            checkReply(req.method, url, reply);
                    } catch (error) {
                        fail(error);
                        return;
                    }
                    done(reply);
                });
            },
        );
        req.setTimeout(timeout, () => req.destroy(new Error(`${url}: nothing came for ${timeout} ms`)));
        req.on("error", fail);
        req.end(payload);
    });
}

/**
 * Reads an event stream.
 * @param {string} url
 * @param {{ lastEventId?: string, headers?: Record<string, string> }} [options]
 */
export async function sse(url, { lastEventId, headers = {} } = {}) {
    /** @type {Event[]} */
    const events = [];
    /** @type {string[]} */
    const comments = [];
    /** @type {Set<() => void>} */
    const waiting = new Set();
    let ended = false;
    /** @type {Record<string, string>} */
    const sent = { accept: "text/event-stream", ...headers };
    if (lastEventId !== undefined) sent["last-event-id"] = lastEventId;
    const req = http.request(url, { headers: sent, agent: false });
    req.end();
    /** @type {http.IncomingMessage} */
    const res = await new Promise((done, fail) => req.once("response", done).once("error", fail));
    req.on("error", () => {});
    const wake = () => {
        for (const fn of waiting) fn();
    };
    let rest = "";
    res.setEncoding("utf8");
    res.on("data", (text) => {
        rest += text;
        for (;;) {
            const end = /\r?\n\r?\n/.exec(rest);
            if (!end) break;
            block(rest.slice(0, end.index));
            rest = rest.slice(end.index + end[0].length);
        }
        wake();
    });
    for (const name of ["end", "close", "error"])
        res.on(name, () => {
            ended = true;
            wake();
        });

    /** @param {string} text */
    function block(text) {
        const event = { id: "", event: "message", raw: "", data: /** @type {any} */ (undefined) };
        /** @type {string[]} */
        const data = [];
        for (const line of text.split(/\r?\n/)) {
            const at = line.indexOf(":");
            const field = at < 0 ? line : line.slice(0, at);
            const value = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
            if (at === 0) comments.push(value);
            else if (field === "id") event.id = value;
            else if (field === "event") event.event = value;
            else if (field === "data") data.push(value);
        }
        if (!data.length && !event.id) return;
        event.raw = data.join("\n");
        try {
            event.data = JSON.parse(event.raw);
        } catch {
            event.data = undefined;
        }
        events.push(event);
        try {
            checkEvent(event.event, event.data);
        } catch (error) {
            // Nobody may be waiting for this event: thrown out here it fails the test that runs.
            process.nextTick(() => {
                throw error;
            });
        }
    }

    return {
        status: res.statusCode ?? 0,
        headers: res.headers,
        events,
        comments,
        ended: () => ended,
        /**
         * The first event, of those already read and those to come, that `match` accepts.
         * @param {string | ((event: Event) => unknown)} match an event's name, or a function
         * @param {number} [timeout]
         * @returns {Promise<Event>}
         */
        async next(match, timeout = 30_000) {
            const accepts = typeof match === "string" ? (/** @type {Event} */ e) => e.event === match : match;
            const end = performance.now() + timeout;
            for (let seen = 0; ;) {
                for (; seen < events.length; seen++) if (accepts(events[seen])) return events[seen];
                const left = end - performance.now();
                if (left <= 0 || ended) {
                    const names = events.map((e) => e.event).join(" ");
                    throw new Error(`no such event (${match}) in ${timeout} ms; seen: ${names || "nothing"}`);
                }
                await new Promise((done) => {
                    const timer = setTimeout(go, left);
                    function go() {
                        clearTimeout(timer);
                        waiting.delete(go);
                        done(undefined);
                    }
                    waiting.add(go);
                });
            }
        },
        close: () => req.destroy(),
    };
}
