import type { Values } from './command-line.ts'
import { grouped, quoted, type Row, type Tables } from './tables.ts'

/** The script for bash, from version 3.2 on; it needs no other package. */
export function bashScript({ paths, values, places, commands }: Tables): string {
  const offers = commands.flatMap(({ path, commands: below, options }) => [
    `    ${quoted(path)})`,
    `      commands=${quoted(below.map(({ word }) => word).join(' '))}`,
    `      options=${quoted(options.map(({ word }) => word).join(' '))}`,
    '      ;;',
  ])
  return `# Completion of millrace for bash.
_millrace() {
  local current="\${COMP_WORDS[COMP_CWORD]}" at='' expects='' place=0 word index commands='' options=''
  COMPREPLY=()
  for ((index = 1; index < COMP_CWORD; index += 1)); do
    word="\${COMP_WORDS[index]}"
    if [[ -n $expects ]]; then
      [[ $word == '=' ]] || expects=''
      continue
    fi
    case "$at $word" in
      ${paths.map(quoted).join('|')}) at="$at $word" place=0 ;;
      ${values.map(({ at }) => quoted(at)).join('|')}) expects="$at $word" ;;
      *' -'*) ;;
      *) place=$((place + 1)) ;;
    esac
  done
  [[ -n $expects && $current == '=' ]] && current=''
  if [[ -n $expects ]]; then
    case "$expects" in
${branches(values, '      ')}
    esac
    return
  fi
  case "$at" in
${offers.join('\n')}
  esac
  if [[ $current == -* ]]; then
    _millrace_words "$options"
    return
  fi
  case "$at/$place" in
${branches(places, '    ')}
    *) _millrace_words "$commands" ;;
  esac
}

# Offers words and nothing else: readline completes the names of files where none are offered.
_millrace_words() {
  compopt +o default 2> /dev/null
  COMPREPLY=($(compgen -W "$1" -- "$current"))
}

_millrace_folders() {
  compopt -o dirnames +o default 2> /dev/null
}

complete -o default -F _millrace millrace
`
}

function branches(rows: readonly Row<Values>[], indent: string): string {
  return grouped(rows)
    .map(([values, at]) => `${indent}${at.map(pattern).join('|')}) ${offer(values)} ;;`)
    .join('\n')
}

function pattern(at: string): string {
  return at.endsWith('/*') ? `${quoted(at.slice(0, -1))}*` : quoted(at)
}

function offer(values: Values): string {
  if (values === 'file') return ':'
  if (values === 'folder') return '_millrace_folders'
  return `_millrace_words ${quoted(values === 'other' ? '' : values.join(' '))}`
}
