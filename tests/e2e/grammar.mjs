// @ts-check
// Requests made of a grammar: mostly right, then bent in one place or several. The same seed makes the same requests.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

import { randomOf } from "./crash.mjs";
import { checkout } from "./harness.mjs";

const CRLF = "\r\n";
const NUMBERS = [
    "0",
    "1",
    "-1",
    "65536",
    "2147483648",
    "9223372036854775807",
    "18446744073709551616",
    "1e9",
    "0x10",
    " 7",
    "",
];
const TEXTS = [
    "",
    "a",
    "%00",
    "..",
    "%2e%2e%2f",
    "a/../../b",
    "\u202e",
    "é",
    "%",
    "%zz",
    "a".repeat(5000),
    "'\"<>",
    "{}",
    "null",
];
const RANGES = [
    "bytes=0-0",
    "bytes=-1",
    "bytes=5-",
    "bytes=9-1",
    "bytes=0-0,2-3",
    `bytes=${"0-0,".repeat(300)}1-1`,
    "bytes=18446744073709551615-",
    "items=1-2",
    "bytes=",
];
const DATES = [
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "yesterday",
    "Thu, 01 Jan 1970",
];
const TAGS = ['"a"', 'W/"a"', "*", '"a", "b"', '"', '"'.repeat(99)];
const METHODS = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "PROPFIND",
    "TRACE",
    "BREW",
    "get",
    "G\tT",
];

/** What is never asked for: calls that do not end, and calls that make hostpair look for others outside of the test. */
const LEFT_OUT = /^(post \/api\/v1\/(scan|hosts|groups|downloads)|get \/api\/v1\/events)$/;

/** A body of the right shape for a schema. @param {any} schema @param {any} all @param {() => number} random @returns {unknown} */
function bodyOf(schema, all, random, depth = 0) {
    if (!schema || depth > 5) return null;
    if (schema.$ref)
        return bodyOf(all.components.schemas[schema.$ref.split("/").pop()], all, random, depth + 1);
    if (schema.enum) return schema.enum[Math.floor(random() * schema.enum.length)];
    const some = schema.oneOf ?? schema.anyOf ?? schema.allOf;
    if (some) return bodyOf(some[Math.floor(random() * some.length)], all, random, depth + 1);
    if (schema.type === "array")
        return Array.from({ length: Math.floor(random() * 3) }, () =>
            bodyOf(schema.items, all, random, depth + 1),
        );
    if (schema.type === "integer" || schema.type === "number") return Math.floor(random() * 100);
    if (schema.type === "boolean") return random() < 0.5;
    if (schema.properties)
        return Object.fromEntries(
            Object.entries(schema.properties).map(([name, each]) => [
                name,
                bodyOf(each, all, random, depth + 1),
            ]),
        );
    return "text";
}

/** The calls of both listeners: those of openapi.yaml, and the rows of PROTOCOL.md. */
export function callsOf() {
    const api = parse(readFileSync(join(checkout, "server/api/openapi.yaml"), "utf8"));
    /** @type {{ method: string, path: string, schema: any }[]} */
    const dashboard = [];
    for (const [path, calls] of Object.entries(api.paths))
        for (const [method, call] of Object.entries(/** @type {Record<string, any>} */ (calls)))
            if (/^(get|put|post|patch|delete)$/.test(method) && !LEFT_OUT.test(`${method} ${path}`))
                dashboard.push({
                    method: method.toUpperCase(),
                    path,
                    schema: call.requestBody?.content?.["application/json"]?.schema,
                });
    const protocol = readFileSync(join(checkout, "server/peer/PROTOCOL.md"), "utf8");
    const peer = [...protocol.matchAll(/`(GET|HEAD|PUT|POST|DELETE|PROPFIND|OPTIONS) (\/[^\s`]*)/g)].map(
        ([, method, path]) => ({
            method,
            path: path.replace(/<[^>]+>|\{[^}]+\}/g, "{id}"),
            schema: undefined,
        }),
    );
    return { api, dashboard, peer };
}

/**
 * Makes requests without end.
 * @param {number} seed
 * @param {"dashboard" | "peer"} listener
 */
export function grammar(seed, listener) {
    const random = randomOf(seed);
    const { api, dashboard, peer } = callsOf();
    const calls = listener === "dashboard" ? dashboard : peer;
    const one = /** @template T */ (/** @type {T[]} */ from) => from[Math.floor(random() * from.length)];
    const often = (/** @type {number} */ share) => random() < share;

    function target(/** @type {string} */ path) {
        let made = path.replace(/\{[^}]+\}/g, () =>
            one(["1", "film.bin", "abcdef0123456789abcdef0123456789", one(NUMBERS), one(TEXTS)]),
        );
        if (often(0.3))
            made += `?${one(["limit", "offset", "q", "path", "host", "since", "after", "data", "x"])}=${often(0.5) ? one(NUMBERS) : one(TEXTS)}`;
        if (often(0.03))
            made = one([
                "*",
                "//",
                `http://other${made}`,
                made.slice(1),
                `${made} `,
                `${made}\u0000`,
                "/".repeat(9000),
            ]);
        return made;
    }

    /** Changes a body of JSON in one place. @param {string} text */
    function bend(text) {
        const at = Math.floor(random() * text.length);
        return one([
            () => text.slice(0, at),
            () =>
                text.slice(0, at) +
                one(['"', "{", "[".repeat(3000), "\u0000", "\\ud800", "1e999", ","]) +
                text.slice(at),
            () =>
                text.replace(
                    /:(\d+|"[^"]*"|true|false|null)/,
                    () =>
                        `:${one(["null", "[]", "{}", "-1", "1e308", '"\\u0000"', `"${"x".repeat(70000)}"`, ...NUMBERS.slice(0, 6)])}`,
                ),
            () => text.replace(/"(\w+)":/, '"$1":1,"$1":'),
            () => `[${text}]`,
        ])();
    }

    function headers() {
        const list = ["Host: 127.0.0.1"];
        const add = (/** @type {number} */ share, /** @type {() => string} */ header) =>
            often(share) && list.push(header());
        add(0.15, () => `Range: ${one(RANGES)}`);
        add(0.1, () => `If-Range: ${one([...TAGS, ...DATES])}`);
        add(0.1, () => `If-None-Match: ${one(TAGS)}`);
        add(0.1, () => `If-Match: ${one(TAGS)}`);
        add(0.1, () => `If-Modified-Since: ${one(DATES)}`);
        add(0.1, () => `If-Unmodified-Since: ${one(DATES)}`);
        add(0.1, () => `Accept-Encoding: ${one(["gzip", "br", "gzip;q=0", "*", ",".repeat(200)])}`);
        add(0.05, () => `Accept: ${one(["text/html", "application/json", "*/*", "a"])}`);
        add(0.05, () => `Depth: ${one(["0", "1", "infinity", "-1"])}`);
        add(0.05, () => `Origin: ${one(["null", "http://evil.example", "http://127.0.0.1"])}`);
        add(0.05, () => `Cookie: ${one(["a=b", "=".repeat(300), "hostpair=x"])}`);
        add(0.05, () => `Authorization: ${one(["Bearer x", "Basic", "Bearer ".repeat(50)])}`);
        add(0.05, () => `Expect: ${one(["100-continue", "200-ok"])}`);
        add(0.03, () => `Upgrade: ${one(["h2c", "websocket"])}`);
        add(0.05, () => `Connection: ${one(["close", "keep-alive", "Host", "Upgrade"])}`);
        add(0.03, () => `Content-Range: ${one(["bytes 0-4/5", "bytes 9-1/2", "bytes */5", "x"])}`);
        add(0.02, () =>
            one([
                "X",
                ": x",
                "X : y",
                " folded",
                "X: \u0001",
                `X: ${"y".repeat(9000)}`,
                "Host: two",
                `${"Z".repeat(3000)}: 1`,
            ]),
        );
        return list;
    }

    /** The length and its conflicts, and the body as it goes. @param {string[]} list @param {string} body */
    function framed(list, body) {
        const length = Buffer.byteLength(body);
        const chunks = `${length.toString(16)}${CRLF}${body}${CRLF}0${CRLF}${CRLF}`;
        const how = random();
        if (how < 0.75) {
            if (length > 0 || often(0.1)) list.push(`Content-Length: ${length}`);
            return body;
        }
        if (how < 0.85) {
            list.push("Transfer-Encoding: chunked");
            return length > 0 ? chunks : `0${CRLF}${CRLF}`;
        }
        const [header, sent] = one([
            [`Content-Length: ${length + 5}`, body],
            [`Content-Length: ${length}${CRLF}Content-Length: ${length + 1}`, body],
            [`Content-Length: ${length}${CRLF}Transfer-Encoding: chunked`, chunks],
            [`Content-Length: ${one(NUMBERS)}`, body],
            ["Transfer-Encoding: gzip, chunked", chunks],
            ["Transfer-Encoding: chunked, chunked", chunks],
            ["Transfer-Encoding: chunked", `0x5${CRLF}hello${CRLF}0${CRLF}${CRLF}`],
            ["Transfer-Encoding: chunked", `ffffffffffffffff1${CRLF}x`],
            [
                "Transfer-Encoding: chunked",
                `5;${"e".repeat(5000)}${CRLF}hello${CRLF}0${CRLF}X: y${CRLF}${CRLF}`,
            ],
            ["Transfer-Encoding: xchunked", chunks],
        ]);
        list.push(header);
        return sent;
    }

    return function next() {
        const call = one(calls);
        const method = often(0.85) ? call.method : one(METHODS);
        const list = headers();
        let body = "";
        if (call.schema || often(0.1)) {
            list.push(
                `Content-Type: ${often(0.9) ? "application/json" : one(["text/plain", "multipart/form-data; boundary=x", "x"])}`,
            );
            body = JSON.stringify(call.schema ? bodyOf(call.schema, api, random) : { text: "x" }) ?? "";
            if (often(0.5)) body = bend(body);
        }
        const sent = framed(list, body);
        const version = often(0.97)
            ? "HTTP/1.1"
            : one(["HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.1 ", "http/1.1"]);
        const end = often(0.98) ? CRLF : one(["\n", "\r", "\n\r"]);
        return Buffer.from(
            `${method} ${target(call.path)} ${version}${end}${list.join(end)}${end}${end}${sent}`,
        );
    };
}
