/** SQL that takes a database from one version (its place in the list) to the next. */
export type Migration = string;

/**
 * The schema as the list of its steps; `PRAGMA user_version` counts those a file has had. A step once released
 * never changes. A job is kept as one JSON text beside the columns that are searched by, so that a new field of
 * `JobRecord` needs no step.
 */
export const MIGRATIONS: readonly Migration[] = [
  `
  CREATE TABLE meta (store TEXT NOT NULL, sequence INTEGER NOT NULL);
  CREATE TABLE cluster (
    name TEXT PRIMARY KEY, definition TEXT NOT NULL, created_at INTEGER NOT NULL
  ) WITHOUT ROWID;
  -- Apart from the clusters, so that ids are not given again after a cluster was removed and made anew.
  CREATE TABLE counter (cluster TEXT PRIMARY KEY, next_id INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE job (
    uuid TEXT NOT NULL UNIQUE, cluster TEXT NOT NULL, id INTEGER NOT NULL,
    live INTEGER NOT NULL, ended_at INTEGER NOT NULL, record TEXT NOT NULL
  );
  CREATE UNIQUE INDEX job_by_id ON job (cluster, id);
  CREATE INDEX job_live ON job (cluster, id) WHERE live = 1;
  CREATE INDEX job_ended ON job (ended_at) WHERE live = 0;
  `,
];
