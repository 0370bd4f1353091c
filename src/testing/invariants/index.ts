import type { Invariant } from '../history.ts'
import { acknowledgedEventsKept } from './acknowledged-events-kept.ts'
import { commandsDecidedOnce } from './commands-decided-once.ts'
import { cursorsBehindEffects } from './cursors-behind-effects.ts'
import { effectsOnce } from './effects-once.ts'
import { everyRecordDone } from './every-record-done.ts'
import { failedAttemptsLeaveNothing } from './failed-attempts-leave-nothing.ts'
import { handedOnOnce } from './handed-on-once.ts'
import { handledOnce } from './handled-once.ts'
import { keyOrder } from './key-order.ts'
import { onceStable } from './once-stable.ts'
import { oneAtATime } from './one-at-a-time.ts'
import { parkedKeysDrained } from './parked-keys-drained.ts'
import { rulesHold } from './rules-hold.ts'
import { stateFollowsEffects } from './state-follows-effects.ts'
import { stateVerifies } from './state-verifies.ts'
import { streamsHaveNoGap } from './streams-have-no-gap.ts'
import { waitingEndsWhenHandled } from './waiting-ends-when-handled.ts'

/** What must hold for every history, by the rule's name. */
export const invariants: Readonly<Record<string, Invariant>> = {
  'acknowledged events are kept': acknowledgedEventsKept,
  'every record is done': everyRecordDone,
  'nothing is handled twice': handledOnce,
  'keys keep their order': keyOrder,
  'what is handed on by another key is so once, and in order': handedOnOnce,
  'keys are handled one at a time': oneAtATime,
  'failed attempts leave nothing': failedAttemptsLeaveNothing,
  'effects happen once': effectsOnce,
  'state follows effects': stateFollowsEffects,
  'state verifies': stateVerifies,
  'cursors stay behind effects': cursorsBehindEffects,
  'once is stable': onceStable,
  'parked keys are drained': parkedKeysDrained,
  'commands are decided once': commandsDecidedOnce,
  'streams have no gap': streamsHaveNoGap,
  'waiting ends when handled': waitingEndsWhenHandled,
  'rules hold where they took effect': rulesHold,
}
