// One process of several that work together in a row.

import { closedLoop } from './load.ts'
import { type TeamMember, teamMembers } from './team-members.ts'

/** What a process is asked. */
export type TeamRequest =
  | { readonly ask: 'start' | 'handled' | 'stop' }
  | { readonly ask: 'load'; readonly seconds: number }

/** What it answers. */
export interface TeamAnswer {
  readonly calls?: number
  readonly handled?: number | undefined
  readonly error?: string
}

const [name = '', url = ''] = process.argv.slice(2)
let member: TeamMember | undefined
let from = 0

async function answer(request: TeamRequest): Promise<TeamAnswer> {
  if (request.ask === 'start') {
    member = await teamMembers[name]?.(url)
    return {}
  }
  if (member === undefined) throw new Error(`there is no member '${name}'`)
  if (request.ask === 'handled') return { handled: member.handled?.() }
  if (request.ask === 'load') {
    const { calls } = await closedLoop(member.publish, { seconds: request.seconds, from })
    from += calls
    return { calls }
  }
  await member.stop()
  return {}
}

process.on('disconnect', () => process.exit())
process.on('message', (request: TeamRequest) => {
  answer(request).then(
    (value) => process.send?.(value),
    (error: Error) => process.send?.({ error: error.stack ?? error.message }),
  )
})
