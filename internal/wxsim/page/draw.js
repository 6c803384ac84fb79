// What the phone page draws with, and remembers; it knows nothing of WeChat.

export const root = document.documentElement
const words = JSON.parse(document.getElementById('words').textContent)
export const $ = (id) => document.getElementById(id)

export const t = (key, ...values) => values.reduce((text, v, i) => text.replace(`{${i}}`, v), words[key] ?? key)
export const el = (tag, attributes = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), attributes)
  node.append(...children.filter((c) => c !== null))
  return node
}
export const initial = (name) => [...name][0].toUpperCase()

export const remember = {
  get: (key) => { try { return sessionStorage.getItem(`wxsim.${key}`) ?? '' } catch { return '' } },
  set: (key, value) => { try { sessionStorage.setItem(`wxsim.${key}`, value) } catch { /* private mode */ } },
}

export const duration = (seconds) => {
  const s = Math.max(0, Math.round(seconds))
  if (s >= 86400) return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`
  if (s >= 3600) return `${Math.floor(s / 3600)}:${String(Math.floor((s % 3600) / 60)).padStart(2, '0')}:${String(s % 60).padStart(2, '0')}`
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, '0')}`
}

// keyed keeps the nodes of unchanged items, so that focus, selection and open
// details survive a redraw.
export function keyed(parent, items, key, make, update) {
  const before = new Map([...parent.children].map((node) => [node.dataset.key, node]))
  let at = parent.firstElementChild
  for (const item of items) {
    const id = String(key(item))
    let node = before.get(id)
    if (node) before.delete(id)
    else {
      node = make(item)
      node.dataset.key = id
    }
    update(node, item)
    if (node === at) at = at.nextElementSibling
    else parent.insertBefore(node, at)
  }
  for (const node of before.values()) node.remove()
}
