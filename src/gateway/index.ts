/** HTTP for a running application: the platform's port and the application's own. */
export { type AppServerOptions, serveApp } from './app-server.ts'
export type { Listening } from './listen.ts'
export { type PlatformOptions, servePlatform } from './platform.ts'
export type { Problem } from './problem.ts'
