// Links the Node.js that millrace-node brought to where npm scripts find it first. npm does the same, but npm 10 removes
// the link again together with the packages of other platforms, because their commands have the same name.
import { existsSync, symlinkSync } from 'node:fs'

const name = `node-${process.platform}-${process.arch}`
const link = 'node_modules/.bin/node'
if (process.platform !== 'win32' && existsSync(`node_modules/${name}/bin/node`) && !existsSync(link)) {
  symlinkSync(`../${name}/bin/node`, link)
}
