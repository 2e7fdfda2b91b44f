// libs: identity path os base
/* The sources are included, so that the steps by which the file comes into being can be counted, made to
 * fail, and be the last ones of a process. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

/* ---- the steps ---- */

static int step, kill_before, kill_after; /* 0: not at all */
static bool no_unnamed, no_links;
static int write_error;

static void before_step(void)
{
    if (++step == kill_before)
        kill(getpid(), SIGKILL);
}

static void after_step(void)
{
    if (step == kill_after)
        kill(getpid(), SIGKILL);
}

#define STEP(call)                                                                                           \
    do {                                                                                                     \
        before_step();                                                                                       \
        int step_result = (call);                                                                            \
        int step_errno = errno;                                                                              \
        after_step();                                                                                        \
        errno = step_errno;                                                                                  \
        return step_result;                                                                                  \
    } while (0)

static int step_openat(int folder, const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    if (no_unnamed && (flags & O_TMPFILE) == O_TMPFILE) {
        errno = EOPNOTSUPP;
        return -1;
    }
    STEP(openat(folder, path, flags, mode));
}

static int step_linkat(int from, const char *path, int to, const char *name, int flags)
{
    if (no_links) {
        errno = EPERM;
        return -1;
    }
    STEP(linkat(from, path, to, name, flags));
}

static int step_renameat2(int from, const char *path, int to, const char *name, unsigned flags)
{
    STEP(renameat2(from, path, to, name, flags));
}

static int step_unlinkat(int folder, const char *name, int flags)
{
    STEP(unlinkat(folder, name, flags));
}

static int step_fsync(int fd)
{
    STEP(fsync(fd));
}

static int step_fchmod(int fd, mode_t mode)
{
    STEP(fchmod(fd, mode));
}

/* In two halves, so that the process can end between them. */
static int step_write_all_at(int fd, const void *data, size_t length, uint64_t offset)
{
    before_step();
    int rc = hp_write_all_at(fd, data, length / 2, offset);
    after_step();
    if (rc == 0 && write_error != 0)
        return write_error;
    before_step();
    if (rc == 0)
        rc = hp_write_all_at(fd, (const char *)data + length / 2, length - length / 2, offset + length / 2);
    after_step();
    return rc;
}

#define openat          step_openat
#define linkat          step_linkat
#define renameat2       step_renameat2
#define unlinkat        step_unlinkat
#define fsync           step_fsync
#define fchmod          step_fchmod
#define hp_write_all_at step_write_all_at
#include "../../server/os/linux/disk.c"

#include "../../server/identity/certificate.c"
#undef NAME
#include "../../server/identity/identity.c"
#undef openat
#undef linkat
#undef renameat2
#undef unlinkat
#undef fsync
#undef fchmod
#undef hp_write_all_at

/* ---- a folder ---- */

static int setup(void **state)
{
    char *folder = hp_strdup("/tmp/hostpair-identity-XXXXXX");
    hp_log_set_level(HP_LOG_ERROR);
    step = kill_before = kill_after = write_error = 0;
    no_unnamed = no_links = false;
    *state = folder;
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static void empty(const char *folder)
{
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(dir), entry->d_name, entry->d_type == DT_DIR ? AT_REMOVEDIR : 0);
    closedir(dir);
}

static int teardown(void **state)
{
    empty(*state);
    rmdir(*state);
    free(*state);
    return 0;
}

static size_t count_files(const char *folder)
{
    size_t count = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(dir);
    return count;
}

static char *path_of(const char *folder)
{
    static char path[300];
    snprintf(path, sizeof path, "%s/identity.pem", folder);
    return path;
}

static size_t read_whole(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t n = read(fd, out, size);
    assert_true(n >= 0);
    close(fd);
    return (size_t)n;
}

static void write_whole(const char *path, const void *data, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, length), length);
    close(fd);
}

static void open_id(const char *folder, char id[HP_PEER_ID_SIZE])
{
    hp_identity_t *identity = NULL;
    hp_err_t err = {0};
    if (hp_identity_open(&identity, folder, &err) != 0)
        fail_msg("%s", hp_err_text(&err));
    memcpy(id, hp_identity_id(identity), HP_PEER_ID_SIZE);
    hp_identity_destroy(identity);
}

/* ---- the tests ---- */

static void makes_the_key_once(void **state)
{
    char first[HP_PEER_ID_SIZE], second[HP_PEER_ID_SIZE];
    struct stat stat_now;
    mode_t old = umask(0);
    open_id(*state, first);
    umask(old);
    open_id(*state, second);
    assert_string_equal(first, second);
    assert_int_equal(strlen(first), 32);
    assert_int_equal(stat(path_of(*state), &stat_now), 0);
    assert_int_equal(stat_now.st_mode & 07777, 0600);
    assert_int_equal(count_files(*state), 1);
}

static void takes_id_and_fingerprint_from_the_public_key(void **state)
{
    hp_identity_t *identity = NULL;
    uint8_t expected[32], *der = NULL, found[32];
    char id[HP_PEER_ID_SIZE], text[HP_FINGERPRINT_TEXT_SIZE];
    assert_int_equal(hp_identity_open(&identity, *state, NULL), 0);
    FILE *file = fopen(path_of(*state), "r");
    EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    fclose(file);
    int length = i2d_PUBKEY(key, &der);
    assert_true(length > 0);
    SHA256(der, (size_t)length, expected);
    assert_memory_equal(hp_identity_fingerprint(identity), expected, 32);
    size_t certificate_length;
    const uint8_t *certificate = hp_identity_certificate(identity, &certificate_length);
    assert_int_equal(hp_identity_fingerprint_of(certificate, certificate_length, found), 0);
    assert_memory_equal(found, expected, 32);
    assert_string_equal(hp_identity_id(identity), hp_identity_id_of(expected, id));
    hp_identity_fingerprint_text(expected, text);
    assert_int_equal(strlen(text), 64);
    assert_memory_equal(text, id, 32);
    OPENSSL_free(der);
    EVP_PKEY_free(key);
    hp_identity_destroy(identity);
}

static void writes_a_certificate_that_is_valid_from_2000_to_9999(void **state)
{
    char id[HP_PEER_ID_SIZE];
    struct tm from, to;
    open_id(*state, id);
    FILE *file = fopen(path_of(*state), "r");
    X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
    fclose(file);
    assert_non_null(certificate);
    assert_int_equal(ASN1_TIME_to_tm(X509_get0_notBefore(certificate), &from), 1);
    assert_int_equal(ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &to), 1);
    assert_int_equal(from.tm_year + 1900, 2000);
    assert_int_equal(to.tm_year + 1900, 9999);
    assert_int_equal(X509_get_signature_nid(certificate), NID_ecdsa_with_SHA256);
    assert_true(X509_verify(certificate, X509_get0_pubkey(certificate)) == 1);
    X509_free(certificate);
}

/* Runs an open in a child that ends at the given step; whether the child was killed. */
static bool open_killed(const char *folder, int before, int after)
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        hp_identity_t *identity = NULL;
        kill_before = before;
        kill_after = after;
        step = 0;
        int rc = hp_identity_open(&identity, folder, NULL);
        _exit(rc == 0 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status))
        assert_int_equal(WEXITSTATUS(status), 0);
    return WIFSIGNALED(status);
}

static void check_after_kill(const char *folder, int number)
{
    hp_identity_t *identity = NULL;
    hp_err_t err = {0};
    char found[HP_PEER_ID_SIZE] = "", id[HP_PEER_ID_SIZE], again[HP_PEER_ID_SIZE];
    int rc = hp_identity_load(&identity, folder, &err);
    if (rc != 0 && rc != HP_E_NOT_FOUND)
        fail_msg("killed at step %d: %s", number, hp_err_text(&err));
    if (rc == 0)
        memcpy(found, hp_identity_id(identity), sizeof found);
    hp_identity_destroy(identity);
    open_id(folder, id);
    open_id(folder, again);
    assert_string_equal(id, again);
    if (found[0] != '\0')
        assert_string_equal(found, id);
    if (count_files(folder) != 1)
        fail_msg("killed at step %d: %zu files", number, count_files(folder));
}

static void kill_at_every_step(const char *folder)
{
    int count = 0;
    for (int when = 0; when < 2; when++) {
        bool killed = true;
        for (int n = 1; killed; n++) {
            empty(folder);
            killed = open_killed(folder, when == 0 ? n : 0, when == 1 ? n : 0);
            check_after_kill(folder, n);
            count += killed;
        }
    }
    printf("killed at %d points\n", count);
    assert_true(count >= 16);
}

static void leaves_a_whole_file_or_none_when_killed_at_any_step(void **state)
{
    kill_at_every_step(*state);
}

static void leaves_a_whole_file_or_none_without_unnamed_files(void **state)
{
    no_unnamed = true;
    kill_at_every_step(*state);
}

static void leaves_a_whole_file_or_none_without_hard_links(void **state)
{
    no_unnamed = no_links = true;
    kill_at_every_step(*state);
}

static void gives_processes_that_start_at_once_the_same_key(void **state)
{
    enum { COUNT = 8 };
    int pipes[COUNT][2];
    char ids[COUNT][HP_PEER_ID_SIZE];
    fflush(NULL);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(pipe(pipes[i]), 0);
        if (fork() == 0) {
            char id[HP_PEER_ID_SIZE];
            open_id(*state, id);
            ssize_t n = write(pipes[i][1], id, sizeof id);
            _exit(n == sizeof id ? 0 : 1);
        }
        close(pipes[i][1]);
    }
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(read(pipes[i][0], ids[i], HP_PEER_ID_SIZE), HP_PEER_ID_SIZE);
        close(pipes[i][0]);
        wait(NULL);
        assert_string_equal(ids[i], ids[0]);
    }
}

/* Opening fails, names the file and what to do, and leaves the bytes alone. */
static void check_refused(const char *folder, const char *data, size_t length, const char *why)
{
    hp_identity_t *identity = NULL;
    hp_err_t err = {0};
    char after[8192];
    write_whole(path_of(folder), data, length);
    int rc = hp_identity_open(&identity, folder, &err);
    if (rc == 0)
        fail_msg("taken although it should be refused: %s", why);
    assert_int_equal(rc, HP_E_KEY);
    if (strstr(err.detail, path_of(folder)) == NULL ||
        strstr(err.detail, "hostpair identity --new") == NULL || strstr(err.detail, why) == NULL)
        fail_msg("expected \"%s\" in: %s", why, err.detail);
    assert_int_equal(read_whole(path_of(folder), after, sizeof after), length);
    assert_memory_equal(after, data, length);
    assert_int_equal(count_files(folder), 1);
}

static void refuses_a_damaged_file_and_leaves_it_alone(void **state)
{
    char pem[8192], bad[8192], id[HP_PEER_ID_SIZE];
    open_id(*state, id);
    size_t length = read_whole(path_of(*state), pem, sizeof pem);
    check_refused(*state, "", 0, "no private key");
    check_refused(*state, "nonsense\n", 9, "no private key");
    check_refused(*state, pem, length / 4, "no private key");
    check_refused(*state, pem, length / 2, "no certificate");
    const char *certificate = strstr(pem, "-----BEGIN CERTIFICATE");
    check_refused(*state, certificate, length - (size_t)(certificate - pem), "no private key");
    check_refused(*state, pem, (size_t)(certificate - pem), "no certificate");
    /* Every byte of the base64 in turn, as a disk might turn it round. */
    unsigned refused = 0;
    for (size_t i = 0; i < length; i += 3) {
        hp_identity_t *identity = NULL;
        memcpy(bad, pem, length);
        if (bad[i] == '\n' || bad[i] == '-' || bad[i] == ' ' || bad[i] == '=')
            continue;
        bad[i] = bad[i] == 'Q' ? 'R' : 'Q';
        write_whole(path_of(*state), bad, length);
        int rc = hp_identity_open(&identity, *state, NULL);
        if (rc == 0) /* a byte that means nothing may pass, but never as another key */
            assert_string_equal(hp_identity_id(identity), id);
        refused += rc != 0;
        hp_identity_destroy(identity);
    }
    assert_true(refused > 100);
}

static void refuses_keys_of_other_kinds(void **state)
{
    char text[16384], id[HP_PEER_ID_SIZE];
    open_id(*state, id);
    size_t length = read_whole(path_of(*state), text, sizeof text);
    const char *certificate = strstr(text, "-----BEGIN CERTIFICATE");
    EVP_PKEY *keys[] = {EVP_RSA_gen(2048), EVP_EC_gen("P-384"), EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")};
    for (size_t i = 0; i < HP_COUNT(keys); i++) {
        char *pem;
        BIO *out = BIO_new(BIO_s_mem());
        assert_int_equal(PEM_write_bio_PrivateKey(out, keys[i], NULL, NULL, 0, NULL, NULL), 1);
        BIO_write(out, certificate, (int)(length - (size_t)(certificate - text)));
        long size = BIO_get_mem_data(out, &pem);
        check_refused(*state, pem, (size_t)size, "no ECDSA P-256 key");
        BIO_free(out);
        EVP_PKEY_free(keys[i]);
    }
    /* Two folders' files mixed up. */
    char *other, *mixed;
    size_t other_length;
    assert_int_equal(hp_certificate_make(&other, &other_length, NULL), 0);
    size_t key_length = (size_t)(strstr(other, "-----BEGIN CERTIFICATE") - other);
    mixed = hp_sprintf("%.*s%.*s", (int)key_length, other, (int)(length - (size_t)(certificate - text)),
                       certificate);
    check_refused(*state, mixed, strlen(mixed), "another key");
    free(mixed);
    free(other);
}

static void refuses_what_is_no_file(void **state)
{
    hp_identity_t *identity = NULL;
    hp_err_t err = {0};
    assert_int_equal(mkdir(path_of(*state), 0700), 0);
    assert_true(hp_identity_open(&identity, *state, &err) < 0);
    assert_non_null(strstr(err.detail, path_of(*state)));
    assert_int_equal(rmdir(path_of(*state)), 0);
    assert_int_equal(mkfifo(path_of(*state), 0600), 0);
    assert_int_equal(hp_identity_open(&identity, *state, &err), HP_E_KEY);
    assert_non_null(strstr(err.detail, "is no file"));
}

static void refuses_a_file_that_it_may_not_read(void **state)
{
    char id[HP_PEER_ID_SIZE], again[HP_PEER_ID_SIZE];
    open_id(*state, id);
    assert_int_equal(chmod(path_of(*state), 0), 0);
    assert_int_equal(chmod(*state, 0777), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) { /* root may read everything: somebody else tries */
        hp_identity_t *identity = NULL;
        hp_err_t err = {0};
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(3);
        int rc = hp_identity_open(&identity, *state, &err);
        fprintf(stderr, "%s\n", err.detail);
        _exit(rc == -EACCES && strstr(err.detail, path_of(*state)) != NULL ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(chmod(path_of(*state), 0600), 0);
    open_id(*state, again);
    assert_string_equal(id, again);
}

static void closes_a_copied_file_to_others(void **state)
{
    char id[HP_PEER_ID_SIZE], again[HP_PEER_ID_SIZE];
    struct stat stat_now;
    open_id(*state, id);
    assert_int_equal(chmod(path_of(*state), 0644), 0);
    open_id(*state, again);
    assert_string_equal(id, again);
    assert_int_equal(stat(path_of(*state), &stat_now), 0);
    assert_int_equal(stat_now.st_mode & 0777, 0600);
}

static void leaves_nothing_on_a_full_disk(void **state)
{
    hp_identity_t *identity = NULL;
    hp_err_t err = {0};
    char id[HP_PEER_ID_SIZE];
    for (int i = 0; i < 2; i++) {
        no_unnamed = i == 1;
        write_error = -ENOSPC;
        assert_int_equal(hp_identity_open(&identity, *state, &err), -ENOSPC);
        assert_non_null(strstr(err.detail, path_of(*state)));
        assert_int_equal(count_files(*state), 0);
    }
    write_error = 0;
    open_id(*state, id);
}

static void keeps_the_old_file_when_another_is_made(void **state)
{
    char first[HP_PEER_ID_SIZE], pem[8192], kept_pem[8192], kept_path[300];
    open_id(*state, first);
    size_t length = read_whole(path_of(*state), pem, sizeof pem);
    for (unsigned i = 0; i < 3; i++) {
        hp_identity_t *identity = NULL;
        char *kept = NULL;
        assert_int_equal(hp_identity_renew(&identity, *state, &kept, NULL), 0);
        assert_string_not_equal(hp_identity_id(identity), first);
        assert_non_null(kept);
        if (i == 0) {
            assert_string_equal(kept, "identity.pem.old");
            snprintf(kept_path, sizeof kept_path, "%s/%s", (char *)*state, kept);
            assert_int_equal(read_whole(kept_path, kept_pem, sizeof kept_pem), length);
            assert_memory_equal(kept_pem, pem, length);
            write_whole(path_of(*state), "damaged", 7); /* may be set aside all the same */
        }
        free(kept);
        hp_identity_destroy(identity);
    }
    assert_int_equal(count_files(*state), 4);
}

static void reads_no_fingerprint_from_other_certificates(void **state)
{
    (void)state;
    uint8_t out[32], longer[4096], *der = NULL;
    char *pem;
    size_t pem_length, length;
    hp_certificate_t mine;
    assert_int_equal(hp_certificate_make(&pem, &pem_length, NULL), 0);
    assert_int_equal(hp_certificate_read(&mine, pem, pem_length, NULL), 0);
    length = mine.certificate_length;
    memcpy(longer, mine.certificate, length);
    longer[length] = 0;
    assert_int_equal(hp_identity_fingerprint_of(longer, length, out), 0);
    assert_memory_equal(out, mine.fingerprint, 32);
    assert_int_equal(hp_identity_fingerprint_of(longer, length + 1, out), HP_E_INVALID);
    assert_int_equal(hp_identity_fingerprint_of(longer, length - 1, out), HP_E_INVALID);
    assert_int_equal(hp_identity_fingerprint_of(longer, 0, out), HP_E_INVALID);
    EVP_PKEY *key = EVP_RSA_gen(2048);
    X509 *other = make_certificate(key);
    int other_length = i2d_X509(other, &der);
    assert_int_equal(hp_identity_fingerprint_of(der, (size_t)other_length, out), HP_E_INVALID);
    OPENSSL_free(der);
    X509_free(other);
    EVP_PKEY_free(key);
    hp_certificate_dispose(&mine);
    free(pem);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(makes_the_key_once),
        TEST(takes_id_and_fingerprint_from_the_public_key),
        TEST(writes_a_certificate_that_is_valid_from_2000_to_9999),
        TEST(leaves_a_whole_file_or_none_when_killed_at_any_step),
        TEST(leaves_a_whole_file_or_none_without_unnamed_files),
        TEST(leaves_a_whole_file_or_none_without_hard_links),
        TEST(gives_processes_that_start_at_once_the_same_key),
        TEST(refuses_a_damaged_file_and_leaves_it_alone),
        TEST(refuses_keys_of_other_kinds),
        TEST(refuses_what_is_no_file),
        TEST(refuses_a_file_that_it_may_not_read),
        TEST(closes_a_copied_file_to_others),
        TEST(leaves_nothing_on_a_full_disk),
        TEST(keeps_the_old_file_when_another_is_made),
        TEST(reads_no_fingerprint_from_other_certificates),
    };
    return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}
