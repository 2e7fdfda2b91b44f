// @ts-check
// A new, empty ext4 for one turn of a contest. For minutes after many files were removed, ext4 does not use their inodes
// again and is slow to find others, whoever makes files: on a used disk the turns would measure what the ones before left.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";

/**
 * @typedef {object} Disk
 * @property {string} folder where it is mounted
 * @property {() => void} dispose unmounts and removes it; more than once does no harm
 */

/** Needs root: a loop device is mounted. @param {string} work where its image lies @param {number} bytes @returns {Disk} */
export function freshDisk(work, bytes) {
    const own = mkdtempSync(join(work, "disk-"));
    const image = join(own, "image");
    const folder = join(own, "mounted");
    let mounted = false;
    const dispose = () => {
        process.removeListener("exit", dispose);
        if (mounted) execFileSync("umount", [folder]);
        mounted = false;
        rmSync(own, { recursive: true, force: true });
    };
    mkdirSync(folder);
    process.prependOnceListener("exit", dispose); // before the folder around it is removed
    try {
        execFileSync("truncate", ["-s", `${bytes}`, image]);
        execFileSync("mkfs.ext4", ["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", image]);
        execFileSync("mount", ["-o", "loop", image, folder], { stdio: "pipe" });
        mounted = true;
    } catch (error) {
        dispose();
        throw new Error(`a fresh disk needs root and loop devices: ${error}`);
    }
    return { folder, dispose };
}
