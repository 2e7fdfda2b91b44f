// @ts-check
// File systems that a test makes in an image and mounts: as root only.

import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";

import { tempDir } from "./harness.mjs";

/** @typedef {"ext2" | "ext4" | "exfat" | "ntfs"} Kind */

/** How an image gets its file system, and how that is mounted from a block device. @type {Record<Kind, [string[], string[]]>} */
const how = {
    ext2: [["mkfs.ext2", "-q", "-m", "0"], ["mount"]],
    ext4: [["mkfs.ext4", "-q", "-m", "0"], ["mount"]],
    exfat: [["mkfs.exfat"], ["mount.exfat-fuse"]],
    ntfs: [
        ["mkfs.ntfs", "-F", "-Q", "-q"],
        ["ntfs-3g", "-o", "windows_names"],
    ],
};

/**
 * Runs a program of the system, also where its folder is not searched.
 * @param {string[]} words
 */
const run = ([program, ...words]) =>
    spawnSync(program ?? "", words, {
        encoding: "utf8",
        env: { ...process.env, PATH: `${process.env.PATH}:/sbin:/usr/sbin` },
    });

/** A disk that can be pulled out and put in again; `at` is where. */
export class Disk {
    /** @param {string} dir @param {Kind} kind */
    constructor(dir, kind) {
        this.image = join(dir, "image");
        this.at = join(dir, "disk");
        this.kind = kind;
        this.loop = "";
    }

    /** Whether it could be mounted. */
    mount() {
        const loop = run(["losetup", "-f", "--show", this.image]);
        if (loop.status !== 0) return false;
        this.loop = loop.stdout.trim();
        const done = run([.../** @type {string[]} */ (how[this.kind][1]), this.loop, this.at]);
        if (done.status !== 0) run(["losetup", "-d", this.loop]);
        return done.status === 0;
    }

    /** Also while files on it are open. */
    unmount() {
        if (run(["umount", this.at]).status !== 0) run(["umount", "-l", this.at]);
        run(["losetup", "-d", this.loop]);
        // A program of FUSE writes what it has when it has been told of the end.
        for (
            let i = 0;
            i < 50 && /exfat|ntfs/.test(this.kind) && run(["losetup", "-j", this.image]).stdout !== "";
            i++
        )
            run(["sleep", "0.1"]);
    }
}

/**
 * A disk of so many MiB, mounted, unmounted when the test ends; undefined where this machine cannot.
 * @param {import("node:test").TestContext} t
 * @param {Kind} kind
 * @param {number} mib
 */
export function makeDisk(t, kind, mib) {
    const dir = tempDir();
    const disk = new Disk(dir, kind);
    mkdirSync(disk.at);
    execFileSync("truncate", ["-s", `${mib}M`, disk.image]);
    if (run([...how[kind][0], disk.image]).status !== 0 || !disk.mount()) return undefined;
    const unmount = () => disk.unmount();
    process.once("exit", unmount);
    t.after(async () => {
        unmount();
        process.off("exit", unmount);
        await rm(dir, { recursive: true, force: true });
    });
    return disk;
}

/**
 * Where such a disk is mounted.
 * @param {import("node:test").TestContext} t
 * @param {Kind} kind
 * @param {number} mib
 */
export const mountImage = (t, kind, mib) => makeDisk(t, kind, mib)?.at;

/**
 * A small file system of its own, unmounted when the test ends.
 * @param {import("node:test").TestContext} t
 * @param {number} mib
 * @param {"tmpfs" | "ext2" | "ext4"} kind ext2 knows no fallocate, so that a disk is found full in the middle of a write;
 * ext4 leaves a reservation that it could not make whole where it is
 * @returns {string | undefined} undefined: this machine cannot mount it
 */
export function smallDisk(t, mib, kind) {
    const dir = tempDir();
    const at = join(dir, "disk");
    mkdirSync(at);
    let mount;
    if (kind === "tmpfs") mount = ["-t", "tmpfs", "-o", `size=${mib}m`, "hostpair-test", at];
    else {
        const image = join(dir, "image");
        execFileSync("truncate", ["-s", `${mib}M`, image]);
        execFileSync(`/sbin/mkfs.${kind}`, ["-q", "-m", "0", image]);
        mount = ["-o", "loop", image, at];
    }
    const done = spawnSync("mount", mount, { encoding: "utf8" });
    const unmount = () => spawnSync("umount", ["-l", at]);
    if (done.status !== 0) return undefined;
    process.once("exit", unmount);
    t.after(async () => {
        unmount();
        process.off("exit", unmount);
        await rm(dir, { recursive: true, force: true });
    });
    return at;
}
