// @ts-check
// A person at a terminal: commands run in a pseudo-terminal, and what its screen shows.
//
//   const t1 = terminal(["hosts"], { columns: 40, env: { HOSTPAIR_DATA: h.dataDir } });
//   await t1.shows(/attic/);
//   t1.type("\u0003");
//   const { code, screen } = await t1.ended;
//
// The screen knows only what hostpair needs: line ends, returns, "clear to the end of the line" and colours. Anything else
// that a terminal would obey is an error, so that no name of another host gets through to it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";

import { MiB, addHost, checkout, defaultBin, startHostpair, waitFor } from "./harness.mjs";
import { listed, sharing } from "./hosts.mjs";

const WIDE =
    /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/u;

/** The commands, in the order of the help. */
export const commands = [
    "hosts",
    "ls",
    "get",
    "downloads",
    "kept",
    "share",
    "folders",
    "send",
    "messages",
    "push",
    "inbox",
    "pair",
    "unpair",
    "settings",
    "identity",
    "group",
    "menu",
    "doctor",
    "help",
];

/** Columns that a text takes. @param {string} text */
export const columnsOf = (text) =>
    [...text].reduce((sum, c) => sum + (/\p{M}/u.test(c) ? 0 : WIDE.test(c) ? 2 : 1), 0);

/**
 * What a terminal shows after these bytes.
 * @param {string} shown
 * @param {number} columns
 */
export function screenOf(shown, columns) {
    /** @type {string[][]} */
    const lines = [[]];
    let row = 0;
    let column = 0;
    let wrapped = 0;
    let coloured = false;
    for (let at = 0; at < shown.length;) {
        const rest = shown.slice(at);
        const escape = /^\x1b\[([0-9;]*)([A-Za-z])/.exec(rest);
        if (escape) {
            if (escape[2] === "K" && escape[1] === "") lines[row].length = column;
            else if (escape[2] === "m") coloured = true;
            else assert.fail(`the terminal was sent ${JSON.stringify(escape[0])}`);
            at += escape[0].length;
            continue;
        }
        const c = String.fromCodePoint(rest.codePointAt(0) ?? 0);
        at += c.length;
        if (c === "\n") {
            row++;
            if (!lines[row]) lines[row] = [];
        } else if (c === "\r") {
            column = 0;
        } else if (/[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/.test(c)) {
            // The terminal itself shows a Ctrl-C as ^C; nothing else is expected.
            assert.fail(`the terminal was sent ${JSON.stringify(c)} in ${JSON.stringify(shown)}`);
        } else {
            const width = columnsOf(c);
            if (column + width > columns) {
                wrapped++;
                lines[++row] = [];
                column = 0;
            }
            if (width === 0) lines[row][Math.max(column - 1, 0)] += c;
            else lines[row][column] = c;
            if (width === 2) lines[row][column + 1] = "";
            column += width;
        }
    }
    return { lines: lines.map((line) => Array.from(line, (c) => c ?? " ").join("")), wrapped, coloured };
}

/** @param {Record<string, string | undefined>} [extra] */
export function environment(extra = {}) {
    /** @type {Record<string, string | undefined>} */
    const env = {};
    for (const [key, value] of Object.entries(process.env))
        if (!/^(HOSTPAIR_|LC_|NO_COLOR)/.test(key)) env[key] = value;
    Object.assign(env, {
        TERM: "xterm-256color",
        LANG: "C.UTF-8",
        TZ: "UTC",
        HOME: "/nonexistent",
        ASAN_OPTIONS: "detect_leaks=1:abort_on_error=0:exitcode=86",
        UBSAN_OPTIONS: "halt_on_error=1:print_stacktrace=1:exitcode=86",
    });
    for (const [key, value] of Object.entries(extra)) {
        if (value === undefined) delete env[key];
        else env[key] = value;
    }
    return env;
}

/**
 * Runs hostpair, or another program, in a pseudo-terminal.
 * @param {string[]} args
 * @param {{ columns?: number, rows?: number, env?: Record<string, string | undefined>, program?: string, cwd?: string }} [options]
 */
export function terminal(args, { columns = 80, rows = 24, env, program = defaultBin, cwd } = {}) {
    const helper = join(checkout, "tests/e2e/terminal.py");
    const child = spawn("python3", [helper, String(columns), String(rows), program, ...args], {
        env: environment(env),
        cwd,
        stdio: ["pipe", "pipe", "inherit"],
    });
    let shown = "";
    let width = columns;
    child.stdout.setEncoding("utf8").on("data", (text) => (shown += text));
    child.stdin.on("error", () => {});
    const killNow = () => child.kill("SIGKILL");
    process.once("exit", killNow);
    const ended = new Promise((done) =>
        child.on("close", (code) => {
            process.off("exit", killNow);
            const { lines, wrapped, coloured } = screenOf(shown, width);
            while (lines.length && lines[lines.length - 1].trim() === "") lines.pop();
            done({ code, lines, screen: lines.join("\n"), wrapped, coloured, shown });
        }),
    );
    const order = (/** @type {unknown} */ what) => child.stdin.write(`${JSON.stringify(what)}\n`);
    return {
        /** How it ended and what the screen shows then. @type {Promise<{ code: number, lines: string[], screen: string, wrapped: number, coloured: boolean, shown: string }>} */
        ended,
        shown: () => shown,
        /** What the screen shows now. */
        screen: () => screenOf(shown, width).lines.join("\n"),
        /** @param {string} text */
        type: (text) => order({ send: text }),
        /** @param {number} to */
        resize(to) {
            width = Math.max(width, to);
            order({ size: [to, rows] });
        },
        /** Waits until the screen shows it. @param {RegExp} what @param {number} [timeout] */
        shows: (what, timeout = 20_000) =>
            waitFor(() => what.exec(screenOf(shown, width).lines.join("\n")), {
                timeout,
                what: `${what} on the screen`,
                detail: () => shown,
            }),
    };
}

/**
 * Runs hostpair in a pseudo-terminal to its end.
 * @param {string[]} args
 * @param {Parameters<typeof terminal>[1]} [options]
 */
export const atTerminal = (args, options) => terminal(args, options).ended;

/**
 * Runs hostpair, or another program, without a terminal.
 * @param {string[]} args
 * @param {{ env?: Record<string, string | undefined>, program?: string, input?: string, cwd?: string }} [options]
 * @returns {Promise<{ code: number | null, signal: NodeJS.Signals | null, stdout: string, stderr: string }>}
 */
export function piped(args, { env, program = defaultBin, input = "", cwd } = {}) {
    return new Promise((done, fail) => {
        const child = spawn(program, args, { env: environment(env), cwd, stdio: ["pipe", "pipe", "pipe"] });
        let stdout = "";
        let stderr = "";
        child.stdout.setEncoding("utf8").on("data", (text) => (stdout += text));
        child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
        child.on("error", fail);
        child.on("close", (code, signal) => {
            if (/Sanitizer|runtime error:/.test(stderr)) fail(new Error(`a sanitizer complained: ${stderr}`));
            else done({ code, signal, stdout, stderr });
        });
        child.stdin.on("error", () => {});
        child.stdin.end(input);
    });
}

/**
 * @typedef {import("./harness.mjs").Hostpair} Hostpair
 * @typedef {import("./harness.mjs").TestContext} TestContext
 */

/** The environment by which a command finds this host. @param {Hostpair} h */
export const asks = (h) => ({ HOSTPAIR_DATA: h.dataDir });

export const FILES = {
    "holiday.mp4": { size: 3 * MiB + 5, seed: 1 },
    "photos/beach.jpg": { size: 5000, seed: 2 },
    "photos/2025/snow.jpg": { size: 7000, seed: 3 },
    "你好 世界.txt": { size: 12, seed: 4 },
};

/** A host that shares FILES, and one whose terminal it is. @param {TestContext} t */
export async function pair(t) {
    const other = await sharing(t, "attic", FILES);
    const own = await startHostpair({ t, name: "own" });
    const { id } = await addHost(own, other.peerPort);
    await listed(own, id, 4);
    return { other, own, id, env: asks(own) };
}

/** @param {string} text */
export const rows = (text) => text.split("\n").filter((line) => line !== "");
