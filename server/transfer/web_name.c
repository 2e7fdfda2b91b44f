#include "transfer/web_name.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/utf8.h"

/* Takes what can be a name of the last segment of text; hp_path_candidate cuts a long one. */
static bool take(const char *text, char out[HP_NAME_MAX + 1])
{
    const char *name = text;
    for (const char *p = text; *p != '\0'; p++)
        if (*p == '/' || *p == '\\')
            name = p + 1;
    char cut[HP_NAME_MAX + 1];
    hp_path_candidate(name, 0, cut);
    if (hp_path_check(cut, strlen(cut), NULL) != 0 || hp_path_is_part(cut))
        return false;
    memcpy(out, cut, sizeof cut);
    return true;
}

bool hp_web_name_of_url(const char *url, char out[HP_NAME_MAX + 1])
{
    const char *path = strstr(url, "://");
    path = path != NULL ? path + 3 : url;
    path += strcspn(path, "/?#");
    size_t length = strcspn(path, "?#"), start = length, used = 0;
    while (start > 0 && path[start - 1] != '/')
        start--;
    char decoded[HP_PATH_MAX + 1];
    snprintf(out, HP_NAME_MAX + 1, "download");
    return hp_path_decode(path + start, length - start, decoded, sizeof decoded, &used) == 0 && used > 0 &&
           strlen(decoded) == used && strchr(decoded, '/') == NULL && take(decoded, out);
}

/* ---- Content-Disposition ---- */

/* The value of a parameter, unquoted (RFC 9110 section 5.6.6); false when it has none. */
static bool parameter(const char *field, const char *name, char *out, size_t size)
{
    size_t length = strlen(name);
    const char *p = field + strcspn(field, ";");
    while (*p == ';') {
        p++;
        p += strspn(p, " \t");
        size_t n = strcspn(p, "=; \t");
        bool wanted = n == length && strncasecmp(p, name, n) == 0;
        p += n;
        p += strspn(p, " \t");
        if (*p != '=') {
            p += strcspn(p, ";");
            continue;
        }
        p++;
        p += strspn(p, " \t");
        size_t used = 0;
        if (*p == '"') {
            for (p++; *p != '\0' && *p != '"'; p++) {
                if (*p == '\\' && p[1] != '\0')
                    p++;
                if (wanted && used + 1 < size)
                    out[used++] = *p;
            }
            p += strcspn(p, ";");
        } else {
            size_t end = strcspn(p, ";");
            size_t kept = end;
            while (kept > 0 && (p[kept - 1] == ' ' || p[kept - 1] == '\t'))
                kept--;
            if (wanted) {
                used = HP_MIN(kept, size - 1);
                memcpy(out, p, used);
            }
            p += end;
        }
        if (wanted) {
            out[used] = '\0';
            return true;
        }
    }
    return false;
}

/* ISO-8859-1 as UTF-8. */
static void from_latin1(const char *text, char *out, size_t size)
{
    size_t used = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0' && used + 2 < size; p++) {
        if (*p < 0x80) {
            out[used++] = (char)*p;
        } else {
            out[used++] = (char)(0xc0 | *p >> 6);
            out[used++] = (char)(0x80 | (*p & 0x3f));
        }
    }
    out[used] = '\0';
}

static bool take_text(const char *text, char out[HP_NAME_MAX + 1])
{
    char converted[2 * HP_PATH_MAX + 3];
    if (hp_utf8_valid(text, strlen(text)))
        return take(text, out);
    from_latin1(text, converted, sizeof converted);
    return take(converted, out);
}

/* charset'language'percent-encoded */
static bool take_extended(const char *value, char out[HP_NAME_MAX + 1])
{
    const char *language = strchr(value, '\'');
    const char *text = language != NULL ? strchr(language + 1, '\'') : NULL;
    char decoded[HP_PATH_MAX + 1];
    size_t used = 0;
    if (text == NULL || hp_path_decode(text + 1, strlen(text + 1), decoded, sizeof decoded, &used) != 0 ||
        strlen(decoded) != used)
        return false;
    if (strncasecmp(value, "UTF-8'", 6) == 0)
        return hp_utf8_valid(decoded, used) && take(decoded, out);
    return strncasecmp(value, "ISO-8859-1'", 11) == 0 && take_text(decoded, out);
}

bool hp_web_name_of_disposition(const char *field, char out[HP_NAME_MAX + 1])
{
    char value[HP_PATH_MAX + 1];
    if (parameter(field, "filename*", value, sizeof value) && take_extended(value, out))
        return true;
    return parameter(field, "filename", value, sizeof value) && value[0] != '\0' && take_text(value, out);
}

bool hp_web_is_attachment(const char *field)
{
    return strncasecmp(field, "attachment", 10) == 0 && strchr("; \t", field[10]) != NULL;
}

bool hp_web_is_page(const char *content_type, const char *name)
{
    static const char *const types[] = {"text/html", "application/xhtml+xml"};
    static const char *const ends[] = {".html", ".htm", ".xhtml", ".xht", ".shtml",
                                       ".php",  ".asp", ".aspx",  ".jsp"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; i < HP_COUNT(ends); i++)
        if (dot != NULL && strcasecmp(dot, ends[i]) == 0)
            return false;
    for (size_t i = 0; i < HP_COUNT(types); i++) {
        size_t n = strlen(types[i]);
        if (strncasecmp(content_type, types[i], n) == 0 && strchr("; \t", content_type[n]) != NULL)
            return true;
    }
    return false;
}

void hp_web_origin(const char *url, char *out, size_t size)
{
    const char *host = strstr(url, "://");
    size_t scheme = host != NULL ? (size_t)(host - url) + 3 : 0;
    size_t length = strcspn(url + scheme, "/?#");
    const char *at = url + scheme;
    for (const char *p = at; p < url + scheme + length; p++)
        if (*p == '@')
            at = p + 1;
    length -= (size_t)(at - (url + scheme));
    scheme = HP_MIN(scheme, size - 1);
    length = hp_utf8_prefix(at, length, size - 1 - scheme);
    snprintf(out, size, "%.*s%.*s", (int)scheme, url, (int)length, at);
}
