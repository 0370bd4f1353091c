import type { Described, Values } from './command-line.ts'
import { grouped, quoted, type Row, type Tables } from './tables.ts'

/** The script for zsh, to be evaluated or to stand as `_millrace` in a folder of `fpath`. */
export function zshScript({ paths, values, places, commands }: Tables): string {
  const offers = commands.flatMap(({ path, commands: below, options }) => [
    `    (${quoted(path)})`,
    `      commands=(${described(below)})`,
    `      options=(${described(options)})`,
    '      ;;',
  ])
  return `#compdef millrace
# Completion of millrace for zsh.
_millrace() {
  local at='' expects='' word
  local -i place=0 index
  local -a commands options
  for ((index = 2; index < CURRENT; index += 1)); do
    word=\${words[index]}
    if [[ -n $expects ]]; then
      expects=''
      continue
    fi
    case "$at $word" in
      (${paths.map(quoted).join('|')}) at="$at $word" place=0 ;;
      (${values.map(({ at }) => quoted(at)).join('|')}) expects="$at $word" ;;
      (*' -'*) ;;
      (*) place+=1 ;;
    esac
  done
  if [[ -n $expects ]]; then
    case "$expects" in
${branches(values, '      ')}
    esac
    return
  fi
  case "$at" in
${offers.join('\n')}
  esac
  if [[ \${words[CURRENT]} == -* ]]; then
    _describe -o option options
    return
  fi
  case "$at/$place" in
${branches(places, '    ')}
    (*) _describe command commands ;;
  esac
}

if [[ \${funcstack[1]} == _millrace ]]; then
  _millrace "$@"
else
  compdef _millrace millrace
fi
`
}

function described(words: readonly Described[]): string {
  return words.map(({ word, description }) => quoted(`${word}:${description}`)).join(' ')
}

function branches(rows: readonly Row<Values>[], indent: string): string {
  return grouped(rows)
    .map(([values, at]) => `${indent}(${at.map(pattern).join('|')}) ${offer(values)} ;;`)
    .join('\n')
}

function pattern(at: string): string {
  return at.endsWith('/*') ? `${quoted(at.slice(0, -1))}*` : quoted(at)
}

function offer(values: Values): string {
  if (values === 'file') return '_files'
  if (values === 'folder') return '_files -/'
  return values === 'other' ? '_message value' : `compadd -- ${values.map(quoted).join(' ')}`
}
