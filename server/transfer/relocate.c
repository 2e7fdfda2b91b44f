/* A download that lands elsewhere than it was ordered to: under another name, or in another folder. */
#include "transfer/internal.h"

#include <stdlib.h>
#include <string.h>

static void set_text(char **text, const char *value)
{
    free(*text);
    *text = hp_strdup(value);
}

char *hp_download_renamed_note(const char *wanted, const char *path, unsigned count)
{
    if (count > 1)
        return hp_sprintf(
            "The disk does not take the names of %u files, which have others here. The last: \"%s\" "
            "is saved as \"%s\"",
            count, wanted, path);
    return hp_sprintf("The disk does not take the name \"%s\": it is saved as \"%s\"", wanted, path);
}

void hp_download_moved(download_t *self, const char *base)
{
    if (strcmp(self->row.base, base) == 0)
        return;
    hp_log(HP_LOG_INFO, "download %lld (%s): what is here of it was moved from %s to %s, where it goes on",
           (long long)self->row.id, self->name, self->row.base, base);
    set_text(&self->row.base, base);
    self->device = 0;
    hp_download_save(self, NULL, NULL);
}

/* The first segments of path, as many as in head. */
static char *head_of(const char *path, const char *head)
{
    size_t length = 0;
    for (; *head != '\0' || length == 0; head += strcspn(head, "/"), head += *head == '/') {
        length += length > 0;
        length += strcspn(path + length, "/");
    }
    return hp_strndup(path, length);
}

void hp_download_renamed(download_t *self, item_t *item, const char *path)
{
    free(self->row.note);
    self->row.note = hp_download_renamed_note(item->row.path, path, ++self->renamed);
    hp_log(HP_LOG_WARN, "download %lld: %s", (long long)self->row.id, self->row.note);
    set_text(&item->row.path, path);
    if (self->row.folder) {
        char *folder = head_of(path, self->row.path);
        set_text(&self->row.path, folder);
        set_text(&self->name, hp_path_name(folder));
        free(folder);
    }
    hp_download_save(self, NULL, NULL);
    hp_download_changed(self);
}
