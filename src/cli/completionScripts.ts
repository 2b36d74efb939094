/** A command with its options, for completion. */
export interface Words {
  readonly name: string;
  readonly description: string;
  readonly options: readonly {
    readonly flag: string;
    readonly description: string;
    /** It takes a value that `cq complete` may know. */
    readonly known?: boolean;
  }[];
}

/**
 * Commands at the first word, options after a dash; elsewhere what `cq complete` knows (clusters, jobs, nodes, hosts,
 * pools), or files. Of a list with commas the last item is completed, and a value may stand behind `=`, where bash begins a
 * word of its own. No words of a command after `--` are ours.
 */
export function bash(commands: readonly Words[]): string {
  const cases = commands.map(({ name, options }) => `    ${name}) options="${flagsOf(options)}" ;;`);
  return `_cq() {
  local word="\${COMP_WORDS[COMP_CWORD]}" options="" before="" flag="" one words=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(' ')} --help --version" -- "$word"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
  esac
  for one in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do [ "$one" = = ] || words+=("$one"); done
  case "$word" in
    =) word="" ;;
    --*=*) flag="\${word%%=*}" before="\${word%%=*}=" word="\${word#*=}" ;;
  esac
  case "$word" in
    -*) COMPREPLY=($(compgen -W "$options" -- "$word")) ;;
    *)
      COMPREPLY=()
      case "$word" in *,*) before="$before\${word%,*}," ;; esac
      case " \${COMP_WORDS[*]:0:COMP_CWORD} " in
        *" -- "*) ;;
        *) COMPREPLY=($(compgen -W "$(cq complete "\${words[@]}" \${flag:+"$flag"} 2>/dev/null </dev/null | cut -f1)" -P "$before" -- "\${word##*,}")) ;;
      esac
      [ \${#COMPREPLY[@]} -gt 0 ] || compopt -o default 2>/dev/null
      ;;
  esac
}
complete -F _cq cq`;
}

/** The same for zsh, with descriptions. */
export function zsh(commands: readonly Words[]): string {
  const names = commands.map(({ name, description }) => `    ${quoted(`${name}:${description}`)}`);
  const cases = commands.map(
    ({ name, options }) =>
      `    ${name}) options=(${options.map(({ flag, description }) => quoted(`${flag}:${description}`)).join(' ')}) ;;`,
  );
  return `#compdef cq
_cq() {
  local -a commands options
  commands=(
${names.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  case "$words[2]" in
${cases.join('\n')}
  esac
  local -a before
  before=("\${(@)words[2,CURRENT-1]}")
  if [[ "$PREFIX" == --*=* ]]; then
    before+=("\${PREFIX%%=*}")
    compset -P 1 '*='
  elif [[ "$PREFIX" == -* ]]; then
    _describe option options
    return
  fi
  local -a known
  (( \${words[(I)--]} && \${words[(I)--]} < CURRENT )) ||
    known=(\${(f)"$(cq complete "\${(@)before}" 2>/dev/null </dev/null)"})
  known=(\${known//$'\\t'/:})
  (( $#known )) && compset -P '*,'
  if (( $#known )); then _describe -V word known; else _files; fi
}
compdef _cq cq`;
}

/** The same for fish. */
export function fish(commands: readonly Words[]): string {
  const lines = commands.flatMap(({ name, description, options }) => [
    `complete -c cq -n __fish_use_subcommand -f -a ${name} -d ${quoted(description)}`,
    ...options.map(({ flag, description: words, known }) => {
      const kind = flag.startsWith('--') ? '-l' : '-s';
      // Behind = fish asks only what the option itself has.
      const value = known === true ? " -r -f -k -a '(__cq_known)'" : '';
      return `complete -c cq -n '__fish_seen_subcommand_from ${name}' ${kind} ${flag.replace(/^-+/, '')}${value} -d ${quoted(words)}`;
    }),
  ]);
  return [
    `function __cq_known
  set -l words (commandline -opc)
  set -l flag (string match -r '^--[^=]+(?==)' -- (commandline -ct)); and set -a words $flag
  set -l before (string match -r '^.*,' -- (string replace -r '^--[^=]+=' '' -- (commandline -ct)))
  contains -- -- $words; or cq complete $words[2..-1] 2>/dev/null </dev/null | string replace -r -- '^' "$before"
end`,
    // A word that is known comes before files of the same beginning; where none is, there are files.
    `complete -c cq -n 'not __fish_use_subcommand; and test -n "$(__cq_known)"' -f -k -a '(__cq_known)'`,
    ...lines,
  ].join('\n');
}

function flagsOf(options: Words['options']): string {
  return options.map(({ flag }) => flag).join(' ');
}

/** For zsh and fish alike: neither has an escape within single quotes that the other reads otherwise. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", '’')}'`;
}
