// Writes what is made from the table of fields: the JSON schema and the reference page.
// Run: npx esbuild scripts/schema.ts --bundle --platform=node | node
import fs from 'node:fs';
import { jsonSchema, referencePage } from '../src/task';

fs.writeFileSync('media/cluster-task.schema.json', `${JSON.stringify(jsonSchema(), null, 2)}\n`);
fs.writeFileSync('docs/task-yaml.md', referencePage());
