// @ts-check
// Holds the answers of the dashboard's API against server/api/openapi.yaml.
//
// Every object is closed: a field that the document does not describe is a fault, as is a missing one, another type, a
// status that is not listed, or an event that `Events` does not name. The harness asks this for every answer and event.

import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";

const here = dirname(fileURLToPath(import.meta.url));
const document = parse(readFileSync(join(resolve(here, "../.."), "server/api/openapi.yaml"), "utf8"));

const ajv = new Ajv2020({ strictTypes: false, strictRequired: false, allErrors: true });
// @ts-expect-error the package's types name the module, not the function that it is
addFormats(ajv);

/** The object that "#/components/..." names. @param {any} node @returns {any} */
function follow(node) {
    if (!node?.$ref) return node;
    return node.$ref
        .slice(2)
        .split("/")
        .reduce((/** @type {any} */ at, /** @type {string} */ key) => at[key], document);
}

/**
 * A copy of a schema without references, with every object closed. The members of an `allOf` stay open: the whole
 * that they make is closed.
 * @param {any} schema
 * @param {boolean} [member]
 * @returns {any}
 */
function closed(schema, member = false) {
    if (Array.isArray(schema)) return schema.map((one) => closed(one));
    if (schema === null || typeof schema !== "object") return schema;
    const { $ref, ...own } = schema;
    const source = $ref ? { ...follow(schema), ...own } : schema;
    /** @type {any} */
    const copy = {};
    for (const [key, value] of Object.entries(source)) {
        if (key === "properties") {
            copy.properties = {};
            for (const [name, one] of Object.entries(value)) copy.properties[name] = closed(one);
        } else if (key === "allOf") copy.allOf = value.map((/** @type {any} */ one) => closed(one, true));
        else if (key !== "examples" && key !== "default") copy[key] = closed(value);
    }
    const isObject = copy.properties || copy.allOf || [copy.type].flat().includes("object");
    if (isObject && !member && copy.additionalProperties === undefined) copy.unevaluatedProperties = false;
    return copy;
}

/** @type {Map<any, import("ajv").ValidateFunction>} */
const compiled = new Map();

/** @param {any} schema @param {unknown} value @param {string} what */
function check(schema, value, what) {
    let validate = compiled.get(schema);
    if (!validate) compiled.set(schema, (validate = ajv.compile(closed(schema))));
    if (validate(value)) return;
    const faults = (validate.errors ?? []).map(
        (fault) => `  ${fault.instancePath || "/"} ${fault.message} ${JSON.stringify(fault.params)}`,
    );
    const shown = JSON.stringify(value)?.slice(0, 1000);
    throw new Error(
        `${what} is not as openapi.yaml describes it:\n${[...new Set(faults)].join("\n")}\n${shown}`,
    );
}

/** The paths of the document as patterns, those without a parameter first. */
const paths = Object.entries(document.paths)
    .map(([path, item]) => ({
        // The only parameters that hold slashes are the paths of files, and those are called "path".
        pattern: new RegExp(
            `^${path
                .replace(/[.]/g, "\\.")
                .replace(/\{path\}/g, ".+")
                .replace(/\{\w+\}/g, "[^/]+")}$`,
        ),
        item,
        plain: !path.includes("{"),
    }))
    .sort((a, b) => Number(b.plain) - Number(a.plain));

/** Whether an address belongs to the API. @param {string} url */
export function isDescribed(url) {
    const { pathname } = new URL(url);
    return pathname.startsWith("/api/v1/") || pathname === "/metrics";
}

/**
 * Throws when an answer is not as the document has it.
 * @param {string} method
 * @param {string} url
 * @param {{ status: number, headers: Record<string, string | string[] | undefined>, json?: unknown }} reply
 */
export function checkReply(method, url, reply) {
    const { pathname } = new URL(url);
    const what = `${method} ${pathname}: ${reply.status}`;
    const operation = paths.find((one) => one.pattern.test(pathname))?.item[method.toLowerCase()];
    const responses = operation?.responses;
    const fits = responses?.[reply.status] ?? (reply.status >= 400 ? responses?.default : undefined);
    // What the document does not know (another path, another method) is answered with a problem.
    const response = follow(fits ?? (operation ? undefined : document.components.responses.Problem));
    if (method === "HEAD" || method === "OPTIONS" || (!operation && reply.status < 400)) return;
    if (!response) throw new Error(`${what}: openapi.yaml knows no such status of it`);
    const type = String(reply.headers["content-type"] ?? "").replace(/;.*/, "");
    const content = response.content ?? {};
    if (reply.json === undefined) {
        const json = Object.keys(content).find((one) => /[/+]json$/.test(one));
        if (json) throw new Error(`${what} has no JSON, openapi.yaml says ${json}`);
        return;
    }
    const schema = content[type]?.schema;
    if (schema) check(schema, reply.json, what);
    else if (!content[type] && !content["application/octet-stream"] && !content["*/*"])
        throw new Error(`${what} is ${type}; openapi.yaml says ${Object.keys(content).join() || "no body"}`);
}

const { Events } = document.components.schemas;

/** Throws when an event is not as the document has it. @param {string} name @param {unknown} data */
export function checkEvent(name, data) {
    const schema = Events.properties[name];
    if (!schema) throw new Error(`openapi.yaml names no event "${name}"`);
    check(schema, data, `event ${name}`);
}
