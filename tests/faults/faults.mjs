// @ts-check
// The slots of faults.c, from the test's side: which call of which kind fails, and how.

import { execFileSync } from "node:child_process";
import { closeSync, openSync, readSync, writeFileSync, writeSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join } from "node:path";

import { defaultBin } from "../e2e/harness.mjs";

export const library = process.env.HP_FAULTS_LIB ?? join(dirname(defaultBin), "lab/faults.so");
export const everyCall = process.env.HP_FAULTS_ALL === "1";

/** What a program wants loaded before anything else: the library of its sanitizer. */
function sanitizerOf(/** @type {string} */ bin) {
    const needed = execFileSync("ldd", [bin], { encoding: "utf8" });
    return /=> (\S*lib[at]san\S*)/.exec(needed)?.[1];
}

/** What makes a program ask the slots at this path. @param {string} path */
export function preload(path) {
    const sanitizer = sanitizerOf(defaultBin);
    return { LD_PRELOAD: [...(sanitizer ? [sanitizer] : []), library].join(" "), HP_FAULTS: path };
}

/** Which calls of so many are made to fail. @param {number} calls @returns {number[]} */
export function chosen(calls) {
    if (everyCall) return Array.from({ length: calls }, (_, i) => i + 1);
    return [...new Set([1, Math.ceil(calls / 2), calls])];
}

/** Bytes of a slot and of the name in it, as in faults.c. */
const SLOT = 48;
const NAME = 24;
const SHORT = -1;
const KILL = -2;

/** Calls that transfer bytes, and may do less than they were asked to. */
const TRANSFERS = ["read", "write", "pread", "pwrite", "sendfile", "send", "db_read", "db_write"];

/** What a call of each kind can come back with (the section ERRORS of its page); the order is that of faults.c. @type {Record<string, string[]>} */
const ERRORS = {
    open: ["EMFILE", "ENOMEM", "EIO", "EINTR"],
    openat2: ["EMFILE", "ENOSPC", "EIO", "EAGAIN", "EINTR"],
    read: ["EIO", "EINTR"],
    write: ["EIO", "EINTR"],
    pread: ["EIO", "EINTR"],
    pwrite: ["ENOSPC", "EIO", "EINTR"],
    fsync: ["EIO", "ENOSPC", "EINTR"],
    fdatasync: ["EIO", "ENOSPC", "EINTR"],
    syncfs: ["EIO", "ENOSPC"],
    fallocate: ["ENOSPC", "EIO", "EINTR"],
    ftruncate: ["EIO", "EINTR"],
    linkat: ["ENOSPC", "EIO", "ENOMEM"],
    renameat2: ["ENOSPC", "EIO"],
    mkdirat: ["ENOSPC", "EIO", "ENOMEM"],
    unlinkat: ["EIO", "ENOMEM"],
    flock: ["EWOULDBLOCK", "ENOLCK"],
    statx: ["EIO", "ENOMEM"],
    accept4: ["EMFILE", "ENOMEM", "EINTR"],
    socket: ["EMFILE", "ENOMEM"],
    connect: ["ENOMEM", "EINTR", "EAGAIN"],
    sendfile: ["EIO", "ENOMEM", "EINTR"],
    send: ["ENOMEM", "EINTR"],
    inotify_add_watch: ["ENOSPC", "ENOMEM"],
    pthread_create: ["EAGAIN"],
    db_open: ["EMFILE", "EIO"],
    db_read: ["EIO", "EINTR"],
    db_write: ["ENOSPC", "EIO", "EINTR"],
    db_sync: ["EIO", "ENOSPC"],
    db_truncate: ["EIO"],
};

/** Every way in which a call can go wrong: its kind and the error, "short" for a part of the bytes. */
export const FAULTS = Object.keys(ERRORS).flatMap((kind) => [
    ...ERRORS[kind].map((error) => ({ kind, error })),
    ...(TRANSFERS.includes(kind) ? [{ kind, error: "short" }] : []),
]);

/**
 * Lays out a file for HP_FAULTS.
 * @param {string} path
 */
export function openSlots(path) {
    const kinds = Object.keys(ERRORS);
    const all = Buffer.alloc(SLOT * kinds.length);
    kinds.forEach((kind, i) => all.write(kind, i * SLOT));
    writeFileSync(path, all);
    const fd = openSync(path, "r+");
    const place = (/** @type {string} */ kind) => kinds.indexOf(kind) * SLOT;
    const read = (/** @type {number} */ at) => {
        readSync(fd, all, 0, 4, at);
        return all.readUInt32LE(0);
    };

    return {
        close: () => closeSync(fd),
        /** How many calls of this kind there have been. @param {string} kind */
        count: (kind) => read(place(kind) + NAME),
        /** How many of them were made to fail. @param {string} kind */
        hits: (kind) => read(place(kind) + NAME + 16),
        /**
         * From the n-th call of this kind on, counted from now, so many fail.
         * @param {string} kind @param {string} error a name, "short", or "kill" @param {number} n @param {number} times
         */
        arm(kind, error, n, times) {
            const at = place(kind);
            const first = read(at + NAME) + n;
            const bytes = Buffer.alloc(12);
            bytes.writeUInt32LE(first, 0);
            bytes.writeUInt32LE(Math.min(first + times - 1, 0xffffffff), 4);
            const errors = /** @type {Record<string, number>} */ (constants.errno);
            bytes.writeInt32LE({ short: SHORT, kill: KILL }[error] ?? errors[error], 8);
            writeSync(fd, bytes, 0, 12, at + NAME + 4);
        },
        /** No call of this kind fails any more. @param {string} kind */
        clear(kind) {
            writeSync(fd, Buffer.alloc(8), 0, 8, place(kind) + NAME + 4);
        },
    };
}
