import { MillraceError } from '../../core/errors.ts'
import { defaultUrl } from './open.ts'

/** The platform port that `--url` names, without a slash at its end; `COMMAND_INVALID` for what is no URL of one. */
export function platformUrl(url: string): string {
  if (URL.canParse(url) && /^https?:/.test(url)) return url.replace(/\/+$/, '')
  throw new MillraceError('COMMAND_INVALID', `'${url}' is no URL of a running application.`, {
    where: '--url',
    fix: `Give one such as ${defaultUrl}.`,
  })
}
