import type { Route } from '../../bus/explain.ts'
import type { RuleChange } from '../../bus/rules/rule-book.ts'
import type { RecordedChange } from '../../bus/rules/rule-history.ts'
import type { RuleTrial } from '../../bus/rules/rule-trial.ts'
import type { RuleChangeNote, RuleList, RuleStatus } from '../../bus/rules/rules.ts'
import { httpRequest } from './http-access.ts'
import { platformUrl } from './platform-url.ts'

/** A change as the platform's port tells it. */
export type ToldChange = Pick<RecordedChange, 'id' | 'timeMs'> & RuleChange

/** The rules of a running application, through its platform's port. */
export class RulePort {
  readonly #base: string

  /** Calls reject with `UNREACHABLE` where no application runs at the URL. */
  constructor(url: string) {
    this.#base = platformUrl(url)
  }

  async list(): Promise<RuleList> {
    return (await httpRequest(`${this.#base}/rules`)) as RuleList
  }

  async show(name: string): Promise<RuleStatus> {
    return (await httpRequest(`${this.#base}/rules/show?${new URLSearchParams({ name })}`)) as RuleStatus
  }

  async changes(): Promise<readonly ToldChange[]> {
    const changes: ToldChange[] = []
    for (let from: number | undefined = 0; from !== undefined; ) {
      const page = (await httpRequest(`${this.#base}/rules/changes?from=${from}&limit=1000`)) as {
        readonly changes: readonly ToldChange[]
        readonly next?: number
      }
      changes.push(...page.changes)
      from = page.next
    }
    return changes
  }

  put(rules: readonly unknown[], note: RuleChangeNote): Promise<RecordedChange> {
    return this.#post('/rules', { rules, ...note })
  }

  change(what: 'remove' | 'enable' | 'disable', name: string, note: RuleChangeNote): Promise<RecordedChange> {
    return this.#post(`/rules/${what}`, { name, ...note })
  }

  setPolicy(policy: string, note: RuleChangeNote): Promise<RecordedChange> {
    return this.#post('/rules/policy', { policy, ...note })
  }

  try(trial: Readonly<Record<string, unknown>>): Promise<RuleTrial> {
    return this.#post('/rules/try', trial)
  }

  route(event: unknown): Promise<Route> {
    return this.#post('/route', { event })
  }

  async #post<Answer>(path: string, body: object): Promise<Answer> {
    return (await httpRequest(`${this.#base}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })) as Answer
  }
}
