/* What an order by URL may have besides it: header fields, a login, the fingerprint of a certificate. */
#include <string.h>

#include "cli/internal.h"

#define PASSWORD_MAX 1024 /* bytes */

static int add_header(json_t *headers, const char *line, hp_err_t *err)
{
    const char *colon = strchr(line, ':');
    if (colon == NULL || colon == line)
        return hp_err_set(err, HP_E_INVALID, "-H takes 'Name: value'");
    char *name = hp_strndup(line, (size_t)(colon - line));
    json_t *value = json_string(colon + 1 + strspn(colon + 1, " \t"));
    int rc = value == NULL ? hp_err_set(err, HP_E_INVALID, "-H: the value of %.60s is not UTF-8", name) : 0;
    if (rc == 0 && json_object_set(headers, name, value) != 0)
        rc = hp_err_set(err, HP_E_INVALID, "-H takes 'Name: value'");
    json_decref(value);
    free(name);
    return rc;
}

static int add_login(json_t *fields, const char *user, hp_err_t *err)
{
    char typed[PASSWORD_MAX] = "";
    const char *colon = strchr(user, ':'), *password = colon != NULL ? colon + 1 : typed;
    if (colon == NULL && hp_term_ask_secret("Password: ", typed, sizeof typed) != 0)
        return hp_err_set(err, HP_E_INVALID, "--user: no password was given");
    json_t *name = colon != NULL ? json_stringn(user, (size_t)(colon - user)) : json_string(user);
    json_t *secret = json_string(password);
    if (name == NULL || secret == NULL) {
        json_decref(name);
        json_decref(secret);
        return hp_err_set(err, HP_E_INVALID, "--user: it is not UTF-8");
    }
    json_object_set_new(fields, "user", name);
    json_object_set_new(fields, "password", secret);
    return 0;
}

int hp_cli_web_fields(hp_cli_t *cli, bool url, json_t **fields, hp_err_t *err)
{
    const hp_flags_t *flags = &cli->flags;
    *fields = NULL;
    if (flags->headers == NULL && flags->user == NULL && flags->certificate == NULL)
        return 0;
    if (!url)
        return hp_err_set(err, HP_E_INVALID, "-H, --user and --certificate go with a URL");
    json_t *headers = json_object();
    *fields = json_object();
    int rc = 0;
    for (size_t i = 0; rc == 0 && flags->headers != NULL && flags->headers[i] != NULL; i++)
        rc = add_header(headers, flags->headers[i], err);
    if (rc == 0 && json_object_size(headers) > 0)
        json_object_set(*fields, "headers", headers);
    if (rc == 0 && flags->user != NULL)
        rc = add_login(*fields, flags->user, err);
    if (rc == 0 && flags->certificate != NULL &&
        json_object_set_new(*fields, "certificate", json_string(flags->certificate)) != 0)
        rc = hp_err_set(err, HP_E_INVALID, "--certificate: it is not UTF-8");
    json_decref(headers);
    if (rc != 0) {
        json_decref(*fields);
        *fields = NULL;
    }
    return rc;
}
