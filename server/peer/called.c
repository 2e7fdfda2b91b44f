/* By which names pages in a browser may call this host.
 *
 * A site can have its own name lead to an address of somebody's network (DNS rebinding); its page then counts
 * as one of this host and could read what is shared, and offer files, by the browser of whoever looks at it.
 * It cannot do that under an address, nor under a name that nobody but the network itself gives out. Other
 * names are believed in two cases: a person has given them with --allow-host, or the browser has checked the
 * certificate of a proxy that has such a name. It says so by an Origin of https, and by Sec-Fetch-Site, which
 * it sends over https alone; a page can change neither.
 *
 * From under another name a page is refused what has an Origin, as all that changes something has. Reading
 * has none. A person who opens a link is sent on to the address of this host, and sees what there is to see;
 * a script is sent on as well, and cannot read it, since that is another site to it. Programs that are no
 * browsers are let through. */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/address.h"
#include "base/file.h"
#include "base/mem.h"
#include "called.h"

#define RESOLV_MAX ((size_t)16 * 1024) /* bytes of resolv.conf that are read */

/* Top-level names that no registry gives out, or that stand for this machine. */
static const char *const near[] = {"local", "lan",  "internal",  "localdomain", "localhost",
                                   "home",  "corp", "home.arpa", "intranet"};

/* Whether name is domain, or below it. domain: length bytes, without dots around it. */
static bool is_below(const char *name, const char *domain, size_t length)
{
    size_t own = strlen(name);
    return length > 0 && own >= length && strncasecmp(name + own - length, domain, length) == 0 &&
           (own == length || name[own - length - 1] == '.');
}

bool hp_called_is_near(const char *name)
{
    if (strchr(name, '.') == NULL)
        return true;
    for (size_t i = 0; i < HP_COUNT(near); i++)
        if (is_below(name, near[i], strlen(near[i])))
            return true;
    return false;
}

bool hp_called_is_searched(const char *name, const char *resolv)
{
    for (const char *line = resolv; *line != '\0'; line += strspn(line, "\n")) {
        size_t end = strcspn(line, "\n"), word = strcspn(line, " \t\n");
        bool lists = (word == 6 && (strncmp(line, "search", 6) == 0 || strncmp(line, "domain", 6) == 0));
        for (const char *at = line + word; lists && at < line + end;) {
            at += strspn(at, " \t\r.");
            size_t length = strcspn(at, " \t\r\n");
            size_t bare = length > 0 && at[length - 1] == '.' ? length - 1 : length;
            if (at < line + end && is_below(name, at, bare))
                return true;
            at += length > 0 ? length : 1;
        }
        line += end;
    }
    return false;
}

static bool is_in_own_network(const char *name)
{
    char *text = hp_alloc(RESOLV_MAX);
    FILE *file = fopen("/etc/resolv.conf", "re");
    size_t length = file != NULL ? fread(text, 1, RESOLV_MAX - 1, file) : 0;
    text[length] = '\0';
    if (file != NULL)
        fclose(file);
    bool found = hp_called_is_searched(name, text);
    free(text);
    return found;
}

static bool is_own_name(const hp_peer_t *peer, const char *name)
{
    char machine[256] = "";
    return strcasecmp(name, peer->self->name) == 0 ||
           (gethostname(machine, sizeof machine - 1) == 0 && strcasecmp(name, machine) == 0);
}

static bool is_allowed(const hp_peer_t *peer, const char *name)
{
    for (size_t i = 0; peer->allow_hosts != NULL && i < peer->allow_hosts->count; i++) {
        char allowed[HP_ADDRESS_NAME_SIZE];
        uint16_t port;
        bool numeric;
        if (hp_address_parse_any(peer->allow_hosts->items[i], 1, allowed, &port, &numeric, NULL) == 0 &&
            strcasecmp(name, allowed) == 0)
            return true;
    }
    return false;
}

/* The name in the Host field, without its port; false where there is none, or an address. */
static bool read_name(hp_http_request_t *request, char name[HP_ADDRESS_NAME_SIZE])
{
    const char *host = hp_http_header(request, "Host");
    uint16_t port;
    bool numeric = false;
    if (host == NULL || host[0] == '\0')
        return false;
    if (hp_address_parse_any(host, 1, name, &port, &numeric, NULL) != 0)
        snprintf(name, HP_ADDRESS_NAME_SIZE, "%.*s", (int)strcspn(host, ":"), host);
    size_t length = strlen(name);
    if (!numeric && length > 1 && name[length - 1] == '.')
        name[length - 1] = '\0';
    return !numeric && name[0] != '\0';
}

static bool is_by_browser(hp_http_request_t *request)
{
    const char *agent = hp_http_header(request, "User-Agent");
    return (agent != NULL && strstr(agent, "Mozilla") != NULL) ||
           hp_http_header(request, "Accept-Language") != NULL;
}

static void refuse(const hp_peer_t *peer, hp_http_request_t *request, const char *name)
{
    if (hp_peer_guest_other_name(peer, request, name))
        return;
    char text[2 * HP_ADDRESS_NAME_SIZE + 160];
    snprintf(text, sizeof text,
             "This host serves no pages under the name %.160s: open it by its address, or start it with "
             "--allow-host %.160s",
             name, name);
    hp_http_set_header(request, "Cache-Control", "no-store");
    hp_http_reply_text_error(request, HP_E_FORBIDDEN, text);
}

/* To the same path at the address that the connection came in at. False where no browser can get there: a
 * proxy of this machine has come, or there is a zone in it. */
static bool send_on(hp_http_request_t *request)
{
    char address[64], at[HP_ADDRESS_SIZE];
    uint16_t port;
    if (!hp_http_here(request, address, &port) || strchr(address, '%') != NULL ||
        strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0)
        return false;
    const char *query = hp_http_query_text(request);
    char *location = hp_sprintf("http://%s%s%s%s", hp_address_format(address, port, at),
                                hp_http_path(request), query != NULL ? "?" : "", query != NULL ? query : "");
    hp_http_set_header(request, "Location", location);
    hp_http_set_header(request, "Cache-Control", "no-store");
    hp_http_reply_empty(request, 307);
    free(location);
    return true;
}

bool hp_peer_is_called_well(const hp_peer_t *peer, hp_http_request_t *request)
{
    const hp_who_t *who = hp_http_who(request);
    const char *method = hp_http_method(request), *origin = hp_http_header(request, "Origin");
    bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    char name[HP_ADDRESS_NAME_SIZE];
    if (who->id[0] != '\0' || who->encrypted)
        return true;
    bool vouched = origin != NULL ? strncasecmp(origin, "https://", 8) == 0
                                  : hp_http_header(request, "Sec-Fetch-Site") != NULL;
    if (vouched || (origin == NULL && (!reads || !is_by_browser(request))))
        return true;
    if (!read_name(request, name) || hp_called_is_near(name) || is_own_name(peer, name) ||
        is_allowed(peer, name) || is_in_own_network(name))
        return true;
    if (origin != NULL || !send_on(request))
        refuse(peer, request, name);
    return false;
}
