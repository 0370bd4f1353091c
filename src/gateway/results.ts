import type { FastifyReply, FastifyRequest } from 'fastify'
import type { RunningApp } from '../app/running.ts'
import { retryAfterSeconds } from './problem.ts'

/** Where results are fetched. */
export const resultsPath = '/results/'

/**
 * `GET /results/:id`: 200 with `{ ok: true, result }` or `{ ok: false, failure }`, 202 with `{ pending: true }` while the
 * command is still to be handled, and 404 `RESULT_UNKNOWN` for one that never was there or whose time is over.
 */
export async function giveResult(running: RunningApp, request: FastifyRequest, reply: FastifyReply) {
  const { id } = request.params as { readonly id: string }
  const state = await running.result(id)
  if (state.pending) {
    reply.code(202).header('retry-after', String(retryAfterSeconds(503)))
    return state
  }
  return state.ok ? { ok: true, result: state.result } : { ok: false, failure: state.failure }
}
