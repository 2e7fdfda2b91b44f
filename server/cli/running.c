#include "cli/running.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/file.h"
#include "base/mem.h"

#define FILE_NAME "running.json"

int hp_running_write(const char *data_folder, const char *address, uint16_t peer, uint16_t dashboard,
                     hp_err_t *err)
{
    char *path = hp_sprintf("%s/" FILE_NAME, data_folder);
    char *text = hp_sprintf("{\"pid\":%ld,\"address\":\"%s\",\"peer\":%u,\"dashboard\":%u}\n", (long)getpid(),
                            address, peer, dashboard);
    int rc = hp_replace_file(path, text, strlen(text), 0600);
    if (rc != 0)
        hp_err_set(err, rc, "%s: %s", path, hp_err_sentence(rc));
    free(text);
    free(path);
    return rc;
}

void hp_running_remove(const char *data_folder)
{
    char *path = hp_sprintf("%s/" FILE_NAME, data_folder);
    unlink(path);
    free(path);
}

int hp_running_read(const char *data_folder, char address[64], uint16_t *dashboard)
{
    char *path = hp_sprintf("%s/" FILE_NAME, data_folder);
    json_t *json = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    const char *text = json_string_value(json_object_get(json, "address"));
    json_int_t port = json_integer_value(json_object_get(json, "dashboard"));
    json_int_t pid = json_integer_value(json_object_get(json, "pid"));
    int rc = HP_E_NOT_FOUND;
    if (text != NULL && strlen(text) < 64 && port > 0 && port <= UINT16_MAX && pid > 0 && pid <= INT32_MAX &&
        (kill((pid_t)pid, 0) == 0 || errno == EPERM)) {
        snprintf(address, 64, "%s", text);
        *dashboard = (uint16_t)port;
        rc = 0;
    }
    json_decref(json);
    free(path);
    return rc;
}
