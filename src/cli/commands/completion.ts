import { Argument, type Command } from 'commander'
import type { CommandContext } from '../command.ts'
import { bashScript } from '../completion/bash.ts'
import { commandLineOf } from '../completion/command-line.ts'
import { fishScript } from '../completion/fish.ts'
import { type Tables, tablesOf } from '../completion/tables.ts'
import { zshScript } from '../completion/zsh.ts'

const scripts: Readonly<Record<string, (tables: Tables) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
}

const howTo = `
Load it where your shell begins:
  bash  eval "$(millrace completion bash)"     in ~/.bashrc
  zsh   eval "$(millrace completion zsh)"      in ~/.zshrc, after compinit
  fish  millrace completion fish | source      in ~/.config/fish/config.fish`

/** Adds `millrace completion`. */
export function addCompletion(program: Command, context: () => CommandContext): void {
  program
    .command('completion')
    .description('write the script that lets a shell complete commands, options and values')
    .addArgument(new Argument('<shell>', 'the shell').choices(Object.keys(scripts)))
    .addHelpText('after', howTo)
    .action(async (shell: string) => {
      const script = scripts[shell]?.(tablesOf(commandLineOf(program))) ?? ''
      await context().output.print(script.trimEnd())
    })
}
