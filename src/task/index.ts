/** The task room: task files as plain data. Pure; everything that reads or changes a task goes through here. */
export { parseAccelerator } from './accelerators';
export { TaskError } from './errors';
export { FIELDS, TASK_SHAPE } from './fields';
export type { Flaw, Parsed } from './grammar';
export { missingValues } from './missing';
export { envNameFlaw, taskNameFlaw } from './names';
export { fieldWithNul, nulFlaw } from './nul';
export { applyOverrides, commandTask, EMPTY_TASK } from './overrides';
export { parseTask, type ParsedTask } from './parse';
export type { Problem, ProblemFix } from './problem';
export { parseCpus, parseMemory } from './quantities';
export { looksLikeTask } from './recognise';
export { RESOURCE_FIELDS } from './resourceFields';
export type { Field, FieldTable, Shape } from './shape';
export type {
  AcceleratorRequest,
  GitWorkdir,
  Quantity,
  ResourceAlternative,
  Task,
  TaskOverrides,
} from './task';
export { jsonSchema, type JsonSchema } from './jsonSchema';
export { PROBLEM_CODES } from './problemCodes';
export { inWords, referencePage, sourceUrl } from './reference';
export { complete, type Completion, type KnownGpus } from './complete';
export { fieldHelp, type FieldHelp } from './explainField';
export { outline, type OutlineItem } from './outline';
export { acceleratorPlaces, localPaths, type AcceleratorPlace, type LocalPathPlace } from './places';
export { pathProblems } from './pathProblems';
export { closest } from './suggest';
export { MOST_VARIANTS, parseAxis, parseSweep, variantsOf, type Axis, type Variant } from './sweep';
export { parseTimeLimit } from './timeLimit';
export { fillIn, filledMounts, valuesOf } from './variables';
export { shellProblems, type ShellParser } from './shell';
