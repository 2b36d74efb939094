/** The language of files that are always tasks. */
export const LANGUAGE = 'cluster-task';

/** Languages whose documents may be tasks. */
export const LANGUAGES: readonly string[] = [LANGUAGE, 'yaml'];
