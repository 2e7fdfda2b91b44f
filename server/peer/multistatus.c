#include "multistatus.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/path.h"

static const struct {
    const char *name;
    bool of_file, of_folder;
} properties[] = {
#define X(name, file, folder) {#name, file, folder},
    HP_DAV_PROPERTIES(X)
#undef X
};

/* ---- text ---- */

/* U+FFFE and U+FFFF are no characters of XML, but may stand in a name; they are three bytes long. */
static bool is_no_character(const char *at)
{
    return strncmp(at, "\xef\xbf\xbe", 3) == 0 || strncmp(at, "\xef\xbf\xbf", 3) == 0;
}

/* As content, or between quotes. */
static int add_escaped(hp_buf_t *out, const char *text)
{
    int rc = 0;
    while (*text != '\0' && rc == 0) {
        size_t plain = 0;
        while (text[plain] != '\0' && strchr("&<>\"", text[plain]) == NULL &&
               (unsigned char)text[plain] >= ' ' && !is_no_character(text + plain))
            plain++;
        rc = hp_buf_add(out, text, plain);
        text += plain;
        if (rc != 0 || *text == '\0')
            break;
        if (is_no_character(text)) {
            rc = hp_buf_add_text(out, "\xef\xbf\xbd");
            text += 3;
        } else {
            rc = hp_buf_printf(out, "&#%d;", *text++);
        }
    }
    return rc;
}

/* ---- properties ---- */

static bool has(const hp_dav_resource_t *resource, size_t property)
{
    if (property == HP_DAV_getetag && resource->etag[0] == '\0')
        return false;
    return resource->is_folder ? properties[property].of_folder : properties[property].of_file;
}

static int add_value(hp_buf_t *out, const hp_dav_resource_t *resource, size_t property)
{
    char date[HP_HTTP_DATE_SIZE];
    int64_t now = hp_clock_wall_ms() / 1000;
    switch ((hp_dav_property_t)property) {
    case HP_DAV_resourcetype:
        return resource->is_folder ? hp_buf_add_text(out, "<D:collection/>") : 0;
    case HP_DAV_displayname:
        return add_escaped(out, resource->name);
    case HP_DAV_getlastmodified: /* a later date than now says nothing (RFC 9110 section 8.8.2.1) */
        return hp_buf_add_text(
            out, hp_clock_http_date(HP_MIN((int64_t)resource->stat->st_mtim.tv_sec, now), date));
    case HP_DAV_getcontentlength:
        return hp_buf_printf(out, "%" PRIu64, (uint64_t)resource->stat->st_size);
    case HP_DAV_getcontenttype:
        return add_escaped(out, hp_path_media_type(resource->name));
    case HP_DAV_getetag:
        return add_escaped(out, resource->etag);
    case HP_DAV_supportedlock: /* none */
    case HP_DAV_COUNT:
        break;
    }
    return 0;
}

static int add_property(hp_buf_t *out, const hp_dav_resource_t *resource, size_t property, bool with_value)
{
    const char *name = properties[property].name;
    if (!with_value)
        return hp_buf_printf(out, "<D:%s/>", name);
    int rc = hp_buf_printf(out, "<D:%s>", name);
    if (rc == 0)
        rc = add_value(out, resource, property);
    return rc == 0 ? hp_buf_printf(out, "</D:%s>", name) : rc;
}

static int add_other(hp_buf_t *out, const hp_propfind_other_t *other)
{
    int rc = hp_buf_printf(out, other->space[0] != '\0' ? "<x:%s xmlns:x=\"" : "<%s", other->name);
    if (rc == 0 && other->space[0] != '\0')
        rc = add_escaped(out, other->space);
    return rc == 0 ? hp_buf_add_text(out, other->space[0] != '\0' ? "\"/>" : "/>") : rc;
}

/* ---- a response ---- */

static int end_status(hp_buf_t *out, const char *status)
{
    return hp_buf_printf(out, "</D:prop><D:status>HTTP/1.1 %s</D:status></D:propstat>", status);
}

/* Those that it has. */
static int add_found(hp_buf_t *out, const hp_dav_resource_t *resource, const hp_propfind_t *wanted)
{
    int rc = hp_buf_add_text(out, "<D:propstat><D:prop>");
    for (size_t i = 0; i < HP_DAV_COUNT && rc == 0; i++)
        if (has(resource, i) && (wanted->kind != HP_PROPFIND_SOME || wanted->some[i]))
            rc = add_property(out, resource, i, wanted->kind != HP_PROPFIND_NAMES);
    return rc == 0 ? end_status(out, "200 OK") : rc;
}

static bool is_missed(const hp_dav_resource_t *resource, const hp_propfind_t *wanted, size_t property)
{
    return wanted->kind == HP_PROPFIND_SOME && wanted->some[property] && !has(resource, property);
}

static bool misses_any(const hp_dav_resource_t *resource, const hp_propfind_t *wanted)
{
    for (size_t i = 0; i < HP_DAV_COUNT; i++)
        if (is_missed(resource, wanted, i))
            return true;
    return wanted->others.count > 0 && wanted->kind != HP_PROPFIND_NAMES;
}

/* Those that were asked for by name, and that it does not have. */
static int add_missed(hp_buf_t *out, const hp_dav_resource_t *resource, const hp_propfind_t *wanted)
{
    int rc = hp_buf_add_text(out, "<D:propstat><D:prop>");
    for (size_t i = 0; i < HP_DAV_COUNT && rc == 0; i++)
        if (is_missed(resource, wanted, i))
            rc = add_property(out, resource, i, false);
    for (size_t i = 0; i < wanted->others.count && rc == 0; i++)
        rc = add_other(out, &wanted->others.items[i]);
    return rc == 0 ? end_status(out, "404 Not Found") : rc;
}

static bool finds_any(const hp_dav_resource_t *resource, const hp_propfind_t *wanted)
{
    for (size_t i = 0; i < HP_DAV_COUNT; i++)
        if (has(resource, i) && (wanted->kind != HP_PROPFIND_SOME || wanted->some[i]))
            return true;
    return false;
}

int hp_multistatus_add(hp_buf_t *out, const hp_dav_resource_t *resource, const hp_propfind_t *wanted)
{
    bool missed = misses_any(resource, wanted);
    int rc = hp_buf_add_text(out, "<D:response><D:href>");
    if (rc == 0)
        rc = add_escaped(out, resource->href);
    if (rc == 0)
        rc = hp_buf_add_text(out, "</D:href>");
    if (rc == 0 && (finds_any(resource, wanted) || !missed))
        rc = add_found(out, resource, wanted);
    if (rc == 0 && missed)
        rc = add_missed(out, resource, wanted);
    return rc == 0 ? hp_buf_add_text(out, "</D:response>\n") : rc;
}
