// @ts-check
// npm's package "localsend", another implementation of the protocol.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { tempDir } from "../e2e/harness.mjs";

const here = dirname(fileURLToPath(import.meta.url));

/** The program of npm's package, which needs no other one; undefined where it cannot be had. */
export function findDevice() {
    const [version, digest] = ["0.1.2", "447188e212cc7ed1a0a6a9106e8f03c26525d7f4694e1199acee7e527c497316"];
    const kept = join(here, "../e2e/node_modules/.cache", `localsend-${version}.mjs`);
    if (existsSync(kept)) return kept;
    try {
        const dir = tempDir();
        const quiet = {
            cwd: dir,
            timeout: 60_000,
            stdio: /** @type {const} */ (["ignore", "pipe", "ignore"]),
        };
        execFileSync("npm", ["pack", `localsend@${version}`, "--silent"], quiet);
        const packed = join(dir, `localsend-${version}.tgz`);
        assert.equal(createHash("sha256").update(readFileSync(packed)).digest("hex"), digest);
        execFileSync("tar", ["-xzf", packed, "package/dist/cli.js"], quiet);
        mkdirSync(dirname(kept), { recursive: true });
        writeFileSync(`${kept}.${process.pid}`, readFileSync(join(dir, "package/dist/cli.js")));
        renameSync(`${kept}.${process.pid}`, kept);
        return kept;
    } catch {
        return undefined;
    }
}
