#include "share/left_out.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

void hp_left_out_dispose(hp_left_out_t *self)
{
    for (size_t i = 0; i < self->kept.count; i++)
        free(self->kept.items[i].path);
    hp_array_dispose(&self->kept);
    *self = (hp_left_out_t){0};
}

void hp_left_out_add(hp_left_out_t *self, hp_left_reason_t reason, const char *path)
{
    self->counts[reason]++;
    if (self->kept.count < HP_LEFT_KEPT)
        *hp_array_add(&self->kept) = (hp_left_entry_t){.path = hp_strdup(path), .reason = reason};
}

static bool is_below(const char *path, const char *folder)
{
    size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 && (length == 0 || path[length] == '/' || path[length] == '\0');
}

void hp_left_out_forget(hp_left_out_t *self, const char *path)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->kept.count; i++) {
        hp_left_entry_t *entry = &self->kept.items[i];
        if (!is_below(entry->path, path)) {
            self->kept.items[kept++] = *entry;
            continue;
        }
        self->counts[entry->reason]--;
        free(entry->path);
    }
    self->kept.count = kept;
}

void hp_left_out_join(hp_left_out_t *self, hp_left_out_t *from)
{
    for (size_t i = 0; i < HP_LEFT_COUNT; i++)
        self->counts[i] += from->counts[i];
    for (size_t i = 0; i < from->kept.count; i++) {
        if (self->kept.count == HP_LEFT_KEPT)
            break;
        *hp_array_add(&self->kept) = from->kept.items[i];
        from->kept.items[i].path = NULL;
    }
    hp_left_out_dispose(from);
}

bool hp_left_out_is_cut(const hp_left_out_t *self)
{
    return hp_left_out_total(self) > self->kept.count;
}

uint64_t hp_left_out_total(const hp_left_out_t *self)
{
    uint64_t total = 0;
    for (size_t i = 0; i < HP_LEFT_COUNT; i++)
        total += self->counts[i];
    return total;
}

#define SLUG(name, slug, words)  slug,
#define WORDS(name, slug, words) words,

const char *hp_left_out_slug(hp_left_reason_t reason)
{
    static const char *const slugs[] = {HP_LEFT_REASONS(SLUG)};
    return slugs[reason];
}

size_t hp_left_out_first(const hp_left_out_t *self, hp_left_reason_t reason,
                         char names[HP_LEFT_FIRST][HP_LEFT_NAME_SIZE])
{
    size_t count = 0;
    for (size_t i = 0; i < self->kept.count && count < HP_LEFT_FIRST; i++) {
        const hp_left_entry_t *entry = &self->kept.items[i];
        const char *path = entry->path[0] != '\0' ? entry->path : ".";
        if (entry->reason == reason)
            hp_utf8_printable(path, strlen(path), names[count++], HP_LEFT_NAME_SIZE);
    }
    return count;
}

char *hp_left_out_sentence(const hp_left_out_t *self)
{
    static const char *const words[] = {HP_LEFT_REASONS(WORDS)};
    char *text = hp_sprintf("not offered are");
    for (size_t reason = 0, parts = 0; reason < HP_LEFT_COUNT; reason++) {
        char names[HP_LEFT_FIRST][HP_LEFT_NAME_SIZE];
        if (self->counts[reason] == 0)
            continue;
        size_t count = hp_left_out_first(self, (hp_left_reason_t)reason, names);
        char *all = hp_sprintf("%s%s %llu %s", text, parts++ > 0 ? ";" : "",
                               (unsigned long long)self->counts[reason], words[reason]);
        for (size_t i = 0; i < count; i++) {
            char *longer = hp_sprintf("%s%s%s", all, i == 0 ? ": " : ", ", names[i]);
            free(all);
            all = longer;
        }
        if (count > 0 && self->counts[reason] > count) {
            char *longer = hp_sprintf("%s, ...", all);
            free(all);
            all = longer;
        }
        free(text);
        text = all;
    }
    return text;
}
