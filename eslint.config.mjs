import js from '@eslint/js';
import tseslint from 'typescript-eslint';

// The rooms of src/ and what each may import (ARCHITECTURE.md draws the same picture).
// Everything not named is forbidden, so a new arrow is a decision made here.
const rooms = {
  task: [],
  cluster: ['task'],
  queue: ['task', 'cluster'],
  store: ['queue', 'cluster', 'task'],
  node: [],
  transport: [],
  engine: ['task', 'cluster', 'queue', 'store', 'node', 'transport'],
  control: ['task', 'cluster', 'queue', 'store', 'transport', 'engine'],
  cli: ['task', 'cluster', 'queue', 'node', 'transport', 'engine', 'control'],
  editor: ['task', 'cluster'],
  window: ['cluster', 'queue', 'transport', 'engine', 'control'],
  views: ['queue', 'engine', 'control', 'window'],
  commands: ['task', 'cluster', 'queue', 'engine', 'control', 'window', 'views'],
};
const withVscode = ['editor', 'window', 'views', 'commands'];

const roomRules = Object.entries(rooms).map(([room, allowed]) => {
  const forbidden = Object.keys(rooms).filter((other) => other !== room && !allowed.includes(other));
  return {
    files: [`src/${room}/**/*.ts`],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          paths: withVscode.includes(room)
            ? []
            : [
                {
                  name: 'vscode',
                  message: `src/${room} is a pure room: pass what it needs in by constructor.`,
                },
              ],
          patterns: [
            {
              regex: `^\\.\\./(?:\\.\\./)*(?:${forbidden.join('|')})(?:/|$)`,
              message: `src/${room} may import only: ${allowed.join(', ') || 'nothing'} (see ARCHITECTURE.md).`,
            },
            {
              regex: 'extension(?:\\.js)?$',
              message: 'extension.ts builds the object graph; nobody imports it.',
            },
          ],
        },
      ],
    },
  };
});

export default tseslint.config(
  { ignores: ['dist/', 'out/', 'node_modules/', '.vscode-test/', 'media/'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-unused-vars': ['error', { ignoreRestSiblings: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
    },
  },
  ...roomRules,
  {
    files: ['src/**/*.ts'],
    ignores: ['src/transport/ssh2Library.ts'],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: '^ssh2(?:/|$)',
              allowTypeImports: true,
              message: 'Take it from src/transport/ssh2Library.ts: that is how ssh2 is loaded.',
            },
          ],
        },
      ],
    },
  },
  {
    files: ['**/*.mjs', '**/*.js'],
    languageOptions: {
      globals: {
        process: 'readonly',
        console: 'readonly',
        URL: 'readonly',
        setTimeout: 'readonly',
        clearTimeout: 'readonly',
        Buffer: 'readonly',
        require: 'readonly',
        module: 'readonly',
        __dirname: 'readonly',
      },
    },
  },
);
