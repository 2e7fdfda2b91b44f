#include "os/port_owner.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"

#define LISTENING 0x0a /* the state in /proc/net/tcp */

#define NOTES 32

static struct {
    uint16_t port;
    char text[HP_PORT_OWNER_SIZE];
} notes[NOTES];
static size_t note_count;

/* Calls fn with the inode of each socket that listens on one of the ports. */
static void each_listener(const char *table, uint16_t first, unsigned count,
                          void (*fn)(void *arg, uint16_t port, unsigned long inode), void *arg)
{
    FILE *file = fopen(table, "re");
    char line[256];
    unsigned long inode;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        unsigned local, state;
        if (sscanf(line, "%*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*u %*d %lu", &local, &state,
                   &inode) == 3 &&
            local - first < count && state == LISTENING)
            fn(arg, (uint16_t)local, inode);
    }
    if (file != NULL)
        fclose(file);
}

/* Whether one of the process's descriptors is that socket. */
static bool has_socket(const char *process, unsigned long inode)
{
    char path[300], wanted[40], link[40];
    bool found = false;
    snprintf(path, sizeof path, "/proc/%s/fd", process);
    snprintf(wanted, sizeof wanted, "socket:[%lu]", inode);
    DIR *all = opendir(path);
    for (struct dirent *entry; all != NULL && !found && (entry = readdir(all)) != NULL;) {
        ssize_t n = readlinkat(dirfd(all), entry->d_name, link, sizeof link - 1);
        link[n > 0 ? n : 0] = '\0';
        found = strcmp(link, wanted) == 0;
    }
    if (all != NULL)
        closedir(all);
    return found;
}

static void describe(const char *process, char out[HP_PORT_OWNER_SIZE])
{
    char path[300], name[16] = "", shown[4 * sizeof name];
    snprintf(path, sizeof path, "/proc/%s/comm", process);
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        if (fgets(name, sizeof name, file) != NULL)
            name[strcspn(name, "\n")] = '\0';
        fclose(file);
    }
    hp_utf8_printable(name, strlen(name), shown, sizeof shown);
    snprintf(out, HP_PORT_OWNER_SIZE, "%s (process %.10s)", shown[0] != '\0' ? shown : "a program", process);
}

static bool find_process(unsigned long inode, char out[HP_PORT_OWNER_SIZE])
{
    DIR *all = opendir("/proc");
    bool found = false;
    for (struct dirent *entry; all != NULL && !found && (entry = readdir(all)) != NULL;) {
        const char *process = entry->d_name;
        found = strspn(process, "0123456789") == strlen(process) && has_socket(process, inode);
        if (found)
            describe(process, out);
    }
    if (all != NULL)
        closedir(all);
    return found;
}

static void note(void *arg, uint16_t port, unsigned long inode)
{
    (void)arg;
    if (note_count < NOTES && find_process(inode, notes[note_count].text))
        notes[note_count++].port = port;
}

void hp_port_owner_note(uint16_t first, unsigned count)
{
    if (first == 0)
        return;
    each_listener("/proc/net/tcp", first, count, note, NULL);
    each_listener("/proc/net/tcp6", first, count, note, NULL);
}

typedef struct {
    char *out;
    bool found;
} search_t;

static void search(void *arg, uint16_t port, unsigned long inode)
{
    search_t *self = arg;
    (void)port;
    if (!self->found)
        self->found = find_process(inode, self->out);
}

bool hp_port_owner(uint16_t port, char out[HP_PORT_OWNER_SIZE])
{
    search_t now = {.out = out};
    each_listener("/proc/net/tcp", port, 1, search, &now);
    each_listener("/proc/net/tcp6", port, 1, search, &now);
    for (size_t i = 0; i < note_count && !now.found; i++)
        if (notes[i].port == port) {
            memcpy(out, notes[i].text, HP_PORT_OWNER_SIZE);
            now.found = true;
        }
    return now.found;
}
