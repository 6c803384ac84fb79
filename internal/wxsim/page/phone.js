// The phone page. It asks /state once a second and draws what changed; what a
// person does is one POST to the same headless routes that tests use.

import { $, duration, el, initial, keyed, remember, root, t } from './draw.js'

const { prefix, code: openedCode } = root.dataset
let state = { version: '', people: [], codes: [], pushes: [], rules: [], accounts: [] }
let stateAt = 0 // performance.now() of the state, for countdowns
let chosen = remember.get('person')
let account = remember.get('account')
let busy = 0
let arriving = null // the person who is being added, until the simulator knows

// ── talking to the simulator ────────────────────────────────────────────────

async function send(method, path, body) {
  const response = await fetch(prefix + path, {
    method,
    headers: body === undefined ? {} : { 'content-type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  })
  const answer = response.status === 204 ? null : await response.json()
  if (!response.ok) throw new Error(answer?.error ?? `HTTP ${response.status}`)
  return answer
}

let loading = null
function load() {
  loading ??= loadOnce().finally(() => { loading = null })
  return loading
}

async function loadOnce() {
  try {
    const query = new URLSearchParams({ account, person: chosen, since: state.version })
    const next = await send('GET', `/state?${query}`)
    if (next) {
      state = next
      stateAt = performance.now()
      draw()
    }
    notice(blockedNotice())
  } catch (error) {
    if (account && String(error.message).includes('account')) account = ''
    notice(t('lost'))
  }
}

async function refresh() {
  await loading
  state.version = ''
  await load()
}

// act does one thing on the phone and shows at once that it is under way.
async function act(path, body, quietWhenNothing = false) {
  busy++
  drawBusy()
  say(t('delivering'))
  let words = ''
  try {
    await arriving // what is clicked meanwhile is done by the new person
    const result = await send('POST', path, { account: state.account, person: chosen, ...body })
    const last = result.deliveries.at(-1)
    if (last) words = `${result.event}: ${last.verdict}, ${last.ms} ms`
    else if (result.event) words = `${result.event}: ${t('noAttempt')}`
    else if (!quietWhenNothing) words = t('noPush')
  } catch (error) {
    words = error.message === 'expired code' || error.message === 'unknown code' ? t('codeGone') : error.message
  }
  busy--
  drawBusy()
  say(words)
  await refresh()
}

let sayTimer
function say(text) {
  clearTimeout(sayTimer)
  const note = $('phone-note')
  if (text) note.textContent = text
  note.classList.toggle('shown', text !== '')
  if (text && busy === 0) sayTimer = setTimeout(() => say(''), 4000)
}

function notice(text) {
  const node = $('notice')
  if (node.textContent !== text) node.textContent = text
  node.hidden = text === ''
}

const currentAccount = () => state.accounts.find((a) => a.appid === state.account) ?? { name: '', callbacks: [], mode: '' }
const currentPerson = () => state.people.find((p) => p.name === chosen)
const blockedNotice = () => (currentAccount().blocked ? t('blocked') : state.opened === 'gone' ? t('codeGone') : '')

// ── drawing ─────────────────────────────────────────────────────────────────

function draw() {
  drawTop()
  drawPeople()
  drawCodes()
  drawPhone()
  drawLog()
  drawFaults()
  drawBusy()
}

function drawTop() {
  const a = currentAccount()
  const select = $('account')
  $('account-label').hidden = state.accounts.length < 2
  if (select.options.length !== state.accounts.length) {
    select.replaceChildren(...state.accounts.map((x) => el('option', { value: x.appid, textContent: `${x.name} (${x.appid})` })))
  }
  select.value = state.account
  const facts = [a.name, a.kind, a.mode]
  if (state.clock.aheadMs > 0) facts.push(t('ahead', duration(state.clock.aheadMs / 1000)))
  $('account-facts').textContent = facts.filter(Boolean).join(' · ')
}

function drawPeople() {
  keyed($('people'), state.people, (p) => p.name, (p) => {
    const radio = el('input', { type: 'radio', name: 'person', value: p.name })
    radio.addEventListener('change', () => choose(p.name))
    return el('label', { className: 'person' }, el('i', { className: 'seal', textContent: initial(p.name), ariaHidden: 'true' }), el('b', { textContent: p.name, title: p.name }), el('small'), radio)
  }, (node, p) => {
    node.classList.toggle('follows', p.follows)
    node.querySelector('small').textContent = t(p.follows ? 'follower' : 'stranger')
    node.querySelector('input').checked = p.name === chosen
  })
}

function choose(name) {
  chosen = name
  remember.set('person', name)
  drawPhone()
  return refresh()
}

function drawCodes() {
  keyed($('codes'), state.codes, (c) => c.id, (c) => {
    const scan = el('button', { className: 'wechat', textContent: t('scan') })
    scan.addEventListener('click', () => act('/scan', { ticket: c.ticket }))
    return el('li', { className: 'code' },
      el('div', {}, el('code', { textContent: c.scene, title: `${c.scene}\n${c.url}\n${c.ticket}` }), el('small')),
      el('span', { className: 'left' }), scan)
  }, (node, c) => {
    const notes = []
    if (c.id === openedCode) notes.push(t('thisCode'))
    if (c.scans > 0) notes.push(t('scanned', c.scans))
    node.classList.toggle('chosen', c.id === openedCode)
    node.querySelector('small').textContent = notes.join(' · ')
    node.querySelector('button').setAttribute('aria-label', `${t('scanAs', chosen)}: ${c.scene}`)
  })
  drawTimes()
  if (openedCode && state.opened === undefined) state.opened = state.codes.some((c) => c.id === openedCode) ? 'here' : 'gone'
}

// drawTimes runs every second without asking the simulator.
function drawTimes() {
  const passed = (performance.now() - stateAt) / 1000
  let open = 0
  for (const node of $('codes').children) {
    const c = state.codes.find((x) => x.id === node.dataset.key)
    const left = c.expiresIn === 0 ? Infinity : c.expiresIn - passed
    node.hidden = left <= 0
    if (left > 0) open++
    node.querySelector('.left').textContent = left === Infinity ? t('permanent') : duration(left)
  }
  $('no-codes').hidden = open > 0
  $('phone-time').textContent = new Date().toLocaleTimeString(root.lang, { hour: '2-digit', minute: '2-digit' })
}

let shownChat = ''
function drawPhone() {
  const p = currentPerson()
  const a = currentAccount()
  const screen = !p || (!p.follows && !p.pending && !p.chat?.length) ? 'home' : p.pending ? 'follow' : 'chat'
  for (const name of ['home', 'follow', 'chat']) $(`screen-${name}`).hidden = name !== screen
  $('phone-owner').textContent = p?.name ?? ''
  $('phone-title').textContent = screen === 'chat' ? a.name : screen === 'follow' ? t('followPage') : 'WeChat'
  $('unfollow').hidden = screen !== 'chat'
  $('unfollow').textContent = t(p?.follows ? 'unfollow' : 'follow')
  $('follow-name').textContent = a.name
  $('follow-seal').textContent = a.name ? initial(a.name) : ''
  const lines = p?.chat ?? []
  const print = JSON.stringify([chosen, lines])
  if (print === shownChat) return
  shownChat = print
  const chat = $('chat')
  chat.replaceChildren(...(lines.length > 0 ? lines.map(chatLine) : [el('li', { className: 'line event' }, el('p', { textContent: t('emptyChat') }))]))
  chat.scrollTop = chat.scrollHeight
}

const eventWords = { SCAN: 'justScanned', subscribe: 'justFollowed', unsubscribe: 'justLeft', CLICK: 'tappedMenu', VIEW: 'tappedMenu', LOCATION: 'toldPlace' }

function chatLine(line) {
  if (line.kind === 'event') {
    const name = line.text.split(' ')[0]
    return el('li', { className: 'line event', title: line.text }, el('p', { textContent: t(eventWords[name] ?? name) }))
  }
  if (line.kind === 'fault') return el('li', { className: 'line fault', lang: 'zh-CN' }, el('p', { textContent: line.text }))
  const bubble = el('p', { textContent: line.text })
  if (/^https?:\/\//.test(line.url ?? '')) bubble.append(el('a', { href: line.url, rel: 'noreferrer', textContent: line.url }))
  return el('li', { className: `line ${line.from === 'person' ? 'person-said' : 'account'}` }, bubble)
}

function drawLog() {
  $('log-empty').hidden = state.pushes.length > 0
  $('log-total').textContent = state.total > 0 ? t('logTotal', state.total) : ''
  keyed($('log'), state.pushes, (p) => p.id, makePush, updatePush)
}

function makePush(p) {
  const node = el('details', { className: 'push' },
    el('summary', {},
      el('time', { className: 'push-time', dateTime: p.at, textContent: new Date(p.at).toLocaleTimeString(root.lang) }),
      el('span', { className: 'push-who' }, el('span', { className: 'push-event', textContent: p.event }), ` ${p.person}`),
      el('span', { className: 'verdict' }), el('span', { className: 'push-cost' })),
    el('div', { className: 'detail' }))
  node.addEventListener('toggle', () => { if (node.open) fillPush(node) })
  return node
}

const fine = ['success', 'empty', 'text', 'news', 'image', 'voice', 'video', 'music']

function updatePush(node, p) {
  node.push = p
  const print = `${p.verdict}${p.deliveries.length}`
  if (node.dataset.print === print) return
  node.dataset.print = print
  const verdict = node.querySelector('.verdict')
  verdict.textContent = [p.verdict, ...(p.faults ?? []), p.copyOf ? t('copyOf', p.copyOf) : null].filter(Boolean).join(' · ')
  verdict.className = `verdict ${fine.includes(p.verdict) ? '' : p.verdict === 'on its way' ? 'wait' : 'bad'}`
  const n = p.deliveries.length
  const ms = p.deliveries.reduce((sum, d) => sum + d.ms, 0)
  node.querySelector('.push-cost').textContent = n === 0 ? t('noAttempt') : `${n === 1 ? t('oneAttempt') : t('attempts', n)}, ${ms} ms`
  if (node.open) fillPush(node)
}

function fillPush(node) {
  const p = node.push
  const block = (title, text) => [el('dt', { textContent: title }), el('dd', {}, el('pre', { tabIndex: 0, textContent: text || t('detailEmpty') }))]
  const parts = [el('dl', {}, ...block(t('detailMessage'), p.message))]
  for (const d of p.deliveries) {
    const query = [...new URLSearchParams(d.query)].map(([k, v]) => `${k}=${v}`).join('\n')
    parts.push(
      el('h3', {}, t('detailAttempt', d.attempt), el('span', { textContent: `${d.url} · ${d.status || '—'} · ${d.ms} ms · ${d.verdict}` })),
      el('dl', {}, ...block(t('detailQuery'), query), ...block(t('detailSent'), d.sent), ...block(t('detailAnswer'), d.body)))
  }
  node.querySelector('.detail').replaceChildren(...parts)
}

// ── faults ──────────────────────────────────────────────────────────────────

const faultGroups = {
  groupPush: [
    { kind: 'delay', ms: 3000 }, { kind: 'duplicate', count: 2 }, { kind: 'reorder' }, { kind: 'drop' },
    { kind: 'both' }, { kind: 'lowercase' }, { kind: 'no_ticket' },
  ],
  groupSecurity: [
    { kind: 'bad_signature' }, { kind: 'bad_msg_signature' }, { kind: 'stale' }, { kind: 'foreign_appid' }, { kind: 'previous_key' },
    { kind: 'garbled' }, { kind: 'truncated' }, { kind: 'downgrade' }, { kind: 'doctype' }, { kind: 'content_type' },
    { kind: 'huge_body' }, { kind: 'slow_body' },
  ],
  groupApi: [
    { kind: 'api_latency', ms: 3000 }, { kind: 'api_status' }, { kind: 'api_reset' }, { kind: 'api_garbage' },
    { kind: 'api_error', errcode: -1 }, { kind: 'api_error', errcode: 40001, api: 'qrcode/create' },
    { kind: 'api_error', errcode: 45009, api: 'qrcode/create' }, { kind: 'api_error', errcode: 48001, api: 'qrcode/create' },
  ],
}
const faultKey = (f) => (f.errcode ? `${f.kind}_${f.errcode}` : f.kind)
const ruleOf = (f) => state.rules.find((r) => r.kind === f.kind && (r.errcode ?? 0) === (f.errcode ?? 0))
const spent = (r) => r.times > 0 && r.hits >= r.times
const switches = new Map()

for (const [group, faults] of Object.entries(faultGroups)) {
  const list = el('div', { className: 'switches' })
  for (const f of faults) {
    const input = el('input', { type: 'checkbox' })
    input.setAttribute('role', 'switch')
    input.addEventListener('change', async () => {
      const query = new URLSearchParams({ kind: f.kind, ...(f.errcode && { errcode: f.errcode }) })
      await send('DELETE', `/faults?${query}`).catch(() => {})
      if (input.checked) await send('POST', '/faults', { ...f, ...($('once').checked && { times: 1 }) }).catch(() => {})
      refresh()
    })
    const hits = el('small')
    list.append(el('label', { className: 'switch' }, input, el('span', { textContent: t(`f_${faultKey(f)}`) }), hits))
    switches.set(f, { input, hits })
  }
  $('faults').append(el('fieldset', {}, el('legend', { textContent: t(group) }), list))
}

function drawFaults() {
  for (const [f, { input, hits }] of switches) {
    const rule = ruleOf(f)
    input.checked = rule !== undefined && !spent(rule)
    hits.textContent = rule && rule.hits > 0 ? t('hits', rule.hits) : ''
  }
  $('faults-clear').hidden = state.rules.length === 0
}

// ── what the person does ────────────────────────────────────────────────────

function drawBusy() {
  for (const button of document.querySelectorAll('.code button, .phone button, #paste button')) button.disabled = busy > 0 || !chosen
}

const follow = () => act('/follow', {}, true)
$('follow').addEventListener('click', follow)
$('follow-search').addEventListener('click', follow)
$('follow-cancel').addEventListener('click', async () => {
  await send('POST', '/people', { account: state.account, person: chosen, leave: true }).catch(() => {})
  refresh()
})
$('unfollow').addEventListener('click', () => (currentPerson()?.follows ? act('/unfollow', {}, true) : follow()))
$('faults-clear').addEventListener('click', async () => {
  await send('DELETE', '/faults').catch(() => {})
  refresh()
})
$('account').addEventListener('change', (event) => {
  account = event.target.value
  remember.set('account', account)
  refresh()
})
for (const button of document.querySelectorAll('.menu button')) {
  const { menuKey, menuUrl, location } = button.dataset
  button.addEventListener('click', () => {
    if (!location) return act('/menu', menuKey ? { key: menuKey } : { url: menuUrl })
    const [latitude, longitude] = location.split(',').map(Number)
    return act('/location', { latitude, longitude })
  })
}
$('say').addEventListener('submit', async (event) => {
  event.preventDefault()
  const input = $('say-text')
  const text = input.value.trim()
  if (!text || busy > 0) return
  input.value = ''
  await act('/text', { text })
  input.focus()
})
$('paste').addEventListener('submit', (event) => {
  event.preventDefault()
  const input = $('paste-text')
  const text = input.value.trim()
  if (!text || busy > 0) return
  input.value = ''
  act('/scan', /^https?:/.test(text) ? { url: text } : { ticket: text })
})
$('add-person').addEventListener('submit', (event) => {
  event.preventDefault()
  const person = $('person-name').value.trim()
  if (!person || arriving) return
  arriving = add(person).catch((error) => say(error.message)).finally(() => { arriving = null })
})

async function add(person) {
  await send('POST', '/people', { account: state.account, person })
  $('person-name').value = ''
  await choose(person)
}

// ── life ────────────────────────────────────────────────────────────────────

async function begin() {
  await load()
  if (state.version && state.people.length === 0) {
    await send('POST', '/people', { person: t('defaultNew') }).catch(() => {})
    await send('POST', '/people', { person: t('defaultFollower'), follows: true }).catch(() => {})
    await refresh()
  }
  await arriving
  if (!currentPerson() && state.people.length > 0) choose(state.people[0].name)
}

setInterval(() => {
  if (document.hidden) return
  if (state.version) drawTimes()
  load()
}, 1000)
document.addEventListener('visibilitychange', () => { if (!document.hidden) load() })
begin()
