/* hostpair identity: reads the key's file itself, so that it works whether hostpair runs or not. */
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "cli/internal.h"
#include "identity/identity.h"
#include "store/lock.h"

static void print(const hp_cli_t *cli, const hp_identity_t *identity, const char *kept)
{
    char fingerprint[HP_FINGERPRINT_TEXT_SIZE];
    const char *id = hp_identity_id(identity);
    hp_identity_fingerprint_text(hp_identity_fingerprint(identity), fingerprint);
    if (cli->flags.json) {
        json_t *json = json_pack("{s:s, s:s, s:s?}", "id", id, "fingerprint", fingerprint, "kept", kept);
        hp_say_json(stdout, json);
        json_decref(json);
        return;
    }
    printf("id           %s\nfingerprint  %s\n", id, fingerprint);
    if (kept != NULL)
        hp_say(stderr, "The old key is kept as %s.", kept);
}

static int fail(const hp_cli_t *cli, const hp_err_t *err, const char *advice)
{
    hp_err_t both;
    hp_err_set(&both, err->code, "%s; %s", hp_err_text(err), advice);
    return hp_cli_fail(cli, &both);
}

static int show(hp_cli_t *cli)
{
    hp_identity_t *identity = NULL;
    hp_err_t err = {0};
    int rc = hp_identity_load(&identity, cli->options->data, &err);
    if (rc == HP_E_NOT_FOUND)
        return fail(cli, &err, "hostpair makes it when it starts for the first time");
    if (rc != 0)
        return hp_cli_fail(cli, &err);
    print(cli, identity, NULL);
    hp_identity_destroy(identity);
    return 0;
}

static bool has_one(const hp_cli_t *cli)
{
    hp_identity_t *identity = NULL;
    int rc = hp_identity_load(&identity, cli->options->data, NULL);
    hp_identity_destroy(identity);
    return rc != HP_E_NOT_FOUND;
}

/* Whether the person agrees to lose the old one. Without a terminal nobody can be asked. */
static int ask(const hp_cli_t *cli)
{
    char answer[16] = "";
    if (cli->flags.yes || !has_one(cli))
        return 0;
    if (!isatty(STDIN_FILENO)) {
        hp_say(stderr, "hostpair: there is no terminal to ask at; say --yes if you are sure");
        return HP_EXIT_USAGE;
    }
    fprintf(stderr,
            "Other hosts will take this one for another host: whoever has paired with it has to do so "
            "again, and groups have to be joined again.\nMake another key? [y/N] ");
    if (fgets(answer, sizeof answer, stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y'))
        return 0;
    hp_say(stderr, "Nothing was changed.");
    return HP_EXIT_FAILED;
}

static int renew(hp_cli_t *cli)
{
    hp_identity_t *identity = NULL;
    hp_err_t err = {0};
    char *kept = NULL;
    int rc = hp_identity_renew(&identity, cli->options->data, &kept, &err);
    if (rc == 0)
        print(cli, identity, kept);
    else
        rc = hp_cli_fail(cli, &err);
    hp_identity_destroy(identity);
    free(kept);
    return rc;
}

int hp_cli_identity(hp_cli_t *cli)
{
    hp_err_t err = {0};
    if (cli->options->data == NULL)
        return hp_cli_usage(cli, "the data folder is not known; say it with --data");
    if (!cli->flags.new_key)
        return show(cli);
    bool clean = false;
    int lock = hp_store_lock(cli->options->data, &clean, &err);
    if (lock == HP_E_LOCKED)
        return fail(cli, &err, "end it first");
    if (lock < 0)
        return hp_cli_fail(cli, &err);
    int rc = ask(cli);
    if (rc == 0)
        rc = renew(cli);
    if (clean) /* the database is as it was found */
        hp_store_lock_clean(lock);
    close(lock);
    return rc;
}
