// Writes docs/reference from the docstrings: npm run docs:reference
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { generateReference, referenceFolder } from './reference/generate.ts'

const pages = generateReference()
rmSync(referenceFolder, { recursive: true, force: true })
mkdirSync(referenceFolder, { recursive: true })
for (const { file, text } of pages) writeFileSync(join(referenceFolder, file), text)
console.log(`${pages.length} pages in ${referenceFolder}`)
