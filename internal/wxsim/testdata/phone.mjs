// Drives the phone page in a real browser, as a person with a keyboard and a
// mouse. Called by TestPhonePageInABrowser with PHONE_URL, NODE_MODULES_FROM and
// CHROMIUM; prints "ok" or what went wrong.
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import assert from 'node:assert/strict'

const require = createRequire(process.env.NODE_MODULES_FROM)
const { chromium } = require('playwright-core')
const { everywhere } = await import(new URL('accessible.mjs', pathToFileURL(process.env.NODE_MODULES_FROM)))

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
})
try {
  const complaints = []
  const open = async (width, locale) => {
    const context = await browser.newContext({ viewport: { width, height: 800 }, locale })
    const page = await context.newPage()
    page.setDefaultTimeout(10_000)
    page.on('console', (m) => { if (['error', 'warning'].includes(m.type())) complaints.push(m.text()) })
    page.on('pageerror', (e) => complaints.push(String(e)))
    await page.goto(process.env.PHONE_URL)
    await page.waitForSelector('.person')
    return page
  }

  const page = await open(1280, 'en-US')
  // A first visitor finds one new person and one follower, and a code to scan.
  assert.deepEqual(await page.locator('.person small').allTextContents(), ['new', 'follows'])
  await page.waitForSelector('.code button:enabled')
  assert.equal(await page.locator('.code').count(), 1)

  // Scan as the new person: the follow page, and nothing sent.
  await page.locator('.code button').click()
  await page.waitForSelector('#screen-follow:not([hidden])')
  assert.equal(await page.locator('.push').count(), 0)
  await everywhere(page, 'the page to follow')

  // Follow by keyboard: the chat opens with the passive reply.
  await page.locator('#follow').focus()
  await page.keyboard.press('Enter')
  await page.waitForSelector('#screen-chat:not([hidden])')
  await page.getByText('welcome, subscribe').waitFor()
  await page.locator('.push-event', { hasText: 'subscribe' }).waitFor()

  // Write a message; the answer comes from the callback.
  await page.fill('#say-text', 'hello')
  await page.keyboard.press('Enter')
  await page.getByText('you said hello').waitFor()

  // Arrow keys choose the follower; her scan is a SCAN.
  await page.locator('.person input').first().focus()
  await page.keyboard.press('ArrowRight')
  await page.locator('#phone-owner', { hasText: 'Han Meimei' }).waitFor()
  await page.locator('.code button').click()
  await page.locator('.push-event', { hasText: 'SCAN' }).waitFor()

  // A code that is clicked while a person is being added is scanned by that person.
  let clicked
  const click = new Promise((resolve) => { clicked = resolve })
  await page.route('**/people', async (route) => { await click; await route.continue() })
  await page.fill('#person-name', 'Lin Tao')
  await page.keyboard.press('Enter')
  await page.locator('.code button').click()
  clicked()
  await page.waitForSelector('#screen-follow:not([hidden])')
  assert.equal(await page.textContent('#phone-owner'), 'Lin Tao')
  await page.unroute('**/people')
  await page.locator('.person', { hasText: 'Han Meimei' }).click()
  await page.locator('#phone-owner', { hasText: 'Han Meimei' }).waitFor()

  // A fault: dropped, once.
  await page.locator('#once').check()
  await page.locator('.switch', { hasText: 'Never delivered' }).locator('input').check()
  await page.waitForSelector('#faults-clear:not([hidden])') // the simulator knows
  await page.fill('#say-text', 'into the void')
  await page.keyboard.press('Enter')
  await page.locator('.verdict.bad', { hasText: 'dropped' }).waitFor()
  await page.waitForFunction(() => !document.querySelector('.switch input:checked'))

  // The log opens and shows what was signed.
  await page.locator('.push summary').nth(1).click()
  await page.getByText(/signature=[0-9a-f]{40}/).first().waitFor()

  await everywhere(page, 'the chat, the log and the faults')

  // A narrow phone in Chinese has everything, without sideways scrolling.
  const narrow = await open(320, 'zh-CN')
  assert.equal(await narrow.locator('h1').textContent(), '手机模拟器')
  assert.equal(await narrow.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0)

  assert.deepEqual(complaints, [])
  console.log('ok')
} finally {
  await browser.close()
}
