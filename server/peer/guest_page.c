#include "guest_page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/utf8.h"

const char hp_guest_style[] =
    ":root{color-scheme:light "
    "dark;--back:#f6f7f9;--card:#fff;--text:#1b1f24;--faint:#616a75;--line:#e2e5ea;--link:#0b5cad}"
    "@media(prefers-color-scheme:dark){:root{--back:#14171b;--card:#1d2127;--text:#e6e8eb;--faint:#9aa4af;--"
    "line:#2e343c;"
    "--link:#7db7f5}}"
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--back);color:var(--text);font:16px/1.5 system-ui,sans-serif}"
    "main{max-width:52rem;margin:0 auto;padding:1.5rem 1rem 3rem}"
    "h1{margin:0 0 .6rem;font-size:1.4rem;overflow-wrap:anywhere}"
    "nav{margin:-.3rem 0 .8rem;color:var(--faint);overflow-wrap:anywhere}"
    "a{color:var(--link);text-decoration:none}a:hover,a:focus{text-decoration:underline}"
    "ul{margin:0;padding:0;list-style:none;background:var(--card);border:1px solid "
    "var(--line);border-radius:.6rem}"
    "li{padding:.6rem .9rem;border-top:1px solid var(--line);display:grid;grid-template-columns:auto 1fr "
    "auto;gap:0 1rem}"
    "li:first-child{border-top:0}"
    ".tick{grid-row:1/3;display:flex;align-items:center;margin:-.6rem -.9rem;padding:.6rem .9rem}"
    ".tick input{width:1.15rem;height:1.15rem;margin:0}"
    ".name{overflow-wrap:anywhere;min-width:0}.name:before{content:attr(data-icon);margin-right:.5rem}"
    ".facts{grid-column:2;color:var(--faint);font-size:.85rem}"
    ".get{grid-column:3;grid-row:1/3;align-self:center;padding:.3rem .8rem;border:1px solid "
    "var(--line);border-radius:.4rem}button.get{font:inherit;color:var(--link);background:none;cursor:"
    "pointer}"
    ".more .get{display:inline-block;margin:0 .3rem .3rem 0}"
    "li>details{grid-column:2/"
    "4}details{font-size:.85rem}summary{color:var(--faint);cursor:pointer;width:max-content}"
    "img,video{display:block;max-width:100%;max-height:70vh;margin:.5rem "
    "0;border-radius:.4rem}audio{width:100%;margin:.5rem 0}"
    ".send{margin:0 0 1rem;padding:.2rem .9rem;background:var(--card);border:1px solid "
    "var(--line);border-radius:.6rem}.send summary{padding:.6rem "
    "0;width:auto;color:var(--link);font-size:1rem}"
    ".send label{display:block;margin:.2rem 0 .8rem}.send input:not([type=file]){display:block;width:100%;"
    "padding:.5rem .6rem;font:inherit;color:inherit;background:var(--back);border:1px solid "
    "var(--line);border-radius:.4rem}"
    ".send input[type=file]{display:block;width:100%;margin-top:.3rem;padding:.9rem "
    ".6rem;font:inherit;border:2px dashed "
    "var(--line);border-radius:.4rem}"
    ".send button{padding:.6rem "
    "1.4rem;font:inherit;color:#fff;background:#0b5cad;border:0;border-radius:.4rem;"
    "cursor:pointer}.send button:disabled{opacity:.6}"
    ".send li{grid-template-columns:1fr auto}.send "
    "ul{margin-bottom:.8rem;max-height:40vh;overflow:auto}.send progress{grid-column:1/3;width:100%}"
    ".send [hidden]{display:none}.send .name:before{content:none}.send .facts{grid-column:2}"
    ".note{font-size:1.1rem}.good{color:#18794e}.bad{color:#c62a2f}"
    "@media(prefers-color-scheme:dark){.good{color:#4cc38a}.bad{color:#ff8589}}"
    ".empty,.more,footer{margin:1rem 0;color:var(--faint)}footer{font-size:.85rem}";

/* SHA-256 of hp_guest_style and hp_guest_script; a test holds one against the other. */
const char hp_guest_csp[] =
    "default-src 'none'; style-src 'sha256-xEHmtdgHTLWCbIRTuWzwNWBaU6Cqr5A5O63CxYIaOIg='; img-src 'self'; "
    "media-src 'self'; script-src 'sha256-+ACINz+bPpVyEgPxOxIfeBqxZ1cq2etEV8pn4ml7wWQ='; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'";

typedef struct {
    const char *language, *files_of, *top, *download, *zip, *tar, *tick, *ticked_zip, *ticked_tar, *preview,
        *empty, *more, *start, *about, *closed, *manager;
    /* sending */
    const char *send, *name, *pin, *choose, *submit, *asking, *sending, *sent, *declined, *nobody, *none,
        *again, *ended, *back;
    /* in place of the files */
    const char *missing, *refused, *blocked, *other_name;
} words_t;

static const words_t english = {"en",
                                "Files of",
                                "All files",
                                "Download",
                                "Download all as zip",
                                "as tar",
                                "Choose",
                                "Download what is ticked as zip",
                                "as tar",
                                "Preview",
                                "There is nothing here.",
                                "More files",
                                "Back to the start",
                                "Shared with hostpair",
                                "This host shares with other hosts that run hostpair, and not with browsers.",
                                "In a file manager:",
                                "Send files to this host",
                                "Your name",
                                "PIN",
                                "Choose files, or drop them on this page",
                                "Send",
                                "Waiting for somebody at the host to accept. Keep this page open.",
                                "Sending. Keep this page open.",
                                "Sent. Thank you.",
                                "The files were declined.",
                                "Nobody answered at the host.",
                                "Choose at least one file.",
                                "The host does not answer. Trying again.",
                                "The transfer has ended.",
                                "Back to the files",
                                "There is nothing at this address. It may have been moved, renamed or "
                                "deleted.",
                                "This cannot be opened here. Folders are opened from the list of files.",
                                "This host does not let you in.",
                                "Open this host by its address. Under this name it shows itself "
                                "only with --allow-host"};
static const words_t chinese = {"zh-Hans",
                                "共享文件：",
                                "全部文件",
                                "下载",
                                "全部下载为 zip",
                                "为 tar",
                                "选择",
                                "将勾选的项目下载为 zip",
                                "为 tar",
                                "预览",
                                "这里没有文件。",
                                "更多文件",
                                "回到开头",
                                "由 hostpair 共享",
                                "这台主机只与其他运行 hostpair 的主机共享，不对浏览器开放。",
                                "在文件管理器中打开：",
                                "向这台主机发送文件",
                                "你的名字",
                                "PIN",
                                "选择文件，或将文件拖放到此页面",
                                "发送",
                                "正在等待对方接受。请不要关闭此页面。",
                                "正在发送。请不要关闭此页面。",
                                "已发送，谢谢。",
                                "对方拒绝了这些文件。",
                                "对方无人应答。",
                                "请至少选择一个文件。",
                                "主机没有应答，正在重试。",
                                "传输已结束。",
                                "返回文件列表",
                                "这个地址下没有内容，可能已被移动、改名或删除。",
                                "无法在此打开。请从文件列表中打开文件夹。",
                                "这台主机不允许你访问。",
                                "请用 IP 地址打开这台主机。要以此名称打开，启动时须加上 --allow-host"};

/* What is wrong, by the slug of its code, where the sentence that comes with it is in another language. The
 * last one is for all others. */
static const struct {
    const char *slug, *chinese;
} problems[] = {
    {"pin", "需要正确的 PIN。"},
    {"too-many", "请求过多，请稍后再试。"},
    {"too-large", "超出了这台主机的限制。"},
    {"bad-name", "文件名不被允许："},
    {"invalid", "请求的内容无效。"},
    {"bad-request", "请求无法识别。"},
    {"bad-json", "请求无法识别。"},
    {"forbidden", "这台主机不接收文件。"},
    {"not-found", "传输已结束。"},
    {"conflict", "传输已结束，或文件正由另一个请求写入。"},
    {"no-space", "对方磁盘已满。"},
    {"no-disk", "对方的磁盘不可用。"},
    {"wrong-digest", "收到的内容与校验值不符。"},
    {"busy", "主机正忙，请稍后再试。"},
    {"other", "对方出现错误。"},
};

/* Text between tags or in a quoted attribute. A name that would turn around what follows it ("gpj.exe" shown
 * as "exe.jpg") is shown with the codes of these characters; the link to the file keeps it as it is. */
static int add_escaped(hp_buf_t *out, const char *text)
{
    int rc = 0;
    size_t size = 4 * strlen(text) + 1;
    char *shown = hp_utf8_printable(text, strlen(text), hp_alloc(size), size);
    for (const char *p = shown;; p++) {
        size_t plain = strcspn(p, "&<>\"'");
        rc |= hp_buf_add(out, p, plain);
        p += plain;
        if (*p == '\0')
            break;
        rc |= hp_buf_printf(out, "&#%d;", *p);
    }
    free(shown);
    return rc;
}

static int add_url_part(hp_buf_t *out, const char *text, bool keep_slash)
{
    char *encoded = hp_path_encode(text, strlen(text), keep_slash);
    int rc = hp_buf_add_text(out, encoded);
    free(encoded);
    return rc;
}

/* "/files/<folder>/<name>" */
static int add_file_url(hp_buf_t *out, const hp_guest_view_t *view, const char *name)
{
    int rc = hp_buf_add_text(out, "/files/");
    if (view->folder[0] != '\0')
        rc |= add_url_part(out, view->folder, true) | hp_buf_add_text(out, "/");
    return rc | add_url_part(out, name, false);
}

/* "/?folder=<folder>": folder is the first length bytes. */
static int add_folder_url(hp_buf_t *out, const char *folder, size_t length)
{
    if (length == 0)
        return hp_buf_add_text(out, "/");
    char *encoded = hp_path_encode(folder, length, true);
    int rc = hp_buf_add_text(out, "/?folder=") | hp_buf_add_text(out, encoded);
    free(encoded);
    return rc;
}

static int add_size(hp_buf_t *out, uint64_t size)
{
    static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
    if (size < 1000)
        return hp_buf_printf(out, "%u B", (unsigned)size);
    double value = (double)size;
    size_t unit = 0;
    for (value /= 1000; value >= 999.5 && unit < 5; unit++)
        value /= 1000;
    return hp_buf_printf(out, value < 9.95 ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

static int add_date(hp_buf_t *out, int64_t mtime_ms)
{
    char time[HP_RFC3339_SIZE];
    hp_clock_rfc3339(mtime_ms, time);
    return hp_buf_printf(out, "<time datetime=\"%s\">%.10s %.5s UTC</time>", time, time, time + 11);
}

/* The top and each folder on the way, as links; the last one is where we are. */
static int add_trail(hp_buf_t *out, const hp_guest_view_t *view, const words_t *words)
{
    if (view->folder[0] == '\0')
        return 0;
    int rc = hp_buf_printf(out, "<nav><a href=\"/\">%s</a>", words->top);
    for (const char *at = view->folder;;) {
        size_t length = strcspn(at, "/");
        char *name = strndup(at, length);
        rc |= hp_buf_add_text(out, " / ");
        if (at[length] != '\0') {
            rc |= hp_buf_add_text(out, "<a href=\"") |
                  add_folder_url(out, view->folder, (size_t)(at - view->folder) + length) |
                  hp_buf_add_text(out, "\">");
            rc |= add_escaped(out, name) | hp_buf_add_text(out, "</a>");
        } else {
            rc |= add_escaped(out, name);
        }
        free(name);
        if (at[length] == '\0')
            break;
        at += length + 1;
    }
    return rc | hp_buf_add_text(out, "</nav>\n");
}

/* Text in a quoted attribute that comes back as it is; on the page it stands in ASCII, where nothing can be
 * turned around. text: valid UTF-8. */
static int add_value(hp_buf_t *out, const char *text)
{
    int rc = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        unsigned more = *p >= 0xf0 ? 3 : *p >= 0xe0 ? 2 : *p >= 0xc0 ? 1 : 0;
        unsigned code = more > 0 ? *p & (0x3fu >> more) : *p;
        for (; more > 0 && p[1] != '\0'; more--)
            code = code << 6 | (*++p & 0x3fu);
        if (code < 0x80 && strchr("&<>\"'", (int)code) == NULL)
            rc |= hp_buf_add(out, p, 1);
        else
            rc |= hp_buf_printf(out, "&#%u;", code);
    }
    return rc;
}

/* The box by which it is chosen: of the form around the list. */
static int add_tick(hp_buf_t *out, const hp_guest_entry_t *entry, const words_t *words)
{
    int rc = hp_buf_printf(
        out, "<label class=\"tick\"><input type=\"checkbox\" name=\"name\" aria-label=\"%s ", words->tick);
    rc |= add_escaped(out, entry->name) | hp_buf_add_text(out, "\" value=\"") | add_value(out, entry->name);
    return rc | hp_buf_add_text(out, "\"></label>");
}

static int add_folder(hp_buf_t *out, const hp_guest_view_t *view, const hp_guest_entry_t *entry,
                      const words_t *words)
{
    char path[HP_PATH_MAX + 1];
    int n =
        snprintf(path, sizeof path, "%s%s%s", view->folder, view->folder[0] != '\0' ? "/" : "", entry->name);
    int rc = hp_buf_add_text(out, "<li>") | add_tick(out, entry, words) |
             hp_buf_add_text(out, "<a class=\"name\" data-icon=\"📁\" href=\"") |
             add_folder_url(out, path, n < (int)sizeof path ? (size_t)n : sizeof path - 1) |
             hp_buf_add_text(out, "\">");
    return rc | add_escaped(out, entry->name) | hp_buf_add_text(out, "</a></li>\n");
}

static int add_preview(hp_buf_t *out, const hp_guest_view_t *view, const hp_guest_entry_t *entry,
                       const words_t *words)
{
    const char *type = hp_path_media_type(entry->name), *open, *middle = "", *close;
    if (strncmp(type, "image/", 6) == 0) {
        open = "<img loading=\"lazy\" src=\"";
        middle = "\" alt=\"";
        close = "\">";
    } else if (strncmp(type, "audio/", 6) == 0) {
        open = "<audio controls preload=\"none\" src=\"";
        close = "\"></audio>";
    } else if (strncmp(type, "video/", 6) == 0) {
        open = "<video controls preload=\"none\" src=\"";
        close = "\"></video>";
    } else {
        return 0;
    }
    int rc = hp_buf_printf(out, "<details><summary>%s</summary>", words->preview) |
             hp_buf_add_text(out, open) | add_file_url(out, view, entry->name);
    if (middle[0] != '\0')
        rc |= hp_buf_add_text(out, middle) | add_escaped(out, entry->name);
    return rc | hp_buf_add_text(out, close) | hp_buf_add_text(out, "</details>");
}

static const char *icon_of(const char *name)
{
    const char *type = hp_path_media_type(name);
    return strncmp(type, "image/", 6) == 0   ? "🖼️"
           : strncmp(type, "audio/", 6) == 0 ? "🎵"
           : strncmp(type, "video/", 6) == 0 ? "🎬"
                                             : "📄";
}

static int add_file(hp_buf_t *out, const hp_guest_view_t *view, const hp_guest_entry_t *entry,
                    const words_t *words)
{
    int rc = hp_buf_add_text(out, "<li>") | add_tick(out, entry, words);
    rc |= hp_buf_printf(out, "<a class=\"name\" data-icon=\"%s\" href=\"", icon_of(entry->name)) |
          add_file_url(out, view, entry->name) | hp_buf_add_text(out, "\">");
    rc |= add_escaped(out, entry->name) | hp_buf_add_text(out, "</a><span class=\"facts\">");
    rc |= add_size(out, entry->size) | hp_buf_add_text(out, " · ") | add_date(out, entry->mtime_ms);
    rc |= hp_buf_add_text(out, "</span><a class=\"get\" download href=\"") |
          add_file_url(out, view, entry->name);
    rc |= hp_buf_printf(out, "\">%s</a>", words->download);
    return rc | add_preview(out, view, entry, words) | hp_buf_add_text(out, "</li>\n");
}

/* "/hostpair/archive?archive=<format>&folder=<folder>" */
static int add_chosen_url(hp_buf_t *out, const hp_guest_view_t *view, const char *format)
{
    int rc = hp_buf_printf(out, "/hostpair/archive?archive=%s&amp;folder=", format);
    return rc | add_url_part(out, view->folder, true);
}

/* The buttons below the list, which both send the form around it. */
static int add_chosen(hp_buf_t *out, const hp_guest_view_t *view, const words_t *words)
{
    int rc = hp_buf_printf(out, "<p class=\"more\"><button class=\"get\">%s</button>\n", words->ticked_zip);
    rc |= hp_buf_add_text(out, "<button class=\"get\" formaction=\"") | add_chosen_url(out, view, "tar");
    return rc | hp_buf_printf(out, "\">%s</button></p>\n", words->ticked_tar);
}

/* Folders first; each kind in the order given. They stand in a form, of which a field without a value says
 * that it may be that nothing was chosen. */
static int add_entries(hp_buf_t *out, const hp_guest_view_t *view, const words_t *words)
{
    if (view->count == 0 || view->closed)
        return hp_buf_printf(out, "<p class=\"empty\">%s</p>\n", view->closed ? words->closed : words->empty);
    int rc = hp_buf_add_text(out, "<form method=\"post\" action=\"") | add_chosen_url(out, view, "zip");
    rc |= hp_buf_add_text(out, "\"><input type=\"hidden\" name=\"name\" value=\"\">\n<ul>\n");
    for (size_t i = 0; i < view->count; i++)
        if (view->entries[i].folder)
            rc |= add_folder(out, view, &view->entries[i], words);
    for (size_t i = 0; i < view->count; i++)
        if (!view->entries[i].folder)
            rc |= add_file(out, view, &view->entries[i], words);
    rc |= hp_buf_add_text(out, "</ul>\n") | add_chosen(out, view, words);
    return rc | hp_buf_add_text(out, "</form>\n");
}

/* "/files/<folder>/?archive=<format>" */
static int add_archive(hp_buf_t *out, const hp_guest_view_t *view, const char *format, const char *label)
{
    int rc = hp_buf_add_text(out, "<a class=\"get\" download href=\"/files/");
    if (view->folder[0] != '\0')
        rc |= add_url_part(out, view->folder, true) | hp_buf_add_text(out, "/");
    return rc | hp_buf_printf(out, "?archive=%s\">%s</a>\n", format, label);
}

/* All of the folder, however many pages it has. */
static int add_archives(hp_buf_t *out, const hp_guest_view_t *view, const words_t *words)
{
    if (view->count == 0 || view->closed)
        return 0;
    int rc = hp_buf_add_text(out, "<p class=\"more\">") | add_archive(out, view, "zip", words->zip) |
             add_archive(out, view, "tar", words->tar);
    return rc | hp_buf_add_text(out, "</p>\n");
}

static int add_paging(hp_buf_t *out, const hp_guest_view_t *view, const words_t *words)
{
    int rc = 0;
    if (view->closed)
        return 0;
    if (view->next != NULL) {
        rc |= hp_buf_add_text(out, "<p class=\"more\"><a rel=\"next\" href=\"/?folder=") |
              add_url_part(out, view->folder, true);
        rc |= hp_buf_add_text(out, "&amp;after=") | add_url_part(out, view->next, true);
        rc |= hp_buf_printf(out, "\">%s</a></p>\n", words->more);
    }
    if (!view->first) {
        rc |= hp_buf_add_text(out, "<p class=\"more\"><a href=\"") |
              add_folder_url(out, view->folder, strlen(view->folder));
        rc |= hp_buf_printf(out, "\">%s</a></p>\n", words->start);
    }
    return rc;
}

static int add_data(hp_buf_t *out, const char *name, const char *text)
{
    int rc = hp_buf_printf(out, " data-%s=\"", name) | add_escaped(out, text);
    return rc | hp_buf_add_text(out, "\"");
}

/* The sentences for guest.js, as a JSON object. None of them holds what JSON would escape. */
static int add_problems(hp_buf_t *out)
{
    int rc = hp_buf_add_text(out, " data-problems='{");
    for (size_t i = 0; i < HP_COUNT(problems); i++)
        rc |= hp_buf_printf(out, "%s\"%s\":\"%s\"", i > 0 ? "," : "", problems[i].slug, problems[i].chinese);
    return rc | hp_buf_add_text(out, "}'");
}

/* A plain form; guest.js makes more of it. The names come before the files, so that they are known first. */
static int add_form(hp_buf_t *out, const hp_guest_view_t *view, const words_t *words)
{
    if (!view->send || view->closed || view->note != HP_GUEST_FILES)
        return 0;
    int rc = hp_buf_printf(out,
                           "<details class=\"send\"><summary>%s</summary>\n<form id=\"send\" method=\"post\" "
                           "action=\"/hostpair/inbox\" enctype=\"multipart/form-data\"",
                           words->send);
    rc |= add_data(out, "asking", words->asking) | add_data(out, "sending", words->sending);
    rc |= add_data(out, "sent", words->sent) | add_data(out, "declined", words->declined);
    rc |= add_data(out, "nobody", words->nobody) | add_data(out, "none", words->none);
    rc |= add_data(out, "again", words->again) | add_data(out, "ended", words->ended);
    if (view->chinese)
        rc |= add_problems(out);
    rc |= hp_buf_printf(out,
                        ">\n<label>%s<input name=\"name\" maxlength=\"60\" autocomplete=\"name\"></label>\n",
                        words->name);
    if (view->pin)
        rc |= hp_buf_printf(out,
                            "<label>%s<input name=\"pin\" inputmode=\"numeric\" maxlength=\"12\" "
                            "autocomplete=\"off\" required></label>\n",
                            words->pin);
    rc |= hp_buf_printf(out,
                        "<label>%s<input type=\"file\" name=\"files\" multiple required></label>\n"
                        "<ul id=\"send-files\" hidden></ul>\n<p><button>%s</button></p>\n"
                        "<p id=\"send-status\" role=\"status\"></p>\n</form></details>\n",
                        words->choose, words->submit);
    return rc;
}

/* The name that a detail quotes. */
static int add_quoted(hp_buf_t *out, const char *detail)
{
    const char *from = strchr(detail, '"'), *to = from != NULL ? strchr(from + 1, '"') : NULL;
    if (to == NULL)
        return 0;
    char *name = hp_strndup(from + 1, (size_t)(to - from - 1));
    int rc = hp_buf_add_text(out, " ") | add_escaped(out, name);
    free(name);
    return rc;
}

static int add_failure(hp_buf_t *out, const hp_guest_view_t *view, const words_t *words)
{
    const char *detail = view->detail != NULL ? view->detail : words->ended;
    if (!view->chinese || view->problem == NULL)
        return add_escaped(out, detail);
    size_t i = 0;
    while (i + 1 < HP_COUNT(problems) && strcmp(problems[i].slug, view->problem) != 0)
        i++;
    int rc = add_escaped(out, problems[i].chinese);
    return strcmp(view->problem, "bad-name") == 0 ? rc | add_quoted(out, detail) : rc;
}

/* A sentence, and the way back. */
static int add_note(hp_buf_t *out, const hp_guest_view_t *view, const words_t *words)
{
    const char *sentences[] = {
        [HP_GUEST_FILES] = "",
        [HP_GUEST_SENT] = words->sent,
        [HP_GUEST_DECLINED] = words->declined,
        [HP_GUEST_NOBODY] = words->nobody,
        [HP_GUEST_NOTHING] = words->none,
        [HP_GUEST_MISSING] = words->missing,
        [HP_GUEST_REFUSED] = words->refused,
        [HP_GUEST_BLOCKED] = words->blocked,
        [HP_GUEST_NAME] = words->other_name,
    };
    int rc = hp_buf_printf(out, "<p class=\"note %s\" role=\"status\">",
                           view->note == HP_GUEST_SENT ? "good" : "bad");
    if (view->note == HP_GUEST_FAILED)
        rc |= add_failure(out, view, words);
    else
        rc |= add_escaped(out, sentences[view->note]);
    if (view->note == HP_GUEST_NAME)
        rc |= hp_buf_add_text(out, " ") | add_escaped(out, view->detail);
    if (view->note == HP_GUEST_BLOCKED || view->note == HP_GUEST_NAME)
        return rc | hp_buf_add_text(out, "</p>\n");
    return rc | hp_buf_printf(out, "</p>\n<p class=\"more\"><a href=\"/\">%s</a></p>\n", words->back);
}

/* What the folder is called for a program that opens it over WebDAV. */
static int add_network_folder(hp_buf_t *out, const hp_guest_view_t *view, const words_t *words)
{
    int rc = hp_buf_printf(out, "<br>%s <code>", words->manager) | add_escaped(out, view->origin) |
             hp_buf_add_text(out, "/files/");
    if (view->folder[0] != '\0')
        rc |= add_url_part(out, view->folder, true) | hp_buf_add_text(out, "/");
    return rc | hp_buf_add_text(out, "</code>");
}

static int add_footer(hp_buf_t *out, const hp_guest_view_t *view, const words_t *words)
{
    int rc = hp_buf_printf(out, "<footer>%s %s", words->about, view->version);
    if (view->origin != NULL && !view->closed && view->note == HP_GUEST_FILES)
        rc |= add_network_folder(out, view, words);
    return rc | hp_buf_add_text(out, "</footer>\n");
}

int hp_guest_write(const hp_guest_view_t *view, hp_buf_t *out)
{
    const words_t *words = view->chinese ? &chinese : &english;
    int rc = hp_buf_printf(out,
                           "<!doctype html>\n<html lang=\"%s\">\n<head>\n<meta charset=\"utf-8\">\n"
                           "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>",
                           words->language);
    rc |= add_escaped(out, view->host) | hp_buf_add_text(out, "</title>\n<style>") |
          hp_buf_add_text(out, hp_guest_style);
    rc |= hp_buf_printf(out, "</style>\n</head>\n<body>\n<main>\n<h1>%s ", words->files_of) |
          add_escaped(out, view->host);
    rc |= hp_buf_add_text(out, "</h1>\n");
    if (view->note != HP_GUEST_FILES) {
        rc |= add_note(out, view, words);
    } else {
        rc |= add_trail(out, view, words) | add_form(out, view, words) | add_archives(out, view, words);
        rc |= add_entries(out, view, words);
        rc |= add_paging(out, view, words);
    }
    rc |= add_footer(out, view, words) | hp_buf_add_text(out, "</main>\n");
    if (!view->closed && view->note == HP_GUEST_FILES && (view->send || view->count > 0))
        rc |= hp_buf_add_text(out, "<script>") | hp_buf_add_text(out, hp_guest_script) |
              hp_buf_add_text(out, "</script>\n");
    rc |= hp_buf_add_text(out, "</body>\n</html>\n");
    return rc != 0 ? HP_E_TOO_LARGE : 0;
}

/* The weight of a language in the list, 0 when it is not there; in thousandths. */
static int weight_of(const char *list, const char *language)
{
    int best = 0;
    while (*list != '\0') {
        list += strspn(list, " \t,");
        size_t length = strcspn(list, ",");
        if (strncasecmp(list, language, 2) == 0 && (length == 2 || strchr("-; \t", list[2]) != NULL)) {
            const char *q = memmem(list, length, "q=", 2);
            int weight = q != NULL ? (int)(strtod(q + 2, NULL) * 1000) : 1000;
            best = weight > best ? weight : best;
        }
        list += length;
    }
    return best;
}

bool hp_guest_prefers_chinese(const char *accept_language)
{
    return weight_of(accept_language, "zh") > weight_of(accept_language, "en");
}
