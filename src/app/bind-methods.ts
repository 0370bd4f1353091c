/** Binds the methods of an instance to it, so that they can be taken out: `const { publish } = running`. Gives the instance. */
export function bindMethods<T extends object>(instance: T): T {
  const methods = Object.getOwnPropertyDescriptors(Object.getPrototypeOf(instance) as object)
  for (const [name, { value }] of Object.entries<PropertyDescriptor>(methods)) {
    if (typeof value !== 'function' || name === 'constructor') continue
    Object.defineProperty(instance, name, { value: value.bind(instance), writable: true, configurable: true })
  }
  return instance
}
