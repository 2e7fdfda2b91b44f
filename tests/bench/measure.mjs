// @ts-check
// How things are measured: what a command took, what a running process used, and contests in which everybody's turn
// comes in every round.

import { spawn } from "node:child_process";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export const MiB = 1024 * 1024;
export const GB = 1e9;

const tools = process.env.HP_BENCH_TOOLS ?? "";

/** @param {"sink" | "timed" | "relayed"} name */
export const tool = (name) => join(tools, name);

/**
 * What one turn took.
 * @typedef {object} Taken
 * @property {number} seconds
 * @property {number} [bytes] moved
 * @property {number} [cpu] CPU seconds
 * @property {number} [memory] peak resident bytes
 *
 * @typedef {object} Contestant
 * @property {string} name
 * @property {() => Promise<Taken>} turn
 * @property {() => Promise<void>} [check] throws when the result is wrong
 * @property {() => Promise<void>} [clean] removes the result, untimed
 *
 * @typedef {object} Figure
 * @property {string} name
 * @property {number} seconds median
 * @property {number} least
 * @property {number} most
 * @property {number | undefined} bytes
 * @property {number | undefined} cpu median
 * @property {number | undefined} memory largest
 * @property {number[]} times of the rounds
 */

/**
 * Runs a command to its end; throws unless it ends with code 0.
 * @param {string[]} command
 * @param {{ cwd?: string, env?: Record<string, string> }} [options]
 * @returns {Promise<Taken & { output: string }>}
 */
export function timed(command, { cwd, env } = {}) {
    return new Promise((done, fail) => {
        const child = spawn(tool("timed"), command, {
            cwd,
            env: { ...process.env, ...env },
            stdio: ["ignore", "pipe", "pipe", "pipe"],
        });
        let output = "";
        let words = "";
        let taken = "";
        child.stdout?.on("data", (text) => (output += text));
        child.stderr?.on("data", (text) => (words = (words + text).slice(-4000)));
        child.stdio[3]?.on("data", (/** @type {Buffer} */ text) => (taken += text));
        child.on("error", fail);
        child.on("close", () => {
            const { status, ...rest } = JSON.parse(taken || '{"status":-1}');
            if (status === 0) done({ ...rest, output });
            else
                fail(new Error(`${command.join(" ")} ended with ${status}: ${words || output.slice(-2000)}`));
        });
    });
}

/** CPU seconds that a process and its threads have used so far. @param {number} pid */
export function cpuOf(pid) {
    let ns = 0;
    for (const task of readdirSync(`/proc/${pid}/task`)) {
        try {
            ns += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0]);
        } catch {
            // the thread has ended meanwhile
        }
    }
    return ns / 1e9;
}

/** @param {number} pid @param {string} field */
function memoryField(pid, field) {
    const line = new RegExp(`^${field}:\\s*(\\d+) kB`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"));
    if (!line) throw new Error(`no ${field} of process ${pid}`);
    return Number(line[1]) * 1024;
}

/** Resident bytes now. @param {number} pid */
export const memoryOf = (pid) => memoryField(pid, "VmRSS");
/** The largest since resetPeak. @param {number} pid */
export const peakOf = (pid) => memoryField(pid, "VmHWM");
/** @param {number} pid */
export const resetPeak = (pid) => writeFileSync(`/proc/${pid}/clear_refs`, "5");

/**
 * Times what a running process does while `work` runs.
 * @param {number} pid
 * @param {() => Promise<unknown>} work
 * @returns {Promise<Taken>}
 */
export async function watch(pid, work) {
    resetPeak(pid);
    const cpu = cpuOf(pid);
    const start = performance.now();
    await work();
    const seconds = (performance.now() - start) / 1000;
    return { seconds, cpu: cpuOf(pid) - cpu, memory: peakOf(pid) };
}

/** Brings a file into the page cache. @param {string} path */
export const warm = (path) => timed(["dd", `if=${path}`, "of=/dev/null", "bs=1M", "status=none"]);

/** @param {number[]} values */
export function median(values) {
    const sorted = [...values].sort((a, b) => a - b);
    const middle = sorted.length >> 1;
    return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** @param {number[]} values @param {number} share 0 to 1 */
export function percentile(values, share) {
    const sorted = [...values].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)];
}

/** @param {Taken[]} turns @param {string} name @returns {Figure} */
export function figure(name, turns) {
    const times = turns.map((t) => t.seconds);
    const cpus = turns.flatMap((t) => (t.cpu === undefined ? [] : [t.cpu]));
    const memories = turns.flatMap((t) => (t.memory === undefined ? [] : [t.memory]));
    return {
        name,
        seconds: median(times),
        least: Math.min(...times),
        most: Math.max(...times),
        bytes: turns[0].bytes,
        cpu: cpus.length ? median(cpus) : undefined,
        memory: memories.length ? Math.max(...memories) : undefined,
        times,
    };
}

/**
 * Everybody's turn in every round, another one first each time; the first round only warms up. Every turn's result is checked.
 * @param {Contestant[]} contestants
 * @param {number} rounds
 * @returns {Promise<Figure[]>}
 */
export async function contest(contestants, rounds) {
    /** @type {Taken[][]} */
    const turns = contestants.map(() => []);
    for (let round = 0; round <= rounds; round++)
        for (let i = 0; i < contestants.length; i++) {
            const at = (i + round) % contestants.length;
            const { name, turn, check, clean } = contestants[at];
            try {
                const taken = await turn();
                if (process.env.HP_BENCH_VERBOSE)
                    process.stderr.write(`round ${round}, ${name}: ${taken.seconds.toFixed(3)} s\n`);
                await check?.();
                if (round > 0) turns[at].push(taken);
            } catch (error) {
                throw new Error(`${name}: ${error instanceof Error ? error.message : error}`);
            } finally {
                await clean?.();
            }
        }
    return contestants.map(({ name }, i) => figure(name, turns[i]));
}

/**
 * How many times as fast as `other` `own` was: the median of the rounds' ratios.
 * @param {Figure} own @param {Figure} other
 */
export const ratio = (own, other) => median(own.times.map((time, i) => other.times[i] / time));
