import { isAbsolute } from 'node:path'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { RunningApp } from '../app/running.ts'
import { MillraceError } from '../core/errors.ts'
import { bodyInvalid, jsonBody, textMember } from './json-body.ts'

/** `POST /backups` with `{ folder }`, a whole path: 201 once the log as of now is there, on this machine's disk. */
export async function makeBackup(running: RunningApp, request: FastifyRequest, reply: FastifyReply) {
  const folder = textMember(jsonBody(request, ['folder']), 'folder')
  if (folder === undefined || !isAbsolute(folder))
    throw bodyInvalid(
      'Where the backup is to be made must be said.',
      'folder',
      'the whole path of a new folder',
    )
  if (running.engine.backup === undefined) {
    throw new MillraceError(
      'REQUEST_INVALID',
      'The log of this application has no folder that could be copied.',
      {
        fix: 'Use the tools of its servers for backups.',
      },
    )
  }
  await running.engine.backup(folder)
  reply.code(201)
  return { folder }
}
