import type { Described, Values } from './command-line.ts'
import { grouped, type Row, type Tables } from './tables.ts'

/** The script for fish, from version 3 on. */
export function fishScript({ paths, values, places, commands }: Tables): string {
  const offers = commands.flatMap(({ path, commands: below, options }) => [
    `    case ${quoted(path)}`,
    `      set commands ${below.map(described).join(' ')}`,
    `      set options ${options.map(described).join(' ')}`,
  ])
  return `# Completion of millrace for fish.
function __millrace_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  set -l at ''
  set -l expects ''
  set -l place 0
  set -l commands
  set -l options
  for word in $words[2..]
    if test -n "$expects"
      set expects ''
      continue
    end
    switch "$at $word"
      case ${paths.map(quoted).join(' ')}
        set at "$at $word"
        set place 0
      case ${values.map(({ at }) => quoted(at)).join(' ')}
        set expects "$at $word"
      case '* -*'
      case '*'
        set place (math $place + 1)
    end
  end
  if test -n "$expects"
    switch "$expects"
${branches(values, '      ')}
    end
    return
  end
  switch "$at"
${offers.join('\n')}
  end
  if string match -q -- '-*' "$current"
    printf '%s\\n' $options
    return
  end
  switch "$at/$place"
${branches(places, '    ')}
    case '*'
      printf '%s\\n' $commands
  end
end

complete -c millrace -f -a '(__millrace_complete)'
`
}

function branches(rows: readonly Row<Values>[], indent: string): string {
  return grouped(rows)
    .map(([values, at]) => `${indent}case ${at.map(quoted).join(' ')}\n${indent}  ${offer(values)}`)
    .join('\n')
}

function described({ word, description }: Described): string {
  return quoted(`${word}\t${description}`)
}

function offer(values: Values): string {
  if (values === 'file') return '__fish_complete_path "$current"'
  if (values === 'folder') return '__fish_complete_directories "$current"'
  return values === 'other' ? 'true' : `printf '%s\\n' ${values.map(quoted).join(' ')}`
}

/** Unlike in other shells, a backslash and a quote can be escaped within single quotes. */
function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
