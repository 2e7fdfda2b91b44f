/* What the database looks like, and how one of an older version becomes one of the latest. For db.c and its
 * tests. The SQL itself is in schema/ and migrations/; sql.cmake turns it into hp_schema_latest. */
#ifndef HP_DB_SCHEMA_H
#define HP_DB_SCHEMA_H

#include <stddef.h>
#include <stdint.h>

#include "db/db.h"

/* In the file's header: "HPDB". */
#define HP_DB_APPLICATION_ID 0x48504442

typedef struct hp_schema_part {
    const char *name; /* of the file */
    const char *sql;
} hp_schema_part_t;

typedef struct hp_schema {
    int version;
    const hp_schema_part_t *tables; /* make the latest version from nothing */
    size_t table_count;
    const hp_schema_part_t
        *migrations; /* migrations[n] makes version n + 1 of version n; there are `version` of them */
} hp_schema_t;

extern const hp_schema_t hp_schema_latest;

/* Makes all tables in an empty database: one transaction. */
int hp_schema_create(hp_db_t *db, const hp_schema_t *schema, hp_err_t *err);

/* Runs the migrations from version `from` to the latest, each one transaction together with its version
 * number: a crash leaves one version or the other. Foreign keys must be off; they are checked before each
 * commit. */
int hp_schema_migrate(hp_db_t *db, const hp_schema_t *schema, int from, hp_err_t *err);

/* hp_db_open with another schema and without the statements, for tests of the above. */
int hp_db_open_schema(const char *path, const hp_schema_t *schema, hp_db_t **db, hp_err_t *err);

#endif
