#include "share/sha256.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#ifdef HP_HAVE_IPSEC_MB
#define NO_COMPAT_IMB_API_053
#include <intel-ipsec-mb.h>
#endif

/* Leaves hashed by each engine in one round of the first timing, and the rounds. 16 leaves fill every lane of
 * the widest CPU. */
#define TIMING_LEAVES 16
#define TIMING_ROUNDS 3

/* Written once by choose(). lanes_from is the least number of leaves for which a pass through the lanes pays:
 * a pass costs about the same whether one lane is filled or all. SIZE_MAX: never. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256; /* for the life of the process */
static size_t lanes_from = SIZE_MAX;

static void broken(const char *what)
{
    fprintf(stderr, "hostpair: OpenSSL cannot hash (%s)\n", what);
    abort();
}

static EVP_MD_CTX *context_create(void)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL || EVP_DigestInit_ex2(context, sha256, NULL) != 1)
        broken("SHA-256 does not start");
    return context;
}

/* The digest of one message; the context is ready for the next afterwards. */
static void digest(EVP_MD_CTX *context, const void *data, size_t length, uint8_t *out)
{
    if (EVP_DigestUpdate(context, data, length) != 1 || EVP_DigestFinal_ex(context, out, NULL) != 1 ||
        EVP_DigestInit_ex2(context, NULL, NULL) != 1)
        broken("SHA-256 does not run");
}

static void blocks_openssl(const uint8_t *data, size_t length, uint8_t *digests)
{
    EVP_MD_CTX *context = context_create();
    for (size_t at = 0; at < length; at += HP_LEAF_SIZE, digests += HP_SHA256_SIZE)
        digest(context, data + at, HP_MIN(length - at, HP_LEAF_SIZE), digests);
    EVP_MD_CTX_free(context);
}

#ifdef HP_HAVE_IPSEC_MB

static pthread_key_t manager_key;
static pthread_once_t manager_once = PTHREAD_ONCE_INIT;

static void manager_free(void *manager)
{
    free_mb_mgr(manager);
}

static void manager_make_key(void)
{
    if (pthread_key_create(&manager_key, manager_free) != 0)
        abort();
}

/* A manager holds jobs in flight and is no thread's but its own; freed when the thread ends. NULL: this CPU
 * is not enough. */
static IMB_MGR *manager_get(void)
{
    pthread_once(&manager_once, manager_make_key);
    IMB_MGR *manager = pthread_getspecific(manager_key);
    if (manager != NULL)
        return manager;
    manager = alloc_mb_mgr(0);
    if (manager == NULL)
        return NULL;
    init_mb_mgr_auto(manager, NULL);
    if (imb_get_errno(manager) != 0 || pthread_setspecific(manager_key, manager) != 0) {
        free_mb_mgr(manager);
        return NULL;
    }
    return manager;
}

/* False when not every leaf was hashed; the digests are then worth nothing. */
static bool blocks_lanes(const uint8_t *data, size_t length, uint8_t *digests)
{
    IMB_MGR *manager = manager_get();
    if (manager == NULL)
        return false;
    size_t posted = 0, hashed = 0;
    for (size_t at = 0; at < length; at += HP_LEAF_SIZE, posted++) {
        IMB_JOB *job = IMB_GET_NEXT_JOB(manager);
        job->cipher_mode = IMB_CIPHER_NULL;
        job->cipher_direction = IMB_DIR_ENCRYPT;
        job->chain_order = IMB_ORDER_HASH_CIPHER;
        job->hash_alg = IMB_AUTH_SHA_256;
        job->src = data + at;
        job->hash_start_src_offset_in_bytes = 0;
        job->msg_len_to_hash_in_bytes = HP_MIN(length - at, HP_LEAF_SIZE);
        job->auth_tag_output = digests + posted * HP_SHA256_SIZE;
        job->auth_tag_output_len_in_bytes = HP_SHA256_SIZE;
        job = IMB_SUBMIT_JOB(manager);
        hashed += job != NULL && job->status == IMB_STATUS_COMPLETED;
    }
    for (IMB_JOB *job; (job = IMB_FLUSH_JOB(manager)) != NULL;)
        hashed += job->status == IMB_STATUS_COMPLETED;
    return hashed == posted;
}

/* Times both engines on the same leaves, alternating, and takes the best round of each; their digests must
 * agree. A pass of one leaf costs as much as a pass that fills all lanes, so what it costs in leaves of
 * OpenSSL is where lanes begin to pay. */
static void choose_lanes(bool forced)
{
    const size_t length = (size_t)TIMING_LEAVES * HP_LEAF_SIZE;
    uint8_t *leaves = hp_alloc(length);
    uint8_t plain[TIMING_LEAVES * HP_SHA256_SIZE], lanes[TIMING_LEAVES * HP_SHA256_SIZE];
    uint64_t plain_ns = UINT64_MAX, lanes_ns = UINT64_MAX, pass_ns = UINT64_MAX;
    for (size_t i = 0; i < length; i++)
        leaves[i] = (uint8_t)(i * 31 + i / HP_LEAF_SIZE);
    bool works = blocks_lanes(leaves, length, lanes); /* also warms up */
    blocks_openssl(leaves, length, plain);
    if (works && memcmp(plain, lanes, sizeof plain) != 0) {
        hp_log(HP_LOG_ERROR, "ipsec-mb gives wrong SHA-256 digests on this machine; OpenSSL is used instead");
        works = false;
    }
    for (int round = 0; works && !forced && round < TIMING_ROUNDS; round++) {
        uint64_t t0 = hp_clock_ns();
        blocks_openssl(leaves, length, plain);
        uint64_t t1 = hp_clock_ns();
        works = blocks_lanes(leaves, length, lanes);
        uint64_t t2 = hp_clock_ns();
        works = works && blocks_lanes(leaves, HP_LEAF_SIZE, lanes);
        uint64_t t3 = hp_clock_ns();
        plain_ns = HP_MIN(plain_ns, t1 - t0);
        lanes_ns = HP_MIN(lanes_ns, t2 - t1);
        pass_ns = HP_MIN(pass_ns, t3 - t2);
    }
    free(leaves);
    if (works && forced)
        lanes_from = 1;
    else if (works && lanes_ns < plain_ns)
        lanes_from = (size_t)(pass_ns * TIMING_LEAVES / plain_ns) + 1;
}

#endif

static void choose(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (sha256 == NULL)
        broken("no SHA-256");
    const char *wish = getenv("HOSTPAIR_SHA256");
    bool forced = wish != NULL && strcmp(wish, "ipsec-mb") == 0;
#ifdef HP_HAVE_IPSEC_MB
    if (wish == NULL || strcmp(wish, "openssl") != 0)
        choose_lanes(forced);
#endif
    if (forced && lanes_from == SIZE_MAX)
        hp_log(HP_LOG_WARN,
               "HOSTPAIR_SHA256=ipsec-mb: it is not there or does not run on this CPU; OpenSSL is used");
}

void hp_sha256(const void *data, size_t length, uint8_t out[HP_SHA256_SIZE])
{
    pthread_once(&once, choose);
    EVP_MD_CTX *context = context_create();
    digest(context, data, length, out);
    EVP_MD_CTX_free(context);
}

void hp_sha256_blocks(const void *data, size_t length, uint8_t *digests)
{
    pthread_once(&once, choose);
#ifdef HP_HAVE_IPSEC_MB
    size_t leaves = (length + HP_LEAF_SIZE - 1) / HP_LEAF_SIZE;
    if (leaves >= lanes_from && blocks_lanes(data, length, digests))
        return;
#endif
    blocks_openssl(data, length, digests);
}

void hp_sha256_pairs(const uint8_t *pairs, size_t count, uint8_t *out)
{
    pthread_once(&once, choose);
    EVP_MD_CTX *context = context_create();
    for (size_t i = 0; i < count; i++)
        digest(context, pairs + i * 2 * HP_SHA256_SIZE, (size_t)2 * HP_SHA256_SIZE, out + i * HP_SHA256_SIZE);
    EVP_MD_CTX_free(context);
}

const char *hp_sha256_engine(void)
{
    pthread_once(&once, choose);
    return lanes_from != SIZE_MAX ? "ipsec-mb" : "openssl";
}
