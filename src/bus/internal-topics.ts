/** The internal topics of one group; users cannot name topics under `millrace.`. */
export interface InternalTopics {
  /** Events published with a delay, until their owner has set the timer. */
  readonly delayed: string
  /** The events that schedules fire. */
  readonly ticks: string
  /** Records whose handler gave up, each with its error and its attempts. */
  readonly deadLetters: string
  /** Requests to hand dead letters back. */
  readonly redrives: string
  /** Answers to publishers that wait until their events are handled. */
  readonly replies: string
  /** Events on their way to the handlers whose key is not that of the topic. */
  readonly rekeyed: string
  /** Questions of other processes to the owners of partitions. */
  readonly queries: string
}

/** The names of a group's internal topics. */
export function internalTopics(group: string): InternalTopics {
  return {
    delayed: `millrace.${group}.delayed`,
    ticks: `millrace.${group}.ticks`,
    deadLetters: `millrace.${group}.dead-letters`,
    redrives: `millrace.${group}.redrives`,
    replies: `millrace.${group}.replies`,
    rekeyed: `millrace.${group}.rekeyed`,
    queries: `millrace.${group}.queries`,
  }
}

/** The topic of the appends to the streams of an application, which is there only where it has streams. */
export function appendsTopic(app: string): string {
  return `millrace.${app}.appends`
}

/** Whether a topic is one of appends to streams. */
export function isAppendsTopic(name: string): boolean {
  return isInternalTopic(name) && name.endsWith('.appends')
}

/** Whether a topic is internal. */
export function isInternalTopic(name: string): boolean {
  return name.startsWith('millrace.')
}

/** The name of the handler that does what rules say. */
export const rulesHandler = '$rules'

/** The name of the handler that appends to a stream. */
export function streamHandler(stream: string): string {
  return `$stream.${stream}`
}

/** Whether a handler is that of a stream, which may be gone from an application as those of users may. */
export function isStreamHandler(name: string): boolean {
  return name.startsWith(streamHandler(''))
}

/** Whether a handler is internal; users cannot name handlers so. */
export function isInternalHandler(name: string): boolean {
  return name.startsWith('$')
}

/** Where `millrace ingest` keeps how far it has come: in the same atomic append as the events themselves. */
export const ingestTopic = 'millrace.ingests'
/** The event type of {@link ingestTopic}; accepted from outside by every application, with no declaration. */
export const ingestProgressedType = 'millrace.ingest.progressed'
