// @ts-check
// Runs the rows of the table one after the other and prints what they found. Called by tests/bench/run.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { cpus, networkInterfaces, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { defaultBin } from "../e2e/harness.mjs";
import { growth, printGrowth } from "./grow.mjs";
import { GB, MiB, ratio } from "./measure.mjs";

const ROWS = [
    ...["serve", "serve_tls", "download", "download_tls", "small", "sync", "memory", "idle", "idle_tls"],
    ...["scan", "start", "api", "kill", "hub", "relay", "give"],
];

/**
 * One thing that a row has to reach: so many times as fast as somebody else, or a fact.
 * @typedef {object} Goal
 * @property {string} what
 * @property {boolean} [ok]
 * @property {import("./measure.mjs").Figure} [against]
 * @property {number} [times]
 */

const { values: options } = parseArgs({
    options: {
        only: { type: "string", multiple: true },
        list: { type: "boolean" },
        grow: { type: "boolean" },
        full: { type: "boolean" },
        json: { type: "boolean" },
        verbose: { type: "boolean" },
        rounds: { type: "string", default: "5" },
        folder: { type: "string", default: "/var/tmp" },
    },
});

/** There is nothing but the loopback interface, and no route. (Tunnels that a kernel puts into every namespace are down.) */
function assertApart() {
    const others = Object.keys(networkInterfaces()).filter((name) => name !== "lo");
    const routes = readFileSync("/proc/net/route", "utf8").trim().split("\n").length - 1;
    if (others.length || routes)
        throw new Error("this is no network namespace of its own: start it with tests/bench/run");
}

/** @param {Goal} goal @param {import("./measure.mjs").Figure[]} figures */
function judge(goal, figures) {
    if (!goal.against) return { what: goal.what, ok: goal.ok === true };
    const reached = ratio(figures[0], goal.against);
    return {
        what: `${reached.toFixed(2)} x ${goal.what}, wanted ${goal.times}`,
        ok: reached >= (goal.times ?? 1),
        ratio: reached,
    };
}

/** @param {string} name @param {any} row @param {import("./measure.mjs").Figure[]} figures @param {ReturnType<typeof judge>[]} verdicts */
function printRow(name, row, figures, verdicts) {
    console.log(`\n${name}: ${row.title}\n  goal: ${row.goal}`);
    if (figures.length) {
        const heads = ["median s", "least", "most", "GB/s", "x hostpair", "CPU s/GB", "peak MiB"];
        console.log(`  ${"".padEnd(30)}${heads.map((h) => h.padStart(11)).join("")}`);
    }
    for (const f of figures) {
        const bytes = f.bytes ?? NaN;
        const cells = [
            f.seconds.toFixed(3),
            f.least.toFixed(3),
            f.most.toFixed(3),
            (bytes / GB / f.seconds).toFixed(2),
            f.times.length === figures[0].times.length ? (1 / ratio(figures[0], f)).toFixed(2) : "",
            f.cpu === undefined ? "" : ((f.cpu / bytes) * GB).toFixed(3),
            f.memory === undefined ? "" : (f.memory / MiB).toFixed(1),
        ];
        console.log(`  ${f.name.padEnd(30)}${cells.map((c) => c.padStart(11)).join("")}`);
    }
    for (const { what, ok } of verdicts) console.log(`  ${ok ? "reached" : "MISSED "}  ${what}`);
}

function machine() {
    const [{ model }] = cpus();
    const kernel = execFileSync("uname", ["-sr"]).toString().trim();
    const disk = execFileSync("findmnt", ["-n", "-o", "FSTYPE", "--target", options.folder ?? "."])
        .toString()
        .trim();
    return `${cpus().length} x ${model}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, ${kernel}, ${disk}`;
}

async function main() {
    if (options.list) {
        console.log([...ROWS, ...growth.map((g) => `${g.name} (--grow)`)].join("\n"));
        return 0;
    }
    assertApart();
    const wanted = (/** @type {string} */ name) => !options.only || options.only.includes(name);
    for (const name of options.only ?? [])
        if (![...ROWS, ...growth.map((g) => g.name)].includes(name))
            throw new Error(`there is no row ${name}`);
    const work = mkdtempSync(join(options.folder ?? "/var/tmp", "hostpair-bench-"));
    process.once("exit", () => rmSync(work, { recursive: true, force: true }));
    for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
    process.env.HP_E2E_TMP = work;
    if (options.verbose) process.env.HP_BENCH_VERBOSE = "1";
    const say = (/** @type {string} */ text) => process.stderr.write(`${text}\n`);
    const bench = { rounds: Number(options.rounds), full: options.full === true, work, say };
    const version = execFileSync(defaultBin, ["--version"]).toString().trim();
    /** @type {any} */
    const report = { machine: machine(), version, date: new Date().toISOString(), rows: [], growth: [] };
    if (!options.json) console.log(`${report.version} on ${report.machine}`);
    let missed = 0;
    for (const name of options.grow ? [] : ROWS.filter(wanted)) {
        say(`... ${name}`);
        const row = await import(`./rows/${name}.mjs`);
        try {
            const { figures, goals } = await row.run(bench);
            const verdicts = goals.map((/** @type {Goal} */ goal) => judge(goal, figures));
            missed += verdicts.filter((/** @type {any} */ v) => !v.ok).length;
            report.rows.push({ name, title: row.title, goal: row.goal, figures, verdicts });
            if (!options.json) printRow(name, row, figures, verdicts);
        } catch (error) {
            missed++;
            const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
            report.rows.push({ name, title: row.title, goal: row.goal, error: why });
            if (!options.json) console.log(`\n${name}: ${row.title}\n  FAILED: ${why}`);
        }
    }
    for (const { name, title, run } of options.grow ? growth.filter((g) => wanted(g.name)) : []) {
        say(`... ${name}`);
        report.growth.push({ name, title, steps: await run(bench) });
        if (!options.json) printGrowth(report.growth.slice(-1));
    }
    if (options.json) console.log(JSON.stringify(report, null, 4));
    return missed ? 1 : 0;
}

process.exit(await main());
