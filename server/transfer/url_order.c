#include "transfer/url_order.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/path.h"

#define HEADERS_MAX       32
#define HEADERS_BYTES_MAX 8192

/* What stands in the requests already, or how they are framed. */
static const char *const own[] = {"Host",       "Range",  "If-Range",       "Accept-Encoding",
                                  "Connection", "TE",     "Content-Length", "Transfer-Encoding",
                                  "Upgrade",    "Expect", "Keep-Alive"};

static bool is_token(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)text[i]) && strchr("!#$%&'*+-.^_`|~", text[i]) == NULL)
            return false;
    return length > 0;
}

static int check_line(const char *line, size_t length, hp_err_t *err)
{
    const char *colon = memchr(line, ':', length);
    size_t name = colon != NULL ? (size_t)(colon - line) : length;
    if (colon == NULL || !is_token(line, name))
        return hp_err_set(err, HP_E_INVALID, "headers: \"%.*s\" is no name of a header field",
                          (int)HP_MIN(name, (size_t)80), line);
    for (size_t i = 0; i < HP_COUNT(own); i++)
        if (strlen(own[i]) == name && strncasecmp(own[i], line, name) == 0)
            return hp_err_set(err, HP_E_INVALID, "headers: %s is sent by hostpair itself", own[i]);
    for (const char *p = colon + 1; p < line + length; p++)
        if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
            return hp_err_set(err, HP_E_INVALID, "headers: %.*s has a control character in it", (int)name,
                              line);
    return 0;
}

int hp_url_check_headers(const char *lines, hp_err_t *err)
{
    size_t count = 0;
    if (strlen(lines) > HEADERS_BYTES_MAX)
        return hp_err_set(err, HP_E_INVALID, "headers: more than %d bytes", HEADERS_BYTES_MAX);
    for (const char *line = lines; *line != '\0'; count++) {
        size_t length = strcspn(line, "\n");
        int rc = check_line(line, length, err);
        if (rc != 0)
            return rc;
        line += length + (line[length] == '\n');
    }
    return count > HEADERS_MAX ? hp_err_set(err, HP_E_INVALID, "headers: more than %d", HEADERS_MAX) : 0;
}

const char **hp_url_split_headers(const char *lines)
{
    if (lines == NULL || lines[0] == '\0')
        return NULL;
    size_t size = strlen(lines) + 1, count = 2;
    for (const char *p = lines; *p != '\0'; p++)
        count += *p == '\n';
    const char **all = hp_alloc(count * sizeof *all + size);
    char *text = memcpy((char *)(all + count), lines, size);
    size_t i = 0;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        all[i++] = line;
    all[i] = NULL;
    return all;
}

const char *hp_url_shown_certificate(int code, const char *detail)
{
    uint8_t digest[32];
    size_t length = strlen(detail);
    if (code != HP_E_CERTIFICATE || length < 64 ||
        hp_hex_decode(detail + length - 64, digest, sizeof digest) != 0)
        return NULL;
    return detail + length - 64;
}

int hp_url_read_certificate(const char *text, char out[65], hp_err_t *err)
{
    size_t used = 0;
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == ':' || *p == ' ')
            continue;
        if (!isxdigit((unsigned char)*p) || used == 64)
            used = 65;
        if (used > 64)
            break;
        out[used++] = (char)tolower((unsigned char)*p);
    }
    if (used != 64)
        return hp_err_set(
            err, HP_E_INVALID,
            "certificate: the SHA-256 fingerprint of the server's certificate has 64 hex digits");
    out[64] = '\0';
    return 0;
}
