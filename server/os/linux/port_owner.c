#include "os/port_owner.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"

#define LISTENING 0x0a /* the state in /proc/net/tcp */

/* The inode of the socket that listens on the port, as the table has it; 0: none does. */
static unsigned long find_socket(const char *table, uint16_t port)
{
    FILE *file = fopen(table, "re");
    char line[256];
    unsigned long found = 0, inode;
    while (file != NULL && found == 0 && fgets(line, sizeof line, file) != NULL) {
        unsigned local, state;
        if (sscanf(line, "%*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*u %*d %lu", &local, &state,
                   &inode) == 3 &&
            local == port && state == LISTENING)
            found = inode;
    }
    if (file != NULL)
        fclose(file);
    return found;
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

bool hp_port_owner(uint16_t port, char out[HP_PORT_OWNER_SIZE])
{
    unsigned long inode = find_socket("/proc/net/tcp", port);
    if (inode == 0)
        inode = find_socket("/proc/net/tcp6", port);
    DIR *all = inode != 0 ? opendir("/proc") : NULL;
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
