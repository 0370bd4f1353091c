import type { Claim } from '../../log/port.ts'
import { CursorTracker } from '../cursor-tracker.ts'
import type { HandlerDefinition } from '../definitions.ts'
import { rulesHandler } from '../internal-topics.ts'
import { ParkedKeys } from '../parked-keys.ts'
import { documentOf } from '../partition-setup.ts'
import type { PartitionState } from '../partition-state.ts'
import { Subscription } from '../subscription.ts'
import type { SubscriptionTools } from '../subscription-tools.ts'
import type { ApplicationRules } from './application-rules.ts'
import type { PartitionRules } from './partition-rules.ts'
import { rulesDefinition } from './rule-handler.ts'

/** What the handler of rules is set up with in one partition. */
export interface RuleSetup {
  readonly application: ApplicationRules
  readonly rules: PartitionRules
  readonly claim: Claim
  readonly state: PartitionState
  toolsOf(definition: HandlerDefinition): SubscriptionTools
}

/** The subscription of the handler that does what rules say: where it stood, or behind the first change of a topic. */
export async function rulesSubscription(setup: RuleSetup): Promise<Subscription> {
  const { application, rules, state } = setup
  const compile = await application.loadCompiler()
  const definition = rulesDefinition({
    events: application.events,
    topics: new Set(application.topics),
    view: application.view,
    addressOf: application.addressOf,
    compile,
    decisionOf: (event) => rules.decisionOf(event),
    noted: (decision, failures) => application.face.note(decision, failures),
  })
  const trackers = new Map<string, CursorTracker>()
  const parked = new ParkedKeys(rulesHandler)
  for (const topic of application.topics) {
    const known = await documentOf(state, rulesHandler, topic)
    const document = known ?? { cursor: await rules.beginningOf(topic), done: [] }
    trackers.set(topic, new CursorTracker(topic, document))
    await parked.load(state, topic)
  }
  return new Subscription(definition, { trackers, sources: [] }, parked, setup.toolsOf(definition))
}
