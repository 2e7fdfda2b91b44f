// libs: archive base
/* What the writer of archives promises; e2e/archive holds what other programs make of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>

#include "archive/reader.h"
#include "archive/writer.h"
#include "base/mem.h"

#define PIECE ((size_t)64 * 1024)

static const char name[] = "e\xcc\x81/\xe6\x96\x87.txt"; /* a decomposed character stays one */

static hp_archive_writer_t *writer_of(hp_archive_format_t format)
{
    hp_archive_writer_t *writer;
    hp_err_t err = {0};
    if (hp_archive_writer_create(&writer, format, &err) != 0)
        fail_msg("%s", hp_err_text(&err));
    return writer;
}

static void put(hp_archive_writer_t *writer, const hp_archive_entry_t *entry, const void *data)
{
    hp_err_t err = {0};
    if (hp_archive_writer_begin(writer, entry, &err) != 0 ||
        (!entry->is_folder && hp_archive_writer_add(writer, data, entry->size, &err) != 0))
        fail_msg("%s: %s", entry->name, hp_err_text(&err));
}

static void only_two_formats_have_a_name(void **state)
{
    (void)state;
    hp_archive_format_t format;
    assert_true(hp_archive_format_of("tar", &format));
    assert_int_equal(format, HP_ARCHIVE_TAR);
    assert_true(hp_archive_format_of("zip", &format));
    assert_int_equal(format, HP_ARCHIVE_ZIP);
    assert_string_equal(hp_archive_media_type(format), "application/zip");
    static const char *const others[] = {"", "TAR", "tar.gz", "zip ", "7z"};
    for (size_t i = 0; i < HP_COUNT(others); i++)
        assert_false(hp_archive_format_of(others[i], &format));
}

static void what_is_compressed_already_is_stored(void **state)
{
    (void)state;
    char text[4096], noise[4096];
    uint32_t seed = 1;
    for (size_t i = 0; i < sizeof noise; i++) {
        seed = seed * 1664525u + 1013904223u;
        noise[i] = (char)(seed >> 24);
        text[i] = "what repeats itself "[i % 20];
    }
    static const char *const stored[] = {"a.jpg", "b/A.JPEG", "c.mkv", "d.mp3", "e.zip", "f.tar.gz", "g.7z"};
    for (size_t i = 0; i < HP_COUNT(stored); i++)
        assert_true(hp_archive_stores(stored[i], text, sizeof text));
    static const char *const looked_at[] = {"a.txt", "b.tar", "c.svg", "d", "e.bin"};
    for (size_t i = 0; i < HP_COUNT(looked_at); i++) {
        assert_false(hp_archive_stores(looked_at[i], text, sizeof text));
        assert_true(hp_archive_stores(looked_at[i], noise, sizeof noise));
        assert_true(hp_archive_stores(looked_at[i], text, 10));
        assert_true(hp_archive_stores(looked_at[i], NULL, 0));
    }
}

/* In the character set "C", in which this program runs as hostpair does. */
static void names_times_and_rights_are_what_was_given(void **state)
{
    (void)state;
    for (hp_archive_format_t format = HP_ARCHIVE_TAR; format <= HP_ARCHIVE_ZIP; format++) {
        hp_archive_writer_t *writer = writer_of(format);
        hp_err_t err = {0};
        put(writer,
            &(hp_archive_entry_t){
                .name = name, .is_executable = true, .size = 5, .mtime_s = 1000000000, .mtime_ns = 5},
            "hello");
        put(writer, &(hp_archive_entry_t){.name = "folder", .is_folder = true, .mtime_s = 2000000000}, NULL);
        assert_int_equal(hp_archive_writer_end(writer, &err), 0);
        size_t length;
        char *data = hp_archive_writer_take(writer, &length);
        hp_archive_writer_destroy(writer);

        struct archive *reader = archive_read_new();
        struct archive_entry *entry;
        archive_read_support_format_all(reader);
        archive_read_set_option(reader, "tar", "hdrcharset", "BINARY");
        assert_int_equal(archive_read_open_memory(reader, data, length), ARCHIVE_OK);
        archive_read_next_header(reader, &entry); /* a warning: names are not ASCII */
        assert_non_null(memmem(data, length, name, sizeof name - 1));
        assert_int_equal(archive_entry_size(entry), 5);
        assert_int_equal(archive_entry_perm(entry), 0755);
        assert_int_equal(archive_entry_mtime(entry), 1000000000);
        assert_int_equal(archive_entry_mtime_nsec(entry), format == HP_ARCHIVE_TAR ? 5 : 0);
        char read[6] = "";
        assert_int_equal(archive_read_data(reader, read, 5), 5);
        assert_string_equal(read, "hello");
        assert_int_equal(archive_read_next_header(reader, &entry), ARCHIVE_OK);
        assert_string_equal(archive_entry_pathname(entry), "folder/");
        assert_int_equal(archive_entry_filetype(entry), AE_IFDIR);
        assert_int_equal(archive_entry_mtime(entry), 2000000000);
        assert_int_equal(archive_read_next_header(reader, &entry), ARCHIVE_EOF);
        archive_read_free(reader);
        /* Of a local header: bit 11 of the flags says UTF-8 (APPNOTE 4.4.4). */
        if (format == HP_ARCHIVE_ZIP)
            assert_true((data[7] & 0x08) != 0);
        free(data);
    }
}

static void what_goes_in_is_out_at_once(void **state)
{
    (void)state;
    char *piece = hp_alloc(PIECE);
    hp_err_t err = {0};
    for (hp_archive_format_t format = HP_ARCHIVE_TAR; format <= HP_ARCHIVE_ZIP; format++) {
        hp_archive_writer_t *writer = writer_of(format);
        hp_archive_entry_t entry = {.name = "film.mkv", .size = UINT64_C(1) << 40, .mtime_s = 1};
        size_t length;
        assert_int_equal(hp_archive_writer_begin(writer, &entry, &err), 0);
        free(hp_archive_writer_take(writer, &length));
        assert_in_range(length, 1, 4096);
        for (int i = 0; i < 100; i++) {
            assert_int_equal(hp_archive_writer_add(writer, piece, PIECE, &err), 0);
            assert_int_equal(hp_archive_writer_length(writer), PIECE);
            free(hp_archive_writer_take(writer, &length));
            assert_int_equal(length, PIECE);
            assert_int_equal(hp_archive_writer_length(writer), 0);
        }
        /* In the middle of a file of 1 TiB: the end is not written. */
        hp_archive_writer_destroy(writer);
    }
    free(piece);
}

static void more_bytes_than_announced_are_refused(void **state)
{
    (void)state;
    for (hp_archive_format_t format = HP_ARCHIVE_TAR; format <= HP_ARCHIVE_ZIP; format++) {
        hp_archive_writer_t *writer = writer_of(format);
        hp_archive_entry_t entry = {.name = "a.zip", .size = 3};
        hp_err_t err = {0};
        assert_int_equal(hp_archive_writer_begin(writer, &entry, &err), 0);
        assert_int_equal(hp_archive_writer_add(writer, "1234", 4, &err), HP_E_INTERNAL);
        hp_archive_writer_destroy(writer);
    }
}

static void a_lean_tar_is_read_as_it_was_written_and_a_part_of_it_up_to_there(void **state)
{
    (void)state;
    static const char *const names[] = {"a", name, "d/empty"};
    static const char *const texts[] = {"hello", "two", ""};
    hp_archive_writer_t *writer = writer_of(HP_ARCHIVE_LEAN_TAR);
    hp_err_t err = {0};
    for (size_t i = 0; i < HP_COUNT(names); i++)
        put(writer, &(hp_archive_entry_t){.name = names[i], .size = strlen(texts[i]), .mtime_s = 1700000000},
            texts[i]);
    assert_int_equal(hp_archive_writer_end(writer, &err), 0);
    size_t length;
    char *data = hp_archive_writer_take(writer, &length);
    hp_archive_writer_destroy(writer);
    /* The type of the first headers: the second name needs an extended one. */
    assert_int_equal(data[156], '0');
    assert_int_equal(data[1024 + 156], 'x');
    for (size_t part = 0; part <= length; part += 256) {
        char *bytes = hp_alloc(part + 1);
        memcpy(bytes, data, part);
        hp_archive_reader_t *reader = NULL;
        hp_archive_file_t file;
        size_t whole = 0;
        int rc = hp_archive_reader_create(&reader, bytes, part, &err);
        while (rc == 0 && (rc = hp_archive_reader_next(reader, &file, &err)) > 0) {
            const void *at = "";
            assert_in_range(whole, 0, 2);
            assert_string_equal(file.name, names[whole]);
            assert_int_equal(file.size, strlen(texts[whole]));
            rc = file.size > 0 ? hp_archive_reader_bytes(reader, &file, &at, &err) : 0;
            if (rc == 0)
                assert_memory_equal(at, texts[whole++], file.size);
        }
        if (part == length)
            assert_int_equal(rc, 0);
        assert_true(part < 512 ? whole == 0 : part < 1024 || whole >= 1);
        assert_true(part < length || whole == 3);
        hp_archive_reader_destroy(reader);
        free(bytes);
    }
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_two_formats_have_a_name),
        cmocka_unit_test(what_is_compressed_already_is_stored),
        cmocka_unit_test(names_times_and_rights_are_what_was_given),
        cmocka_unit_test(what_goes_in_is_out_at_once),
        cmocka_unit_test(a_lean_tar_is_read_as_it_was_written_and_a_part_of_it_up_to_there),
        cmocka_unit_test(more_bytes_than_announced_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
